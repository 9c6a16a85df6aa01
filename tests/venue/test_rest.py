"""Bybit's REST protocol, as its documentation has it: signatures, endpoints, pages, faults."""

import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.venue.support import Bybit, served

LINEAR = {"category": "linear"}
BTC = {**LINEAR, "symbol": "BTCUSDT"}


@pytest.fixture(scope="module")
def venue() -> Any:
    with served("BTCUSDT:tick=0.1,step=0.001,price=30000", "ETHUSDT:price=2000") as client:
        yield client


@pytest.fixture
def bybit(venue: Bybit) -> Bybit:
    """The shared venue, without what the test before left."""
    venue.practice("DELETE", "faults")
    venue.post("/v5/order/cancel-all", **LINEAR, settleCoin="USDT")
    for held in venue.get("/v5/position/list", **LINEAR, settleCoin="USDT")["result"]["list"]:
        side = "Sell" if held["side"] == "Buy" else "Buy"
        venue.order(side, held["size"], symbol=held["symbol"], reduceOnly=True)
    venue.practice("POST", "price", symbol="BTCUSDT", last="30000.0", side="Buy")
    return venue


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        (10001, {"X-BAPI-SIGN": ""}),
        (10001, {"X-BAPI-API-KEY": ""}),
        (10003, {"X-BAPI-API-KEY": "practice-of-another"}),
        (10004, {"X-BAPI-SIGN": "0" * 64}),
        (10004, {"X-BAPI-SIGN": "é" * 64}),
        (10004, {"X-BAPI-RECV-WINDOW": "6000"}),
        (10002, {"X-BAPI-TIMESTAMP": "yesterday"}),
        (10002, {"X-BAPI-TIMESTAMP": "0"}),
    ],
)
def test_wrong_credentials(bybit: Bybit, code: int, headers: dict[str, str]) -> None:
    signed = bybit.signed("") | headers
    encoded = {name: value.encode() for name, value in signed.items()}
    answer = bybit.raw("GET", "/v5/account/info", headers=encoded).json()
    assert answer["retCode"] == code, answer
    assert bybit.raw("GET", "/v5/account/info", headers=bybit.signed("")).json()["retCode"] == 0


def test_a_time_outside_the_window(bybit: Bybit) -> None:
    for offset, window, code in (
        (-4_000, "5000", 0), (-6_000, "5000", 10002), (-6_000, "10000", 0), (1_500, "5000", 10002),
    ):  # fmt: skip
        headers = bybit.signed("", offset=offset, window=window)
        assert bybit.raw("GET", "/v5/account/info", headers=headers).json()["retCode"] == code
    bybit.practice("POST", "faults", fault="clock", seconds=30)
    headers = bybit.signed("")
    answer = bybit.raw("GET", "/v5/account/info", headers=headers).json()
    assert (answer["retCode"], "server_timestamp" in answer["retMsg"]) == (10002, True)
    assert abs(int(bybit.public("/v5/market/time")["result"]["timeSecond"]) - time.time() - 30) < 3


def test_a_signature_covers_query_and_body(bybit: Bybit) -> None:
    headers = bybit.signed("category=linear&settleCoin=USDT")
    path = "/v5/position/list?category=linear&settleCoin=USDC"
    assert bybit.raw("GET", path, headers=headers).json()["retCode"] == 10004
    headers = bybit.signed('{"category": "linear"}')
    answer = bybit.raw("POST", "/v5/order/create", content='{"category":"linear"}', headers=headers)
    assert answer.json()["retCode"] == 10004


def test_nobody_else_gets_in(bybit: Bybit) -> None:
    assert bybit.raw("GET", "/v5/market/time", headers={"Host": "evil.example"}).status_code == 403
    web = {"Origin": "http://127.0.0.1:8888"}
    assert bybit.raw("GET", "/v5/market/time", headers=web).status_code == 403
    assert bybit.raw("GET", "/v5/market/none").status_code == 404
    assert bybit.raw("DELETE", "/v5/order/create").status_code == 404
    assert bybit.raw("GET", "/practice/status").status_code == 403
    wrong = {"Authorization": "Bearer guess"}
    assert bybit.raw("POST", "/practice/faults", headers=wrong).status_code == 403


@pytest.mark.parametrize("body", ["", "[]", "null", "{", '{"category": "linear"'])
def test_a_body_that_is_no_object(bybit: Bybit, body: str) -> None:
    headers = bybit.signed(body)
    answer = bybit.raw("POST", "/v5/order/create", content=body, headers=headers).json()
    assert (answer["retCode"], "JSON object" in answer["retMsg"]) == (10001, True)


