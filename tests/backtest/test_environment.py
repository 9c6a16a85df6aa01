"""A strategy's process knows no credential."""

import json
from typing import Any

import pytest

from workbench import backtest, checks, study
from workbench.core.project import Project

STRATEGY = """
import json, os, pathlib
from nautilus_trader.trading import Strategy
seen = [name for name in os.environ if "SECRET" in name or "PASSPHRASE" in name]
pathlib.Path(os.environ["SEEN"]).open("a").write(json.dumps([os.getpid(), seen]) + "\\n")
class Looks(Strategy):
    pass
"""


def test_a_strategy_sees_no_key(
    project: Project, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_BYBIT_LIVE_API_KEY", "planted")
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "planted")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    (project.root / "strategies" / "looks.py").write_text(STRATEGY)
    path = project.root / "studies" / "looks.yaml"
    text = (project.root / "studies" / "ema-cross.yaml").read_text()
    head = text[: text.index("strategy:")].replace("study: ema-cross", "study: looks")
    path.write_text(head + "strategy: {path: strategies/looks.py:Looks}\n")
    document = study.load(path)
    assert checks.check(document, project) == []
    assert backtest.run(document, project=project).status == "done"
    lines = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert len({pid for pid, _ in lines}) >= 2, "the inspection and the run"
    assert all(seen == [] for _, seen in lines)
