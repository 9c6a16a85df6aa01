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
from workbench.core.errors import InputError
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
    project: Project, launch: Callable[..., live.Node], monkeypatch: pytest.MonkeyPatch, workbench
) -> None:
    monkeypatch.chdir(project.root)
    node = launch(live_study(project, speed=86_400))
    first, replay = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict[str, Any] = {"node": node}
    exec(compile(replay, "orders.md", "exec"), found)
    node.ask("pause_feed")
    node.ask("market_status", instrument="AAPL.XNAS", status="TRADING")
    node.ask("step_feed", rows=1)
    # All other examples could be sent as things stand, too.
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        assert live.orders.preview(node, json.loads(block))["status"] == "preview"
    for line in re.findall(r"^ {4}workbench (order submit .*AAPL\.XNAS.*)$", PAGE, re.MULTILINE):
        options = ["--dry-run", "--json"]
        answer = workbench(*shlex.split(line.replace("NODE", node.id)), *options)
        assert answer.code == 0, answer.err
    # What is wrong is said as the page says it, step by step.
    errors = tuple(re.findall(r"^ {4}error: (.*?)(?: \.\.\.)?$", PAGE, re.MULTILINE))
    mended = {"quantity": "0.5", "side": "BUY"}
    stop = {"instrument": "AAPL.XNAS", "type": "STOP_MARKET", "trigger_price": "3"} | mended
    for wrong in (stop | {"quantity": "ten", "side": "BYU"}, stop):
        with pytest.raises(InputError) as refused:
            live.orders.preview(node, wrong)
        lines = [re.sub(r"at \d+\.\d+", "at 4.0668", str(each)) for each in refused.value.issues]
        assert len(lines) == 2
        assert all(line.startswith(errors) for line in lines), lines
    exec(compile(first, "orders.md", "exec"), found)
    assert found["answer"]["status"] in ("accepted", "filled")
    assert live.orders.list_(node) == []
