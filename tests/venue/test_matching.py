"""Orders against the market: what fills, at which price, and what is refused with which code."""

from decimal import Decimal

import pytest

from tests.venue.support import BTC, ETH, Desk, refused
from workbench.venue.faults import Fault
from workbench.venue.market import Quote


@pytest.fixture
def desk() -> Desk:
    desk = Desk(BTC, ETH)
    desk.trade("30000", "Buy")  # 29999.9 / 30000.0
    return desk


def test_a_market_order_takes_the_other_side(desk: Desk) -> None:
    bought, sold = desk.order("Buy", "0.5"), desk.order("Sell", "0.2")
    assert (bought.status, bought.average) == ("Filled", Decimal("30000"))
    assert (sold.status, sold.average) == ("Filled", Decimal("29999.9"))
    assert desk.size() == Decimal("0.3")
    assert [each.maker for each in desk.exchange.books.executions] == [False, False]
    assert bought.fee == Decimal("15000") * Decimal("0.00055")


def test_the_book_around_a_trade_is_one_tick_wide_on_its_aggressors_side(desk: Desk) -> None:
    market = desk.exchange.markets["BTCUSDT"]
    assert (market.bids[0][0], market.asks[0][0]) == (Decimal("29999.9"), Decimal("30000"))
    desk.trade("29990")  # falling: a seller hit the bid
    assert (market.bids[0][0], market.asks[0][0]) == (Decimal("29990"), Decimal("29990.1"))
    desk.trade("29990")  # unchanged: as before
    assert market.bids[0][0] == Decimal("29990")
    desk.trade("29991")
    assert market.asks[0][0] == Decimal("29991")


def test_displayed_size_limits_what_fills_until_the_next_quote(desk: Desk) -> None:
    quote = Quote(
        ((Decimal("99.9"), Decimal(1)),),
        ((Decimal("100.0"), Decimal("0.4")), (Decimal("100.1"), Decimal("0.5"))),
    )
    desk.exchange.play("BTCUSDT", quote)
    order = desk.order("Buy", "1")
    assert (order.status, order.filled) == ("Cancelled", Decimal("0.9"))
    assert order.reason == "EC_NoImmediateQtyToFill"
    assert order.value == Decimal("0.4") * 100 + Decimal("0.5") * Decimal("100.1")
    with refused(110118):
        desk.order("Buy", "1")  # nothing is left
    desk.exchange.play("BTCUSDT", quote)
    assert desk.order("Buy", "0.1").status == "Filled"


def test_a_limit_order_takes_what_crosses_and_rests_with_the_rest(desk: Desk) -> None:
    desk.quote("99.9", "100.0", "0.4")
    order = desk.order("Buy", "1", "100.0")
    assert (order.status, order.filled, order.leaves) == (
        "PartiallyFilled", Decimal("0.4"), Decimal("0.6"),
    )  # fmt: skip
    desk.quote("99.8", "99.9", "0.5")
    now = desk.now(order)
    assert (now.filled, desk.exchange.books.executions[-1].price) == (Decimal("0.9"), 100)
    assert desk.exchange.books.executions[-1].maker
    desk.quote("99.7", "99.8", "5")
    assert desk.now(order).status == "Filled"
    assert desk.exchange.markets["BTCUSDT"].asks == [(Decimal("99.8"), Decimal("4.9"))]


def test_a_resting_order_fills_when_the_price_trades_through_it(desk: Desk) -> None:
    bid = desk.order("Buy", "0.01", "29950.0")
    desk.trade("29950.1")
    assert desk.now(bid).status == "New"
    desk.trade("29950.0")  # touched: others were there before
    assert desk.now(bid).status == "New"
    desk.trade("29949.9")
    assert desk.now(bid).status == "Filled"
    assert desk.exchange.books.executions[-1].price == Decimal("29950.0")
    assert desk.exchange.books.executions[-1].rate == BTC.maker


def test_better_prices_fill_first_then_older_orders(desk: Desk) -> None:
    desk.quote("99", "101", "10")
    late = desk.order("Buy", "1", "100.5", orderLinkId="better")
    old = desk.order("Buy", "1", "100.0", orderLinkId="older")
    new = desk.order("Buy", "1", "100.0", orderLinkId="newer")
    desk.quote("98", "99", "1.5")
    assert [desk.now(each).filled for each in (late, old, new)] == [1, Decimal("0.5"), 0]
    desk.amend(old, price="100.1")
    desk.amend(old, price="100.0")  # its place is lost
    desk.quote("98", "99", "0.7")
    assert [desk.now(each).filled for each in (old, new)] == [Decimal("0.5"), Decimal("0.7")]


