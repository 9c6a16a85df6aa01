"""Orders that depend on each other: brackets, OCO, OTO, OUO, kept by the venue or the desk."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.market import INSTRUMENTS, Desk, end, make_project
from tests.live.practice import until
from workbench import live

KINDS = ("quotes", "trades", "bars")
UP, DOWN = "1.1010", "1.0990"
ROLES = ("TP", "SL")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk.launch(make_project(tmp_path_factory.mktemp("groups") / "project"), *KINDS)
    yield desk
    told = unprotected(desk)
    end(desk.node)
    assert told in ([], ["bare"])


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Quotes of 700 units: what is larger is filled in parts."""
    project = make_project(tmp_path_factory.mktemp("thin") / "project")
    desk = Desk.launch(project, "quotes", "bars", size="700")
    yield desk
    told = unprotected(desk)
    end(desk.node)
    assert told == []


def unprotected(desk: Desk) -> list[str]:
    found = [each for each in desk.node.events() if each["type"] == "order.unprotected"]
    return [each["client_order_id"] for each in found]


def bracket(desk: Desk, instrument: str, name: str, **parts: Any) -> dict[str, Any]:
    exits = {"take_profit": {"price": UP}, "stop_loss": {"trigger_price": DOWN}} | parts
    entry = desk.order(instrument=instrument) | exits.pop("entry", {})
    return desk.ask(client_order_id=name, bracket={"entry": entry} | exits)


def statuses(desk: Desk, *names: str) -> list[str]:
    orders = desk.orders()
    return [orders[name]["status"] for name in names]


def test_a_bracket_from_flat_protects_its_position(desk: Desk) -> None:
    desk.to(3)
    for kind in KINDS:
        answer = bracket(desk, INSTRUMENTS[kind], kind)
        assert answer["status"] == "filled", answer
        assert [each["client_order_id"] for each in answer["orders"]] == [
            kind, f"{kind}TP", f"{kind}SL",
        ]  # fmt: skip
        assert statuses(desk, f"{kind}TP", f"{kind}SL") == ["accepted", "accepted"], kind
    orders = desk.orders()
    assert all(orders[f"{kind}{role}"]["reduce_only"] for kind in KINDS for role in ("TP", "SL"))
    assert desk.held() == {INSTRUMENTS[kind]: 1000 for kind in KINDS}
    desk.to(16)  # up: the target is reached, the stop goes
    assert desk.held() == {}
    for kind in KINDS:
        assert statuses(desk, f"{kind}TP", f"{kind}SL") == ["filled", "canceled"], kind
    desk.clear()


def test_a_bracket_is_stopped_out_and_its_target_goes(desk: Desk) -> None:
    desk.to(26)
    for kind in KINDS:
        bracket(
            desk, INSTRUMENTS[kind], f"s{kind}",
            take_profit={"price": "1.1100"}, stop_loss={"trigger_price": "1.1000"},
        )  # fmt: skip
    desk.to(37)
    assert desk.held() == {}
    for kind in KINDS:
        assert statuses(desk, f"s{kind}TP", f"s{kind}SL") == ["canceled", "filled"], kind
    desk.clear()


def test_two_brackets_of_one_position_keep_their_sizes(desk: Desk) -> None:
    desk.to(3)
    for kind in KINDS:
        bracket(desk, INSTRUMENTS[kind], f"near{kind}")
        bracket(desk, INSTRUMENTS[kind], f"far{kind}", take_profit={"price": "1.1200"})
    names = [f"{one}{kind}{role}" for one in ("near", "far") for kind in KINDS for role in ROLES]

    def sizes() -> set[int]:
        orders = desk.orders()
        return {int(orders[name]["quantity"]) for name in names}

    until(lambda: sizes() == {1000}, "each has its size", 5)
    desk.to(16)  # the near target is reached: the other bracket's position stays
    assert desk.held() == {INSTRUMENTS[kind]: 1000 for kind in KINDS}
    for kind in KINDS:
        assert statuses(desk, f"near{kind}TP", f"near{kind}SL") == ["filled", "canceled"], kind
        assert statuses(desk, f"far{kind}TP", f"far{kind}SL") == ["accepted", "accepted"], kind
    desk.clear()


