"""Requests by themselves: what they become, what is wrong with them, what venues can do."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import InputError
from workbench.engine.live import order_abilities
from workbench.engine.live.order_request import EMULATIONS, TIMES, TRIGGERS, TYPES
from workbench.engine.live.order_ticket import Leg, Ticket, made_id, parse

ORDER = {"instrument": "AAPL.XNAS", "side": "BUY", "quantity": 100}
LIMIT = ORDER | {"type": "LIMIT", "price": 10}


def wrong(request: Any) -> dict[str, str]:
    """Return the issues of a request by path."""
    with pytest.raises(InputError) as caught:
        parse(request)
    return {issue.path: issue.message for issue in caught.value.issues}


def test_an_order_is_read_whatever_its_case() -> None:
    ticket = parse(ORDER | {"side": " buy ", "type": "limit", "price": "10.50", "quantity": "1e2"})
    (leg,) = ticket.legs
    assert (leg.order.side, leg.order.type, str(leg.order.price)) == ("BUY", "LIMIT", "10.5")
    assert str(leg.order.quantity) == "100"
    assert leg.id == ticket.id


def test_ids_are_made_and_unlike() -> None:
    made = {made_id() for _ in range(1000)}
    assert len(made) == 1000
    # OKX takes letters and digits only, 32 of them; a group's orders add two.
    assert all(len(each) <= 30 and each.isalnum() for each in made)


def test_a_group_names_its_orders() -> None:
    ticket = parse({"contingency": "oto", "orders": [ORDER, LIMIT, LIMIT], "client_order_id": "g"})
    assert [(leg.id, leg.waits) for leg in ticket.legs] == [
        ("gA", False), ("gB", True), ("gC", True),
    ]  # fmt: skip
    assert ticket.parent is ticket.legs[0]
    assert ticket.contingency is None


def test_a_bracket_becomes_an_entry_and_its_exits() -> None:
    ticket = parse(
        {
            "bracket": {
                "entry": ORDER | {"client_order_id": "b"},
                "take_profit": {"price": 12, "client_order_id": "target"},
                "stop_loss": {"trigger_price": 9, "tags": ["mine"]},
            }
        }
    )
    entry, target, stop = ticket.legs
    assert [leg.id for leg in ticket.legs] == ["b", "target", "bSL"]
    assert (target.order.type, target.order.side, target.order.reduce_only) == (
        "LIMIT", "SELL", True,
    )  # fmt: skip
    assert (stop.order.type, stop.order.tags, stop.waits) == ("STOP_MARKET", ("mine",), True)
    assert (entry.waits, ticket.contingency, ticket.exits) == (False, "OUO", True)
    single = parse({"bracket": {"entry": ORDER, "stop_loss": {"trigger_price": 9}}})
    assert single.contingency is None


def test_a_ticket_survives_the_journal() -> None:
    ticket = parse(
        {
            "bracket": {
                "entry": LIMIT | {"time_in_force": "GTD", "expire_time": "2100-01-01T10:00Z"},
                "stop_loss": {"type": "TRAILING_STOP_MARKET", "trailing_offset": "0.5"},
            }
        }
    )
    written = json.loads(json.dumps(ticket.to_dict()))
    assert Ticket.from_dict(written).to_dict() == ticket.to_dict()


def test_every_wrong_value_is_named_at_once() -> None:
    found = wrong({"instrument": "x", "side": "up", "quantity": "ten", "prise": 3})
    assert set(found) == {"instrument", "side", "quantity", "prise"}
    assert "Did you mean 'price'" in found["prise"]
    assert set(wrong({})) == {"instrument", "side", "quantity"}
    assert wrong([ORDER]) == {"": "an order is a group of keys, found a list of 1"}
    assert "orders.1.price" in wrong(
        {"contingency": "OCO", "orders": [LIMIT, LIMIT | {"price": "x"}]}
    )


@pytest.mark.parametrize(
    ("order", "path"),
    [
        ({"type": "STOP_LIMIT", "price": 1}, "trigger_price"),
        ({"type": "STOP_MARKET", "trigger_price": 1, "price": 1}, "price"),
        ({"type": "LIMIT", "price": 1, "trigger_type": "BID_ASK"}, "trigger_type"),
        ({"type": "TRAILING_STOP_MARKET"}, "trailing_offset"),
        ({"type": "TRAILING_STOP_LIMIT", "trailing_offset": 1}, "limit_offset"),
        ({"type": "LIMIT", "price": 1, "activation_price": 1}, "activation_price"),
        ({"post_only": True}, "post_only"),
        ({"type": "LIMIT", "price": 1, "post_only": True, "time_in_force": "IOC"}, "post_only"),
        ({"display_quantity": 5}, "display_quantity"),
        ({"type": "LIMIT", "price": 1, "display_quantity": 500}, "display_quantity"),
        ({"emulation_trigger": "BID_ASK"}, "emulation_trigger"),
        ({"type": "LIMIT", "price": 1, "emulation_trigger": "MARK_PRICE"}, "emulation_trigger"),
        ({"expire_time": "2100-01-01"}, "expire_time"),
        ({"type": "LIMIT_IF_TOUCHED", "price": 1, "trigger_price": 2}, "price"),
        (
            {"type": "LIMIT_IF_TOUCHED", "side": "SELL", "price": 2, "trigger_price": 1},
            "price",
        ),
        ({"type": "STOP_MARKET", "trigger_price": 1, "time_in_force": "AT_THE_OPEN"},
         "time_in_force"),
    ],
)  # fmt: skip
def test_keys_fit_the_type(order: dict[str, Any], path: str) -> None:
    assert list(wrong(ORDER | order)) == [path]


def test_ids_of_a_group_are_unlike() -> None:
    twice = [LIMIT | {"client_order_id": "x"}] * 2
    assert "orders.1.client_order_id" in wrong({"contingency": "OCO", "orders": twice})
    assert "client_order_id" in wrong(
        {"contingency": "OCO", "orders": [LIMIT, LIMIT], "client_order_id": "x" * 34}
    )


_names = st.sampled_from(["instrument", "side", "quantity", "type", "price", "trigger_price",
    "time_in_force", "expire_time", "tags", "bracket", "orders", "contingency", "entry",
    "stop_loss", "client_order_id", "post_only", "trailing_offset", "x"])  # fmt: skip
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=9)
    | st.sampled_from([*TYPES, *TIMES, *TRIGGERS, *EMULATIONS, "AAPL.XNAS", "BUY", "OCO"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


@given(_values)
def test_whatever_is_asked_for_is_a_ticket_or_an_issue(request: Any) -> None:
    for content in (request, ORDER | request if isinstance(request, dict) else request):
        try:
            ticket = parse(content)
        except InputError as error:
            assert all(issue.message for issue in error.issues)
        else:
            assert Ticket.from_dict(json.loads(json.dumps(ticket.to_dict()))).id == ticket.id


def refusals(adapter: str, symbol: str, **order: Any) -> list[str]:
    """Return the keys a venue refuses."""
    leg = parse(ORDER | order).legs[0]
    return [issue.path for issue in order_abilities.of(adapter, symbol).issues(leg)]


def test_bybit_by_product() -> None:
    stop = {"type": "STOP_MARKET", "trigger_price": 1}
    for product, wanted in (("LINEAR", []), ("SPOT", []), ("OPTION", ["type"])):
        assert refusals("bybit", f"BTCUSDT-{product}", **stop) == wanted
    assert refusals("bybit", "BTCUSDT-SPOT", reduce_only=True) == ["reduce_only"]
    assert refusals("bybit", "BTCUSDT-LINEAR", reduce_only=True) == []
    assert refusals("bybit", "BTCUSDT-LINEAR", quote_quantity=True) == ["quote_quantity"]
    assert refusals("bybit", "BTCUSDT-SPOT", quote_quantity=True) == []
    trailing = {"type": "TRAILING_STOP_MARKET", "trailing_offset": 1}
    assert refusals("bybit", "BTCUSDT-LINEAR", **trailing) == ["type"]
    # What the node keeps reaches the venue as a market order.
    assert refusals("bybit", "BTCUSDT-LINEAR", **trailing, emulation_trigger="BID_ASK") == []


def test_a_venue_that_is_not_known_decides_itself() -> None:
    for kind in TYPES:
        needed: dict[str, Any] = {"type": kind}
        if "LIMIT" in kind and kind not in ("MARKET_TO_LIMIT", "TRAILING_STOP_LIMIT"):
            needed["price"] = 1
        if kind.startswith("STOP") or "TOUCHED" in kind:
            needed["trigger_price"] = 1
        if kind.startswith("TRAILING"):
            needed |= {"trailing_offset": 1}
        if kind == "TRAILING_STOP_LIMIT":
            needed |= {"limit_offset": 1}
        assert refusals("hyperliquid", "BTC-USD-PERP", **needed) == []
        assert refusals("sandbox", "BTC-USD-PERP", **needed) == []


def test_the_others() -> None:
    assert refusals("okx", "BTC-USDT-SWAP", time_in_force="DAY") == ["time_in_force"]
    assert refusals("kraken", "PF_XBTUSD", time_in_force="FOK") == ["time_in_force"]
    assert refusals("kraken", "BTC/USD", time_in_force="FOK") == []
    leg = Leg("x", parse(LIMIT | {"display_quantity": 1}).legs[0].order, ("orders", 0))
    (issue,) = order_abilities.of("kraken", "PF_XBTUSD").issues(leg)
    assert (issue.path, issue.message) == (
        "orders.0.display_quantity", "Kraken Futures shows whole orders",
    )  # fmt: skip
