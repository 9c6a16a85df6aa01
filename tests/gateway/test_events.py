"""Events over WebSocket and SSE: replay, filters, slow clients, many clients."""

import asyncio
import json
import socket
import time
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.gateway.conftest import audit
from workbench import live
from workbench.client import GatewayError
from workbench.core.journal import Journal
from workbench.gateway.listeners import Hub, Listener
from workbench.gateway.meters import Meters
from workbench.gateway.rooms import Rooms


def listen(served, query="", **options):
    name, _, rest = query.partition("since=")
    value, also, filters = rest.partition("&")
    query = f"{name}since={quote(value)}{also}{filters}" if value else query
    address = f"{served.url.replace('http', 'ws')}/events{query}"
    return connect(address, additional_headers=served.headers("read"), proxy=None, **options)


def numbers(events):
    return [event["seq"] for event in events]


def test_what_there_is_is_replayed_and_what_comes_follows(served, node, order) -> None:
    live.orders.submit(node, order())
    written = list(node.events())
    with listen(served, "?since=0") as line:
        found = [json.loads(line.recv(timeout=10)) for _ in written]
        assert numbers(found) == list(range(1, len(written) + 1))
        assert found == [{"node": node.id, **entry} for entry in written]
        live.orders.submit(node, order(side="SELL"))
        new = list(node.events(len(written)))
        assert len(new) >= 4
        came = [json.loads(line.recv(timeout=10)) for _ in new]
    assert came == [{"node": node.id, **entry} for entry in new]
    half = len(written) // 2
    for since in (half, json.dumps({node.id: half})):
        with listen(served, f"?since={since}") as line:
            assert json.loads(line.recv(timeout=10))["seq"] == half + 1


def test_filters_by_node_and_type(served, node, order) -> None:
    live.orders.submit(node, order(quantity=1))
    wanted = [e for e in node.events() if e["type"].startswith("order.")]
    with served.client("read") as client:
        stream = client.events(0, types=["order"])
        assert numbers(next(stream) for _ in wanted) == numbers(wanted)
        stream.close()
    fills = [entry for entry in wanted if entry["type"] == "order.filled"]
    with listen(served, f"?since=0&type=order.filled&node={node.id}") as line:
        assert numbers(json.loads(line.recv(timeout=10)) for _ in fills) == numbers(fills)
    with listen(served, "?since=0&node=another") as line, pytest.raises(TimeoutError):
        line.recv(timeout=1)


def test_now_begins_with_what_comes(served, node, order) -> None:
    last = max(entry["seq"] for entry in node.events())
    with listen(served) as line:
        live.orders.submit(node, order(quantity=1))
        first = json.loads(line.recv(timeout=10))["seq"]
        assert first > last
        assert json.loads(line.recv(timeout=10))["seq"] == first + 1


def test_an_event_arrives_soon(served, node, order) -> None:
    """From the journal's own time to the client; the bound is a busy machine's."""
    delays = []
    with listen(served, "?type=order.filled") as line:
        time.sleep(0.2)
        for number in range(10):
            live.orders.submit(node, order(side=("BUY", "SELL")[number % 2], quantity=1))
            event = json.loads(line.recv(timeout=10))
            delays.append(time.time() - event["ts"] / 1e9)
    assert sorted(delays)[5] < 0.3


def test_what_makes_no_sense_is_said(served) -> None:
    for since in ("yesterday", "-1", "1.5", '{"a": "b"}', "[1]", "true", "[" * 1_000):
        with pytest.raises(InvalidStatus) as caught:
            listen(served, f"?since={since}").__enter__()
        assert caught.value.response.status_code == 422
        assert json.loads(caught.value.response.body)["errors"][0]["path"] == "query: since"
        answer = served.call("GET", "/events", "read", params={"since": since, "follow": "false"})
        assert answer.status_code == 422
    with served.client("read") as client, pytest.raises(GatewayError, match="since is"):
        next(client.events("yesterday"))


def parsed(text: str) -> list[tuple[str, dict]]:
    """Return id and data of server-sent events."""
    found = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], json.loads(fields["data"])))
    return found


def test_sse_tells_the_same_and_goes_on_where_it_was(served, node) -> None:
    answer = served.call("GET", "/events?since=0&follow=false", "read")
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = parsed(answer.text)
    written = list(node.events())
    assert [data for _, data in found] == [{"node": node.id, **entry} for entry in written]
    at = len(found) // 2
    place = found[at][0]
    again = served.call("GET", "/events?follow=false", "read", headers={"Last-Event-ID": place})
    assert parsed(again.text) == found[at + 1 :]


def test_sse_follows_until_the_client_leaves(served, node, order) -> None:
    with (
        httpx.Client(trust_env=False, timeout=10, headers=served.headers("read")) as http,
        http.stream("GET", f"{served.url}/events?type=order.filled") as answer,
    ):
        lines = answer.iter_lines()
        time.sleep(0.3)
        live.orders.submit(node, order(quantity=1))
        data = next(line for line in lines if line.startswith("data: "))
        assert json.loads(data[6:])["type"] == "order.filled"


def test_pages_of_a_nodes_events(served, node) -> None:
    written = list(node.events())
    with served.client("read") as client:
        assert list(client.nodes.events(node.id))[: len(written)] == [
            {"node": node.id, **entry} for entry in written
        ]
        first = served.call("GET", f"/nodes/{node.id}/events?limit=3", "read").json()
        assert numbers(first["events"]) == [1, 2, 3]
        assert first["next"] == 3
        kinds = {e["type"] for e in client.nodes.events(node.id, types=["lifecycle"])}
        assert kinds == {"lifecycle.starting", "lifecycle.running"}


