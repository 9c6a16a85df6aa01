"""Databento's files on this machine: found, checked, taken into the catalog and run."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.data.conformance import conforms
from tests.data.databento import dbn_files
from tests.data.databento.dbn_files import (
    DAY,
    ES,
    MINUTE,
    NQ,
    SECOND,
    T0,
    definition,
    market,
    write,
)
from tests.data.support import study_of
from workbench import data
from workbench.core.errors import DataError, StudyError
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.databento import DatabentoProvider
from workbench.data.provider import Item
from workbench.data.rows import add_hashes
from workbench.engine.catalog import definitions
from workbench.study import Study

BOTH = {"ESU4": [(ES, T0, T0 + 9 * DAY)], "NQU4": [(NQ, T0, T0 + 9 * DAY)]}
FUTURE = {"type": "future", "currency": "USD", "price_precision": 2, "multiplier": 50}
FUTURE |= {"underlying": "ES", "expires": "2024-09-20"}


@pytest.fixture
def files(project: Project) -> Path:
    """Two instruments' bars and trades, and their definitions."""
    folder = project.root / "data" / "db"
    content = definition("ESU4", ES) + definition("NQU4", NQ)
    write(folder / "definition.dbn.zst", "definition", content, symbols=BOTH)
    for schema, count in (("ohlcv-1m", 600), ("trades", 300), ("mbp-1", 300), ("mbp-10", 40)):
        parts = [market(schema, count, ES), market(schema, count, NQ, seed=2)]
        order = np.argsort(np.concatenate([dbn_files.index(part) for part in parts]), kind="stable")
        write(folder / f"{schema}.dbn.zst", schema, np.concatenate(parts)[order], symbols=BOTH)
    return folder


def study(**more: Any) -> Study:
    return study_of(
        {"provider": "databento", "instrument": "ESU4.GLBX", "bars": "1-MINUTE-LAST"}
        | {"path": "data/db", "definition": FUTURE}
        | more
    )


def ticks(kind: str, **more: Any) -> Study:
    wanted = study(**more).to_dict()["data"][0]
    return study_of(
        {k: v for k, v in wanted.items() if v is not None and k != "bars"} | {"ticks": kind}
    )


def issues(project: Project, document: Study) -> list[str]:
    found = DatabentoProvider(project).check(Item(document, 0))
    return [f"{issue.path.removeprefix('data.0.')}: {issue.message}" for issue in found]


def stored(project: Project, document: Study) -> tuple[int, int]:
    spec = document.data[0]
    files = Dataset(project, spec.kind, spec.identity).good()
    return sum(file.rows for file in files), add_hashes(*(file.rows_hash or 0 for file in files))


@pytest.mark.parametrize("instrument", ["ESU4.GLBX", "ESU4.XCME", "NQU4.GLBX"])
def test_a_folder_goes_into_the_catalog(project: Project, files: Path, instrument: str) -> None:
    document = study(instrument=instrument, definition=None)
    planned = data.plan(document, project)
    assert (planned.requests, planned.cost) == (1, {})
    result = data.fetch(document, project)
    assert (result.status, result.rows, result.warnings) == ("done", 600, [])
    rows = data.read(document.data[0], project).to_pandas()
    assert str(rows["ts"].iloc[0]) == "2024-07-01 00:01:00+00:00", "bars are known at their close"
    known = definitions(project.catalog)[instrument]
    assert (known.price_precision, known.size_precision) == (2, 0)
    assert data.fetch(document, project).status == "cached"


def test_quotes_trades_and_books(project: Project, files: Path) -> None:
    for document, count in (
        (ticks("trades"), 300),
        (ticks("quotes"), 300),
        (study_of({"provider": "databento", "instrument": "NQU4.XCME", "book": "depths"}
                  | {"path": "data/db", "definition": FUTURE}), 40),
    ):  # fmt: skip
        assert data.fetch(document, project).rows == count


def test_conformance(project: Project, files: Path) -> None:
    provider = DatabentoProvider(project)
    quotes = ticks("quotes", instrument="NQU4.GLBX", definition=None)
    for document in (study(), ticks("trades"), quotes):
        conforms(provider, document, study(path="data/nothing"))


