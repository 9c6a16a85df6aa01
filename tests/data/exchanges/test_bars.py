"""Bars: their times, whole ranges, holes that are named, answers that are none to the question."""

from typing import Any

import pyarrow.compute as pc
import pytest

from tests.data.exchanges.support import DAY_AGO, VENUES, Hollow, opened, serving, study
from tests.servers.bybit import Bybit
from tests.servers.faults import Fault, Faults
from tests.servers.kraken import Kraken
from tests.servers.okx import OKX
from tests.servers.tape import DAY, HOUR, MINUTE, Tape, now_ms
from workbench import data
from workbench.core.errors import Cancelled, DataError, StudyError
from workbench.core.progress import Progress, ignore
from workbench.core.project import Project
from workbench.data.rows import times


@pytest.mark.parametrize(
    ("exchange", "instrument", "bars", "step"),
    [
        ("bybit", "BTCUSDT-LINEAR.BYBIT", "1-MINUTE-LAST", MINUTE),
        ("bybit", "BTCUSDT-SPOT.BYBIT", "15-MINUTE-LAST", 15 * MINUTE),
        ("bybit", "BTCUSD-INVERSE.BYBIT", "4-HOUR-LAST", 4 * HOUR),
        ("okx", "BTC-USDT-SWAP.OKX", "12-HOUR-LAST", 12 * HOUR),
        ("okx", "BTC-USDT.OKX", "1-DAY-LAST", DAY),
        ("kraken", "BTC/USD.KRAKEN", "1-HOUR-LAST", HOUR),
        ("kraken", "PI_XBTUSD.KRAKEN", "30-MINUTE-LAST", 30 * MINUTE),
        ("binance", "BTCUSDT.BINANCE", "1-SECOND-LAST", 1000),
        ("binance", "BTCUSDT-PERP.BINANCE", "1-DAY-LAST", DAY),
        ("binance", "BTCUSD_PERP.BINANCE", "6-HOUR-LAST", 6 * HOUR),
    ],
)
def test_bars_are_stamped_at_their_close(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    exchange: str,
    instrument: str,
    bars: str,
    step: int,
) -> None:
    venue = VENUES[exchange]()
    first, last = DAY_AGO, DAY_AGO + (HOUR if step < MINUTE else DAY)
    document = study(exchange, first, last, instrument=instrument, bars=bars)
    with serving(venue, monkeypatch):
        result = data.fetch(document, project)
    assert result.warnings == []
    assert result.bytes > 200
    frame = data.read(document.data[0], project).to_pandas()
    closes = [moment.value // 10**6 for moment in frame.ts]
    assert closes == list(range(-(-first // step) * step, last + 1, step))
    tapes = [venue.spot, venue.futures] if exchange == "kraken" else venue.tapes.values()
    names = {"BTC/USD": "XXBTZUSD", "BTCUSDT-PERP": "BTCUSDT"}
    symbol = instrument.rpartition(".")[0]
    symbol = names.get(symbol, symbol.rpartition("-")[0] if exchange == "bybit" else symbol)
    kind = {"BTCUSDT-PERP.BINANCE": "usd", "BTCUSDT.BINANCE": "spot"}.get(instrument)
    kind = kind or instrument.rpartition(".")[0].rpartition("-")[2].lower()
    found = [each[symbol] for each in tapes if symbol in each]
    tape = venue.tapes[kind][symbol] if kind in getattr(venue, "tapes", {}) else found[0]
    wanted = [tuple(map(float, tape.candle(close - step))) for close in closes]
    names_ = ("open", "high", "low", "close", "volume")
    assert [tuple(row) for row in frame[list(names_)].to_numpy().tolist()] == wanted


def test_weeks_begin_on_mondays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = now_ms() // DAY * DAY - 60 * DAY
    for exchange in ("bybit", "okx", "binance"):
        venue = VENUES[exchange]()
        for tapes in venue.tapes.values():
            tapes |= dict.fromkeys(tapes, Tape(listed))
        document = study(exchange, listed + 14 * DAY, listed + 50 * DAY, bars="1-WEEK-LAST")
        with serving(venue, monkeypatch):
            assert data.fetch(document, project).warnings == []
        frame = data.read(document.data[0], project).to_pandas()
        assert len(frame) == 5
        assert set(frame.ts.dt.day_name()) == {"Monday"}


@pytest.mark.parametrize("exchange", VENUES)
def test_a_hole_is_asked_for_again_and_named(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    hole = (DAY_AGO + 5 * HOUR, DAY_AGO + 5 * HOUR + 9 * MINUTE)
    venue = VENUES[exchange]()
    groups = [venue.spot, venue.futures] if exchange == "kraken" else venue.tapes.values()
    for tapes in groups:
        for tape in tapes.values():
            tape.holes = [hole, (DAY_AGO + 7 * HOUR, DAY_AGO + 7 * HOUR)]
    document = study(exchange, DAY_AGO, DAY_AGO + DAY)
    with serving(venue, monkeypatch) as server:
        result = data.fetch(document, project)
        (warning,) = result.warnings
        assert f"{exchange} has no bars (asked twice) of 11 closes: " in warning
        day = document.data[0].start.date()
        assert f"{day}T05:01:00Z to {day}T05:10:00Z; {day}T07:01:00Z to {day}T07:01:00Z" in warning
        assert result.rows == 1441 - 11
        before = server.count()
        assert data.fetch(document, project).status == "cached"
        assert server.count() == before


@pytest.mark.parametrize("exchange", ["bybit", "kraken", "okx"])
def test_a_page_shorter_than_documented_costs_requests_and_no_bars(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    venue = VENUES[exchange]()
    venue.largest = (100, 100) if exchange == "kraken" else 100
    document = study(exchange, DAY_AGO, DAY_AGO + 6 * HOUR)
    with serving(venue, monkeypatch):
        result = data.fetch(document, project)
    assert (result.rows, result.warnings) == (361, [])


def test_answers_to_another_question_are_asked_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults()
    document = study("okx", DAY_AGO, DAY_AGO + DAY)  # five pages
    with serving(OKX(), monkeypatch, faults):
        faults.next(Fault.DUPLICATE, times=3, path="candles", after=2)
        result = data.fetch(document, project)
    assert faults.made[Fault.DUPLICATE] == 3
    assert (result.rows, result.warnings) == (1441, [])


@pytest.mark.parametrize("exchange", VENUES)
def test_pages_without_bars_are_asked_for_again(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    path = {"okx": "candles", "kraken": "charts"}.get(exchange, "kline")
    hollow = Hollow(path, every=7)
    hollow.seen = 6  # the first one is empty
    document = study(exchange, DAY_AGO, DAY_AGO + DAY)
    with serving(VENUES[exchange](), monkeypatch, hollow=hollow):
        result = data.fetch(document, project)
    assert hollow.made
    assert (result.rows, result.warnings) == (1441, [])


@pytest.mark.parametrize("exchange", VENUES)
def test_an_exchange_that_has_nothing_at_all_did_not_deliver(
    project: Project, monkeypatch: pytest.MonkeyPatch, exchange: str
) -> None:
    path = {"okx": "candles", "kraken": "charts"}.get(exchange, "kline")
    hollow = Hollow(path, every=1)
    document = study(exchange, DAY_AGO, DAY_AGO + DAY)
    with serving(VENUES[exchange](), monkeypatch, hollow=hollow):
        with pytest.raises(DataError, match=f"{exchange} has none of the 1,441 bars"):
            data.fetch(document, project)
        assert not data.plan(document, project).complete
        hollow.every = 10**6
        assert data.fetch(document, project).rows == 1441


def test_numbers_that_make_no_sense_are_no_bars(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        DAY_AGO: ("30000.0", "29000.0", "28000.0", "29500.0", "1"),
        DAY_AGO + MINUTE: ("oops", "29000.0", "28000.0", "29500.0", "1"),
        DAY_AGO + 2 * MINUTE: ("NaN", "2", "1", "1", "1"),
        DAY_AGO + 3 * MINUTE: ("1", "2", "1", "1", "-1"),
    }
    good = Tape.candle
    monkeypatch.setattr(
        Tape, "candle", lambda self, moment: wrong.get(moment) or good(self, moment)
    )
    document = study("bybit", DAY_AGO, DAY_AGO + HOUR)
    with serving(Bybit(), monkeypatch):
        result = data.fetch(document, project)
    assert result.rows == 61 - 4
    assert "of 4 closes" in result.warnings[0]


def test_prices_finer_than_the_instrument_s_are_rounded_and_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = ("30000.25", "30000.35", "1.0", "2.0", "0.00049")
    monkeypatch.setattr(Tape, "candle", lambda self, moment: fine)
    document = study("bybit", DAY_AGO, DAY_AGO + 2 * MINUTE)
    with serving(Bybit(), monkeypatch):
        result = data.fetch(document, project)
    frame = data.read(document.data[0], project).to_pandas()
    assert frame.open.tolist() == [30000.2] * 3  # half to even
    assert frame.high.tolist() == [30000.4] * 3
    assert frame.volume.tolist() == [0.0] * 3
    assert "3 prices have more than the 1 decimals the instrument has today" in result.warnings[0]
    assert "3 volumes have more than the 3 decimals" in result.warnings[1]


def test_progress_cancel_and_what_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = now_ms() // DAY * DAY - 40 * DAY
    venue = Bybit({"linear": {"BTCUSDT": Tape(listed)}})
    document = study("bybit", listed, listed + 35 * DAY)  # 51 pages, three chunks
    seen: list[Progress] = []
    with serving(venue, monkeypatch) as server:
        with pytest.raises(Cancelled):
            data.fetch(
                document, project, on_progress=seen.append,
                should_stop=lambda: any(each.done for each in seen),
            )  # fmt: skip
        assert seen[0].total == 35 * 1440
        assert seen[-1].done == 20_000
        plan = data.plan(document, project).to_dict()
        assert (plan["rows"], plan["requests"]) == (30_400, 31)
        before = server.count("kline")
        result = data.fetch(document, project)
        assert result.rows == 30_400
        assert server.count("kline") - before == 31
    table = data.read(document.data[0], project)
    moments = table.to_pandas().ts
    assert len(moments) == 35 * 1440
    assert (moments.diff().dropna().dt.total_seconds() == 60).all()


def test_waiting_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(retry_after=1)
    document = study("binance", DAY_AGO, DAY_AGO + HOUR)
    seen: list[str] = []
    with serving(VENUES["binance"](), monkeypatch, faults):
        faults.next(Fault.TOO_MANY, path="klines")
        result = data.fetch(document, project, on_progress=lambda p: seen.append(p.detail))
    assert "waiting 1 s: binance futures: 429 Too Many Requests" in seen
    assert result.rows == 61


@pytest.mark.usefixtures("paced")
def test_weights_keep_below_what_binance_allows(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = VENUES["binance"]()
    venue.allowed = 60
    document = study("binance", DAY_AGO, DAY_AGO + DAY)
    with serving(venue, monkeypatch):
        venue.used = 0
        result = data.fetch(document, project)
    assert (result.rows, venue.refused) == (1441, 0)


def test_the_venue_s_own_rate_limit_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiohttp import web

    answers = {
        "bybit": (200, {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}),
        "okx": (429, {"code": "50011", "msg": "Too Many Requests", "data": []}),
        "kraken": (200, {"error": ["EGeneral:Too many requests"]}),
        "binance": (429, {"code": -1003, "msg": "Too much request weight used"}),
    }
    for exchange, (status, body) in answers.items():
        venue, times_ = VENUES[exchange](), [0]
        application = venue.application

        def limited(
            faults: Any = None, application: Any = application, status: int = status,
            body: Any = body, times_: list[int] = times_,
        ) -> web.Application:  # fmt: skip
            app = application(faults)

            @web.middleware
            async def once(request: web.Request, handler: Any) -> Any:
                times_[0] += 1
                if times_[0] == 2:
                    return web.json_response(body, status=status)
                return await handler(request)

            app.middlewares.append(once)
            return app

        monkeypatch.setattr(venue, "application", limited)
        instrument = {"kraken": "BTC/USD.KRAKEN"}.get(exchange)
        first = now_ms() // MINUTE * MINUTE - 3 * HOUR
        changes = {"instrument": instrument} if instrument else {}
        document = study(exchange, first, first + HOUR, **changes)
        with serving(venue, monkeypatch):
            result = data.fetch(document, project)
        assert (result.rows, result.warnings) == (61, [])


def test_a_cancel_before_the_first_request(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = study("kraken", DAY_AGO, DAY_AGO + HOUR)
    with serving(Kraken(), monkeypatch) as server:
        provider, item = opened(project, document)
        (request,) = provider.plan(item, [provider.available(item) or (0, 0)])
        before = server.count()
        with pytest.raises(Cancelled):
            list(provider.fetch(item, request, ignore, lambda: True))
        assert server.count() == before


def test_nothing_within_a_bar(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    document = study("bybit", DAY_AGO + 5000, DAY_AGO + 9000)
    with serving(Bybit(), monkeypatch):
        result = data.fetch(document, project)
        assert (result.status, result.rows) == ("done", 0)
        assert data.fetch(document, project).status == "cached"


def test_an_instrument_whose_decimals_changed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = DAY_AGO - DAY
    venue = Bybit({"linear": {"BTCUSDT": Tape(listed)}})
    with serving(venue, monkeypatch):
        data.fetch(study("bybit", DAY_AGO, DAY_AGO + HOUR), project)
        venue.tapes["linear"]["BTCUSDT"] = Tape(listed, decimals=2)
        later = study("bybit", DAY_AGO, DAY_AGO + 2 * HOUR)
        with pytest.raises(StudyError, match="the exchange changed the instrument's decimals"):
            data.fetch(later, project)
        result = data.fetch(later, project, replace=True)
        assert result.rows == 121


def test_the_table_is_the_engine_s(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    document = study("bybit", DAY_AGO, DAY_AGO + HOUR)
    provider, item = opened(project, document)
    with serving(Bybit(), monkeypatch):
        (request,) = provider.plan(item, [(DAY_AGO * 10**6, (DAY_AGO + HOUR) * 10**6)])
        (chunk,) = provider.fetch(item, request, ignore, lambda: False)
    assert times(chunk.rows["ts_init"]).tolist() == times(chunk.rows["ts_event"]).tolist()
    assert pc.min(chunk.rows["low"]).as_py() > 0
