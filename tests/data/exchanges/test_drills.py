"""Downloads through a server that goes wrong at random: whole, or a named error; never a gap."""

from typing import Any

import pytest

from tests.data.exchanges.support import DAY_AGO, VENUES, serving, study
from tests.servers.faults import QUICK, Fault, Faults
from tests.servers.tape import DAY, HOUR, Tape
from workbench import data
from workbench.core.errors import DataError
from workbench.core.project import Project
from workbench.data.catalog import Dataset, read_rows
from workbench.data.exchanges import session
from workbench.data.rows import rows_hash

KINDS = [
    ("bybit", "BTCUSDT-LINEAR.BYBIT", "bars"),
    ("bybit", "BTCUSDT-SPOT.BYBIT", "trades"),
    ("okx", "BTC-USDT-SWAP.OKX", "bars"),
    ("okx", "BTC-USDT.OKX", "trades"),
    ("kraken", "PI_XBTUSD.KRAKEN", "bars"),
    ("kraken", "BTC/USD.KRAKEN", "trades"),
    ("kraken", "PI_XBTUSD.KRAKEN", "trades"),
    ("binance", "BTCUSDT.BINANCE", "bars"),
    ("binance", "BTCUSD_PERP.BINANCE", "bars"),
    ("binance", "BTCUSDT-PERP.BINANCE", "trades"),
]
_TRUTH: dict[str, Any] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    count = 200 if metafunc.config.getoption("--drills") else 15
    metafunc.parametrize("number", range(count))


def test_a_download_through_faults(
    project: Project, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    exchange, instrument, kind = KINDS[number % len(KINDS)]
    monkeypatch.setattr(session, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(session, "TIME_LIMIT", 0.5)
    venue: Any = VENUES[exchange]()
    tape = Tape(DAY_AGO - 2 * DAY, lots=0, every=20_000)
    groups = [venue.spot, venue.futures] if exchange == "kraken" else venue.tapes.values()
    for tapes in groups:
        tapes |= dict.fromkeys(tapes, tape)
    first = DAY_AGO - (DAY if kind == "bars" else 0)
    last = DAY_AGO + (DAY if kind == "bars" or exchange == "bybit" else 9 * HOUR) - 1
    what = {"bars": "1-MINUTE-LAST"} if kind == "bars" else {"ticks": "trades"}
    document = study(exchange, first, last, instrument=instrument, **what)
    dataset = Dataset(project, document.data[0].kind, document.data[0].identity)

    # From a server that is ill to one that hardly answers; one in five hangs now and then.
    rate = 0.1 + 0.13 * (number // len(KINDS) % 5)
    kinds = (*QUICK, Fault.HANG, Fault.HANG_WITHIN) if number % 5 == 4 else QUICK
    faults = Faults(seed=number, rate=rate, kinds=kinds)
    with serving(venue, monkeypatch, faults):
        outcome = "whole"
        try:
            result = data.fetch(document, project)
            assert result.warnings == []
        except DataError as error:
            outcome = str(error)
            assert outcome.startswith((exchange, document.data[0].identity)), outcome
        faults.clear()
        truth = _truth(document, tmp_path, instrument + kind)
        if outcome == "whole":
            assert rows_hash(read_rows(dataset.good())) == rows_hash(truth)
        else:
            assert not data.plan(document, project).complete
        data.fetch(document, project)
    assert rows_hash(read_rows(dataset.good())) == rows_hash(truth)


def _truth(document: Any, folder: Any, name: str) -> Any:
    """Return what a good server gives."""
    if name not in _TRUTH:
        root = folder / "truth"
        (root / ".gateway").mkdir(parents=True)
        data.fetch(document, Project(root))
        spec = document.data[0]
        _TRUTH[name] = read_rows(Dataset(Project(root), spec.kind, spec.identity).good())
        assert _TRUTH[name].num_rows > 1000
    return _TRUTH[name]
