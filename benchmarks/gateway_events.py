"""Listening to the gateway: 200 WebSocket clients while a node has 50 events a second.

The events are a node's own: market orders by hand, each of which makes several. Every client checks
that no number is missing; the time is from the event's own timestamp in the journal to its arrival
at the last client to get it. The claims: nobody misses an event, none is told of one missed. Short
by default; ``python -m benchmarks.gateway_events 300`` takes the five minutes of the claim.
"""

import asyncio
import base64
import json
import os
import sys
import time

from benchmarks.gateway_load import Running, running

CLIENTS = 200
EVENTS = 50


class Client:
    """A WebSocket client that reads frames and looks at nothing but what it counts."""

    def __init__(self) -> None:
        self.last = 0
        self.count = 0
        self.wrong: list[str] = []
        self.delays: list[float] = []

    async def open(self, run: Running) -> None:
        """Connect and begin to listen."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", run.port)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /events?since=now HTTP/1.1\r\nHost: 127.0.0.1:{run.port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n"
            f"Authorization: Bearer {run.token}\r\n\r\n"
        )
        self._writer.write(head.encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            first, size = await self._reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self._reader.readexactly(2))
            payload = await self._reader.readexactly(size)
            if first & 0x0F == 0x9:  # a ping wants its pong
                self._writer.write(bytes([0x8A, 0x80 | size]) + bytes(4) + payload)
            elif first & 0x0F == 0x1:
                self._heard(payload)

    def _heard(self, payload: bytes) -> None:
        mark = payload.find(b'"seq":') + 6
        if mark < 6 or payload.startswith(b'{"missed"'):
            self.wrong.append(payload.decode())
            return
        number = int(payload[mark : payload.index(b",", mark)])
        if self.last and number != self.last + 1:
            self.wrong.append(f"{number} after {self.last}")
        self.last = number
        self.count += 1
        if self.count % 10 == 0:
            self.delays.append(time.time() - json.loads(payload)["ts"] / 1e9)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def main(seconds: float = 10.0) -> dict[str, object]:
    """Measure; return the figures."""
    with running(risk={"max_orders": "1000/1s"}) as run:
        return asyncio.run(_measured(run, seconds))


async def _measured(run: Running, seconds: float) -> dict[str, object]:
    clients = [Client() for _ in range(CLIENTS)]
    for each in clients:
        await each.open(run)
    await asyncio.sleep(1.0)
    reading = [asyncio.create_task(each.read()) for each in clients]
    cpu, began = run.processor_seconds, time.perf_counter()
    await asyncio.to_thread(_trade, run, seconds)
    took = time.perf_counter() - began
    newest = max(entry["seq"] for entry in run.node.events())
    late = time.perf_counter() + 10
    while min(each.last for each in clients) < newest and time.perf_counter() < late:
        await asyncio.sleep(0.05)
    cpu = run.processor_seconds - cpu
    for task in reading:
        task.cancel()
    ended = await asyncio.gather(*reading, return_exceptions=True)
    for each in clients:
        each.close()
    behind = sum(each.last < newest for each in clients)
    wrong = sum(len(each.wrong) for each in clients)
    lost = sum(not isinstance(each, asyncio.CancelledError) for each in ended)
    delays = sorted(delay for each in clients for delay in each.delays)
    each_second = clients[0].count / took
    return {
        "clients": CLIENTS,
        "seconds": round(took, 1),
        "events_per_second": round(each_second, 1),
        "messages": sum(each.count for each in clients),
        "missed": wrong + behind + lost,
        "p50_ms": round(delays[len(delays) // 2] * 1e3, 1),
        "p95_ms": round(delays[int(len(delays) * 0.95)] * 1e3, 1),
        "worst_ms": round(delays[-1] * 1e3, 1),
        "gateway_cores": round(cpu / took, 2),
        "load_before": round(os.getloadavg()[0], 1),
        "claim": f"{CLIENTS} clients, {EVENTS} events/s, nothing missed",
        "holds": wrong + behind + lost == 0 and each_second >= EVENTS * 0.95,
    }


def _trade(run: Running, seconds: float) -> None:
    """Have the node make its events, evenly."""
    from workbench import live
    from workbench.core import journal

    path = run.node.folder / "journal.jsonl"
    began, first, number = time.monotonic(), journal.last(path), 0
    while (elapsed := time.monotonic() - began) < seconds:
        if journal.last(path) - first < elapsed * EVENTS:
            side = ("BUY", "SELL")[number % 2]
            order = {"instrument": "AAPL.XNAS", "side": side, "quantity": 1}
            live.orders.submit(run.node, order, wait=0.5)
            number += 1
        else:
            time.sleep(0.002)


if __name__ == "__main__":
    print(json.dumps(main(*map(float, sys.argv[1:]))))
