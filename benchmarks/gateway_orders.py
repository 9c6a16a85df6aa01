"""Placing orders through the gateway: 100 submissions a second on a node in the sandbox.

Market orders of one share are bought and sold by turns, each with an Idempotency-Key of its own:
the intent is on the disk before the order is sent, and the answer is stored before it is given. The
claims: no error, every order filled, 99 of 100 answered within 250 ms.
"""

import asyncio
import json
import sys
import uuid

from benchmarks.gateway_load import Connection, Running, paced, running

RATE = 100
CLAIM_MS = 250.0


def main(seconds: float = 10.0) -> dict[str, object]:
    """Measure; return the figures."""
    risk = {"max_orders": "1000/1s"}
    with running(risk=risk) as run:
        found = asyncio.run(_measured(run, seconds))
    holds = found["errors"] == 0 and found["p99_ms"] < CLAIM_MS
    return {**found, "claim": f"{RATE}/s, p99 < {CLAIM_MS:g} ms", "holds": holds}


async def _measured(run: Running, seconds: float) -> dict[str, object]:
    async def call(connection: Connection, number: int) -> int:
        side = ("BUY", "SELL")[number % 2]
        order = {"instrument": "AAPL.XNAS", "side": side, "quantity": 1}
        body = json.dumps({"node": "ema-cross", "order": order}).encode()
        status, answer = await connection.call("POST", "/orders", body, uuid.uuid4().hex)
        return status if status != 200 or b'"filled"' in answer else -1

    await paced(run, RATE / 5, 1.0, 20, call)  # warm
    return await paced(run, RATE, seconds, 20, call)


if __name__ == "__main__":
    print(json.dumps(main(*map(float, sys.argv[1:]))))
