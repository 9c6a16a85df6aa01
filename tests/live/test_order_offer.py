"""What a form may offer: no more than instrument and venue allow, and all of it is taken."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.market import INSTRUMENTS, Desk, end, make_project
from workbench import live
from workbench.core.errors import InputError
from workbench.engine.live.order_request import TYPES

PRICES = {
    "price": "1.0500", "trigger_price": "1.0800", "trailing_offset": "0.01",
    "limit_offset": "0.005",
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk.launch(make_project(tmp_path_factory.mktemp("offer") / "project"), *INSTRUMENTS)
    desk.to(3)
    yield desk
    end(desk.node)


@pytest.fixture(scope="module")
def offers(desk: Desk) -> dict[str, dict[str, Any]]:
    found = {each["instrument"]: each for each in live.orders.abilities(desk.node)}
    return {kind: found[name] for kind, name in INSTRUMENTS.items()}


def test_what_is_offered_goes_by_the_feed(offers: dict[str, dict[str, Any]]) -> None:
    assert {kind: each["emulations"] for kind, each in offers.items()} == {
        "quotes": ["BID_ASK"], "trades": ["LAST_PRICE"], "bars": [],
    }  # fmt: skip
    assert offers["quotes"]["triggers"] == ["DEFAULT", "BID_ASK"]
    assert offers["trades"]["triggers"] == ["DEFAULT", "BID_ASK", "LAST_PRICE"]
    for each in offers.values():
        assert tuple(each["types"]) == TYPES
        assert each["price_increment"] == "0.00001"
        assert each["market"]["bid"] is not None
        assert each["market"]["closed"] is None
        assert each["contingencies"] == ["OCO", "OUO"]
    limit = offers["bars"]["types"]["LIMIT"]
    assert limit["needed"] == ["price"]
    assert "emulation_trigger" not in limit["optional"]
    assert "GTD" not in offers["bars"]["types"]["MARKET"]["times"]
    assert not any("AT_THE_OPEN" in each["times"] for each in offers["bars"]["types"].values())


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_every_type_and_time_that_is_offered_would_be_taken(
    desk: Desk, offers: dict[str, dict[str, Any]], kind: str
) -> None:
    for name, terms in offers[kind]["types"].items():
        for until in terms["times"]:
            order = {"type": name, "time_in_force": until, "side": "SELL", "quantity": 1000}
            order |= {key: PRICES[key] for key in terms["needed"]}
            order |= {"expire_time": "2100-01-01T00:00Z"} if until == "GTD" else {}
            if name.endswith("IF_TOUCHED"):
                order |= {"trigger_price": "1.1500"}
            try:
                live.orders.preview(desk.node, {"instrument": INSTRUMENTS[kind], **order})
            except InputError as error:
                raise AssertionError(f"{name} {until}: {error}") from None
