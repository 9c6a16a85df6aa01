"""The API's own description: as committed, complete, and true (schemathesis)."""

import json
import os
import socket
import threading
from dataclasses import dataclass

import pytest
import schemathesis
import uvicorn
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, settings
from schemathesis import Config
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import ROOT, make_project
from workbench.gateway import Rate, Settings, Tokens, build
from workbench.gateway.app import scopes_of

EXAMPLES = int(os.environ.get("WORKBENCH_FUZZ_EXAMPLES", "6"))  # of each call
WRITE = bool(os.environ.get("WORKBENCH_WRITE_OPENAPI"))  # tests run without such variables
OPEN = {"/health", "/login", "/"}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("openapi") / "project")
    return build(project, Settings(dashboard=False)).openapi()


def test_the_committed_description_is_this_one(document) -> None:
    path = ROOT / "docs" / "openapi.json"
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    if WRITE:
        path.write_text(text)
    assert path.read_text() == text, (
        "the API has changed: WORKBENCH_WRITE_OPENAPI=1 pytest tests/gateway/test_openapi.py"
    )


def test_every_call_needs_a_scope_and_says_so(project, document) -> None:
    app = build(project, Settings(dashboard=False))
    found: list[APIRoute] = app.state.calls
    assert len(found) > 50
    for route in found:
        scopes = scopes_of(route)
        assert (not scopes) == (route.path in OPEN), route.path
        if not route.include_in_schema:
            continue
        for method in route.methods or ():
            call = document["paths"][route.path][method.lower()]
            assert call.get("security", []) == [{"token": [scope]} for scope in scopes]
            assert call["description"], route.path
            assert (
                method in ("GET", "HEAD") or "read" not in scopes or route.path == "/orders/preview"
            )


@dataclass
class Api:
    """Where a gateway is, and the token that opens all of it."""

    url: str
    token: str


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A gateway that answers as fast as a fuzzer asks."""
    project = make_project(tmp_path_factory.mktemp("fuzz") / "project")
    rate = Rate(1e9, 1e9)
    app = build(project, Settings(dashboard=False, changes=rate, orders=rate))
    line = socket.socket()
    line.bind(("127.0.0.1", 0))
    line.listen(128)  # who comes before the server has started waits
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [line]})
    thread.start()
    _, token = Tokens(project).create("fuzz", ["admin"])
    yield Api(f"http://127.0.0.1:{line.getsockname()[1]}", token)
    server.should_exit = True
    thread.join(20)
    line.close()


schema = schemathesis.openapi.from_dict(
    json.loads((ROOT / "docs" / "openapi.json").read_text()), config=Config.from_dict({})
)
CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@schema.exclude(path=["/events"]).exclude(path_regex="^/adapters/.*/check").parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None,
    derandomize=True,
)  # fmt: skip
def test_no_call_breaks_the_gateway(api, case) -> None:
    """Whatever is sent, what comes back is as described, and no server error."""
    case.call_and_validate(
        base_url=api.url,
        headers={"Authorization": f"Bearer {api.token}"},
        checks=CHECKS,
        timeout=30,
    )