def test_time_in_force(desk: Desk) -> None:
    desk.quote("99.9", "100.0", "0.4")
    ioc = desk.order("Buy", "1", "100.0", timeInForce="IOC")
    assert (ioc.status, ioc.filled, ioc.leaves) == ("Cancelled", Decimal("0.4"), 0)
    desk.quote("99.9", "100.0", "0.4")
    fok = desk.order("Buy", "1", "100.0", timeInForce="FOK")
    assert (fok.status, fok.filled, fok.reason) == ("Cancelled", 0, "EC_NoImmediateQtyToFill")
    assert desk.order("Buy", "0.4", "100.0", timeInForce="FOK").status == "Filled"
    desk.quote("99.9", "100.0", "0.4")
    post = desk.order("Buy", "0.1", "100.0", timeInForce="PostOnly")
    assert (post.status, post.reason) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    post = desk.order("Buy", "0.1", "99.9", timeInForce="PostOnly")
    assert post.status == "New"
    assert desk.amend(post, price="100.0").reason == "EC_PostOnlyWillTakeLiquidity"


def test_reduce_only(desk: Desk) -> None:
    with refused(110017):
        desk.order("Sell", "0.1", reduceOnly=True)
    desk.order("Buy", "0.5")
    with refused(110017):
        desk.order("Buy", "0.1", reduceOnly=True)
    resting = desk.order("Sell", "0.8", "31000.0", reduceOnly=True)
    assert resting.quantity == Decimal("0.5")  # more than is held it cannot close
    other = desk.order("Sell", "0.3", "32000.0", reduceOnly=True)
    assert desk.order("Sell", "9", reduceOnly=True).filled == Decimal("0.5")
    assert desk.size() == 0
    for order in (resting, other):
        assert desk.now(order).status == "Cancelled"
        assert desk.now(order).cancel_type == "CancelByReduceOnly"


def test_a_reduce_only_order_never_turns_a_position(desk: Desk) -> None:
    desk.order("Buy", "0.5")
    resting = desk.order("Sell", "0.5", "30010.0", reduceOnly=True)
    desk.order("Sell", "0.3")
    desk.trade("30020")
    assert desk.size() == 0
    assert (desk.now(resting).filled, desk.now(resting).status) == (Decimal("0.2"), "Cancelled")


def test_close_all_of_it(desk: Desk) -> None:
    desk.order("Sell", "0.7")
    closed = desk.order("Buy", "0", reduceOnly=True, closeOnTrigger=True)
    assert (closed.filled, desk.size()) == (Decimal("0.7"), 0)


def test_conditional_orders_trigger_in_their_direction(desk: Desk) -> None:
    rise = desk.order("Buy", "0.1", triggerPrice="30100", triggerDirection=1, triggerBy="LastPrice")
    fall = desk.order("Buy", "0.1", "29890.0", triggerPrice="29900", triggerDirection=2)
    assert (rise.status, fall.status) == ("Untriggered", "Untriggered")
    assert desk.account.margins(desk.exchange.books.live())[0] == 0
    desk.told.clear()
    desk.trade("30099.9")
    assert not desk.told
    desk.trade("30100")
    assert [state for _, state in desk.told] == ["Triggered", "Filled"]
    assert desk.now(rise).average == Decimal("30100")
    desk.trade("29899")
    assert desk.now(fall).status == "New"
    desk.trade("29889")
    assert desk.now(fall).status == "Filled"


def test_a_conditional_stop_closes_and_no_more(desk: Desk) -> None:
    desk.order("Buy", "0.5")
    stop = desk.order(
        "Sell", "0.8", triggerPrice="29000", triggerDirection=2, reduceOnly=True,
        triggerBy="MarkPrice", closeOnTrigger=True,
    )  # fmt: skip
    desk.trade("28900")
    assert (desk.size(), desk.now(stop).filled) == (0, Decimal("0.5"))
    idle = desk.order("Sell", "0.8", triggerPrice="28000", triggerDirection=2, closeOnTrigger=True)
    desk.trade("27900")
    assert (desk.now(idle).status, desk.now(idle).cancel_type) == (
        "Cancelled", "CancelByReduceOnly",
    )  # fmt: skip


