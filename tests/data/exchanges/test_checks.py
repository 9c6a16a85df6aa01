"""What is wrong with a study's exchange data, said where it is wrong and what would be right."""

import asyncio
from typing import Any

import pytest

from tests.data.exchanges.support import DAY_AGO, INSTRUMENTS, VENUES, opened, serving, study
from tests.servers.bybit import Bybit
from tests.servers.faults import Fault, Faults
from tests.servers.kraken import Kraken
from tests.servers.tape import DAY, HOUR, Tape, now_ms
from workbench import data
from workbench.core.errors import DataError, StudyError
from workbench.core.project import Project
from workbench.data.intervals import iso


def said(project: Project, exchange: str, **changes: Any) -> list[str]:
    provider, item = opened(project, study(exchange, DAY_AGO, DAY_AGO + HOUR, **changes))
    return [f"{issue.path}: {issue.message}" for issue in provider.check(item)]


@pytest.mark.parametrize("exchange", VENUES)
def test_without_a_connection(project: Project, exchange: str) -> None:
    assert said(project, exchange) == []
    assert said(project, exchange, start=None, end=None) == [
        "data.0.start: a download needs its start, such as 2024-01-01",
        "data.0.end: a download needs its end, such as 2024-01-01",
    ]
    elsewhere = said(project, exchange, instrument="BTCUSDT.BITMEX")
    assert elsewhere[0].startswith(
        f"data.0.instrument: instruments of '{exchange}' end in .{exchange.upper()}, such as "
    )
    no_quotes = (
        f"data.0.ticks: {exchange} serves no history of quotes. The provider 'tardis' has them"
    )
    assert said(project, exchange, ticks="quotes") == [no_quotes]
    (no_book,) = said(project, exchange, book="deltas")
    assert no_book.startswith(f"data.0.book: {exchange} serves no history of order books")
    (no_bars,) = said(project, exchange, bars="7-DAY-LAST")
    assert f"data.0.bars: {exchange} has no bars of 7-DAY-LAST" in no_bars
    assert "Did you mean '1-DAY-LAST'? Allowed: 1-" in no_bars
    (no_bids,) = said(project, exchange, bars="1-MINUTE-BID")
    assert "Did you mean '1-MINUTE-LAST'?" in no_bids


@pytest.mark.parametrize(
    ("exchange", "instrument", "message"),
    [
        ("bybit", "BTCUSDT.BYBIT", "it ends in -LINEAR, -SPOT or -INVERSE"),
        ("bybit", "BTC-26DEC25-100000-C-OPTION.BYBIT", "no history of options"),
        ("okx", "BTCUSDT.OKX", "as in BTC-USDT-SWAP.OKX"),
        ("okx", "BTC-USD-251226-100000-C.OKX", "no history of options"),
        ("kraken", "XBT/USD.KRAKEN", "NautilusTrader calls it BTC/USD.KRAKEN"),
        ("kraken", "BTCUSD.KRAKEN", "as in BTC/USD.KRAKEN and PI_XBTUSD.KRAKEN"),
        ("binance", "BTC-USDT.BINANCE", "BTCUSDT.BINANCE is the spot pair"),
    ],
)
def test_instruments_of_no_product(
    project: Project, exchange: str, instrument: str, message: str
) -> None:
    (issue,) = said(project, exchange, instrument=instrument)
    assert issue.startswith("data.0.instrument: ")
    assert message in issue


@pytest.mark.parametrize(
    ("exchange", "instrument", "right"),
    [
        ("bybit", "BTCUDST-LINEAR.BYBIT", "BTCUSDT-LINEAR.BYBIT"),
        ("bybit", "BTCUSTD-SPOT.BYBIT", "BTCUSDT-SPOT.BYBIT"),
        ("okx", "BTC-UDST-SWAP.OKX", "BTC-USDT-SWAP.OKX"),
        ("kraken", "BCT/USD.KRAKEN", "BTC/USD.KRAKEN"),
        ("kraken", "PI_BTCUSD.KRAKEN", "PI_XBTUSD.KRAKEN"),
        ("binance", "BTCUDST.BINANCE", "BTCUSDT.BINANCE"),
        ("binance", "BTCUDST-PERP.BINANCE", "BTCUSDT-PERP.BINANCE"),
        ("binance", "BTCUSD_PREP.BINANCE", "BTCUSD_PERP.BINANCE"),
    ],
)
def test_unknown_instruments(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    exchange: str,
    instrument: str,
    right: str,
) -> None:
    document = study(exchange, DAY_AGO, DAY_AGO + HOUR, instrument=instrument)
    with serving(VENUES[exchange](), monkeypatch), pytest.raises(StudyError) as error:
        data.plan(document, project)
    (issue,) = error.value.issues
    assert issue.path == "data.0.instrument"
    assert f"{exchange} lists no '{instrument}'. Did you mean '{right}'? Allowed: " in issue.message


