"""What docs/widgets.md shows is what there is."""

import asyncio
import re

import pytest

from tests.conftest import ROOT
from workbench import backtest, widgets
from workbench.core.errors import InputError, WorkbenchError

PAGE = (ROOT / "docs" / "widgets.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def block(words):
    return next(one for one in BLOCKS if words in one)


def test_every_example_is_python_and_names_what_there_is():
    for text in BLOCKS:
        compile(text, "docs/widgets.md", "exec")
        for names in re.findall(r"from workbench\.widgets import (.*)", text):
            for name in names.split(", "):
                assert getattr(widgets, name).__doc__


def test_every_widget_has_its_section():
    for name in widgets.__all__:
        if name not in ("Widget", "load"):
            assert f"\n## {name}\n" in PAGE, f"docs/widgets.md has no section {name}"


@pytest.mark.slow
def test_a_widget_of_ones_own_follows_the_run_store(project, monkeypatch):
    monkeypatch.chdir(project.root)
    names = {}
    exec(compile(block("class LastRun"), "docs/widgets.md", "exec"), names)
    own = names["LastRun"]()
    assert own.project.root == project.root
    asyncio.run(own.refresh())
    assert own.said.object == "<p>No run yet.</p>"
    backtest.run(project.root / "studies" / "ema-cross.yaml")
    asyncio.run(own.refresh())
    assert own.said.object == "<h2>done</h2>"


def test_no_project_and_no_kernel_are_said(tmp_path, monkeypatch, project):
    with pytest.raises(WorkbenchError, match="lives in a notebook's kernel"):
        widgets.Widget(project).widget()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="workbench init DIR"):
        widgets.Widget()
