"""Bybit's WebSocket protocol: subscriptions, news of the account, orders, and faults."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.venue.support import Bybit, run, served
from workbench.venue.faults import Faults
from workbench.venue.sockets import Hub


@pytest.fixture(scope="module")
def venue() -> Any:
    with served("BTCUSDT:tick=0.1,step=0.001,price=30000", "ETHUSDT:price=2000") as client:
        yield client


@pytest.fixture
def bybit(venue: Bybit) -> Bybit:
    """The shared venue, without what the test before left."""
    venue.practice("DELETE", "faults")
    venue.post("/v5/order/cancel-all", category="linear", settleCoin="USDT")
    venue.practice("POST", "price", symbol="BTCUSDT", last="30000.0", side="Buy")
    return venue


async def price(bybit: Bybit, last: str) -> None:
    await asyncio.to_thread(bybit.price, last)


async def order(bybit: Bybit, *args: Any, **more: Any) -> Any:
    return await asyncio.to_thread(lambda: bybit.order(*args, **more))


async def fault(bybit: Bybit, **asked: Any) -> None:
    await asyncio.to_thread(lambda: bybit.practice("POST", "faults", **asked))


def test_public_topics(bybit: Bybit) -> None:
    async def work() -> None:
        topics = ("orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT")
        async with bybit.socket("public", *topics) as socket:
            first = [await socket.get(), await socket.get()]  # the present state, at once
            assert [each["topic"] for each in first] == [topics[0], topics[2]]
            assert first[0]["data"]["b"][0][0] == "29999.9"
            assert first[1]["data"]["lastPrice"] == "30000"
            await price(bybit, "30010.0")
            then = {each["topic"]: each for each in [await socket.get() for _ in range(3)]}
            assert then[topics[1]]["data"][0]["p"] == "30010"
            assert then[topics[0]]["data"]["a"][0][0] == "30010"
            assert then[topics[2]]["data"]["ask1Price"] == "30010"
            assert abs(then[topics[0]]["ts"] / 1000 - time.time()) < 5
            await socket.send(op="unsubscribe", args=list(topics), req_id="u")
            assert (await socket.get())["op"] == "unsubscribe"
            await price(bybit, "30020.0")
            assert await socket.quiet()

    run(work())


def test_what_does_not_change_is_repeated(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("public", "orderbook.1.BTCUSDT") as socket:
            first = await socket.get()
            again = await socket.get(6)
            assert again["data"] == first["data"]
            assert 2_500 < again["ts"] - first["ts"] < 5_500

    run(work())


@pytest.mark.parametrize(
    ("topic", "word"),
    [
        ("orderbook.7.BTCUSDT", "handler not found"),
        ("trades.BTCUSDT", "handler not found"),
        ("tickers.XRPUSDT", "invalid symbol"),
        ("kline.1.BTCUSDT", "no bars of this length"),
        ("order", "handler not found"),
    ],
)
def test_a_wrong_topic_is_told(bybit: Bybit, topic: str, word: str) -> None:
    async def work() -> None:
        async with bybit.socket("public") as socket:
            await socket.send(op="subscribe", args=[topic], req_id="x")
            told = await socket.get()
            assert (told["success"], told["op"], told["req_id"]) == (False, "subscribe", "x")
            assert word in told["ret_msg"]
            assert topic in told["ret_msg"]

    run(work())


def test_what_is_no_request_is_told(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("public", "tickers.BTCUSDT") as socket:
            await socket.get()
            await socket.send(op="ping", req_id="p")
            told = await socket.get()
            assert (told["op"], told["ret_msg"], told["success"]) == ("ping", "pong", True)
            for sent in ("{", "[]", '"ping"', '{"op": "shout"}', '{"op": "subscribe", "args": 3}'):
                await socket.connection.send_str(sent)
                assert (await socket.get())["success"] is False
            await socket.send(op="subscribe", args=["tickers.BTCUSDT"])
            assert "already subscribed" in (await socket.get())["ret_msg"]

    run(work())


def test_private_sockets_ask_who_is_there(bybit: Bybit) -> None:
    key, expires, signature = bybit.login()
    past = bybit.login(-1_000)
    wrong = (
        ("practice-x", expires, signature), (key, expires, "0" * 64), (key, expires + 1, signature),
        past, (key, expires), "me",
    )  # fmt: skip

    async def work() -> None:
        address = f"{bybit.ready.websocket}/v5"
        async with aiohttp.ClientSession() as session:
            for path in ("private", "trade"):
                async with session.ws_connect(f"{address}/{path}") as socket:
                    await socket.send_json({"op": "subscribe", "args": ["order"]})
                    told = await socket.receive_json()
                    assert told.get("retCode", 1) or told["success"] is False
                    for args in wrong:
                        await socket.send_json({"op": "auth", "args": args})
                        told = await socket.receive_json()
                        assert (told["op"], told.get("success", False)) == ("auth", False)
                        assert told["retCode"] in (10001, 10003, 10004)
                    await socket.send_json({"op": "ping"})
                    assert (await socket.receive_json())["op"] == "pong"
                    await socket.send_json({"op": "auth", "args": [key, expires, signature]})
                    told = await socket.receive_json()
                    assert told.get("success") or told["retCode"] == 0

    run(work())


def test_news_of_an_order(bybit: Bybit) -> None:
    async def work() -> None:
        topics = ("order", "execution", "position", "wallet", "execution.fast")
        async with bybit.socket("private", *topics) as socket:
            made = await order(bybit, "Buy", "0.1", "29950.0", orderLinkId="ws-limit")
            told = await socket.get()
            assert (told["topic"], told["data"][0]["orderStatus"]) == ("order", "New")
            assert told["data"][0]["orderId"] == made["result"]["orderId"]
            assert (await socket.get())["topic"] == "wallet"
            await price(bybit, "29940.0")
            news = [await socket.get() for _ in range(5)]
            assert [each["topic"] for each in news] == [
                "order", "execution", "execution.fast", "position", "wallet",
            ]  # fmt: skip
            by_topic = {each["topic"]: each["data"][0] for each in news}
            assert by_topic["order"]["orderStatus"] == "Filled"
            fill = by_topic["execution"]
            assert (fill["execPrice"], fill["isMaker"], fill["leavesQty"]) == ("29950", True, "0")
            assert by_topic["execution.fast"]["execId"] == fill["execId"]
            assert by_topic["position"]["entryPrice"] == "29950"
            assert by_topic["wallet"]["coin"][0]["coin"] == "USDT"

    run(work())


def test_commands_of_the_trade_socket(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("trade") as trade, bybit.socket("private", "order") as private:
            made = await trade.command(
                "order.create", side="Sell", orderType="Limit", qty="0.1", price="31000"
            )
            assert (made["op"], made["retCode"]) == ("order.create", 0)
            assert made["reqId"].startswith("r-")
            name = made["data"]["orderId"]
            assert (await private.get())["data"][0]["orderId"] == name
            changed = await trade.command("order.amend", orderId=name, qty="0.2")
            assert changed["retCode"] == 0
            assert (await private.get())["data"][0]["qty"] == "0.2"
            gone = await trade.command("order.cancel", orderId=name)
            assert gone["data"]["orderId"] == name
            assert (await private.get())["data"][0]["orderStatus"] == "Cancelled"
            for op, code, params in (
                ("order.cancel", 110001, {"orderId": name}),
                ("order.create", 10001, {"side": "Buy"}),
                ("order.place", 10404, {}),
            ):
                told = await trade.command(op, **params)
                assert (told["retCode"], told["op"]) == (code, op)
            await trade.send(op="order.create", args=[{}])
            assert (await trade.get())["retCode"] == 10001  # no time stamp
            late = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000) - 9_000)}
            await trade.send(op="order.create", header=late, args=[{}])
            assert (await trade.get())["retCode"] == 10002
            both = [{"symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.001"}] * 2
            told = await trade.command("order.create-batch", request=both)
            assert [each["code"] for each in told["retExtInfo"]["list"]] == [0, 0]
            await trade.send(op="auth", args=bybit.login())
            assert (await trade.get())["retCode"] == 20001

    run(work())


def test_fills_are_told_before_what_they_left_over(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("private", "order", "execution") as socket:
            await fault(bybit, fault="partial", share=0.4)
            await order(bybit, "Buy", "0.1")
            news = [await socket.get(), await socket.get()]
            assert [each["topic"] for each in news] == ["execution", "order"]
            assert news[0]["data"][0]["execQty"] == "0.04"
            assert news[1]["data"][0]["orderStatus"] == "Cancelled"
            assert news[1]["data"][0]["cumExecQty"] == "0.04"

    run(work())


def test_duplicate_and_out_of_order_messages(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("private", "order", "execution") as socket:
            await fault(bybit, fault="duplicate", where="private", times=2)
            await order(bybit, "Buy", "0.01")
            news = [await socket.get() for _ in range(4)]
            assert [each["topic"] for each in news] == ["order", "order", "execution", "execution"]
            assert news[2] == news[3]
            await fault(bybit, fault="reorder", where="private")
            await order(bybit, "Buy", "0.01")
            assert [(await socket.get())["topic"] for _ in range(2)] == ["execution", "order"]
            await fault(bybit, fault="reorder", where="private")
            await order(bybit, "Sell", "0.01", "32000")  # one message, with none to overtake it
            assert (await socket.get())["data"][0]["orderStatus"] == "New"

    run(work())


def test_silence_holds_back_and_loses_nothing(bybit: Bybit) -> None:
    async def work() -> None:
        async with (
            bybit.socket("public", "publicTrade.BTCUSDT") as public,
            bybit.socket("private", "order") as private,
        ):
            await fault(bybit, fault="silence", where="public", seconds=0.8)
            for last in ("30001.0", "30002.0"):
                await price(bybit, last)
            await order(bybit, "Buy", "0.01")
            assert (await private.get())["topic"] == "order"
            assert await public.quiet(0.2)
            said = [(await public.get())["data"][0]["p"] for _ in range(2)]
            assert said == ["30001", "30002"]

    run(work())


def test_dropped_sockets(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("public") as public, bybit.socket("private") as private:
            await fault(bybit, fault="drop", where="public")
            message = await public.connection.receive(timeout=3)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            await private.send(op="ping")
            assert (await private.get())["op"] == "pong"
        async with bybit.socket("public", "tickers.BTCUSDT") as again:
            assert (await again.get())["topic"] == "tickers.BTCUSDT"

    run(work())


def test_slow_and_limited_commands(bybit: Bybit) -> None:
    async def work() -> None:
        async with bybit.socket("trade") as trade, bybit.socket("private", "order") as private:
            await fault(bybit, fault="slow", where="trade", seconds=0.4)
            began = time.monotonic()
            header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
            args = [{"category": "linear", "symbol": "BTCUSDT", "side": "Buy",
                     "orderType": "Market", "qty": "0.01"}]  # fmt: skip
            await trade.send(op="order.create", header=header, args=args)
            assert (await private.get())["data"][0]["orderStatus"] == "Filled"  # it is done
            assert time.monotonic() - began < 0.3
            assert (await trade.get())["retCode"] == 0  # and acknowledged later
            assert time.monotonic() - began >= 0.4
            await fault(bybit, fault="rate_limit", where="trade")
            told = await trade.command("order.create", side="Buy", orderType="Market", qty="0.01")
            assert told["retCode"] == 10006
            assert await private.quiet()

    run(work())


def test_a_client_that_does_not_read_is_dropped_and_no_other() -> None:
    hub = Hub(Faults())
    handshake = (
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = hub.join("public", socket, request.transport)
        hub.subscribe(connection, ["news"])
        writer = asyncio.create_task(connection.write())
        await socket.receive()
        hub.leave(connection)
        writer.cancel()
        return socket

    async def work() -> None:
        app = web.Application()
        app.router.add_get("/", serve)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        deaf, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(handshake.encode())
        got = 0
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/") as reader,
        ):
            while hub.counts()["public"] < 2:
                await asyncio.sleep(0.01)
            while hub.counts()["public"] == 2:
                for _ in range(100):
                    hub.publish("news", lambda: {"said": "x" * 2_000})
                for _ in range(100):
                    await reader.receive()
                    got += 1
                assert got < 200_000
            hub.publish("news", lambda: {"said": "after"})
            assert "after" in (await reader.receive(timeout=5)).data
        writer.close()
        del deaf
        await runner.cleanup()

    run(work())
