"""Trades: every one of them, once, in order; pages that do not join are noticed."""

from typing import Any

import pytest

from tests.data.exchanges.support import DAY_AGO, VENUES, Hollow, serving, study
from tests.servers.binance import Binance
from tests.servers.bybit import Bybit
from tests.servers.faults import Fault, Faults
from tests.servers.kraken import Kraken
from tests.servers.okx import OKX
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms
from workbench import data
from workbench.core.errors import DataError
from workbench.core.project import Project
from workbench.study import Study

ALL = [
    ("bybit", "BTCUSDT-LINEAR.BYBIT"),
    ("bybit", "BTCUSDT-SPOT.BYBIT"),
    ("okx", "BTC-USDT-SWAP.OKX"),
    ("kraken", "BTC/USD.KRAKEN"),
    ("kraken", "PI_XBTUSD.KRAKEN"),
    ("binance", "BTCUSDT.BINANCE"),
    ("binance", "BTCUSDT-PERP.BINANCE"),
]


def with_tape(exchange: str, tape: Tape) -> Any:
    """Return a venue all of whose instruments have this history."""
    venue = VENUES[exchange]()
    groups = [venue.spot, venue.futures] if exchange == "kraken" else venue.tapes.values()
    for tapes in groups:
        tapes |= dict.fromkeys(tapes, tape)
    return venue


def check(project: Project, document: Study, tape: Tape, first: int, last: int) -> None:
    """Compare what the catalog has with the tape."""
    frame = data.read(document.data[0], project).to_pandas()
    numbers = list(tape.trades(first, last))
    assert len(frame) == len(numbers)
    printed = 123_500 if document.data[0].instrument == "BTC/USD.KRAKEN" else 0
    offsets = [t.value - tape.moment(n) * 10**6 for t, n in zip(frame.ts, numbers, strict=True)]
    assert all(abs(offset - printed) <= 200 for offset in offsets)
    assert frame.price.tolist() == [float(tape.price(300_000 + n % 50)) for n in numbers]
    assert frame["size"].tolist() == [float(tape.size(n)) for n in numbers]
    sides = ["BUY" if tape.buy(n) else "SELL" for n in numbers]
    assert frame.aggressor_side.astype(str).tolist() == sides
    assert frame.trade_id.is_unique


@pytest.mark.parametrize(("exchange", "instrument"), ALL)
def test_every_trade_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str, instrument: str
) -> None:
    # Two trades always share a time, and pages end between the two.
    tape = Tape(DAY_AGO - DAY, lots=3, every=7000)
    first, last = DAY_AGO + HOUR, DAY_AGO + 12 * HOUR
    document = study(exchange, first, last, instrument=instrument, ticks="trades")
    with serving(with_tape(exchange, tape), monkeypatch) as server:
        result = data.fetch(document, project)
        assert result.warnings == []
        check(project, document, tape, first, last)
        before = server.count()
        assert data.fetch(document, project).status == "cached"
        assert server.count() == before


@pytest.mark.parametrize(("exchange", "instrument"), ALL)
def test_quiet_markets(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str, instrument: str
) -> None:
    tape = Tape(DAY_AGO - DAY, lots=3, every=4 * HOUR)
    first, last = DAY_AGO + MINUTE, DAY_AGO + DAY - MINUTE
    document = study(exchange, first, last, instrument=instrument, ticks="trades")
    with serving(with_tape(exchange, tape), monkeypatch):
        data.fetch(document, project)
    check(project, document, tape, first, last)


@pytest.mark.parametrize(("exchange", "instrument"), ALL[2:])
@pytest.mark.parametrize("wrong", ["before", "hollow"])
def test_answers_that_came_before_and_pages_without_trades(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str, instrument: str, wrong: str
) -> None:
    tape = Tape(DAY_AGO - HOUR, lots=3, every=2000)
    first, last = DAY_AGO, DAY_AGO + 3 * HOUR - 1
    document = study(exchange, first, last, instrument=instrument, ticks="trades")
    faults = Faults()
    path = "executions" if instrument.startswith("PI_") else "rades"
    venue = with_tape(exchange, tape)
    hollow = Hollow(path, every=3) if wrong == "hollow" else None
    for after in (1, 2, 0) if wrong == "before" else ():
        faults.next(Fault.DUPLICATE, path=path, after=after)
    with serving(venue, monkeypatch, faults, hollow):
        data.fetch(document, project)
    assert faults.made[Fault.DUPLICATE] if hollow is None else hollow.made
    check(project, document, tape, first, last)