def test_exits_wait_until_the_entry_is_filled(desk: Desk) -> None:
    desk.to(3)
    for kind in KINDS:
        answer = bracket(
            desk, INSTRUMENTS[kind], f"w{kind}", entry={"type": "LIMIT", "price": DOWN},
            take_profit={"price": "1.0998"}, stop_loss={"trigger_price": "1.0970"},
        )  # fmt: skip
        assert answer["status"] == "accepted"
        assert [each["status"] for each in answer["orders"]] == ["accepted", "held", "held"]
    desk.to(24)
    open_ = {each["client_order_id"]: each["status"] for each in live.orders.list_(desk.node)}
    assert open_ == {
        f"w{kind}{role}": "accepted" if role == "" else "held"
        for kind in KINDS
        for role in ("", "TP", "SL")
    }
    desk.to(41)
    for kind in KINDS:
        assert statuses(desk, *(f"w{kind}{role}" for role in ("", "TP", "SL"))) == [
            "filled", "accepted", "accepted",
        ]  # fmt: skip
    desk.step(9)
    for kind in KINDS:
        assert statuses(desk, f"w{kind}TP", f"w{kind}SL") == ["filled", "canceled"]
    desk.clear()


def test_exits_of_an_entry_that_is_cancelled_are_never_sent(desk: Desk) -> None:
    desk.to(3)
    bracket(desk, INSTRUMENTS["bars"], "gone", entry={"type": "LIMIT", "price": "1.0900"},
            stop_loss={"trigger_price": "1.0800"})  # fmt: skip
    assert live.orders.cancel(desk.node, "gone")["status"] == "canceled"
    assert statuses(desk, "gone", "goneTP", "goneSL") == ["canceled", "dropped", "dropped"]
    assert live.orders.list_(desk.node) == []


def test_short_brackets_with_trailing_stops(desk: Desk) -> None:
    desk.to(26)
    for kind in KINDS:
        answer = bracket(
            desk, INSTRUMENTS[kind], f"t{kind}", entry={"side": "SELL"},
            take_profit={"price": "1.0900"},
            stop_loss={"type": "TRAILING_STOP_MARKET", "trailing_offset": "0.0010"},
        )  # fmt: skip
        assert answer["status"] == "filled"
        assert statuses(desk, f"t{kind}TP", f"t{kind}SL") == ["accepted", "accepted"], kind
    desk.to(46)
    assert desk.held() == {INSTRUMENTS[kind]: -1000 for kind in KINDS}
    desk.to(49)  # the price has risen by more than the offset from its low
    assert desk.held() == {}
    for kind in KINDS:
        assert statuses(desk, f"t{kind}TP", f"t{kind}SL") == ["canceled", "filled"], kind
    desk.clear()


def test_exits_kept_by_the_node_cancel_each_other(desk: Desk) -> None:
    """A trailing stop with a trigger of its own cannot rest in the sandbox beside its target."""
    for start, target, ends in (
        (3, UP, ["filled", "canceled"]),
        (26, "1.1100", ["canceled", "filled"]),
    ):
        desk.to(start)
        for kind in ("quotes", "trades"):
            name = f"k{start}{kind}"
            bracket(
                desk, INSTRUMENTS[kind], name, take_profit={"price": target},
                stop_loss={
                    "type": "TRAILING_STOP_MARKET", "trailing_offset": "0.0015",
                    "trigger_price": "1.0985" if start == 3 else "1.1000",
                },
            )  # fmt: skip
            assert statuses(desk, f"{name}TP", f"{name}SL") == ["accepted", "emulated"]
        desk.step(14)
        assert desk.held() == {}
        for kind in ("quotes", "trades"):
            name = f"k{start}{kind}"
            assert statuses(desk, f"{name}TP", f"{name}SL") == ends
    desk.clear()


def test_one_of_two_cancels_the_other(desk: Desk) -> None:
    desk.to(3)
    for kind in KINDS:
        buy = desk.order(instrument=INSTRUMENTS[kind], type="LIMIT", price=DOWN)
        sell = buy | {"side": "SELL", "price": UP}
        answer = desk.ask(contingency="OCO", orders=[buy, sell], client_order_id=f"o{kind}")
        assert answer["client_order_id"] == f"o{kind}"
        assert [each["status"] for each in answer["orders"]] == ["accepted", "accepted"]
    desk.to(16)
    for kind in KINDS:
        assert statuses(desk, f"o{kind}A", f"o{kind}B") == ["canceled", "filled"], kind
    desk.clear()


def test_a_pair_the_desk_keeps_itself(desk: Desk) -> None:
    desk.to(3)
    for kind, trigger in (("quotes", "BID_ASK"), ("trades", "LAST_PRICE")):
        buy = desk.order(instrument=INSTRUMENTS[kind], type="LIMIT", price=DOWN)
        sell = buy | {"side": "SELL", "price": UP, "emulation_trigger": trigger}
        desk.ask(contingency="OCO", orders=[buy, sell], client_order_id=f"d{kind}")
        assert statuses(desk, f"d{kind}A", f"d{kind}B") == ["accepted", "emulated"]
        desk.ask(contingency="OUO", orders=[buy, sell], client_order_id=f"u{kind}")
    desk.to(17)
    for kind in ("quotes", "trades"):
        assert statuses(desk, f"d{kind}A", f"d{kind}B") == ["canceled", "filled"], kind
        assert statuses(desk, f"u{kind}A", f"u{kind}B") == ["canceled", "filled"], kind
    desk.clear()