def test_a_backtest_on_files(project: Project, files: Path, workbench: Callable[..., Any]) -> None:
    """Nothing is fetched beforehand: files are free."""
    document = study(definition=None).to_dict()
    document["strategy"]["params"] = {"fast": 3, "slow": 8, "trade_size": 1}
    document["venues"][0]["balances"] = ["1000000 USD"]
    (project.root / "study.yaml").write_text(yaml.safe_dump(document))
    answer = workbench("backtest", "run", "study.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["fills"] > 10
    again = workbench("backtest", "run", "study.yaml", "--json")
    assert again.json["digest"] == answer.json["digest"]


def test_a_range_reads_only_its_part(project: Project, files: Path) -> None:
    part = study(start="2024-07-01T02:00", end="2024-07-01T03:00")
    assert data.fetch(part, project).rows == 61
    whole = data.fetch(study(), project)
    assert whole.rows == 600 - 61
    assert stored(project, study())[0] == 600


def test_one_file_and_its_folder_give_the_same(project: Project, files: Path) -> None:
    document = study(path="data/db/ohlcv-1m.dbn.zst")
    assert data.fetch(document, project).rows == 600
    assert data.plan(study(), project).complete


def test_files_day_by_day(project: Project, files: Path) -> None:
    """Such as a batch download: each file begins and ends with a record of its day."""
    (files / "ohlcv-1m.dbn.zst").unlink()
    for day in (0, 1, 4):  # a weekend in between
        bars = market("ohlcv-1m", 300, start=T0 + day * DAY + 9 * 60 * MINUTE, seed=day)
        times = dbn_files.index(bars)
        span = {"start": int(times[0]), "end": int(times[-1])}
        write(files / f"glbx-{day}.ohlcv-1m.dbn.zst", "ohlcv-1m", bars, symbols=BOTH, **span)
    assert data.fetch(study(), project).rows == 900
    later = market("ohlcv-1m", 300, start=T0 + 5 * DAY, seed=9)
    write(files / "glbx-5.ohlcv-1m.dbn.zst", "ohlcv-1m", later, symbols=BOTH)
    result = data.fetch(study(), project)
    assert (result.rows, stored(project, study())[0]) == (300, 1200)


def test_ticks_of_files_day_by_day_lose_no_record(project: Project, files: Path) -> None:
    (files / "trades.dbn.zst").unlink()
    for day in (0, 1):
        trades = market("trades", 100, start=T0 + day * DAY + 123_456_789, seed=day)
        times = dbn_files.index(trades)
        span = {"start": int(times[0]), "end": int(times[-1])}
        write(files / f"glbx-{day}.trades.dbn.zst", "trades", trades, symbols=BOTH, **span)
    assert data.fetch(ticks("trades"), project).rows == 200


def test_a_time_no_file_has(project: Project, files: Path) -> None:
    late = market("ohlcv-1m", 300, start=T0 + 8 * DAY)
    write(files / "late.dbn.zst", "ohlcv-1m", late, symbols=BOTH)
    (found,) = issues(project, study())
    assert found == (
        "path: no file has 2024-07-01T10:00:00Z to 2024-07-09T00:00:00Z, between ohlcv-1m.dbn.zst "
        "and late.dbn.zst: add it, or set 'start' or 'end'"
    )
    assert issues(project, study(end="2024-07-01T09:00")) == []
    assert data.fetch(study(start="2024-07-09"), project).rows == 300


def test_files_of_the_same_time(project: Project, files: Path) -> None:
    write(files / "twice.dbn", "ohlcv-1m", market("ohlcv-1m", 60), symbols=BOTH)
    (found,) = issues(project, study())
    assert "are of the same time: keep one" in found


def test_a_query_that_was_limited_is_not_all_there_is(project: Project, files: Path) -> None:
    trades = market("trades", 100)
    trades["ts_recv"][95:] = trades["ts_recv"][95]
    (files / "trades.dbn.zst").unlink()
    write(files / "trades.dbn", "trades", trades, symbols=BOTH, end=T0 + DAY, limit=100)
    assert data.fetch(ticks("trades"), project).rows == 95
    with pytest.raises(StudyError, match="none of it"):
        data.plan(ticks("trades", start="2024-07-01T01:00"), project)


def test_a_file_without_an_end(project: Project, files: Path) -> None:
    content = dbn_files.header("trades", BOTH, T0, None) + market("trades", 50).tobytes()
    (files / "trades.dbn.zst").unlink()
    (files / "trades.dbn").write_bytes(content)
    assert data.fetch(ticks("trades"), project).rows == 50


def test_a_file_that_is_cut_short(project: Project, files: Path) -> None:
    path = write(files / "ohlcv-1m.dbn", "ohlcv-1m", market("ohlcv-1m", 600), symbols=BOTH)
    (files / "ohlcv-1m.dbn.zst").unlink()
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(DataError) as caught:
        data.fetch(study(), project)
    assert "ohlcv-1m.dbn is cut short: it ends within 2024-07-01T04:01:00Z" in str(caught.value)
    assert stored(project, study())[0] == 0
    assert data.fetch(study(end="2024-07-01T04:00"), project).rows == 240


def test_a_definition_in_the_study(project: Project, files: Path) -> None:
    (files / "definition.dbn.zst").unlink()
    (found,) = issues(project, study(definition=None))
    assert found == (
        "definition: nothing in data/db defines ESU4: put Databento's definitions beside the data "
        "(schema 'definition'), or describe the instrument with 'definition'"
    )
    document = study(instrument="ES.SIM", symbol="ESU4", definition=FUTURE)
    assert data.fetch(document, project).rows == 600
    assert definitions(project.catalog)["ES.SIM"].price_precision == 2


def test_another_venue_is_refused(project: Project, files: Path) -> None:
    with pytest.raises(StudyError) as caught:
        data.fetch(study(instrument="ESU4.CME", definition=None), project)
    assert "lists ESU4 on GLBX: call it ESU4.GLBX or ESU4.XCME" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"path": "data/dbs"}, "path: there is no file 'data/dbs' (looked for "),
        ({"path": "data/dbs"}, "Did you mean 'db'?"),
        ({"path": "data"}, "path: there is no .dbn or .dbn.zst file in 'data'"),
        ({"symbol": "ESU5"}, "symbol: the files have no symbol 'ESU5'. Did you mean 'ESU4'?"),
        ({"instrument": "CLU4.GLBX"}, "instrument: the files have no symbol 'CLU4'. Allowed: ESU4"),
        ({"bars": "1-DAY-LAST"}, "path: no file holds ohlcv-1d: found definition, mbp-1, mbp-10"),
        ({"schema": "ohlcv-1h"}, "schema: 'ohlcv-1h' holds no bars of 1-MINUTE-LAST. Allowed: oh"),
        ({"dataset": "XNAS.ITCH"}, "dataset: the files are of GLBX.MDP3, not of XNAS.ITCH"),
        ({"delivery": "batch"}, "delivery: files that are here are not delivered"),
    ],
)
def test_what_the_files_do_not_hold(
    project: Project, files: Path, more: dict[str, Any], said: str
) -> None:
    (found,) = issues(project, study(**more))
    assert said in found