def test_instruments(bybit: Bybit) -> None:
    found = bybit.public("/v5/market/instruments-info", **LINEAR)["result"]
    assert [each["symbol"] for each in found["list"]] == ["BTCUSDT", "ETHUSDT"]
    bitcoin = found["list"][0]
    assert bitcoin["priceFilter"]["tickSize"] == "0.1"
    assert bitcoin["lotSizeFilter"]["qtyStep"] == "0.001"
    assert (bitcoin["baseCoin"], bitcoin["settleCoin"]) == ("BTC", "USDT")
    for category in ("spot", "inverse", "option"):
        assert (
            bybit.public("/v5/market/instruments-info", category=category)["result"]["list"] == []
        )
    page = bybit.public("/v5/market/instruments-info", **LINEAR, limit=1)["result"]
    rest = bybit.public(
        "/v5/market/instruments-info", **LINEAR, limit=1, cursor=page["nextPageCursor"]
    )["result"]
    assert [each["symbol"] for each in page["list"] + rest["list"]] == ["BTCUSDT", "ETHUSDT"]
    assert rest["nextPageCursor"] == ""
    assert bybit.public("/v5/market/instruments-info", category="futures")["retCode"] == 10001


def test_market_data(bybit: Bybit) -> None:
    bybit.price("30010.0")
    ticker = bybit.public("/v5/market/tickers", **BTC)["result"]["list"][0]
    assert (ticker["lastPrice"], ticker["bid1Price"], ticker["ask1Price"]) == (
        "30010", "30009.9", "30010",
    )  # fmt: skip
    assert len(bybit.public("/v5/market/tickers", **LINEAR)["result"]["list"]) == 2
    book = bybit.public("/v5/market/orderbook", **BTC, limit=5)["result"]
    assert (book["s"], book["b"][0][0], book["a"][0][0]) == ("BTCUSDT", "30009.9", "30010")
    trades = bybit.public("/v5/market/recent-trade", **BTC, limit=2)["result"]["list"]
    assert (len(trades), trades[0]["price"], trades[0]["side"]) == (2, "30010", "Buy")
    assert bybit.public("/v5/market/funding/history", **BTC)["result"]["list"] == []
    assert bybit.public("/v5/market/kline", **BTC, interval="1")["result"]["list"] == []
    assert bybit.public("/v5/market/kline", **BTC, interval="7")["retCode"] == 10001
    assert bybit.public("/v5/market/kline", **LINEAR, symbol="X", interval="1")["retCode"] == 10001
    assert bybit.public("/v5/market/kline", **BTC, interval="1", start="soon")["retCode"] == 10001


def test_an_order_and_what_it_leaves(bybit: Bybit) -> None:
    wallet = bybit.get("/v5/account/wallet-balance", accountType="UNIFIED")["result"]["list"][0]
    answer = bybit.order("Buy", "0.5", orderLinkId="rest-bought")
    assert (answer["retCode"], answer["result"]["orderLinkId"]) == (0, "rest-bought")
    name = answer["result"]["orderId"]
    order = bybit.get("/v5/order/realtime", **BTC, orderId=name)["result"]["list"][0]
    assert (order["orderStatus"], order["avgPrice"], order["cumExecQty"], order["leavesQty"]) == (
        "Filled", "30000", "0.5", "0",
    )  # fmt: skip
    assert (
        order
        == bybit.get("/v5/order/history", **BTC, orderLinkId="rest-bought")["result"]["list"][0]
    )
    fills = bybit.get("/v5/execution/list", **LINEAR, orderId=name)["result"]["list"]
    assert [(each["execPrice"], each["execQty"], each["execFee"]) for each in fills] == [
        ("30000", "0.5", "8.25")
    ]
    position = bybit.get("/v5/position/list", **BTC)["result"]["list"][0]
    assert (position["side"], position["size"], position["avgPrice"]) == ("Buy", "0.5", "30000")
    after = bybit.get("/v5/account/wallet-balance", accountType="UNIFIED")["result"]["list"][0]
    paid = Decimal(wallet["totalWalletBalance"]) - Decimal(after["totalWalletBalance"])
    assert paid == Decimal("8.25")
    assert after["coin"][0]["totalPositionIM"] == "1500"
    flat = bybit.get("/v5/position/list", **LINEAR, symbol="ETHUSDT")["result"]["list"][0]
    assert (flat["side"], flat["size"], flat["avgPrice"]) == ("", "0", "0")
    held = bybit.get("/v5/position/list", **LINEAR, settleCoin="USDT")["result"]["list"]
    assert [each["symbol"] for each in held] == ["BTCUSDT"]
    assert bybit.get("/v5/position/list", **LINEAR, settleCoin="USDC")["result"]["list"] == []


