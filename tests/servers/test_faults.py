"""The faults are what they say, as a client sees them."""

import httpx
import pytest
from aiohttp import web

from tests.servers.faults import QUICK, Fault, Faults
from tests.servers.local import LocalServer

BODY = '{"rows": [' + ", ".join(["1234567890"] * 40) + "]}"


async def _answer(request: web.Request) -> web.Response:
    return web.json_response(text=BODY, headers={"X-Page": request.query.get("page", "")})


def application(faults: Faults) -> web.Application:
    app = web.Application(middlewares=[faults.middleware])
    app.router.add_get("/rows", _answer)
    return app


def get(server: LocalServer, page: int = 1) -> httpx.Response:
    return httpx.get(f"{server.url}/rows?page={page}", timeout=0.5)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault.REFUSED, httpx.RemoteProtocolError),
        (Fault.CUT, httpx.RemoteProtocolError),
        (Fault.RESET, httpx.ReadError),
        (Fault.TOO_LONG, httpx.RemoteProtocolError),
        (Fault.HANG, httpx.ReadTimeout),
        (Fault.HANG_WITHIN, httpx.ReadTimeout),
    ],
)
def test_connections_that_break(fault: Fault, seen: type[Exception]) -> None:
    faults = Faults()
    with LocalServer(application(faults)) as server:
        faults.next(fault)
        with pytest.raises(seen):
            get(server)
        assert get(server).text == BODY
    assert faults.made == {fault: 1}


@pytest.mark.parametrize("fault", [Fault.TOO_SHORT, Fault.CUT_UNDECLARED])
def test_bodies_that_are_short_and_look_whole(fault: Fault) -> None:
    faults = Faults()
    with LocalServer(application(faults)) as server:
        faults.next(fault)
        assert get(server).text == BODY[: len(BODY) // 2]


def test_answers_that_are_none() -> None:
    faults = Faults(retry_after=3)
    with LocalServer(application(faults)) as server:
        for fault in (Fault.EMPTY, Fault.PORTAL, Fault.GARBAGE, Fault.TOO_MANY, Fault.BANNED):
            faults.next(fault)
        assert get(server).content == b""
        assert "Hotel" in get(server).text
        assert get(server).content != BODY.encode()
        answers = [get(server) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [429, 418]
        assert answers[0].headers["Retry-After"] == "3"
        for status, fault in ((500, Fault.INTERNAL), (502, Fault.BAD_GATEWAY)):
            faults.next(fault)
            assert get(server).status_code == status
        faults.next(Fault.SLOW)
        assert get(server).text == BODY


def test_script_and_chance() -> None:
    faults = Faults()
    with LocalServer(application(faults)) as server:
        faults.next(Fault.UNAVAILABLE, times=2, path="/rows", after=1)
        faults.next(Fault.INTERNAL, path="/elsewhere")
        assert [get(server).status_code for _ in range(4)] == [200, 503, 503, 200]
        faults.next(Fault.DUPLICATE)
        assert get(server, page=2).text == BODY
        assert server.count("page=2") == 1
        assert server.count("/rows") == 5
    drawn = [[Faults(seed, 0.5).draw("/") for _ in range(50)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    made = [Faults(seed, 0.3).draw("/") for seed in range(400)]
    assert 60 < sum(fault is not None for fault in made) < 180
    assert set(made) - {None} == set(QUICK)
