"""Pieces of the widgets of live nodes: escaped, and right to the letter."""

import time

import pytest

from workbench.widgets import live_events, live_html
from workbench.widgets.live_hub import Answer, View
from workbench.widgets.order_diagram import diagram
from workbench.widgets.risk_limits import limits, uses

HOSTILE = "<img src=x onerror=alert(1)>"
RUNNING = {"state": "RUNNING", "environment": "live", "trader": "T-1", "pid": 7}


def view(state=None, **answers):
    now = time.monotonic()
    return View("node", state or RUNNING, {key: Answer(each, now) for key, each in answers.items()})


def risk(limits, used=None, alerts=()):
    return {"state": "active", "reason": "", "limits": limits, "used": used or {}, "alerts": alerts}


@pytest.mark.parametrize(
    ("name", "limit", "used", "share"),
    [
        ("max_orders", "100/1s", 25, 0.25),
        ("max_position", {"A.B": "200"}, {"A.B": "-150"}, 0.75),
        ("max_gross_exposure", "1000 USD", "1200.5 USD", 1.2005),
        ("max_net_exposure", "1000 USD", "0 USD", 0.0),
        ("max_drawdown", "10%", {"USD": "2.50%"}, 0.25),
        ("max_daily_loss", "2000 USD", {"USD": "500"}, 0.25),
        ("max_daily_loss", "2000 USD", {"USD": "-500"}, 0.0),
        ("price_band", "5%", None, None),
    ],
)
def test_how_much_of_a_limit_is_used(name, limit, used, share):
    shown = view(risk=risk({name: limit}, {name: used} if used is not None else {}))
    (found,) = uses(shown)
    assert found.share == (None if share is None else pytest.approx(share))
    assert name in limits(shown)


def test_a_limit_that_is_broken_is_told_by_more_than_its_colour():
    text = limits(view(risk=risk({"max_drawdown": "1%"}, {"max_drawdown": {"USD": "3.00%"}})))
    assert "300%" in text
    assert 'class="bar over"' in text
    assert 'aria-valuenow="100"' in text


def test_what_comes_from_outside_is_escaped():
    position = {
        "id": HOSTILE, "strategy": HOSTILE, "instrument": HOSTILE, "side": HOSTILE,
        "quantity": HOSTILE, "entry_price": HOSTILE,
    }  # fmt: skip
    order = position | {
        "client_order_id": HOSTILE, "filled": HOSTILE, "type": HOSTILE, "status": HOSTILE,
        "price": HOSTILE, "trigger_price": None,
    }  # fmt: skip
    alert = {"number": 1, "limit": HOSTILE, "message": HOSTILE, "at": 0.0, "steps": [HOSTILE],
             "acknowledged": HOSTILE}  # fmt: skip
    feed = {"name": HOSTILE, "age_s": 1.0, "rows": 3}
    shown = view(
        RUNNING | {"environment": HOSTILE, "trader": HOSTILE, "reason": HOSTILE},
        status={"positions": [position], "orders": [order], "feeds": [feed],
                "equity": {HOSTILE: "1"}, "trading": {"state": "halted", "reason": HOSTILE}},
        risk=risk({"max_position": {HOSTILE: "2"}, "stale_feed": "3s"}, alerts=[alert]),
    )  # fmt: skip
    event = {"seq": 1, "ts": 0, "type": HOSTILE, "reason": HOSTILE, "data": {"reason": HOSTILE}}
    for text in (
        live_html.overview([shown], "node"), live_html.head(shown), live_html.figures(shown),
        live_html.positions(shown), live_html.orders([order], acts=True), live_html.feeds(shown),
        live_html.alerts([alert]), live_html.alerts([alert], acts=True), limits(shown),
        live_events.rows([event], "All events"), live_events.log([HOSTILE], engine=True),
        diagram({"side": HOSTILE, "type": HOSTILE, "quantity": HOSTILE, "price": HOSTILE}),
    ):  # fmt: skip
        assert "<img" not in text


def test_a_diagram_says_in_words_what_it_draws():
    entry = {"side": "SELL", "quantity": "5", "type": "LIMIT", "price": "10"}
    exits = {"take_profit": {"type": "LIMIT", "price": "9"}}
    text = diagram({"bracket": {"entry": entry, **exits}})
    assert "Entry: SELL 5 LIMIT at 10" in text
    assert "When it is filled: Take profit: BUY 5 LIMIT at 9" in text
    assert "cancels" not in text
    text = diagram({"contingency": "OCO", "orders": [entry, entry | {"side": "BUY"}]})
    assert text.count("<rect x=") == 2
    assert "One filled cancels the other." in text
    assert "When it is filled" not in text


def test_figures_that_are_old_say_so():
    now = time.monotonic()
    shown = View("n", RUNNING, {"status": Answer({}, now - 90)}, trouble="it does not answer")
    assert "these figures are 90.0 s old: it does not answer" in live_html.age(shown)
    assert "no answer" in live_html.overview([shown], "n")
    ended = View("n", {"state": "FAILED", "reason": "boom\ntrace"}, {"status": Answer({}, now - 9)})
    assert "it has ended: boom" in live_html.age(ended)
    assert "trace" not in live_html.age(ended)


def test_equity_and_profit_are_of_one_answer():
    def pnl(realized, unrealized):
        own = {"strategy": "S-0", "instrument": "A.B", "currency": "USD"}
        return [own | {"realized": realized, "unrealized": unrealized}]

    now = {"equity": {"USD": "1030"}, "pnl": pnl("20", "10")}
    shown = live_html.figures(view(status=now, telemetry={"pnl": pnl("1", "2")}))
    assert "1,030.00 USD" in shown
    assert "+20.00" in shown
    assert "+10.00" in shown


def test_what_has_ended_has_no_age_no_load_and_trades_no_more():
    feed = {"name": "replay", "age_s": 1.5, "rows": 3}
    said = {
        "status": {"equity": {"USD": "1"}, "feeds": [feed], "pnl": []},
        "telemetry": {"process": {"memory_bytes": 250e6, "cpu_percent": 12}},
        "risk": risk({}) | {"state": "halted"},
    }
    runs, ended = view(**said), view(RUNNING | {"state": "KILLED"}, **said)
    for piece in (live_html.figures, live_html.feeds, lambda one: live_html.overview([one], "")):
        assert "1.5 s" in piece(runs)
        assert "1.5 s" not in piece(ended)
    assert "12% cpu, 250 MB" in live_html.figures(runs)
    assert "cpu" not in live_html.figures(ended)
    assert "1.00 USD" in live_html.figures(ended), "the last figures stay"
    assert "halted" in live_html.overview([runs], "")
    assert "halted" not in live_html.overview([ended], "") + live_html.head(ended)
