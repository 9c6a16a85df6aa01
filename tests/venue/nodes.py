"""Driving a live node (`node.py`) from a test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workbench.venue import Ready


class Node:
    """A live node on a practice venue, and everything it said."""

    def __init__(self, ready: Ready, instrument: str, output: Path, **more: Any) -> None:
        self.log = output
        self.said: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._number = 0
        with output.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("node.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # The engine looks for keys in variables of its own.
                env={name: value for name, value in os.environ.items() if "BYBIT" not in name},
            )
        self._tell(
            {
                "url": ready.url, "websocket": ready.websocket, "key": ready.key,
                "secret": ready.secret, "instrument": instrument, **more,
            }
        )  # fmt: skip
        self._heard = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait("running", timeout=40)

    def ask(self, do: str, **more: Any) -> Any:
        """Let the strategy do something; return what it says to that."""
        self._number += 1
        number = self._number
        self._tell({"id": number, "do": do, **more})
        done = self.wait(("done", "failed"), lambda each: each["id"] == number)
        assert done["what"] == "done", done
        return done["result"]

    def submit(self, side: str, quantity: str, **more: Any) -> str:
        """Submit an order; return its client order id."""
        name: str = self.ask("submit", side=side, quantity=quantity, **more)
        return name

    def event(self, order: str, event: str, timeout: float = 15) -> dict[str, Any]:
        """Wait for an event of an order."""
        return self.wait(
            "order", lambda each: (each["order"], each["event"]) == (order, event), timeout
        )

    def events(self, order: str) -> list[str]:
        """Return the events of an order so far."""
        return [each["event"] for each in self.said if each.get("order") == order]

    def wait(
        self,
        what: str | tuple[str, ...],
        which: Callable[[dict[str, Any]], bool] = lambda _: True,
        timeout: float = 15,
    ) -> dict[str, Any]:
        """Wait until something was said."""
        whats = (what,) if isinstance(what, str) else what
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for each in self.said:
                    if each["what"] in whats and which(each):
                        return each
                left = deadline - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    raise AssertionError(
                        f"no {what} within {timeout} s; last: {self.said[-5:]}\n"
                        f"{self.log.read_text()[-3000:]}"
                    )

    def until(self, true: Callable[[Any], bool], timeout: float = 15) -> Any:
        """Wait until the node's picture of itself is as told; return it."""
        deadline = time.monotonic() + timeout
        while not true(picture := self.ask("picture")):
            assert time.monotonic() < deadline, picture
            time.sleep(0.05)
        return picture

    def kill(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Let it end in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.process.poll() is None:
            self.stop()
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._heard.wait(5)
        self.process.stdin.close()
        self.process.stdout.close()

    def _tell(self, document: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(document) + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                # The engine's log shares the stream.
                if line.startswith("{"):
                    self.said.append(json.loads(line))
                else:
                    with self.log.open("a") as log:
                        log.write(line)
                self._news.notify_all()
        self._heard.set()