def test_trades_binance_does_not_have(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape(DAY_AGO - HOUR, every=MINUTE)
    venue = with_tape("binance", tape)
    gone = tape.count(DAY_AGO + HOUR)
    venue.missing = {gone, gone + 1, gone + 2}
    document = study("binance", DAY_AGO, DAY_AGO + 3 * HOUR, ticks="trades")
    with serving(venue, monkeypatch):
        result = data.fetch(document, project)
    (warning,) = result.warnings
    identity = 26_129 + gone
    assert f"no trades {identity} to {identity + 2}, shortly before" in warning
    assert result.rows == len(list(tape.trades(DAY_AGO, DAY_AGO + 3 * HOUR))) - 3


def test_pages_of_kraken_shorter_than_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(DAY_AGO - HOUR, every=10_000)
    first, last = DAY_AGO, DAY_AGO + HOUR - 1
    for instrument in ("BTC/USD.KRAKEN", "PI_XBTUSD.KRAKEN"):
        venue = with_tape("kraken", tape)
        venue.largest = (2000, 37)
        document = study("kraken", first, last, instrument=instrument, ticks="trades")
        with serving(venue, monkeypatch):
            data.fetch(document, project)
        check(project, document, tape, first, last)


def test_more_trades_at_one_time_than_a_page_holds(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Burst(Tape):
        def moment(self, number: int) -> int:
            return self.listed if number < 100 else self.listed + 5 * HOUR

        def count(self, until: int) -> int:
            return 0 if until < self.listed else 50 if until < self.listed + HOUR else 100

    venue = with_tape("kraken", Burst(DAY_AGO))
    venue.largest = (2000, 40)
    document = study("kraken", DAY_AGO, DAY_AGO + HOUR - 1, ticks="trades")
    with serving(venue, monkeypatch):
        monkeypatch.setattr("workbench.data.exchanges.kraken._PAGE_TRADES", 40)
        with pytest.raises(DataError, match=r"more than a page of trades at .*no way past it"):
            data.fetch(document, project)


def test_trades_of_no_size_are_left_out_and_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(DAY_AGO - HOUR, every=MINUTE)
    sizes = {5: "0.000", 6: "0.0001", 7: "0.0004"}
    base = tape.count(DAY_AGO - 1)
    good = Tape.size
    monkeypatch.setattr(
        Tape, "size", lambda self, number: sizes.get(number - base) or good(self, number)
    )
    document = study("binance", DAY_AGO, DAY_AGO + HOUR, ticks="trades")
    with serving(with_tape("binance", tape), monkeypatch):
        result = data.fetch(document, project)
    frame = data.read(document.data[0], project).to_pandas()
    assert len(frame) == tape.count(DAY_AGO + HOUR) - base - 1
    assert any("1 trades of size 0 left out" in warning for warning in result.warnings)
    assert any("2 sizes have more than the 3 decimals" in warning for warning in result.warnings)
    assert frame["size"].min() == 0.001


def test_a_day_bybit_has_no_file_of(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = Bybit({"linear": {"BTCUSDT": Tape(DAY_AGO - 3 * DAY, every=MINUTE)}})
    document = study("bybit", DAY_AGO - 2 * DAY, DAY_AGO + DAY - 1, ticks="trades")
    with serving(venue, monkeypatch):
        provider_tape = venue.tapes["linear"]["BTCUSDT"]
        assert data.plan(document, project).requests == 3
        real = now_ms()
        monkeypatch.setattr("tests.servers.bybit.now_ms", lambda: real - 2 * DAY)
        with pytest.raises(DataError, match=r"bybit has no trades of BTCUSDT of .* no such file"):
            data.fetch(document, project)
        monkeypatch.setattr("tests.servers.bybit.now_ms", lambda: real)
        data.fetch(document, project)
    check(project, document, provider_tape, DAY_AGO - 2 * DAY, DAY_AGO + DAY - 1)


def test_files_that_begin_with_the_last_trade(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(DAY_AGO - DAY, lots=3, every=20 * MINUTE)
    good = Tape.trades
    monkeypatch.setattr(
        Tape, "trades", lambda self, first, last: iter(list(good(self, first, last))[::-1])
    )
    document = study("bybit", DAY_AGO, DAY_AGO + DAY - 1, ticks="trades")
    with serving(with_tape("bybit", tape), monkeypatch):
        data.fetch(document, project)
    monkeypatch.setattr(Tape, "trades", good)
    check(project, document, tape, DAY_AGO, DAY_AGO + DAY - 1)


@pytest.mark.parametrize("venue", [OKX, Kraken, Binance])
def test_what_is_stored_is_one_dataset(
    project: Project, monkeypatch: pytest.MonkeyPatch, venue: Any
) -> None:
    exchange = venue.__name__.lower()
    tape = Tape(DAY_AGO - DAY, every=MINUTE)
    with serving(with_tape(exchange, tape), monkeypatch):
        for hours in (2, 5):
            first, last = DAY_AGO, DAY_AGO + hours * HOUR
            document = study(exchange, first, last, ticks="trades")
            data.fetch(document, project)
            check(project, document, tape, first, last)
        before = study(exchange, DAY_AGO - 3 * HOUR, DAY_AGO + 5 * HOUR, ticks="trades")
        data.fetch(before, project)
    check(project, before, tape, DAY_AGO - 3 * HOUR, DAY_AGO + 5 * HOUR)
