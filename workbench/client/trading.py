"""Nodes, orders, risk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workbench.client.noun import Noun, Number, Values
from workbench.client.transport import Document, StudyLike, quoted, study

_LAUNCH_SECONDS = 120.0


class Nodes(Noun):
    """Live nodes."""

    def launch(
        self,
        of: StudyLike,
        *,
        over: Values | None = None,
        params: Values | None = None,
        name: str | None = None,
        key: str | None = None,
    ) -> Document:
        """Launch a node, once; return it once it runs."""
        content = {"study": study(of, over, params), "name": name}
        return self._post("/nodes/launch", content, once=True, key=key, timeout=_LAUNCH_SECONDS)

    def flip(
        self,
        run_id: str,
        live: Values | str | None = None,
        *,
        check: bool = False,
        confirm: str | None = None,
        name: str | None = None,
    ) -> Document:
        """Take a finished run live; with `check` only look at the gates."""
        content = {
            "run_id": run_id, "live": live, "check": check, "confirm": confirm, "name": name,
        }  # fmt: skip
        return self._post("/nodes/flip", content, once=not check, timeout=_LAUNCH_SECONDS)

    def rehearse(self, run_id: str, *, seconds: float = 20.0) -> Document:
        """Let a finished run trade on a practice venue of its own for a while; return the job."""
        return self._post("/nodes/rehearse", {"run_id": run_id, "seconds": seconds}, once=True)

    def list(self) -> Iterator[Document]:
        """Yield the nodes, running or not."""
        return self._transport.pages("/nodes", "nodes")

    def status(self, node: str) -> Document:
        """Return a node's state, equity, positions, orders, feeds."""
        return self._get(f"/nodes/{quoted(node)}/status")

    def telemetry(self, node: str) -> Document:
        """Return a running node's measurements."""
        return self._get(f"/nodes/{quoted(node)}/telemetry")

    def logs(self, node: str, lines: int = 50) -> Document:
        """Return the last lines of a node's logs, by file."""
        found: Document = self._get(f"/nodes/{quoted(node)}/logs", lines=lines)["logs"]
        return found

    def events(self, node: str, since: int = 0, *, types: Sequence[str] = ()) -> Iterator[Document]:
        """Yield the events a node has had after a number; `Client.events` goes on."""
        query = {"limit": 500, "type": list(types) or None, "since": since}
        return self._transport.pages(
            f"/nodes/{quoted(node)}/events", "events", query, cursor="since"
        )

    def parity(self, node: str, run_id: str) -> Document:
        """Compare a node's decisions on a replay with those of a backtest."""
        return self._get(f"/nodes/{quoted(node)}/parity", run_id=run_id)

    def stop(self, node: str, reason: str | None = None) -> Document:
        """Stop a node in order; open orders and positions stay."""
        return self._post(f"/nodes/{quoted(node)}/stop", {"reason": reason}, timeout=60)

    def kill(self, node: str) -> Document:
        """End a node at once, also one that hangs."""
        return self._post(f"/nodes/{quoted(node)}/kill", {})


class Orders(Noun):
    """Orders by hand; ``docs/orders.md`` says what an order may say."""

    def submit(
        self, node: str, order: Values, *, wait: float = 1.0, key: str | None = None
    ) -> Document:
        """Place an order, or several that belong together, once."""
        content = {"node": node, "order": dict(order), "wait": wait}
        return self._post("/orders", content, once=True, key=key)

    def preview(self, node: str, order: Values) -> Document:
        """Return what would be sent and what it would cost; nothing is sent."""
        return self._post("/orders/preview", {"node": node, "order": dict(order)})

    def modify(
        self,
        node: str,
        client_order_id: str,
        *,
        quantity: Number | None = None,
        price: Number | None = None,
        trigger_price: Number | None = None,
        wait: float = 1.0,
    ) -> Document:
        """Change an open order."""
        wanted = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
        content = {key: None if value is None else str(value) for key, value in wanted.items()}
        path = f"/orders/{quoted(node)}/{quoted(client_order_id)}"
        return self._call("PATCH", path, content | {"wait": wait}, once=True)

    def cancel(self, node: str, client_order_id: str, *, wait: float = 1.0) -> Document:
        """Cancel an order; with a group's id all of its orders."""
        path = f"/orders/{quoted(node)}/{quoted(client_order_id)}"
        return self._call("DELETE", path, query={"wait": wait}, once=True)

    def cancel_all(
        self,
        node: str,
        *,
        instrument: str | None = None,
        side: str | None = None,
        strategy: str | None = None,
    ) -> Document:
        """Cancel every open order, or those of an instrument, a side or a strategy."""
        content = {"node": node, "instrument": instrument, "side": side, "strategy": strategy}
        return self._post("/orders/cancel-all", content, once=True)

    def list(self, node: str, *, closed: bool = False) -> Iterator[Document]:
        """Yield the open orders; with `closed` also the others."""
        query = {"node": node, "closed": closed, "limit": 500}
        return self._transport.pages("/orders", "orders", query)

    def abilities(self, node: str) -> Sequence[Document]:
        """Return what may be ordered of each instrument the node trades."""
        found: Sequence[Document] = self._get("/orders/abilities", node=node)["instruments"]
        return found


class Risk(Noun):
    """Limits, halts, alerts, the kill switch."""

    def show(self, node: str) -> Document:
        """Return who may trade, the limits and their use, the alerts."""
        return self._get(f"/risk/{quoted(node)}")

    def set_limit(self, node: str, limit: str, value: Any) -> Document:
        """Change a limit, as a study writes it; None removes it."""
        path = f"/risk/{quoted(node)}/limits/{quoted(limit)}"
        return self._call("PUT", path, {"value": value}, whole=True)

    def halt(self, node: str, reason: str | None = None) -> Document:
        """Let no order leave."""
        return self._post(f"/risk/{quoted(node)}/halt", {"reason": reason})

    def resume(self, node: str) -> Document:
        """Let orders leave again."""
        return self._post(f"/risk/{quoted(node)}/resume", {})

    def flatten(
        self, node: str, reason: str | None = None, *, halt: bool = False, wait: float = 5.0
    ) -> Document:
        """Cancel every order and close every position; ``open`` is what still is."""
        content = {"reason": reason, "halt": halt, "wait": wait}
        return self._post(f"/risk/{quoted(node)}/flatten", content, timeout=wait + 30)

    def alive(self, node: str) -> None:
        """Tell the dead man's timer that somebody watches."""
        self._post(f"/risk/{quoted(node)}/alive", {})

    def alerts(self, node: str) -> Iterator[Document]:
        """Yield a node's alerts, newest first."""
        return self._transport.pages(f"/risk/{quoted(node)}/alerts", "alerts")

    def acknowledge(self, node: str, number: int) -> Document:
        """Note that an alert has been seen."""
        return self._post(f"/risk/{quoted(node)}/alerts/{quoted(number)}/acknowledge", {})

    def kill_switch(self, reason: str | None = None) -> Document:
        """Flatten and halt every node; kill those that do not answer."""
        found: Document = self._post("/risk/kill-switch", {"reason": reason})["nodes"]
        return found
