"""Orders held against instrument, account and market: limits of a venue, cash, a closed market."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.market import INSTRUMENTS, Desk, end, make_project, market_study
from workbench import live
from workbench.core.errors import InputError
from workbench.core.project import Project
from workbench.engine.catalog import write_instruments
from workbench.engine.instruments import Description
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

EURUSD, GBPUSD = INSTRUMENTS["quotes"], INSTRUMENTS["trades"]
SHARE = "ACME.CASH"


def with_limits(project: Project) -> None:
    """Put an instrument into the catalog that has a venue's limits."""
    from nautilus_trader import model

    name = model.InstrumentId.from_str(EURUSD)
    pair = model.CurrencyPair(
        name, name.symbol, model.Currency.from_str("EUR"), model.Currency.from_str("USD"),
        5, 0, model.Price.from_str("0.00005"), model.Quantity.from_str("10"), 0, 0,
        max_quantity=model.Quantity.from_str("50000"), min_quantity=model.Quantity.from_str("100"),
        min_notional=model.Money.from_str("200 USD"),
        max_notional=model.Money.from_str("40000 USD"),
        max_price=model.Price.from_str("2.00000"), min_price=model.Price.from_str("0.50000"),
    )  # fmt: skip
    write_instruments(project.catalog, [(EURUSD, Description.of(pair))])


def study(project: Project) -> Study:
    """Return a study with a pair that has limits, one that has none, and a share held for cash."""
    found = market_study(project, "quotes", "trades", rounds=1)
    document = found.written()
    del document["data"][0]["definition"]
    document["data"].append(
        document["data"][1]
        | {
            "instrument": SHARE,
            "path": "data/trades.csv",
            "definition": {"type": "equity", "currency": "USD", "price_precision": 5},
        }
    )
    document["venues"].append(
        {"name": "CASH", "account": "cash", "balances": ["1_000 USD"], "base_currency": "USD",
         "fees": {"per_order": "1 USD"}}
    )  # fmt: skip
    return build(document, Places(file="study.yaml"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    project = make_project(tmp_path_factory.mktemp("checks") / "project")
    with_limits(project)
    node = live.launch(study(project), project)
    node.ask("pause_feed")
    node.ask("step_feed", rows=9 - node.status()["feeds"][0]["rows"])
    yield Desk(node, ("quotes", "trades", "shares"), 3)
    end(node)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"quantity": 50}, "quantity: of EUR/USD.SIM is at least 100, found 50"),
        ({"quantity": 60_000}, "quantity: of EUR/USD.SIM is at most 50000, found 60000"),
        ({"quantity": 105}, "quantity: of EUR/USD.SIM is a multiple of 10, found 105"),
        ({"quantity": 100}, "quantity: is worth 110.00 USD, of EUR/USD.SIM at least 200.00 USD"),
        (
            {"type": "LIMIT", "price": "1.05", "quantity": 40_000},
            "quantity: is worth 42000.00 USD, of EUR/USD.SIM at most 40000.00 USD",
        ),
        (
            {"type": "LIMIT", "price": "1.05001"},
            "price: of EUR/USD.SIM is a multiple of 0.00005, found 1.05001",
        ),
        ({"type": "LIMIT", "price": "0.4"}, "price: of EUR/USD.SIM is at least 0.50000, found 0.4"),
        (
            {"side": "SELL", "type": "LIMIT", "price": 3},
            "price: of EUR/USD.SIM is at most 2.00000, found 3",
        ),
        (
            {"type": "LIMIT", "price": 1, "display_quantity": 5},
            "display_quantity: of EUR/USD.SIM is a multiple of 10, found 5",
        ),
    ],
)
def test_limits_of_the_instrument(desk: Desk, order: dict[str, Any], reason: str) -> None:
    assert reason in desk.refused(**order)


def test_a_cash_account_pays_what_it_has(desk: Desk) -> None:
    share = {"instrument": SHARE, "quantity": 1}
    reason = desk.refused(**share | {"quantity": 1000})
    assert reason == "quantity: needs 1100.00 USD of cash, free are 1000.00 USD"
    assert "has none to sell" in desk.refused(**share, side="SELL")
    assert desk.submit(**share | {"quantity": 100})["status"] == "filled"
    assert "only 100 are held" in desk.refused(**share | {"quantity": 200}, side="SELL")
    preview = live.orders.preview(desk.node, desk.order(**share, side="SELL"))
    assert preview["orders"][0]["estimate"] == {
        "price": "1.10000", "notional": "1.10 USD", "fees": "1 USD", "margin": None,
    }  # fmt: skip
    assert desk.submit(**share | {"quantity": 100}, side="SELL")["status"] == "filled"


def test_a_quantity_in_quote_currency(desk: Desk) -> None:
    answer = desk.submit(instrument=GBPUSD, quantity=1100, quote_quantity=True)
    assert (answer["status"], answer["filled"]) == ("filled", "1000")
    desk.clear()


def test_a_market_that_is_halted_takes_no_order(desk: Desk) -> None:
    desk.node.ask("market_status", instrument=GBPUSD, status="halt")
    reason = f"instrument: the market of {GBPUSD} is closed (HALT)"
    for order in ({}, {"type": "LIMIT", "price": "1.05"}):
        late = 200
        while (answer := _try(desk, order)) != reason and late:
            late -= 1  # the replay tells it between two rows
        assert answer == reason
    desk.node.ask("market_status", instrument=GBPUSD, status="trading")
    late = 200
    while (answer := _try(desk, {})) != "filled" and late:
        late -= 1
    assert answer == "filled"
    desk.clear()


def _try(desk: Desk, order: dict[str, Any]) -> str:
    try:
        answer = desk.submit(instrument=GBPUSD, **order)
    except InputError as error:
        return str(error)
    return str(answer["status"])


def test_what_comes_after_the_last_price(desk: Desk) -> None:
    desk.node.ask("step_feed", rows=1000)
    assert desk.node.status()["feeds"][0]["ended"]
    assert desk.refused(instrument=GBPUSD) == (
        f"instrument: the market of {GBPUSD} is closed: its replay has ended"
    )
    answer = desk.submit(instrument=GBPUSD, type="LIMIT", price="1.05")
    assert answer["status"] == "accepted"
    assert answer["warnings"] == ["the feed replay has ended: no price will move any more"]