def test_a_slow_client_is_told_what_it_missed_and_the_others_miss_nothing(served, node) -> None:
    """One client stops reading while 3,000 events of 4 kB come; another reads on."""
    other = served.project.gateway / "nodes" / "flood" / "journal.jsonl"
    other.parent.mkdir()
    address = f"ws://127.0.0.1:{served.port}/events?node=flood"
    small = socket.create_connection(("127.0.0.1", served.port))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    options = {"additional_headers": served.headers("read"), "proxy": None, "max_queue": 1}
    options |= {"compression": None, "ping_interval": None}
    with connect(address, sock=small, **options) as slow, listen(served, "?node=flood") as quick:
        time.sleep(0.5)
        seen = []
        with Journal(other) as journal:
            for batch in range(30):
                for _ in range(100):
                    journal.append("telemetry", {"filler": "x" * 4_000})
                for _ in range(100):
                    event = json.loads(quick.recv(timeout=20))
                    assert "missed" not in event
                    seen.append(event["seq"])
                if batch % 10 == 0:
                    assert served.call("GET", "/health").elapsed.total_seconds() < 2
        assert seen == list(range(1, 3_001))
        told, missed = 0, []
        while told < 3_000:
            event = json.loads(slow.recv(timeout=20))
            if "missed" in event:
                gap = event["missed"]
                assert gap["node"] == "flood"
                assert gap["from"] == told + 1
                missed.append(gap)
                told = gap["to"]
            else:
                assert event["seq"] == told + 1
                told += 1
    assert missed, "it was slow and was told nothing"
    # What it missed can be asked for by its numbers.
    gap = missed[0]
    path = f"/nodes/flood/events?since={gap['from'] - 1}&limit=5"
    again = served.call("GET", path, "read").json()["events"]
    assert numbers(again) == list(range(gap["from"], gap["from"] + 5))
    metrics = served.call("GET", "/metrics", "read").text
    assert "workbench_gateway_events_missed_total" in metrics


def test_many_clients_each_get_every_number(served, node, order) -> None:
    async def run() -> list[list[int]]:
        from websockets.asyncio.client import connect as aconnect

        address = f"ws://127.0.0.1:{served.port}/events?node={node.id}"
        headers = served.headers("read")
        lines = [
            await aconnect(address, additional_headers=headers, proxy=None, compression=None)
            for _ in range(50)
        ]

        async def read(line) -> list[int]:
            found = []
            async for text in line:
                found.append(json.loads(text)["seq"])
                if found[-1] >= last[0]:
                    return found
            return found

        last = [10**9]
        tasks = [asyncio.create_task(read(line)) for line in lines]
        first = max(entry["seq"] for entry in node.events())
        for number in range(10):
            side = ("BUY", "SELL")[number % 2]
            await asyncio.to_thread(live.orders.submit, node, order(side=side, quantity=1))
        last[0] = max(entry["seq"] for entry in node.events()) + 1
        await asyncio.to_thread(live.orders.submit, node, order(quantity=1))
        found = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for line in lines:
            await line.close()
        assert all(each[0] == first + 1 for each in found)
        return found

    for each in asyncio.run(run()):
        assert each == list(range(each[0], each[0] + len(each)))


def test_a_damaged_journal_is_told_and_the_others_go_on(served, node, order) -> None:
    path = served.project.gateway / "nodes" / "damaged" / "journal.jsonl"
    path.parent.mkdir()
    with Journal(path) as journal:
        for _ in range(3):
            journal.append("telemetry", {"a": 1})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"seq":2}\n' + lines[2])
    with listen(served, "?since=0&node=damaged") as line:
        assert json.loads(line.recv(timeout=10))["seq"] == 1
        assert json.loads(line.recv(timeout=10))["type"] == "journal.damaged"
    answer = served.call("GET", "/nodes/damaged/events", "read")
    assert answer.status_code == 502
    assert "journal.jsonl:2" in answer.json()["detail"]
    with listen(served, f"?type=order.filled&node={node.id}") as line:
        time.sleep(0.3)
        live.orders.submit(node, order(quantity=1))
        assert json.loads(line.recv(timeout=10))["type"] == "order.filled"


def test_a_replay_while_events_come_has_no_hole(project) -> None:
    """A listener with a queue of 20 replays 5,000 entries while more are written."""
    path = project.gateway / "nodes" / "one" / "journal.jsonl"
    path.parent.mkdir(parents=True)

    async def run() -> list[int]:
        hub = Hub(project, Rooms(project), Meters(project))
        following = asyncio.create_task(hub.run())
        with Journal(path) as journal:
            for _ in range(5_000):
                journal.append("telemetry", {"a": "x" * 50})
            listener = Listener(0, None, None, 20)
            await hub.join(listener)
            seen: list[int] = []
            async for some in hub.listen(listener):
                for event, text in some:
                    assert event is not None, text
                    seen.append(event["seq"])
                if len(seen) < 4_000:
                    for _ in range(100):
                        journal.append("telemetry", {"b": 1})
                    await asyncio.sleep(0.05)  # they are handed out meanwhile, and overflow
                if seen[-1] == journal.last:
                    break
        following.cancel()
        return seen

    seen = asyncio.run(asyncio.wait_for(run(), 60))
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 5_000


def test_listening_is_not_noted_but_refusals_are(served) -> None:
    served.call("GET", "/nodes", None)
    before = len(audit(served.project))
    with listen(served):
        pass
    assert len(audit(served.project)) == before
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{served.port}/events", proxy=None).__enter__()
    assert audit(served.project)[-1]["action"] == "WEBSOCKET /events"
