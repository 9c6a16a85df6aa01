"""``/orders`` and ``/risk``: what a node is told to do, and what it may do."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from workbench import live
from workbench.gateway.gate import (
    Cursor,
    Document,
    Form,
    Gate,
    Limit,
    answers,
    needs,
    note,
    page,
    who,
)
from workbench.gateway.once import Answered
from workbench.gateway.problems import Json
from workbench.gateway.routes.nodes import NodeId

NodeName = Annotated[str, Field(max_length=200, description="A running node")]
OrderId = Annotated[str, Path(max_length=100, description="client_order_id, also of a strategy's")]
Wait = Annotated[float, Field(ge=0, le=10, description="Seconds to wait for the venue's answer")]
WaitQuery = Annotated[float, Query(ge=0, le=10, description="Seconds to wait for the answer")]
Amount = Annotated[Decimal | None, Field(description="A number, or text that says it exactly")]
_WAIT = 1.0


class OrderForm(Form):
    """An order, or several that belong together: ``docs/orders.md`` says what it may say."""

    node: NodeName
    order: dict[str, JsonValue] = Field(
        description="One order, or {contingency, orders}, or {bracket}"
    )
    wait: Wait = _WAIT


class PreviewForm(Form):
    """An order to look at."""

    node: NodeName
    order: dict[str, JsonValue]


class ChangeForm(Form):
    """What is to be different."""

    quantity: Amount = None
    price: Amount = None
    trigger_price: Amount = None
    wait: Wait = _WAIT


class CancelAllForm(Form):
    """Which orders; by default all that are open."""

    node: NodeName
    instrument: str | None = Field(None, max_length=200)
    side: Literal["BUY", "SELL"] | None = None
    strategy: str | None = Field(None, max_length=200)
    wait: Wait = _WAIT


class Placed(BaseModel, extra="allow"):
    """What became of an order."""

    client_order_id: str
    status: str
    reason: str | None


class LimitForm(Form):
    """A limit's new value, as in a study; null removes it."""

    value: JsonValue


class ReasonForm(Form):
    """Why, for the journal."""

    reason: str = Field("on request", max_length=500)


class FlattenForm(ReasonForm):
    """Why, and what then."""

    halt: bool = Field(False, description="And let no order leave after that")
    wait: float = Field(5.0, ge=0, le=30, description="Seconds to wait until nothing is open")


