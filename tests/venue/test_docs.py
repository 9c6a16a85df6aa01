"""The examples of the page in docs/ run, and say what they are said to."""

import re
from pathlib import Path
from typing import Any

import pytest

from workbench import data, study
from workbench.venue.faults import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "practice-venue.md").read_text()


def test_the_examples(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    data.fetch(study.load("studies/ema-cross.yaml"), project)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    # The flip needs a venue that is already there: tests/live/test_flip_practice.py has it.
    blocks = [block for block in blocks if "live.flip" not in block]
    assert len(blocks) == 2
    said = re.compile(r"^( *)(practice\S.*?)  # ([{\"].*)$", re.MULTILINE)
    code = said.sub(r"\1assert \2 == \3", "\n".join(blocks))
    assert code.count("assert") == 3
    exec(compile(code, "practice-venue.md", "exec"), {})


def test_every_fault_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE.split("## Faults")[1], re.MULTILINE)
    assert {name: tuple(re.findall(r"`(\w+)`", words)) for name, words in rows} == KINDS