def test_a_trigger_already_reached_is_refused(desk: Desk) -> None:
    with refused(110092, "expect Rising"):
        desk.order("Buy", "0.1", triggerPrice="30000", triggerDirection=1)
    with refused(110093, "expect Falling"):
        desk.order("Sell", "0.1", triggerPrice="30000.1", triggerDirection=2)
    stop = desk.order("Buy", "0.1", triggerPrice="30100", triggerDirection=1)
    with refused(110092):
        desk.amend(stop, triggerPrice="29000")
    assert desk.amend(stop, triggerPrice="30200", qty="0.2").trigger == Decimal("30200")
    desk.trade("30150")
    assert desk.now(stop).status == "Untriggered"


def test_a_triggered_order_the_account_cannot_pay_is_cancelled(desk: Desk) -> None:
    stop = desk.order("Buy", "100", triggerPrice="30100", triggerDirection=1)
    desk.trade("30100")
    assert desk.now(stop).status == "Cancelled"
    assert desk.now(stop).cancel_type == "CancelByPrepareLackOfMargin"


def test_amend(desk: Desk) -> None:
    order = desk.order("Buy", "0.5", "29000.0")
    assert desk.amend(order, qty="0.7", price="29500.0").price == Decimal("29500")
    with refused(10001, "unchanged"):
        desk.amend(order, qty="0.7")
    with refused(10001, "no such price"):
        desk.amend(order, triggerPrice="29000")
    assert desk.amend(order, price="30000.0").status == "Filled"
    with refused(110001, "too late to replace"):
        desk.amend(order, qty="0.9")
    desk.quote("99.9", "100.0", "0.4")
    part = desk.order("Buy", "1", "100.0")
    with refused(110064):
        desk.amend(part, qty="0.4")
    assert desk.amend(part, qty="0.5").leaves == Decimal("0.1")


