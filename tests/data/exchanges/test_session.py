"""Asking a service: what is tried again, how long is waited, what the errors say."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from workbench.core.errors import Cancelled, DataError, InputError
from workbench.data.exchanges import session as module
from workbench.data.exchanges.service import Limit, Refused, Service, TooMany, Trouble, parsed
from workbench.data.exchanges.session import Session

BODY = {"rows": list(range(200)), "exact": 0.1}


def decode(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    answer = parsed(body)
    if status == 400:
        raise Refused(answer["why"], "17")
    return answer


class Place:
    """A server with faults, and the service it is."""

    def __init__(self, server: LocalServer, faults: Faults) -> None:
        self.server, self.faults = server, faults
        self.service = Service("here", "WORKBENCH_URL_HERE", "https://x.invalid", FREE, decode)

    def ask(self, path: str = "/rows", **options: Any) -> Any:
        with Session(**options) as session:
            return session.run(session.get(self.service, path, {}, lambda content: content))


FREE = Limit(10**6, 1.0)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    async def rows(request: web.Request) -> web.Response:
        return web.json_response(BODY)

    async def no(request: web.Request) -> web.Response:
        return web.json_response({"why": "there is no such symbol"}, status=400)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://login.invalid/")

    async def country(request: web.Request) -> web.Response:
        return web.json_response({"msg": "restricted location"}, status=451)

    faults = Faults(retry_after=1)
    app = web.Application(middlewares=[faults.middleware])
    for path, handler in (("/rows", rows), ("/no", no), ("/away", away), ("/451", country)):
        app.router.add_get(path, handler)
    with LocalServer(app) as server:
        monkeypatch.setenv("WORKBENCH_URL_HERE", server.url + "/")
        yield Place(server, faults)


def test_an_answer(place: Place) -> None:
    answer = place.ask()
    assert answer.content["rows"] == BODY["rows"]
    assert str(answer.content["exact"]) == "0.1"  # not a float
    assert abs(answer.moment / 1e9 - time.time()) < 5


@pytest.mark.parametrize(
    "fault",
    [
        Fault.INTERNAL, Fault.BAD_GATEWAY, Fault.UNAVAILABLE, Fault.CUT, Fault.RESET,
        Fault.REFUSED, Fault.CUT_UNDECLARED, Fault.TOO_LONG, Fault.TOO_SHORT, Fault.EMPTY,
        Fault.GARBAGE, Fault.PORTAL,
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again_and_what_does_not_is_named(
    place: Place, fault: Fault
) -> None:
    place.faults.next(fault, times=2)
    assert place.ask().content["rows"] == BODY["rows"]
    assert place.server.count() == 3
    place.faults.next(fault, times=module.ATTEMPTS)
    with pytest.raises(DataError) as error:
        place.ask()
    message = str(error.value)
    assert message.startswith(f"here: GET {place.server.url}/rows: ")
    assert message.endswith(f"(tried {module.ATTEMPTS} times)")
    assert place.server.count() == 3 + module.ATTEMPTS
    says = {
        Fault.PORTAL: "a web page instead of data",
        Fault.EMPTY: "an empty answer",
        Fault.GARBAGE: "no JSON",
        Fault.CUT_UNDECLARED: "no JSON",
        Fault.BAD_GATEWAY: "502 Bad Gateway",
    }
    assert says.get(fault, "") in message


def test_slow_answers_are_waited_for(place: Place) -> None:
    place.faults.next(Fault.SLOW)
    assert place.ask().content["rows"] == BODY["rows"]
    assert place.server.count() == 1


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.HANG_WITHIN])
def test_a_server_that_hangs_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT", 0.2)
    place.faults.next(fault)
    assert place.ask().content["rows"] == BODY["rows"]
    place.faults.next(fault, times=module.ATTEMPTS)
    with pytest.raises(DataError, match=r"no whole answer within 0\.2 s \(tried 5 times\)"):
        place.ask()


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.BANNED])
def test_it_waits_as_long_as_it_is_told(place: Place, fault: Fault) -> None:
    place.faults.next(fault, times=2)
    said: set[str] = set()
    before = time.monotonic()
    assert place.ask(report=said.add).content["rows"] == BODY["rows"]
    assert 2.0 <= time.monotonic() - before < 4
    assert place.server.count() == 3
    assert any(text.startswith("waiting 1 s: here: 4") for text in said)


def test_dates_and_missing_hints_of_how_long(place: Place) -> None:
    place.faults.retry_after = None
    place.faults.next(Fault.TOO_MANY, times=3)
    place.ask()
    assert place.server.count() == 4
    place.faults.retry_after = "Thu, 01 Jan 2015 00:00:00 GMT"  # gone by
    place.faults.next(Fault.TOO_MANY)
    place.ask()
    place.faults.retry_after = 7200
    place.faults.next(Fault.TOO_MANY)
    with pytest.raises(DataError, match="429 Too Many Requests: it asks to wait 7,200 s"):
        place.ask()
    place.faults.retry_after = 0
    place.faults.next(Fault.TOO_MANY, times=100)
    with pytest.raises(DataError, match="20 times in a row"):
        place.ask()


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.TOO_MANY, Fault.HANG_WITHIN])
def test_a_cancel_ends_it_within_a_second(place: Place, fault: Fault) -> None:
    place.faults.retry_after = 60
    place.faults.next(fault)
    asked: list[float] = []

    def stop() -> bool:  # once the request is under way
        if place.server.count():
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(Cancelled):
        place.ask(should_stop=stop)
    assert time.monotonic() - asked[0] < 1
    assert place.server.count() == 1


def test_what_stays_refused_is_asked_once(place: Place) -> None:
    with pytest.raises(Refused, match="there is no such symbol") as error:
        place.ask("/no")
    assert error.value.code == "17"
    with pytest.raises(Refused, match=r"451 .*does not serve this address.*restricted location"):
        place.ask("/451")
    assert place.server.count() == 2
    with pytest.raises(DataError, match=r"sent on to http://login\.invalid/"):
        place.ask("/away")


def test_answers_of_another_shape(place: Place) -> None:
    def wrong(content: Any) -> Any:
        return content["nothing"]

    with Session() as session, pytest.raises(DataError, match=r"another shape .*KeyError"):
        session.run(session.get(place.service, "/rows", {}, wrong))
    assert place.server.count() == module.ATTEMPTS


def test_nobody_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_URL_HERE", "http://127.0.0.1:1")
    with pytest.raises(DataError, match="ConnectError"):
        place.ask()
    for wrong in ("api.bybit.com", "ftp://x", "http://[", "http://a b", "http://h:99999"):
        monkeypatch.setenv("WORKBENCH_URL_HERE", wrong)
        with pytest.raises((InputError, DataError), match=r"WORKBENCH_URL_HERE|ConnectError"):
            place.ask()


@pytest.mark.usefixtures("paced")
def test_the_limit_holds_for_all_who_ask(place: Place) -> None:
    limit = Limit(5, 0.5)
    service = Service("here", "WORKBENCH_URL_HERE", "", limit, decode)
    moments: list[float] = []

    async def many(session: Session) -> None:
        from workbench.data.exchanges.session import together

        def read(_: Any) -> None:
            moments.append(time.monotonic())

        await together([session.get(service, "/rows", {}, read) for _ in range(16)])

    with Session() as session:
        session.run(many(session))
    assert moments[-1] - moments[0] >= 1.4
    assert len(moments) == 16


@pytest.mark.usefixtures("paced")
def test_weights_and_what_others_used() -> None:
    limit = Limit(100, 60.0)
    assert limit.book(60) == 0
    assert 59 < limit.book(60) <= 60
    assert limit.book(40) == 0
    other = Limit(100, 60.0)
    other.told(95)
    assert other.book(5) == 0
    assert other.book(5) > 0
    other.told(10)  # less than is known already
    assert Limit(10, 60.0).book(50) == 0  # more than fits is let through alone


def test_trouble_is_not_swallowed(place: Place) -> None:
    def never_right(content: Any) -> Any:
        raise Trouble("it answered for another symbol")

    with Session() as session, pytest.raises(DataError, match="for another symbol"):
        session.run(session.get(place.service, "/rows", {}, never_right))

    def asks_to_wait(content: Any) -> Any:
        raise TooMany("later", 9999)

    with Session() as session, pytest.raises(DataError, match="wait 9,999 s"):
        session.run(session.get(place.service, "/rows", {}, asks_to_wait))
