"""The Tardis provider against a server that speaks Tardis's protocol: plans, rows, refusals."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nautilus_trader.adapters.tardis as native
import pyarrow as pa
import pytest
from nautilus_trader.model import InstrumentId

from tests.conftest import Answer
from tests.data.conformance import conforms
from tests.data.tardis_support import (
    DAYS,
    FIRST_NS,
    NS_DAY,
    REMOTE,
    XBT,
    remote,
    stocked,
    write_study,
)  # fmt: skip
from tests.servers.faults import Fault
from tests.servers.tardis import KEY, PERPETUAL, TardisServer, lines, text
from workbench import data
from workbench.core.errors import DataError, DependencyError, StudyError
from workbench.core.project import Project
from workbench.data import tardis_api, tardis_rows
from workbench.data.catalog import Dataset, read_rows
from workbench.data.provider import Item
from workbench.data.tardis import TardisProvider
from workbench.engine.catalog import encode
from workbench.engine.tardis import KINDS

KEY_VARIABLE = "WORKBENCH_SECRET_TARDIS_LIVE_API_KEY"
WANTS: dict[str, dict[str, Any]] = {
    "trades": {"ticks": "trades"},
    "quotes": {"ticks": "quotes"},
    "incremental_book_L2": {"book": "deltas"},
    "book_snapshot_25": {"book": "depths"},
    "book_snapshot_5": {"book": "depths", "snapshot": 5},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TardisServer]:
    """Serve trades of three days, and hold a key to them."""
    with TardisServer() as running:
        stocked(running, "trades")
        monkeypatch.setenv("WORKBENCH_URL_TARDIS", running.url)
        monkeypatch.setenv(KEY_VARIABLE, KEY)
        monkeypatch.setattr(tardis_api, "_memory", {})  # ports come again
        monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "no-secrets.json"))
        yield running


def issues(project: Project, **changes: Any) -> list[tuple[str, str]]:
    """Return path and message of each issue of a plan that must be refused."""
    with pytest.raises(StudyError) as error:
        data.plan(remote(**changes), project)
    return [(issue.path, issue.message) for issue in error.value.issues]


def stored(project: Project, kind: Any, instrument: str = "XBTUSD.BITMEX") -> pa.Table:
    return read_rows(Dataset(project, kind, instrument).good())


def oracle(project: Project, data_type: str, *days: str) -> pa.Table:
    """Return what NautilusTrader's loaders make of the server's files."""
    name = "deltas" if data_type == "incremental_book_L2" else data_type
    name = name.replace("book_snapshot_", "depth_from_snapshot")
    objects = []
    for day in days:
        path = project.root / "oracle.csv"
        path.write_text(text(data_type, lines(data_type, day, 200)))
        load = getattr(native, f"load_tardis_{name}")
        objects += load(path, 1, 0, InstrumentId.from_str("XBTUSD.BITMEX"))
    return encode(KINDS[data_type], objects).replace_schema_metadata(None)


def same(found: pa.Table, wanted: pa.Table) -> bool:
    return bool(found.to_pylist() == wanted.to_pylist())


def test_the_contract_of_a_provider(server: TardisServer, project: Project) -> None:
    conforms(TardisProvider(project), remote(), remote(exchange="bitmexx"))


@pytest.mark.parametrize("data_type", WANTS)
def test_every_kind_gives_the_loaders_rows(
    data_type: str, server: TardisServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tardis_rows, "_CHUNK_BYTES", 4_000)  # several chunks of a day
    stocked(server, data_type)
    study = remote(**WANTS[data_type])
    planned = data.plan(study, project).to_dict()
    mine = [content for path, content in server.files.items() if f"/{data_type}/" in path]
    assert planned["requests"] == 3
    assert planned["rows"] is None
    assert planned["bytes"] == sum(map(len, mine))
    assert planned["cost"] == {"amount": "0", "currency": "USD"}
    result = data.fetch(study, project)
    kind = KINDS[data_type]
    assert (result.status, result.requests, result.warnings) == ("done", 3, [])
    assert result.bytes == planned["bytes"]
    assert same(stored(project, kind), oracle(project, data_type, *DAYS))
    files = Dataset(project, kind, "XBTUSD.BITMEX").good()  # type: ignore[arg-type]
    assert files[0].interval[0] == FIRST_NS
    assert files[-1].interval[1] == FIRST_NS + 3 * NS_DAY - 1
    assert all(a.interval[1] + 1 == b.interval[0] for a, b in itertools.pairwise(files))
    assert not list(project.gateway.rglob("*.csv.gz*"))
    asked = len(server.requests)
    assert data.fetch(study, project).status == "cached"
    assert data.plan(study, project).complete
    assert len(server.requests) == asked


def test_a_part_of_a_day_and_then_the_rest(server: TardisServer, project: Project) -> None:
    noon = remote(start="2020-03-01T12:00:00", end="2020-03-02T06:00:00")
    assert data.fetch(noon, project).requests == 2
    wanted = oracle(project, "trades", *DAYS)
    times = wanted.column("ts_init").cast(pa.int64()).to_pylist()
    start, end = FIRST_NS + NS_DAY // 2, FIRST_NS + NS_DAY + NS_DAY // 4
    part = [row for row, ts in zip(wanted.to_pylist(), times, strict=True) if start <= ts <= end]
    assert stored(project, "trades").to_pylist() == part
    # Both ends of the second day are missing now, in one request for one file; and the first's.
    narrow = remote(start="2020-03-02T02:00:00", end="2020-03-02T03:00:00")
    assert data.plan(narrow, project).complete
    before = server.downloads
    assert data.fetch(remote(), project).requests == 3
    assert server.downloads - before == 3
    assert same(stored(project, "trades"), wanted)


def test_two_gaps_of_a_day_are_one_request(server: TardisServer, project: Project) -> None:
    data.fetch(remote(start="2020-03-01T10:00:00", end="2020-03-01T11:00:00"), project)
    whole = remote(end=DAYS[0])
    assert data.plan(whole, project).requests == 1
    data.fetch(whole, project)
    assert same(stored(project, "trades"), oracle(project, "trades", DAYS[0]))


def test_a_book_that_begins_within_a_day_is_told(server: TardisServer, project: Project) -> None:
    stocked(server, "incremental_book_L2")
    result = data.fetch(remote(book="deltas", start="2020-03-01T12:00", end=DAYS[0]), project)
    (warning,) = result.warnings
    assert "2020-03-01T12:00:00Z on, after the day's first snapshot" in warning


def test_a_day_without_rows(server: TardisServer, project: Project) -> None:
    server.files.pop("bitmex/trades/2020/03/02/XBTUSD")  # Tardis: a gzip file of nothing
    server.add("trades", DAYS[2], text("trades", []))
    server.add("trades", "2020-03-04", text("trades", lines("trades", "2020-03-04", 5)))
    result = data.fetch(remote(end="2020-03-04"), project)
    assert result.rows == 205
    empty = "trades of bitmex XBTUSD, {}: it has no rows; the day is kept as a day without any"
    assert sorted(result.warnings) == [empty.format(day) for day in DAYS[1:]]
    assert data.plan(remote(end="2020-03-04"), project).complete


def test_rows_that_are_left_out_are_told(server: TardisServer, project: Project) -> None:
    rows = lines("quotes", DAYS[0], 50)
    for at in (7, 30):
        cells = rows[at].split(",")
        rows[at] = ",".join([*cells[:4], "", "", *cells[6:]])
    server.add("quotes", DAYS[0], text("quotes", rows))
    result = data.fetch(remote(ticks="quotes", end=DAYS[0]), project)
    assert result.rows == 48
    (warning,) = result.warnings
    assert ".csv.gz:9: 2 rows are left out: one side has no price" in warning
    kept = stored(project, "quotes").column("ask_price").to_pylist()
    assert all(price > 0 for price in kept)


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"bars": "1-HOUR-LAST"}, "data.0.bars", "take 'ticks: trades' and let the engine make"),
        ({"exchange": None}, "data.0.exchange", "a download needs the exchange; Tardis's of BITME"),
        ({"exchange": "bitmec"}, "data.0.exchange", "unknown exchange 'bitmec'. Did you mean 'bit"),
        ({"exchange": "bybit"}, "data.0.exchange", "'bybit' is the venue BYBIT, the instrument's"),
        ({"start": None}, "data.0.start", "a download needs the start"),
        ({"end": None}, "data.0.end", "a download needs the end"),
        ({"symbol": "PERPETUALS"}, "data.0.symbol", "is a file of many symbols: name one"),
        ({"snapshot": 5}, "data.0.snapshot", "is of 'book: depths' only"),
    ],
)  # fmt: skip
def test_what_the_study_alone_tells_is_refused_without_a_connection(
    changes: dict[str, Any], path: str, message: str, project: Project
) -> None:
    ((where, said),) = issues(project, **changes)
    assert where == path
    assert message in said


def test_what_only_tardis_can_tell(server: TardisServer, project: Project) -> None:
    server.add("trades", DAYS[0], "x", symbol="XBTUSD_UP")
    server.add("trades", DAYS[0], "x", exchange="deribit", symbol="BTC-PERPETUAL")

    def told(**changes: Any) -> tuple[str, str]:
        (issue,) = issues(project, **changes)
        return issue

    path, said = told(symbol="XBTUSDT")
    assert path == "data.0.symbol"
    assert said.startswith("Tardis has no 'XBTUSDT' of bitmex. Did you mean 'XBTUSD'?")
    path, said = told(instrument="ETHUSD.BITMEX")
    assert path == "data.0.instrument"
    assert "Tardis has no 'ETHUSD' of bitmex" in said
    path, said = told(book="depths")
    assert path == "data.0.book"
    assert said == "Tardis has no book_snapshot_25 of XBTUSD. It has: trades"
    for changes, key in (({"start": "2020-02-01"}, "start"), ({"end": "2020-03-04"}, "end")):
        path, said = told(**changes)
        assert path == f"data.0.{key}"
        assert "there is data from 2020-03-01T00:00:00Z to 2020-03-03T23:59:59.999999999Z" in said
    soon = dt.date.today() + dt.timedelta(days=400)  # noqa: DTZ011
    path, said = told(start=str(soon), end=str(soon))
    assert path == "data.0.start"
    assert server.downloads == 0
    with pytest.raises(DataError, match="does not have the exchange phemex: 400 'exchange' param"):
        data.plan(remote(instrument="BTCUSD.PHEMEX", exchange="phemex"), project)


def test_without_a_key(
    server: TardisServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    server.add("trades", "2020-04-01", text("trades", lines("trades", "2020-04-01", 5)))
    ((path, said),) = issues(project)
    assert path == "data.0.start"
    assert "the first day of each month only, not 2020-03-02 and 1 more. Store a key: " in said
    assert server.downloads == 0
    with pytest.raises(StudyError, match="without an API key Tardis describes no instrument"):
        data.fetch(remote(end=DAYS[0]), project)
    free = remote(end=DAYS[0], definition=XBT)
    assert data.fetch(free, project).rows == 200
    assert server.downloads == 1
    april = remote(start="2020-04-01", end="2020-04-01")  # of an instrument that is known now
    assert data.fetch(april, project).rows == 5


@pytest.mark.parametrize(
    ("head", "refusal", "how"),
    [
        (True, 401, "refuses the API key"),
        (False, 401, "refuses the API key"),
        (True, 403, "does not give your API key this"),
    ],
)
def test_a_key_that_is_refused(
    head: bool, refusal: int, how: str, server: TardisServer, project: Project
) -> None:
    server.keys.clear()  # it has expired
    server.head, server.refusal = head, refusal
    with pytest.raises(DataError) as error:
        data.fetch(remote(definition=XBT), project)
    said = str(error.value)
    assert said.startswith(f"Tardis {how}: trades of bitmex XBTUSD, 2020-03-0")
    assert "Unauthorized: without a valid key only first days of months. Store another" in said
    assert KEY not in said
    assert not list(project.catalog.rglob("*.parquet"))


def test_sizes_are_unknown_where_head_is_not_answered(
    server: TardisServer, project: Project
) -> None:
    server.head = False
    assert data.plan(remote(), project).bytes is None
    assert data.fetch(remote(), project).rows == 600


def test_instruments(server: TardisServer, project: Project) -> None:
    server.instruments.clear()
    with pytest.raises(DataError, match=r"does not describe XBTUSD of bitmex.*\[404\].*'definiti"):
        data.fetch(remote(), project)
    perpetual = {"exchange": "binance-futures", "quoteCurrency": "USDT", "inverse": False}
    for day in DAYS:
        rows = lines("trades", day, 20, exchange="binance-futures", symbol="BTCUSDT")
        server.add(
            "trades", day, text("trades", rows), exchange="binance-futures", symbol="BTCUSDT"
        )
    known = {"id": "BTCUSDT", "settlementCurrency": "USDT"} | perpetual

    server.instruments["binance-futures/BTCUSDT"] = PERPETUAL | known
    futures = {"exchange": "binance-futures", "instrument": "BTCUSDT.BINANCE"}
    with pytest.raises(StudyError) as error:
        data.fetch(remote(**futures), project)
    (issue,) = error.value.issues
    assert issue.path == "data.0.instrument"
    assert "is a CryptoPerpetual, which NautilusTrader calls BTCUSDT-PERP.BINANCE" in issue.message
    assert (
        data.fetch(remote(**futures | {"instrument": "BTCUSDT-PERP.BINANCE"}), project).rows == 60
    )
    mine = futures | {"symbol": "BTCUSDT", "end": DAYS[0]}
    assert data.fetch(remote(**mine), project).rows == 20  # under the user's own name
    types = {each["id"]: each["type"] for each in data.list_(project)["instruments"]}
    assert types == dict.fromkeys(("BTCUSDT-PERP.BINANCE", "BTCUSDT.BINANCE"), "CryptoPerpetual")


def test_rows_of_another_source_are_not_mixed(server: TardisServer, project: Project) -> None:
    stocked(server, "book_snapshot_25", "book_snapshot_5", rows=20)
    server.add("trades", DAYS[0], text("trades", lines("trades", DAYS[0], 9)), symbol="XBT")
    data.fetch(remote(book="depths", end=DAYS[0]), project)
    data.fetch(remote(end=DAYS[0]), project)

    def said(**changes: Any) -> str:
        ((_, message),) = issues(project, **changes)
        return message

    five = said(book="depths", snapshot=5)
    assert "are of other data: book_snapshot_25, not book_snapshot_5" in five
    assert "are of other symbol: XBTUSD, not XBT." in said(symbol="XBT")
    finer = XBT | {"price_precision": 2}
    assert "other decimals (price, size): [1, 0], not [2, 0]" in said(definition=finer)
    path = project.root / "data" / "x.csv"
    path.write_text(text("trades", lines("trades", DAYS[0], 9)))
    here = {"path": "data/x.csv", "exchange": None, "start": None, "end": None}
    assert "came from a download" in said(**here)
    replaced = data.fetch(remote(book="depths", snapshot=5, end=DAYS[0]), project, replace=True)
    assert replaced.rows == 20


def test_a_file_with_faults_is_put_aside(server: TardisServer, project: Project) -> None:
    rows = lines("trades", DAYS[0], 50)
    rows[20] = rows[20].replace(",8", ",8x", 1)
    server.add("trades", DAYS[0], text("trades", rows))
    rows = lines("trades", DAYS[1], 50)
    server.add("trades", DAYS[2], text("trades", rows))  # another day's
    for day, said in ((DAYS[0], "XBTUSD.csv.gz.refused:22: "), (DAYS[2], "not of the file's day")):
        with pytest.raises(DataError) as error:
            data.fetch(remote(start=day, end=day), project)
        assert str(error.value).startswith(f"Tardis's trades of bitmex XBTUSD, {day} has faults")
        assert said in str(error.value)
        assert not list(project.catalog.rglob("trades/**/*.parquet"))
    assert len(list(project.gateway.rglob("*.refused"))) == 2
    stocked(server, "trades")
    assert data.fetch(remote(), project).rows == 600  # asked for anew


def test_the_symbol_as_files_spell_it(server: TardisServer, project: Project) -> None:
    rows = lines("trades", DAYS[0], 20, exchange="kraken", symbol="XBT/USD")
    server.add("trades", DAYS[0], text("trades", rows), exchange="kraken", symbol="XBT-USD")
    pair = {"type": "currency_pair", "base": "BTC", "currency": "USD", "price_precision": 1}
    study = remote(instrument="XBT/USD.KRAKEN", exchange="kraken", definition=pair, end=DAYS[0])
    assert data.fetch(study, project).rows == 20


def test_settings_of_the_client(
    server: TardisServer, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_URL_TARDIS", f"{server.url}/v1/")
    assert tardis_api.datasets_url() == tardis_api.api_url() == f"{server.url}/v1"
    monkeypatch.delenv("WORKBENCH_URL_TARDIS")
    assert tardis_api.datasets_url() == "https://datasets.tardis.dev/v1"
    assert tardis_api.api_url() == "https://api.tardis.dev/v1"
    monkeypatch.setitem(__import__("sys").modules, "tardis_dev", None)
    item = Item(remote(), 0)
    with pytest.raises(DependencyError, match="pip install 'nt-workbench"):
        TardisProvider(project).plan(item, [(FIRST_NS, FIRST_NS + 1)])


def test_the_command_line_from_plan_to_backtest(
    server: TardisServer, project: Project, workbench: Any
) -> None:
    study = write_study(project.root / "tardis.json", REMOTE)
    env = {"WORKBENCH_URL_TARDIS": server.url, KEY_VARIABLE: KEY}

    def run(*arguments: str) -> Answer:
        answer: Answer = workbench(*arguments, str(study), "--json", env=env)
        assert answer.code == 0, answer.err
        assert KEY not in answer.out + answer.err
        return answer

    planned = run("data", "plan").json
    assert planned["requests"] == 3
    assert [gap["start"] for gap in planned["missing"]] == ["2020-03-01T00:00:00Z"]
    assert run("data", "fetch").json["rows"] == 600
    asked = len(server.requests)
    assert run("data", "fetch").json["status"] == "cached"
    result = run("backtest", "run").json
    assert result["status"] == "done"
    assert result["fills"] > 0
    assert len(server.requests) == asked
    kept = [path for path in project.root.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in kept)


def test_a_run_does_not_download(server: TardisServer, project: Project, workbench: Any) -> None:
    study = write_study(project.root / "tardis.json", REMOTE)
    answer = workbench("backtest", "run", str(study), "--json")
    assert answer.code == 2
    (issue,) = answer.json["errors"]
    assert "not in the catalog" in issue["message"]
    assert server.requests == []


def test_a_fault_of_the_exchanges_api_is_asked_again(
    server: TardisServer, project: Project
) -> None:
    for fault in (Fault.PORTAL, Fault.UNAVAILABLE, Fault.CUT):
        server.faults.next(fault, path="/exchanges/")
    assert data.plan(remote(), project).requests == 3
    assert server.count("/exchanges/") == 4


def test_the_examples_of_the_page(
    server: TardisServer, project: Project, workbench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tardis.md").read_text()
    free, files = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    monkeypatch.delenv(KEY_VARIABLE)
    server.add("trades", DAYS[0], text("trades", lines("trades", DAYS[0], 3_000)))
    (project.root / "free.yaml").write_text(free)
    head, _, rest = free.partition("data:")
    (project.root / "files.yaml").write_text(head + files + rest[rest.index("venues:") :])
    (project.root / "data" / "tardis").mkdir()
    rows = lines("trades", DAYS[1], 3_000)
    (project.root / "data" / "tardis" / "x.csv").write_text(text("trades", rows))
    for arguments in (("data", "fetch"), ("backtest", "run")):
        answer = workbench(*arguments, "free.yaml", "--json")
        assert answer.code == 0, answer.err
    assert answer.json["fills"] > 0
    shutil.rmtree(project.catalog)
    answer = workbench("backtest", "run", "files.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["fills"] > 0
