"""Orders, risk and nodes over the gateway, on a real node in the sandbox."""

import json
import os
import signal
import threading
import time
from contextlib import suppress

import httpx
import pytest

from tests.gateway.conftest import LIVE, audit, serving
from workbench import live
from workbench.client import GatewayError
from workbench.core.errors import InputError
from workbench.gateway.audit import Audit


def test_an_order_is_placed_changed_and_cancelled(served, node, order) -> None:
    with served.client("trade") as client:
        placed = client.orders.submit(node.id, order(type="LIMIT", price="3.5"))
        name = placed["client_order_id"]
        assert placed["status"] == "accepted"
        assert [each["client_order_id"] for each in client.orders.list(node.id)] == [name]
        changed = client.orders.modify(node.id, name, price="3.4")
        assert changed["changed"]
        assert client.orders.cancel(node.id, name)["status"] == "canceled"
        assert list(client.orders.list(node.id)) == []
        filled = client.orders.submit(node.id, order())
        assert filled["status"] == "filled"
        assert client.nodes.status(node.id)["positions"][0]["quantity"] == "10"
    journaled = [entry for entry in node.events() if entry["type"] == "order.intended"]
    assert {entry["who"] for entry in journaled} == {"trade"}, "the journal names the token"


def test_a_bracket_is_previewed_and_cancelled_as_a_whole(served, node, order) -> None:
    bracket = {
        "bracket": {
            "entry": order(type="LIMIT", price="3.5"),
            "take_profit": {"price": "5"},
            "stop_loss": {"trigger_price": "3"},
        }
    }
    with served.client("trade") as client:
        shown = client.orders.preview(node.id, bracket)
        assert [each["waits"] for each in shown["orders"]] == [False, True, True]
        placed = client.orders.submit(node.id, bracket)
        assert len(placed["orders"]) == 3
        client.orders.cancel_all(node.id)
        assert list(client.orders.list(node.id)) == []