def routes(gate: Gate) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter()
    run, ask, project = gate.rooms.run, gate.rooms.ask, gate.project

    @router.post("/orders", tags=["orders"], dependencies=needs("trade"), responses=answers(Placed))
    async def submit_order(form: OrderForm, request: Request) -> Response:
        """Place an order. Under its client_order_id, or an Idempotency-Key, it is placed once."""
        note(request, node=form.node)

        async def place(key: str | None, again: bool) -> Answered:  # noqa: ARG001
            order = _named(form.order, key)
            placed = await ask(
                form.node, live.orders.submit, order, wait=form.wait, who=who(request)
            )
            note(request, order=placed["client_order_id"], result=placed["status"])
            return 200, placed

        return await gate.once.answer(request, place)

    @router.post(
        "/orders/preview", tags=["orders"], dependencies=needs("read"), responses=answers(Document)
    )
    async def preview_order(form: PreviewForm) -> Response:
        """Say what would be sent and what it would cost; nothing is sent."""
        return Json(await ask(form.node, live.orders.preview, form.order))

    @router.post(
        "/orders/cancel-all",
        tags=["orders"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def cancel_orders(form: CancelAllForm, request: Request) -> Response:
        """Cancel every open order, or those of an instrument, a side or a strategy."""
        note(request, node=form.node)
        wanted = form.model_dump(exclude={"node"})

        async def cancel(_: str | None, again: bool) -> Answered:  # noqa: ARG001
            return 200, await ask(form.node, live.orders.cancel_all, **wanted, who=who(request))

        return await gate.once.answer(request, cancel)

    @router.get("/orders", tags=["orders"], dependencies=needs("read"), responses=answers(Document))
    async def list_orders(
        node: Annotated[str, Query(max_length=200, description="A running node")],
        closed: bool = False,
        instrument: Annotated[str | None, Query(max_length=200)] = None,
        side: Literal["BUY", "SELL"] | None = None,
        strategy: Annotated[str | None, Query(max_length=200)] = None,
        limit: Limit = 200,
        cursor: Cursor = None,
    ) -> Response:
        """List a node's open orders and those that wait for another; closed ones if asked."""
        known = await ask(
            node,
            live.orders.list_,
            closed=closed,
            instrument=instrument,
            side=side,
            strategy=strategy,
        )
        some, following = page(known, lambda each: str(each["client_order_id"]), limit, cursor)
        return Json({"orders": some, "next": following})

    @router.get(
        "/orders/abilities",
        tags=["orders"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def order_abilities(
        node: Annotated[str, Query(max_length=200, description="A running node")],
    ) -> Response:
        """Say what may be ordered of each instrument the node trades."""
        return Json({"instruments": await ask(node, live.orders.abilities)})

    @router.patch(
        "/orders/{node}/{client_order_id}",
        tags=["orders"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def modify_order(
        node: NodeId, client_order_id: OrderId, form: ChangeForm, request: Request
    ) -> Response:
        """Change an open order."""

        async def change(_: str | None, again: bool) -> Answered:  # noqa: ARG001
            return 200, await ask(
                node,
                live.orders.modify,
                client_order_id,
                **form.model_dump(),
                who=who(request),
            )

        return await gate.once.answer(request, change)

    @router.delete(
        "/orders/{node}/{client_order_id}",
        tags=["orders"],
        dependencies=needs("trade"),
        responses=answers(Placed),
    )
    async def cancel_order(
        node: NodeId, client_order_id: OrderId, request: Request, wait: WaitQuery = _WAIT
    ) -> Response:
        """Cancel an order; with a group's id all of its orders."""

        async def cancel(_: str | None, again: bool) -> Answered:  # noqa: ARG001
            return 200, await ask(
                node, live.orders.cancel, client_order_id, wait=wait, who=who(request)
            )

        return await gate.once.answer(request, cancel)

    @router.get(
        "/risk/{node}", tags=["risk"], dependencies=needs("read"), responses=answers(Document)
    )
    async def show_risk(node: NodeId) -> Response:
        """Show who may trade, each limit and how much of it is used, and the alerts."""
        return Json(await ask(node, live.risk.show))

    @router.get(
        "/risk/{node}/alerts",
        tags=["risk"],
        dependencies=needs("read"),
        responses=answers(Document),
    )
    async def list_alerts(node: NodeId, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """List a node's alerts, newest first, and who has seen them."""
        known = (await ask(node, live.risk.show))["alerts"][::-1]
        some, following = page(known, lambda each: str(each["number"]), limit, cursor)
        return Json({"alerts": some, "next": following})

    @router.put(
        "/risk/{node}/limits/{limit}",
        tags=["risk"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def set_limit(
        node: NodeId,
        limit: Annotated[str, Path(max_length=100, description="Such as max_drawdown")],
        form: LimitForm,
        request: Request,
    ) -> Response:
        """Change a limit while the node runs."""
        note(request, value=str(form.value)[:200])  # before it is done: a node may answer too late
        return Json(await ask(node, live.risk.set_limit, limit, form.value, who=who(request)))

    @router.post(
        "/risk/{node}/halt", tags=["risk"], dependencies=needs("trade"), responses=answers(Document)
    )
    async def halt(node: NodeId, form: ReasonForm, request: Request) -> Response:
        """Let no order leave from now on; what rests at the venue stays there."""
        return Json(await ask(node, live.risk.halt, form.reason, who=who(request)))

    @router.post(
        "/risk/{node}/resume",
        tags=["risk"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def resume(node: NodeId, request: Request) -> Response:
        """Let orders leave again."""
        return Json(await ask(node, live.risk.resume, who=who(request)))

    @router.post(
        "/risk/{node}/flatten",
        tags=["risk"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def flatten(node: NodeId, form: FlattenForm, request: Request) -> Response:
        """Cancel every order and close every position; ``open`` is what still is."""
        name = who(request)

        def work(found: live.Node) -> Document:
            live.risk.flatten(found, form.reason, stay_halted=form.halt, who=name)
            left = live.risk.wait_flat(found, form.wait)
            open_ = {"positions": left["positions"], "orders": left["orders"]}
            flat = not (open_["positions"] or open_["orders"])
            return live.risk.show(found) | {"flat": flat, "open": open_}

        return Json(await ask(node, work))

    @router.post(
        "/risk/{node}/alive",
        tags=["risk"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def alive(node: NodeId) -> Response:
        """Tell the dead man's timer that somebody watches."""
        await ask(node, live.risk.alive)
        return Json({"node_id": node, "alive": True})

    @router.post(
        "/risk/{node}/alerts/{number}/acknowledge",
        tags=["risk"],
        dependencies=needs("trade"),
        responses=answers(Document),
    )
    async def acknowledge(
        node: NodeId, number: Annotated[int, Path(ge=1, le=10**9)], request: Request
    ) -> Response:
        """Note that an alert has been seen."""
        return Json(await ask(node, live.risk.acknowledge, number, who=who(request)))

    @router.post(
        "/risk/kill-switch", tags=["risk"], dependencies=needs("trade"), responses=answers(Document)
    )
    async def kill_switch(form: ReasonForm, request: Request) -> Response:
        """Flatten and halt every node; kill those that do not answer."""
        name = who(request)
        ended = await run(live.risk.kill_switch, project, form.reason, who=name)
        note(request, result={node: each["result"] for node, each in ended.items()})
        return Json({"nodes": ended})

    return router


def _named(order: dict[str, Any], key: str | None) -> dict[str, Any]:
    """Return the order with an id made of the call's key, so that the node places it once."""
    if key is None:
        return order
    inner = order.get("bracket")
    entry = inner.get("entry") if isinstance(inner, dict) else None
    if order.get("client_order_id") or (isinstance(entry, dict) and entry.get("client_order_id")):
        return order
    return {**order, "client_order_id": f"K{key}"}
