"""Reading through the gateway: 500 requests a second, on the machine that also runs the node.

The requests go round: the node's status (asked of the engine), the nodes, the runs, a stored
study's history, the risk limits, the events. Each is due at its time; a wait for a free connection
counts. The claims: no error, and 99 of 100 answered within 100 ms.
"""

import asyncio
import json
import sys

from benchmarks.gateway_load import Connection, Running, paced, running

RATE = 500
CLAIM_MS = 100.0
PATHS = (
    "/nodes/ema-cross/status",
    "/nodes",
    "/runs?limit=20",
    "/studies/ema-cross/history",
    "/risk/ema-cross",
    "/nodes/ema-cross/events?limit=20",
)


def main(seconds: float = 10.0) -> dict[str, object]:
    """Measure; return the figures."""
    with running() as run:
        found = asyncio.run(_measured(run, seconds))
    holds = found["errors"] == 0 and found["p99_ms"] < CLAIM_MS
    return {**found, "claim": f"{RATE}/s, p99 < {CLAIM_MS:g} ms", "holds": holds}


async def _measured(run: Running, seconds: float) -> dict[str, object]:
    connection = await Connection(run).open()
    body = json.dumps({"study": {"file": "studies/ema-cross.yaml"}}).encode()
    assert (await connection.call("POST", "/studies", body))[0] == 201
    assert (await connection.call("POST", "/backtests", body))[0] == 202
    while b'"running"' in (await connection.call("GET", "/jobs"))[1]:
        await asyncio.sleep(0.2)
    connection.close()

    async def call(connection: Connection, number: int) -> int:
        return (await connection.call("GET", PATHS[number % len(PATHS)]))[0]

    await paced(run, RATE / 5, 1.0, 50, call)  # warm
    return await paced(run, RATE, seconds, 50, call)


if __name__ == "__main__":
    print(json.dumps(main(*map(float, sys.argv[1:]))))