def test_open_orders_by_filter_and_page(bybit: Bybit) -> None:
    names = [bybit.order("Buy", "0.01", f"{29000 + i}")["result"]["orderId"] for i in range(5)]
    stop = bybit.order("Buy", "0.01", triggerPrice="31000", triggerDirection=1)["result"]["orderId"]
    ask = {**LINEAR, "settleCoin": "USDT"}
    found = bybit.get("/v5/order/realtime", **ask)["result"]["list"]
    assert [each["orderId"] for each in found] == [stop, *reversed(names)]
    only = bybit.get("/v5/order/realtime", **ask, orderFilter="StopOrder")["result"]["list"]
    assert [(each["orderId"], each["orderStatus"]) for each in only] == [(stop, "Untriggered")]
    plain = bybit.get("/v5/order/realtime", **ask, orderFilter="Order")["result"]["list"]
    assert len(plain) == 5
    seen, cursor = [], ""
    while True:
        page = bybit.get("/v5/order/realtime", **ask, limit=2, cursor=cursor)["result"]
        seen += [each["orderId"] for each in page["list"]]
        if not (cursor := page["nextPageCursor"]):
            break
    assert seen == [stop, *reversed(names)]
    assert bybit.get("/v5/order/realtime", **LINEAR)["retCode"] == 10001
    assert bybit.get("/v5/order/realtime", **ask, limit="many")["retCode"] == 10001


def test_amend_cancel_and_cancel_all(bybit: Bybit) -> None:
    name = bybit.order("Buy", "0.01", "29000")["result"]["orderId"]
    assert bybit.post("/v5/order/amend", **BTC, orderId=name, price="29100")["retCode"] == 0
    order = bybit.get("/v5/order/realtime", **BTC, orderId=name)["result"]["list"][0]
    assert (order["price"], order["orderStatus"]) == ("29100", "New")
    assert bybit.post("/v5/order/cancel", **BTC, orderId=name)["result"]["orderId"] == name
    assert bybit.post("/v5/order/cancel", **BTC, orderId=name)["retCode"] == 110001
    assert bybit.post("/v5/order/cancel", **BTC, orderId="none")["retCode"] == 110001
    rest = [bybit.order("Buy", "0.01", "29000")["result"]["orderId"] for _ in range(3)]
    answer = bybit.post("/v5/order/cancel-all", **BTC)["result"]
    assert [each["orderId"] for each in answer["list"]] == rest
    history = bybit.get("/v5/order/history", **BTC, limit=4, orderStatus="Cancelled")["result"]
    assert [each["orderId"] for each in history["list"]] == [*reversed(rest), name]
    assert {each["cancelType"] for each in history["list"]} == {"CancelByUser"}


def test_batches_answer_order_by_order(bybit: Bybit) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    asked = [{**good, "price": "29000"}, {**good, "price": "29000.05"}, {**good, "price": "29001"}]
    answer = bybit.post("/v5/order/create-batch", **LINEAR, request=asked)
    assert answer["retCode"] == 0
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 10001, 0]
    names = [each["orderId"] for each in answer["result"]["list"]]
    assert names[1] == ""
    changes = [{"symbol": "BTCUSDT", "orderId": name, "qty": "0.02"} for name in names]
    answer = bybit.post("/v5/order/amend-batch", **LINEAR, request=changes)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 10001, 0]
    answer = bybit.post("/v5/order/cancel-batch", **LINEAR, request=changes)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 10001, 0]
    for wrong in ([], "all", [1], [good] * 21):
        answer = bybit.post("/v5/order/create-batch", **LINEAR, request=wrong)
        assert answer["retCode"] == 10001


def test_settings_of_the_account(bybit: Bybit) -> None:
    rates = bybit.get("/v5/account/fee-rate", **LINEAR)["result"]["list"]
    assert {each["takerFeeRate"] for each in rates} == {"0.00055"}
    assert bybit.get("/v5/user/query-api")["result"]["apiKey"] == bybit.ready.key
    assert bybit.get("/v5/account/info")["result"]["marginMode"] == "REGULAR_MARGIN"
    ether = {**LINEAR, "symbol": "ETHUSDT"}
    lever = bybit.post("/v5/position/set-leverage", **ether, buyLeverage="7", sellLeverage="7")
    assert lever["retCode"] == 0
    again = bybit.post("/v5/position/set-leverage", **ether, buyLeverage="7", sellLeverage="7")
    assert again["retCode"] == 110043
    assert bybit.get("/v5/position/list", **ether)["result"]["list"][0]["leverage"] == "7"
    assert bybit.post("/v5/position/switch-mode", **ether, mode=0)["retCode"] == 110025
    assert bybit.post("/v5/position/switch-mode", **ether, mode=3)["retCode"] == 110029
    mode = bybit.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    assert mode["retCode"] == 110073
    assert bybit.get("/v5/account/wallet-balance", accountType="SPOT")["retCode"] == 10001
    none = bybit.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="BTC")["result"]
    assert none["list"][0]["coin"] == []


