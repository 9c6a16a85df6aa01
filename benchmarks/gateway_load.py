"""What the gateway's benchmarks share: a project, a node, a gateway, a client that costs little.

The client speaks just enough HTTP over kept connections that what is measured is the gateway and
not the client, which shares the machine with it.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Running:
    """A gateway that runs, and the node it shows."""

    port: int
    token: str
    node: Any
    pid: int

    @property
    def processor_seconds(self) -> float:
        """What the gateway has used so far."""
        import psutil

        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def running(**study: Any) -> Iterator[Running]:
    """Run a gateway over a project with a node on a paused replay, in the sandbox."""
    sys.path.insert(0, str(ROOT))
    from tests.conftest import make_project
    from tests.live.conftest import live_study
    from workbench import live
    from workbench.gateway import Tokens

    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project")
        _, token = Tokens(project).create("bench", ["admin"])
        node = live.launch(live_study(project, speed=1, **study), project)
        node.ask("pause_feed")
        node.ask("step_feed", rows=2)  # there is a price
        gateway = subprocess.Popen(
            [sys.executable, "-m", "workbench", "gateway", "serve", "--port", "0", "--json"],
            cwd=project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert gateway.stdout is not None
            text = ""
            while not text.endswith("}\n"):
                text += gateway.stdout.readline()
            port = int(json.loads(text)["url"].rpartition(":")[2])
            yield Running(port, token, node, gateway.pid)
        finally:
            gateway.terminate()
            gateway.wait(20)
            if node.running:
                node.kill()


class Connection:
    """One kept HTTP connection."""

    def __init__(self, run: Running) -> None:
        self._run = run
        self._head = f"Host: 127.0.0.1:{run.port}\r\nAuthorization: Bearer {run.token}\r\n"

    async def open(self) -> "Connection":
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._run.port)
        return self

    async def call(
        self, method: str, path: str, body: bytes = b"", key: str = ""
    ) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if key:
            head += f"Idempotency-Key: {key}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        lines = await self._reader.readuntil(b"\r\n\r\n")
        status = int(lines[9:12])
        mark = lines.lower().index(b"content-length: ") + 16
        size = int(lines[mark : lines.index(b"\r", mark)])
        return status, await self._reader.readexactly(size)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def paced(
    run: Running,
    rate: float,
    seconds: float,
    connections: int,
    call: Callable[[Connection, int], Awaitable[int]],
) -> dict[str, Any]:
    """Make `rate` calls a second, each at its time whether or not those before are answered.

    The time of a call counts from when it was due, so that a gateway that stalls is not flattered
    by a client that waits for it.
    """
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    opened = [await Connection(run).open() for _ in range(connections)]
    for each in opened:
        idle.put_nowait(each)
    times: list[float] = []
    wrong: list[int] = []

    async def one(number: int, due: float) -> None:
        connection = await idle.get()
        status = await call(connection, number)
        times.append(time.perf_counter() - due)
        if status != 200:
            wrong.append(status)
        idle.put_nowait(connection)

    cpu, began = run.processor_seconds, time.perf_counter()
    tasks = []
    for number in range(round(rate * seconds)):
        due = began + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    for each in opened:
        each.close()
    times.sort()
    return {
        "calls": len(times),
        "per_second": round(len(times) / took, 1),
        "errors": len(wrong),
        "p50_ms": round(times[len(times) // 2] * 1e3, 1),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 1),
        "worst_ms": round(times[-1] * 1e3, 1),
        "gateway_cores": round((run.processor_seconds - cpu) / took, 2),
        "load_before": round(os.getloadavg()[0], 1),
    }