def test_cancel(desk: Desk) -> None:
    order = desk.order("Buy", "0.5", "29000.0", orderLinkId="mine")
    desk.exchange.cancel({"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "mine"})
    assert (desk.now(order).status, desk.now(order).cancel_type) == ("Cancelled", "CancelByUser")
    with refused(110001, "too late to cancel"):
        desk.cancel(order)
    with refused(110001):
        desk.cancel(desk.order("Buy", "0.5", "29000.0"), symbol="ETHUSDT")
    with refused(10001, "orderId or orderLinkId"):
        desk.exchange.cancel({"category": "linear", "symbol": "BTCUSDT"})


def test_cancel_all_of_what_is_asked_for(desk: Desk) -> None:
    desk.trade("2000", symbol="ETHUSDT")
    rest = desk.order("Buy", "0.1", "29000.0")
    stop = desk.order("Buy", "0.1", triggerPrice="30100", triggerDirection=1)
    ether = desk.order("Buy", "0.1", "1000.00", symbol="ETHUSDT")
    cancel = desk.exchange.cancel_all
    with refused(10001, "settleCoin"):
        cancel({"category": "linear"})
    some = cancel({"category": "linear", "symbol": "BTCUSDT", "orderFilter": "StopOrder"})
    assert [each.id for each in some] == [stop.id]
    assert [each.id for each in cancel({"category": "linear", "baseCoin": "ETH"})] == [ether.id]
    assert [each.id for each in cancel({"category": "linear", "settleCoin": "USDT"})] == [rest.id]
    assert cancel({"category": "linear", "symbol": "BTCUSDT"}) == []


@pytest.mark.parametrize(
    ("code", "word", "params"),
    [
        (10001, "symbol invalid", {"symbol": "NONEUSDT"}),
        (10001, "symbol invalid", {"symbol": ["BTCUSDT"]}),
        (10001, "category", {"category": "lineal"}),
        (10001, "linear contracts only", {"category": "spot"}),
        (10001, "Side", {"side": "BUY"}),
        (10001, "OrderType", {"orderType": "Stop"}),
        (10001, "TimeInForce", {"timeInForce": "DAY"}),
        (10001, "Qty invalid", {"qty": 0.1}),
        (10001, "Qty invalid", {"qty": "1e3"}),
        (10001, "Qty invalid", {"qty": "-1"}),
        (10001, "Qty invalid", {"qty": "٣"}),
        (10001, "Qty invalid", {"qty": "0.0015"}),
        (10001, "Qty invalid", {"qty": None}),
        (10001, "minimum limit", {"qty": "0"}),
        (10001, "minimum limit", {"qty": "0.0001"}),
        (10001, "maximum limit", {"qty": "2000000000"}),
        (10001, "Price invalid", {"price": "29000.05"}),
        (10001, "Price invalid", {"price": ""}),
        (10001, "Price invalid", {"price": "0"}),
        (10001, "Price invalid", {"price": "NaN"}),
        (110094, "5USDT", {"qty": "0.001", "price": "100.0"}),
        (10001, "TriggerDirection", {"triggerPrice": "31000"}),
        (10001, "triggerDirection", {"triggerPrice": "31000", "triggerDirection": "up"}),
        (10001, "TriggerBy", {"triggerPrice": "31000", "triggerDirection": 1, "triggerBy": "Bid"}),
        (10001, "position idx", {"positionIdx": 1}),
        (10001, "reduceOnly", {"reduceOnly": "yes"}),
        (10001, "OrderLinkId", {"orderLinkId": "a" * 37}),
        (10001, "OrderLinkId", {"orderLinkId": "a b"}),
        (10001, "takeProfit", {"takeProfit": "31000"}),
        (10001, "bboSideType", {"bboSideType": "Queue"}),
        (110007, "ab not enough", {"qty": "40", "price": "29999.9"}),
    ],
)
def test_what_bybit_refuses_is_refused(desk: Desk, code: int, word: str, params: dict) -> None:
    good = {"price": "29000.0"}
    with refused(code, word):
        desk.order(**{"side": "Buy", "qty": "0.1", **good, **params})
    assert not desk.exchange.books.orders
    desk.order("Buy", "0.1", "29000.0")


def test_a_client_order_id_is_used_once(desk: Desk) -> None:
    first = desk.order("Buy", "0.1", "29000.0", orderLinkId="once")
    with refused(110072, "duplicate"):
        desk.order("Buy", "0.1", "29000.0", orderLinkId="once")
    desk.cancel(first)
    with refused(110072):
        desk.order("Buy", "0.1", orderLinkId="once")
    assert len(desk.exchange.books.orders) == 1


def test_as_many_orders_as_bybit_allows(desk: Desk) -> None:
    for number in range(10):
        desk.order("Buy", "0.1", triggerPrice=f"{31000 + number}", triggerDirection=1)
    with refused(110009):
        desk.order("Buy", "0.1", triggerPrice="32000", triggerDirection=1)
    for _ in range(500):
        desk.order("Buy", "0.001", "20000.0")
    with refused(110020):
        desk.order("Buy", "0.001", "20000.0")


def test_no_price_no_market_order() -> None:
    desk = Desk()
    with refused(110118):
        desk.order("Buy", "0.1")
    resting = desk.order("Buy", "0.1", "29000.0")
    desk.trade("28000")
    assert desk.now(resting).status == "Filled"


def test_margin_is_taken_by_leverage(desk: Desk) -> None:
    def lever(value: str) -> None:
        desk.exchange.set_leverage(
            {
                "category": "linear", "symbol": "BTCUSDT",
                "buyLeverage": value, "sellLeverage": value,
            }
        )  # fmt: skip

    with refused(110043):
        lever("10")
    with refused(110013):
        lever("101")
    with refused(10001):
        lever("much")
    desk.order("Buy", "30", "30000.0")  # 900,000 at ten times: 90,000 of 100,000
    with refused(110007):
        desk.order("Buy", "4", "29000.0")
    with refused(110012):
        lever("5")
    lever("20")
    desk.order("Buy", "4", "29000.0")
    desk.order("Sell", "30", "31000.0")  # closes: takes no margin
    assert desk.account.leverage("BTCUSDT") == 20


def test_what_only_reduces_needs_no_margin(desk: Desk) -> None:
    desk.order("Buy", "32", "30000.0")
    desk.trade("27500")  # 80,000 lost of 100,000; 88,000 of margin for what is held
    with refused(110007):
        desk.order("Buy", "1", "27000.0")
    assert desk.order("Sell", "10").status == "Filled"


def test_faults_of_orders(desk: Desk) -> None:
    desk.faults.add(Fault("reject", times=2, code=10429, message="busy"))
    for _ in range(2):
        with refused(10429, "busy"):
            desk.order("Buy", "0.1")
    assert desk.order("Buy", "0.1").status == "Filled"
    desk.faults.add(Fault("reject", late=True, message="INSUFFICIENT_MARGIN"))
    late = desk.order("Buy", "0.1", orderLinkId="late")
    assert (late.status, late.reason) == ("Rejected", "INSUFFICIENT_MARGIN")
    assert desk.told[-1] == ("late", "Rejected")
    desk.faults.add(Fault("partial", times=2, share=Decimal("0.25")))
    assert desk.order("Buy", "0.1").filled == Decimal("0.025")
    limit = desk.order("Buy", "0.1", "30000.0")
    assert (limit.status, limit.filled) == ("PartiallyFilled", Decimal("0.025"))
    desk.trade("29000")
    assert desk.now(limit).status == "Filled"
