"""The examples of docs/orders.md are what they say."""

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import click
import pytest

from tests.conftest import ROOT
from tests.live.conftest import live_study
from workbench import live
from workbench.cli.order import order
from workbench.core.project import Project
from workbench.engine.live.order_ticket import parse

PAGE = (ROOT / "docs" / "orders.md").read_text()


def test_the_requests_are_orders() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    kinds = [len(parse(json.loads(block)).legs) for block in blocks]
    assert kinds == [1, 2, 3]


def test_the_command_lines_are_read() -> None:
    lines = re.findall(r"^ {4}(workbench order .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 8
    for line in lines:
        text = re.sub(r"[\[\]]", "", line.partition("#")[0])
        _, _, name, *arguments = shlex.split(text)
        command = order.commands[name]
        with click.Context(order) as parent:
            command.make_context(name, arguments, parent=parent)


def test_the_python_examples(
    project: Project, launch: Callable[..., live.Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    node = launch(live_study(project, speed=86_400))
    first, replay = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {"node": node}
    exec(compile(replay, "orders.md", "exec"), found)
    node.ask("pause_feed")
    node.ask("market_status", instrument="AAPL.XNAS", status="TRADING")
    node.ask("step_feed", rows=1)
    exec(compile(first, "orders.md", "exec"), found)
    assert found["answer"]["status"] in ("accepted", "filled")
    assert live.orders.list_(node) == []