@pytest.mark.parametrize("exchange", VENUES)
def test_ranges_the_exchange_does_not_have(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    now = now_ms()
    with serving(VENUES[exchange](), monkeypatch):
        for first, last, key in ((now - HOUR, now + HOUR, "end"), (now - 9 * DAY, now, "start")):
            with pytest.raises(StudyError) as error:
                data.plan(study(exchange, first, last), project)
            assert error.value.issues[0].path == f"data.0.{key}"
            assert "there is data from" in str(error.value)


def test_kraken_says_what_else_there_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    document = study("kraken", DAY_AGO, DAY_AGO + HOUR, instrument="BTC/USD.KRAKEN")
    with serving(Kraken(), monkeypatch), pytest.raises(StudyError) as error:
        data.plan(document, project)
    (issue,) = error.value.issues
    assert issue.path == "data.0.start"
    assert "the last 720 bars only; its trades ('ticks: trades' instead of 'bars')" in issue.message


@pytest.mark.parametrize("exchange", ["okx", "binance"])
def test_trades_that_are_no_longer_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    long_ago = now_ms() // DAY * DAY - 500 * DAY
    tape = Tape(long_ago, every=DAY)
    venue = VENUES[exchange]()
    for tapes in venue.tapes.values():
        for name in tapes:
            tapes[name] = tape
    document = study(exchange, long_ago, long_ago + HOUR, ticks="trades")
    with serving(venue, monkeypatch), pytest.raises(StudyError, match="'tardis' has older ones"):
        data.plan(document, project)


def test_bybit_has_trades_of_days_that_are_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = study("bybit", now_ms() - 2 * HOUR, now_ms() - HOUR, ticks="trades")
    with serving(Bybit(), monkeypatch), pytest.raises(StudyError) as error:
        data.plan(document, project)
    (issue,) = error.value.issues
    assert issue.path == "data.0.end"
    assert "bybit serves it up to 20" in issue.message
    assert "It publishes trades as a file a day, some hours after its end" in issue.message


def test_a_server_that_is_down_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_URL_BYBIT", "http://127.0.0.1:1")
    document = study("bybit", DAY_AGO, DAY_AGO + HOUR)
    with pytest.raises(DataError, match=r"bybit: GET http://127\.0\.0\.1:1/v5/market/instr"):
        data.plan(document, project)


def test_refusals_come_in_the_exchange_s_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    with serving(Bybit(), monkeypatch, faults):
        monkeypatch.setattr("tests.servers.bybit.STEPS", {"D": 1440})
        with pytest.raises(DataError, match=r"bybit refused .*: Invalid period! \(retCode 10001"):
            data.fetch(study("bybit", DAY_AGO, DAY_AGO + HOUR), project)
        faults.next(Fault.TOO_MANY)
        data.plan(study("bybit", DAY_AGO, DAY_AGO + HOUR), project)


def _first_tape(venue: Any) -> Tape:
    return next(iter(next(iter(venue.tapes.values())).values()))


@pytest.mark.parametrize("exchange", VENUES)
def test_what_is_available(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    venue = VENUES[exchange]()
    provider, item = opened(project, study(exchange, DAY_AGO, DAY_AGO + HOUR))
    with serving(venue, monkeypatch) as server:
        first, last = provider.available(item) or (0, 0)
        tape = venue.futures["PI_XBTUSD"] if exchange == "kraken" else _first_tape(venue)
        assert iso(first) == iso(tape.listed * 10**6)
        assert -65 < last / 1e9 - now_ms() / 1e3 < -55
        (request,) = provider.plan(item, [(first, last)])
        assert request.rows == (last - first) // (60 * 10**9)
        page = {"okx": 300, "kraken": 2000}.get(exchange, 1000)
        assert request.calls == -(-request.rows // page)
        assert request.cost == 0
        assert server.count() == 1  # all of that takes one request


def test_the_study_in_the_docs(project: Project) -> None:
    from ruamel.yaml import YAML

    from tests.conftest import ROOT
    from tests.data.support import study_of

    text = (ROOT / "docs" / "exchange-history.md").read_text()
    block = text.partition("```yaml\n")[2].partition("```")[0]
    (dataset,) = YAML(typ="safe").load(block)["data"]
    provider, item = opened(project, study_of(dataset))
    assert provider.check(item) == []
    for each in (INSTRUMENTS["kraken"], "BTC-USD-261225.OKX", "BTCUSD_PERP.BINANCE"):
        assert each in text


def test_in_a_notebook_s_event_loop(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cell() -> int:
        return data.fetch(study("bybit", DAY_AGO, DAY_AGO + HOUR), project).rows

    with serving(Bybit(), monkeypatch):
        assert asyncio.run(cell()) == 61
