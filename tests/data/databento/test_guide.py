"""What docs/databento.md shows is what there is."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tests.data.databento.support import BARS
from tests.data.support import study_of
from workbench.core.errors import DependencyError
from workbench.core.project import Project
from workbench.data import databento_schema
from workbench.data.databento import DatabentoProvider
from workbench.data.provider import Item
from workbench.study.datasets import DatabentoData

GUIDE = Path(__file__).parents[3] / "docs" / "databento.md"


def examples() -> Iterator[dict[str, Any]]:
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        content = yaml.safe_load(block)
        yield from ({k: str(v) for k, v in each.items()} for each in content["data"])


@pytest.mark.parametrize("example", list(examples()))
def test_examples_are_studies(project: Project, example: dict[str, Any]) -> None:
    found = DatabentoProvider(project).check(Item(study_of(example), 0))
    assert [issue for issue in found if issue.path != "data.0.path"] == []


def test_the_guide_names_every_schema() -> None:
    text = GUIDE.read_text()
    field = DatabentoData.model_fields["schema_"].annotation
    known = {name for each in get_args(field) for name in get_args(each)}
    assert len(known) == 14
    for name in known:
        assert name in text or name.replace("ohlcv", "`") in text, name
    fitting = {
        schema
        for wanted in (
            *({"bars": f"1-{unit}-LAST"} for unit in ("SECOND", "MINUTE", "HOUR", "DAY")),
            {"ticks": "trades"}, {"ticks": "quotes"}, {"book": "deltas"}, {"book": "depths"},
        )
        for schema in databento_schema.schemas(_spec(wanted))
    }  # fmt: skip
    assert fitting == known


def _spec(wanted: dict[str, str]) -> DatabentoData:
    content = {name: value for name, value in BARS.items() if name != "bars"} | wanted
    spec = study_of(content).data[0]
    assert isinstance(spec, DatabentoData)
    return spec


@pytest.mark.parametrize("missing", ["databento", "databento_dbn", "zstandard"])
def test_a_library_that_is_not_installed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    from tests.data.databento.dbn_files import market, write

    write(project.root / "data" / "x.dbn.zst", "ohlcv-1m", market("ohlcv-1m", 5))
    monkeypatch.setenv("WORKBENCH_SECRET_DATABENTO_LIVE_API_KEY", "db-of-nobody")
    monkeypatch.setitem(sys.modules, missing, None)
    content = BARS if missing == "databento" else BARS | {"path": "data/x.dbn.zst"}
    provider, item = DatabentoProvider(project), Item(study_of(content), 0)
    with pytest.raises(DependencyError, match=r"pip install nt-workbench\[databento\]"):
        provider.check(item)
        provider.available(item)