def test_a_group_is_cancelled_by_its_id(desk: Desk) -> None:
    desk.to(3)
    buy = desk.order(type="LIMIT", price=DOWN)
    desk.ask(contingency="OCO", orders=[buy, buy | {"price": "1.0985"}], client_order_id="pair")
    answer = live.orders.cancel(desk.node, "pair")
    assert answer["status"] == "canceled"
    assert statuses(desk, "pairA", "pairB") == ["canceled", "canceled"]


def test_positions_side_by_side_have_exits_of_their_own(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = make_project(tmp_path_factory.mktemp("hedging") / "project")
    desk = Desk.launch(project, "bars", oms="hedging")
    try:
        desk.to(3)
        bracket(desk, INSTRUMENTS["bars"], "long")
        bracket(
            desk, INSTRUMENTS["bars"], "short", entry={"side": "SELL"},
            take_profit={"price": DOWN}, stop_loss={"trigger_price": "1.1015"},
        )  # fmt: skip
        positions = {each["side"]: each["id"] for each in desk.node.status()["positions"]}
        assert set(positions) == {"LONG", "SHORT"}
        sell = {"instrument": INSTRUMENTS["bars"], "side": "SELL", "reduce_only": True}
        reason = desk.refused(**sell, position_id="P-0")
        assert "there is no open position 'P-0'" in reason
        desk.submit(instrument=INSTRUMENTS["bars"])  # a third position
        (third,) = {each["id"] for each in desk.node.status()["positions"]} - {*positions.values()}
        assert desk.submit(**sell, position_id=third)["status"] == "filled"
        desk.to(16)
        assert statuses(desk, "longTP", "longSL") == ["filled", "canceled"]
        assert [each["side"] for each in desk.node.status()["positions"]] == ["SHORT"]
        desk.to(21)
        assert statuses(desk, "shortTP", "shortSL") == ["canceled", "filled"]
        assert desk.node.status()["positions"] == []
    finally:
        end(desk.node)


def test_one_sends_the_others(desk: Desk) -> None:
    desk.to(3)
    first = desk.order(instrument=INSTRUMENTS["bars"], type="LIMIT", price=DOWN)
    hedge = desk.order(instrument=INSTRUMENTS["quotes"], side="SELL", quantity=2000)
    answer = desk.ask(contingency="OTO", orders=[first, hedge], client_order_id="oto")
    assert [each["status"] for each in answer["orders"]] == ["accepted", "held"]
    desk.to(41)
    assert statuses(desk, "otoA", "otoB") == ["filled", "filled"]
    assert desk.held() == {INSTRUMENTS["bars"]: 1000, INSTRUMENTS["quotes"]: -2000}
    desk.clear()


def test_a_stop_that_was_passed_before_it_was_placed_closes_at_once(desk: Desk) -> None:
    """The entry is filled in a bar that goes through the stop too."""
    desk.to(24)
    bracket(
        desk, INSTRUMENTS["bars"], "gap", entry={"type": "LIMIT", "price": "1.0999"},
        take_profit={"price": UP}, stop_loss={"trigger_price": "1.09985"},
    )  # fmt: skip
    desk.to(37)
    assert desk.held() == {}
    assert statuses(desk, "gap", "gapTP", "gapSL") == ["filled", "dropped", "filled"]
    desk.clear()


def test_exits_that_are_refused_are_told(desk: Desk) -> None:
    """Where nodeskg can protect the position, not even closing it, that is in the journal."""
    desk.to(3)
    desk.submit(side="SELL", quantity=5000)
    live.risk.set_limit(desk.node, "max_notional_per_order", "1000 USD")
    try:
        # The entry is worth 999.95 USD, its target 1000.81.
        bracket(desk, INSTRUMENTS["quotes"], "bare", entry={"quantity": 909})
    finally:
        live.risk.set_limit(desk.node, "max_notional_per_order", None)
    assert statuses(desk, "bareTP", "bareSL") == ["denied", "denied"]
    told = {
        entry["type"]: entry for entry in desk.node.events() if entry["type"].startswith("order.")
    }
    assert "max_notional_per_order" in told["order.replaced"]["reason"]
    assert told["order.unprotected"]["client_order_id"] == "bare"
    desk.clear()


def test_exits_are_as_large_as_what_is_filled(thin: Desk) -> None:
    thin.to(24)
    bracket(
        thin, INSTRUMENTS["quotes"], "part",
        entry={"type": "LIMIT", "price": "1.1000", "quantity": 2000},
        take_profit={"price": "1.1100"}, stop_loss={"trigger_price": "1.0984"},
    )  # fmt: skip
    thin.to(37)
    assert statuses(thin, "part", "partTP", "partSL") == ["filled", "accepted", "accepted"]
    orders = thin.orders()
    assert [orders[f"part{role}"]["quantity"] for role in ("TP", "SL")] == ["2000", "2000"]
    filled, sizes = 0, {"partTP": 0, "partSL": 0}
    for entry in thin.node.events():
        data = entry.get("data", {})
        name, what = data.get("client_order_id"), entry["type"].removeprefix("order.")
        if name == "part" and what == "filled":
            filled += int(data["last_qty"])
        if name in sizes and what in ("initialized", "updated"):
            sizes[name] = int(data["quantity"])
        # However it was filled, no exit was ever larger than the position.
        assert max(sizes.values()) <= filled
    assert filled == 2000
    thin.to(49)
    assert thin.held() == {}
    assert statuses(thin, "partTP", "partSL") == ["canceled", "filled"]
    thin.clear()


def test_a_target_reached_before_the_entry_is_whole_ends_the_trade(thin: Desk) -> None:
    thin.to(40)
    bracket(
        thin, INSTRUMENTS["bars"], "early",
        entry={"type": "LIMIT", "price": "1.0981", "quantity": 4000},
        take_profit={"price": "1.0983"}, stop_loss={"trigger_price": "1.0900"},
    )  # fmt: skip
    thin.to(47)
    orders = thin.orders()
    assert 0 < int(orders["early"]["filled"]) < 4000
    assert statuses(thin, "early", "earlyTP", "earlySL") == ["canceled", "filled", "canceled"]
    # What the entry got while it was being cancelled is closed at the market.
    assert orders["earlyMX1"]["status"] == "filled"
    assert thin.held() == {}
    thin.clear()


def test_a_target_filled_in_parts_makes_the_stop_smaller(thin: Desk) -> None:
    thin.to(3)
    bracket(thin, INSTRUMENTS["quotes"], "ouo", entry={"quantity": 2000})
    thin.to(16)
    orders = thin.orders()
    filled = int(orders["ouoTP"]["filled"])
    assert 0 < filled < 2000
    assert int(orders["ouoSL"]["quantity"]) == 2000 - filled
    assert thin.held() == {INSTRUMENTS["quotes"]: 2000 - filled}
    thin.to(20)
    assert thin.held() == {}
    assert statuses(thin, "ouoTP", "ouoSL") == ["filled", "canceled"]
    thin.clear()


def test_the_desk_makes_a_stop_it_keeps_smaller(thin: Desk) -> None:
    thin.to(3)
    bracket(
        thin, INSTRUMENTS["quotes"], "kept", entry={"quantity": 2000},
        stop_loss={
            "type": "TRAILING_STOP_MARKET", "trailing_offset": "0.0050", "trigger_price": "1.0960",
        },
    )  # fmt: skip
    assert statuses(thin, "keptTP", "keptSL") == ["accepted", "emulated"]
    thin.to(16)
    orders = thin.orders()
    filled = int(orders["keptTP"]["filled"])
    assert 0 < filled < 2000
    assert int(orders["keptSL"]["quantity"]) == 2000 - filled
    thin.to(20)
    assert thin.held() == {}
    assert statuses(thin, "keptTP", "keptSL") == ["filled", "canceled"]
    thin.clear()


def test_a_bracket_against_an_opposite_position(thin: Desk) -> None:
    thin.to(3)
    thin.submit(side="SELL", quantity=5000)
    bracket(thin, INSTRUMENTS["quotes"], "net", entry={"quantity": 700})
    assert thin.held() == {INSTRUMENTS["quotes"]: -4300}
    orders = thin.orders()
    assert [orders[f"net{role}"]["status"] for role in ("TP", "SL")] == ["accepted", "accepted"]
    assert not orders["netSL"]["reduce_only"]
    thin.to(16)
    assert statuses(thin, "netTP", "netSL") == ["filled", "canceled"]
    assert thin.held() == {INSTRUMENTS["quotes"]: -5000}
    thin.clear()


def test_what_is_left_of_a_market_to_limit_order_does_not_abort_the_sandbox(thin: Desk) -> None:
    thin.to(3)
    answer = thin.submit(type="MARKET_TO_LIMIT", quantity=2000, client_order_id="mtl")
    assert (answer["status"], answer["filled"]) == ("partially_filled", "700")
    assert "sent as a LIMIT order at 1.10005: only 700 stand there" in answer["warnings"][0]
    small = thin.submit(type="MARKET_TO_LIMIT", quantity=700)
    assert small["status"] == "filled"
    thin.submit(type="LIMIT", price=DOWN)
    assert thin.alive()
    thin.clear()