def test_executions_by_time_and_page(bybit: Bybit) -> None:
    for _ in range(3):
        bybit.order("Buy", "0.001")
    ask = {**LINEAR, "symbol": "BTCUSDT"}
    first = bybit.get("/v5/execution/list", **ask, limit=2)["result"]
    assert len(first["list"]) == 2
    assert first["nextPageCursor"]
    old = bybit.get("/v5/execution/list", **ask, endTime=int(time.time() * 1000) - 3_600_000)
    assert old["result"]["list"] == []
    wide = bybit.get("/v5/execution/list", **ask, startTime=1, endTime=10**12)
    assert wide["retCode"] == 10001


def test_faults_of_requests(bybit: Bybit) -> None:
    def fault(**asked: Any) -> None:
        bybit.practice("POST", "faults", **asked)

    fault(fault="http", status=502, times=2, path="/v5/market/time")
    codes = [bybit.raw("GET", "/v5/market/time").status_code for _ in range(3)]
    assert codes == [502, 502, 200]
    fault(fault="too_many", seconds=3)
    answer = bybit.raw("GET", "/v5/market/time")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    fault(fault="rate_limit", where="rest", path="order/create")
    assert bybit.public("/v5/market/time")["retCode"] == 0
    assert bybit.order("Buy", "0.001")["retCode"] == 10006
    assert bybit.order("Buy", "0.001")["retCode"] == 0
    fault(fault="slow", where="rest", seconds=0.3)
    began = time.monotonic()
    bybit.public("/v5/market/time")
    assert time.monotonic() - began >= 0.3
    fault(fault="reject", code=110007, times=1)
    assert bybit.order("Buy", "0.001")["retCode"] == 110007
    fault(fault="clock", seconds=-5)
    fault(fault="duplicate", where="public", times=3)
    listed = bybit.practice("GET", "faults")["faults"]
    assert [each["fault"] for each in listed] == ["duplicate", "clock"]
    assert bybit.practice("DELETE", "faults")["faults"] == []


def test_down_and_up_again(bybit: Bybit) -> None:
    bybit.practice("POST", "faults", fault="down", seconds=0.5)
    time.sleep(0.2)
    with pytest.raises(httpx.TransportError):
        bybit.raw("GET", "/v5/market/time")
    for _ in range(100):
        try:
            assert bybit.raw("GET", "/v5/market/time").status_code == 200
            break
        except httpx.TransportError:
            time.sleep(0.05)
    else:
        raise AssertionError("the venue did not come back")


@pytest.mark.parametrize(
    ("verb", "word", "params"),
    [
        ("faults", "Did you mean 'silence'", {"fault": "silent"}),
        ("faults", "no 'second'", {"fault": "silence", "second": 3}),
        ("faults", "no place 'publik'", {"fault": "silence", "where": "publik"}),
        ("faults", "seconds", {"fault": "silence", "seconds": -1}),
        ("faults", "times cannot be", {"fault": "reject", "times": "many"}),
        ("price", "no contract", {"symbol": "BTCUSD", "last": "1"}),
        ("price", "tick size", {"symbol": "BTCUSDT", "last": "30000.05"}),
        ("price", "above 0", {"symbol": "BTCUSDT", "last": "-1"}),
        ("price", "give 'last'", {"symbol": "BTCUSDT"}),
        ("price", "below the ask", {"symbol": "BTCUSDT", "bid": "2", "ask": "1"}),
        ("price", "no 'price'", {"symbol": "BTCUSDT", "price": "2"}),
        ("price", "no side", {"symbol": "BTCUSDT", "last": "2", "side": "Bid"}),
        ("resume", "speed", {"speed": -1}),
        ("step", "count", {"count": 0}),
        ("step", "no 'days'", {"of": "days"}),
    ],
)
def test_wrong_practice_requests(bybit: Bybit, verb: str, word: str, params: dict) -> None:
    token = {"Authorization": f"Bearer {bybit.ready.token}"}
    answer = bybit.raw("POST", f"/practice/{verb}", json=params, headers=token)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_faults_from_the_start() -> None:
    with served("BTCUSDT", faults=["http:status=500,path=/v5/market/time"]) as bybit:
        codes = [bybit.raw("GET", "/v5/market/time").status_code for _ in range(2)]
        assert codes == [500, 200]