def test_broken_files_are_named(project: Project, files: Path) -> None:
    (files / "page.dbn").write_text("<html>")
    (files / "nothing.dbn.zst").touch()
    assert issues(project, study()) == [
        "path: nothing.dbn.zst is not a DBN file",
        "path: page.dbn is not a DBN file",
    ]


def test_what_is_no_file_is_not_opened(project: Project, files: Path) -> None:
    os.mkfifo(files / "pipe.dbn")
    (files / "folder.dbn").mkdir()
    (files / "circle.dbn").symlink_to("circle.dbn")
    assert not issues(project, study())
    pipe = f"{study().data[0].path}/pipe.dbn"
    assert issues(project, study(path=pipe)) == [f"path: '{pipe}' is neither a file nor a folder"]


def test_a_recording_of_the_live_feed_is_refused(project: Project, files: Path) -> None:
    (files / "live.dbn").write_bytes(dbn_files.header(None, BOTH, T0, None))
    assert issues(project, study()) == [
        "path: live.dbn holds records of several kinds: a recording of the live feed"
    ]


def test_rows_of_a_file_that_changed_are_not_used(project: Project, files: Path) -> None:
    data.fetch(study(), project)
    bars = files / "ohlcv-1m.dbn.zst"
    content = bars.read_bytes()
    bars.write_bytes(content)  # touched only
    assert data.plan(study(), project).complete
    bars.rename(files / "renamed.dbn.zst")
    assert data.plan(study(), project).complete
    write(files / "renamed.dbn.zst", "ohlcv-1m", market("ohlcv-1m", 600, seed=5), symbols=BOTH)
    with pytest.raises(StudyError, match=r"came from another file, data/db/ohlcv-1m\.dbn\.zst"):
        data.plan(study(), project)
    data.fetch(study(), project, replace=True)
    write(files / "renamed.dbn.zst", "ohlcv-1m", market("ohlcv-1m", 600, seed=6), symbols=BOTH)
    with pytest.raises(StudyError, match=r"came from data/db/renamed\.dbn\.zst before it was chan"):
        data.plan(study(), project)