def test_a_refused_order_says_every_reason_with_its_path(served, node, order) -> None:
    body = {"node": node.id, "order": order(side="BUYY", quantity="ten")}
    answer = served.call("POST", "/orders", "trade", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert {each["path"] for each in found["errors"]} == {"side", "quantity"}
    assert "Did you mean 'BUY'?" in found["detail"]
    with served.client("trade") as client, pytest.raises(InputError) as caught:
        client.orders.submit(node.id, order(side="BUYY"))
    assert caught.value.issues[0].path == "side"


def test_a_key_places_an_order_once(served, node, order) -> None:
    """Asked for ten times at once and once later it is one order, and one answer."""
    before = len(live.orders.list_(node, closed=True))
    body = {"node": node.id, "order": order(quantity=1)}
    answers = []

    def ask() -> None:
        for _ in range(50):
            answer = served.call(
                "POST", "/orders", "trade", json=body, headers={"Idempotency-Key": "k-1"}
            )
            if answer.status_code != 409:  # the first is under way
                answers.append(answer)
                return
            time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len(answers) == 10
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 9
    assert len(live.orders.list_(node, closed=True)) == before + 1
    other = {"node": node.id, "order": order(quantity=2)}
    clash = served.call("POST", "/orders", "trade", json=other, headers={"Idempotency-Key": "k-1"})
    assert clash.status_code == 422
    assert clash.json()["type"] == "workbench:idempotency"
    # The key is the token's own: another's call is another call.
    mine = served.call("POST", "/orders", "admin", json=body, headers={"Idempotency-Key": "k-1"})
    assert mine.json()["client_order_id"] != answers[0].json()["client_order_id"]


def test_an_answer_lost_with_the_gateway_is_found_again(module_project, node, order) -> None:
    """The gateway is killed after an order; the next one answers the same without a second."""
    with serving(module_project, "--no-dashboard") as first:
        token = first.token("trade")
        body = {"node": node.id, "order": order(quantity=3)}
        headers = {"Idempotency-Key": "lost-1"}
        one = first.call("POST", "/orders", "trade", json=body, headers=headers)
        os.kill(first.process.pid, signal.SIGKILL)
    count = len(live.orders.list_(node, closed=True))
    with serving(module_project, "--no-dashboard") as second:
        second.tokens["trade"] = token
        again = second.call("POST", "/orders", "trade", json=body, headers=headers)
    assert again.json() == one.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(live.orders.list_(node, closed=True)) == count


def test_a_launch_whose_answer_was_lost_is_found_again(module_project) -> None:
    """The gateway is killed while a node starts; asked again, the next one answers with it."""
    body = {
        "study": {"file": "studies/ema-cross.yaml", "over": {"live": LIVE, "trader": "LOST-1"}},
        "name": "lost",
    }
    headers = {"Idempotency-Key": "lost-node"}
    node = live.Node(module_project, "lost")
    with serving(module_project, "--no-dashboard") as first:
        token = first.token("trade")

        def ask() -> None:
            with suppress(httpx.TransportError):
                first.call("POST", "/nodes/launch", "trade", json=body, headers=headers)

        asking = threading.Thread(target=ask)
        asking.start()
        while not (node.folder / "state.json").exists():
            time.sleep(0.005)
        os.kill(first.process.pid, signal.SIGKILL)
        asking.join()
    try:
        with serving(module_project, "--no-dashboard") as second:
            second.tokens["trade"] = token
            again = second.call("POST", "/nodes/launch", "trade", json=body, headers=headers)
            assert again.status_code == 201, again.text
            assert again.json()["pid"] == node.state()["pid"]
            assert "idempotency-replayed" not in again.headers, "the first answer never was"
            third = second.call("POST", "/nodes/launch", "trade", json=body, headers=headers)
            assert third.json() == again.json()
            assert third.headers["idempotency-replayed"] == "true"
        starts = [entry for entry in node.events() if entry["type"] == "lifecycle.starting"]
        assert len(starts) == 1
    finally:
        if node.running:
            node.kill()


def test_risk_is_shown_changed_halted_and_resumed(served, node, order) -> None:
    with served.client("trade") as client:
        assert client.risk.show(node.id)["state"] == "active"
        changed = client.risk.set_limit(node.id, "max_position", {"AAPL.XNAS": 100_000})
        assert int(changed["limits"]["max_position"]["AAPL.XNAS"]) == 100_000
        assert client.risk.set_limit(node.id, "max_position", None)["limits"]["max_position"] == {}
        with pytest.raises(InputError, match="Did you mean 'max_drawdown'"):
            client.risk.set_limit(node.id, "max_drawdow", "5%")
        halted = client.risk.halt(node.id, "lunch")
        assert (halted["state"], halted["reason"]) == ("halted", "lunch")
        denied = client.orders.submit(node.id, order())
        assert denied["status"] == "denied"
        assert client.risk.resume(node.id)["state"] == "active"
        client.risk.alive(node.id)
        flat = client.risk.flatten(node.id, "end of day")
        assert flat["flat"], flat["open"]
    said = [entry for entry in node.events() if entry["type"].startswith("risk.")]
    assert "trade" in {entry.get("who") for entry in said}


def test_the_audit_log_says_who_did_what(served, node, order) -> None:
    body = {"node": node.id, "order": order(quantity=1)}
    placed = served.call("POST", "/orders", "trade", json=body).json()
    served.call("POST", f"/risk/{node.id}/alive", "read")
    entries = audit(served.project)
    mine = [entry for entry in entries if entry.get("order") == placed["client_order_id"]]
    assert [(entry["who"], entry["status"], entry["action"]) for entry in mine] == [
        ("trade", 200, "POST /orders")
    ]
    assert entries[-1]["status"] == 403
    assert entries[-1]["who"] == "read"
    text = (served.project.gateway / "audit.jsonl").read_text()
    assert not any(token in text for token in served.tokens.values())
    assert (served.project.gateway / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    shown = served.call("GET", "/audit?limit=2&who=trade").json()
    assert {entry["who"] for entry in shown["entries"]} == {"trade"}


def test_a_hung_node_holds_up_nobody_else(served, node) -> None:
    """Thirty calls wait for a stopped engine; others are answered as ever, and it is killed."""
    os.kill(node.state()["pid"], signal.SIGSTOP)
    try:
        began, done = time.monotonic(), []

        def ask() -> None:
            answer = served.call("GET", f"/nodes/{node.id}/status", "read")
            done.append((answer.status_code, time.monotonic() - began))

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(30)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        with httpx.Client(headers=served.headers("read"), trust_env=False) as http:
            own = (f"/nodes/{node.id}/events?limit=5", f"/nodes/{node.id}/logs")
            for path in ("/nodes", "/runs", "/studies", "/health", "/whoami", *own):
                asked = time.monotonic()
                assert http.get(f"{served.url}{path}", timeout=5).status_code == 200
                assert time.monotonic() - asked < 2.0, path
        assert not done, "the node answered although it stands still"
    finally:
        os.kill(node.state()["pid"], signal.SIGCONT)
    for thread in threads:
        thread.join(30)
    assert {status for status, _ in done} <= {200, 409, 504}


def test_an_alert_is_listed_and_acknowledged(served, node) -> None:
    """Nobody says that they watch: the dead man's timer raises an alert."""
    with served.client("trade") as client:
        client.risk.set_limit(node.id, "dead_man", "500ms")
        try:
            late = time.monotonic() + 20
            while not (alerts := list(client.risk.alerts(node.id))):
                assert time.monotonic() < late
                time.sleep(0.1)
        finally:
            client.risk.set_limit(node.id, "dead_man", None)
        number = alerts[0]["number"]
        assert alerts[0]["limit"] == "dead_man"
        assert client.risk.acknowledge(node.id, number)["acknowledged"] == "trade"
        assert client.risk.show(node.id)["alerts"][-1]["acknowledged"] == "trade"
        with pytest.raises(InputError):
            client.risk.acknowledge(node.id, 10_000)


def test_a_node_is_launched_once_and_its_faults_have_lines(served) -> None:
    text = (served.project.root / "studies" / "ema-cross.yaml").read_text()
    faulty = text.replace("fast: 10", "fats: 10") + "\nlive: {environment: sandbx}\n"
    body = {"study": {"text": faulty}}
    answer = served.call("POST", "/nodes/launch", "trade", json=body)
    assert answer.status_code == 422
    (fault,) = (each for each in answer.json()["errors"] if each["path"] == "live.environment")
    assert fault["line"] == len(faulty.splitlines())
    assert "Did you mean 'sandbox'?" in fault["message"]
    in_json = '{\n "study": {\n  "content": {\n   "schema": 1,\n   "study": 7\n  }\n }\n}'
    answer = served.call(
        "POST", "/nodes/launch", "trade", content=in_json,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    (fault,) = (each for each in answer.json()["errors"] if each["path"] == "study")
    assert (fault["file"], fault["line"]) == ("request", 5)

    over = {"live": LIVE, "trader": "SECOND-001"}
    with served.client("trade") as client:
        wrong = {"fats": 3}
        with pytest.raises(InputError, match="Did you mean 'fast'"):
            client.nodes.launch("studies/ema-cross.yaml", over=over, params=wrong, name="two")
        started = client.nodes.launch("studies/ema-cross.yaml", over=over, name="two", key="l-1")
        try:
            assert started["state"] == "RUNNING"
            again = client.nodes.launch("studies/ema-cross.yaml", over=over, name="two", key="l-1")
            assert again == started
            with pytest.raises(GatewayError, match="runs already") as caught:
                client.nodes.launch("studies/ema-cross.yaml", over=over, name="two")
            assert caught.value.status == 409
            assert "two" in {each["node_id"] for each in client.nodes.list()}
            assert client.nodes.logs("two", 5)
            assert client.nodes.telemetry("two")["process"]["threads"] > 0
            stopped = client.nodes.stop("two", "enough")
            assert stopped["state"] == "STOPPED"
            with pytest.raises(GatewayError, match="does not run"):
                client.nodes.stop("two")
        finally:
            ended = live.node("two", served.project)
            if ended.running:
                ended.kill()


def test_the_kill_switch_ends_all(served, node, order) -> None:
    live.orders.submit(node, order())
    with served.client("trade") as client:
        ended = client.risk.kill_switch("drill")
        assert ended[node.id]["result"] == "flat"
        assert client.risk.show(node.id)["state"] == "halted"


def test_a_node_that_hangs_is_killed_past_those_who_wait(served, node) -> None:
    os.kill(node.state()["pid"], signal.SIGSTOP)
    waiting = [
        threading.Thread(target=served.call, args=("GET", f"/risk/{node.id}", "read"))
        for _ in range(20)
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.3)
    with served.client("trade") as client:
        began = time.monotonic()
        assert client.nodes.kill(node.id)["state"] == "KILLED"
        assert time.monotonic() - began < 5
    for thread in waiting:
        thread.join(20)


def test_the_audit_log_stays_short_and_is_read_from_its_end(served, node) -> None:
    path = served.project.gateway / "audit.jsonl"
    for value in (
        "9" * 300_000,
        {"AAPL.XNAS": ["x" * 300_000]},
        {str(n): n for n in range(50_000)},
    ):
        body = {"value": value}
        answer = served.call("PUT", f"/risk/{node.id}/limits/max_orders", "trade", json=body)
        assert answer.status_code in (409, 422)  # the node may have been ended before
        entry = audit(served.project)[-1]
        assert (entry["status"], len(entry["value"])) == (answer.status_code, 200)
    assert max(len(line) for line in path.read_bytes().splitlines()) < 10_000
    # Any entry is short, also one of many values; the lines of before are read across blocks.
    log = Audit(served.project)
    log.write("many", result={f"node-{n}": "flat" for n in range(2_000)}, status=200)
    log.close()
    entry = audit(served.project)[-1]
    assert (entry["action"], entry["status"], entry["cut"]) == ("many", 200, True)
    assert entry["result"].startswith('{"node-0": "flat"')
    with path.open("a") as file:
        file.writelines(json.dumps({"action": str(n), "who": "old"}) + "\n" for n in range(9_000))
        file.write(json.dumps({"action": "x" * 200_000, "who": "long"}) + "\n\nhalf of a li")
    found = served.call("GET", "/audit?limit=50&who=old&offset=8950").json()
    assert [entry["action"] for entry in found["entries"]] == [str(49 - n) for n in range(50)]
    assert found["next"] is None
    found = served.call("GET", "/audit?limit=50&offset=1").json()["entries"]
    assert [entry["action"] for entry in found] == [str(8_999 - n) for n in range(50)]
    written = list(Audit(served.project).newest())
    assert [entry["action"] for entry in written[-5:]] == [
        entry["action"] for entry in audit_lines(path)[:5][::-1]
    ]


def audit_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
