"""Rows another program wrote, used as they are."""

from pathlib import Path

import pytest

from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.core.errors import DataError, StudyError
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.engine import catalog as engine_catalog

THERE = {"provider": "catalog", "instrument": "AAPL.XNAS", "bars": "1-DAY-LAST"}


@pytest.fixture
def foreign(project: Project, tmp_path: Path) -> Project:
    """Make a catalog with the engine's own writer: no word of the workbench in it."""
    from nautilus_trader.persistence import ParquetDataCatalog

    maker = Project(tmp_path / "maker")
    (maker.root / ".gateway").mkdir(parents=True)
    study = study_of(SAMPLE)
    data.fetch(study, maker)
    (_, files), *_ = data.inputs(study, maker)
    bars = engine_catalog.query("bars", study.data[0].identity, None, None, files)
    project.catalog.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(project.catalog))
    catalog.write_instruments(list(engine_catalog.instruments(maker.catalog).values()))
    catalog.write_bars(bars)
    return project


def test_a_study_uses_what_another_program_wrote(foreign: Project) -> None:
    study = study_of(THERE)
    assert data.check(study, foreign) == []
    assert data.plan(study, foreign).complete
    assert data.fetch(study, foreign).status == "cached"
    assert data.read(study.data[0], foreign).num_rows == 1511
    (found,) = data.digest(study, foreign).values()
    assert found["rows"] == 1511
    # Under another provider's name they are not its rows.
    (issue,) = data.check(study_of(SAMPLE), foreign)
    assert "were written by another program" in issue.message


def test_what_is_not_there_is_missing(foreign: Project) -> None:
    (issue,) = data.check(study_of(THERE | {"instrument": "IBM.XNYS"}), foreign)
    assert "has no bars of IBM.XNYS" in issue.message
    with pytest.raises(StudyError, match="none of it in"):
        data.plan(study_of(THERE | {"start": "2020-01-01"}), foreign)
    dataset = Dataset(foreign, "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL")
    (file,) = dataset.good()
    twin = file.path.with_name(file.path.name.replace("2005-01-03", "2006-01-03"))
    file.path.rename(twin)
    other = twin.with_name("2005-01-03T21-00-00-000000000Z_2005-02-03T21-00-00-000000000Z.parquet")
    other.write_bytes(twin.read_bytes())
    with pytest.raises(DataError, match="'provider: catalog' fetches nothing"):
        data.fetch(study_of(THERE), foreign)