def test_rows_with_other_settings_are_not_used(project: Project, files: Path) -> None:
    quotes = {"symbols": BOTH}
    write(files / "bbo.dbn.zst", "bbo-1s", market("bbo-1s", 300), **quotes)
    data.fetch(ticks("quotes"), project)
    with pytest.raises(StudyError, match=r"imported with other settings \(schema mbp-1\)"):
        data.plan(ticks("quotes", schema="bbo-1s"), project)
    with pytest.raises(StudyError, match="other settings"):
        data.plan(ticks("quotes", definition=FUTURE | {"price_precision": 4}), project)


def test_a_continuous_contract_of_a_file(project: Project, files: Path) -> None:
    symbols = {"ES.c.0": [(ES, T0, T0 + DAY), (NQ, T0 + DAY, T0 + 3 * DAY)]}
    records = np.concatenate([market("ohlcv-1h", 24), market("ohlcv-1h", 24, NQ, T0 + DAY)])
    (files / "ohlcv-1m.dbn.zst").unlink()
    more = {"symbols": symbols, "stype_in": "continuous"}
    write(files / "hours.dbn.zst", "ohlcv-1h", records, **more)
    document = study(
        instrument="ES.GLBX",
        symbol="ES.c.0",
        symbology="continuous",
        bars="1-HOUR-LAST",
        definition=None,
    )
    assert data.fetch(document, project).rows == 48
    known = definitions(project.catalog)["ES.GLBX"]
    assert json.loads(known.content)["raw_symbol"] == "NQU4"  # type: ignore[union-attr]


def test_files_of_two_datasets(project: Project, files: Path) -> None:
    bars = market("ohlcv-1m", 60, start=T0 + DAY)
    write(files / "other.dbn.zst", "ohlcv-1m", bars, symbols=BOTH, dataset="XNAS.ITCH")
    assert issues(project, study()) == [
        "dataset: the files are of GLBX.MDP3, XNAS.ITCH: say which with 'dataset'"
    ]
    assert data.fetch(study(dataset="GLBX.MDP3"), project).rows == 600


def test_large_files_come_in_chunks(
    project: Project, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.data import dbn, dbn_chunks

    whole = data.fetch(ticks("trades"), project)
    hashed = stored(project, ticks("trades"))
    monkeypatch.setattr(dbn_chunks.chunks_of, "__defaults__", (48 * 50,))
    monkeypatch.setattr(dbn.Reader.records, "__defaults__", (48 * 20,))
    result = data.fetch(ticks("trades"), project, replace=True)
    assert result.rows == whole.rows == 300
    assert stored(project, ticks("trades")) == hashed
    count = len(Dataset(project, "trades", "ESU4.GLBX").good())
    assert count > 4
    assert result.requests == 1
    assert SECOND
