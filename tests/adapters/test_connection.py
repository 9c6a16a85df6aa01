"""A connection check tells what works and what does not, whatever the other side does."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.servers import accounts
from tests.servers.accounts import Account
from tests.servers.faults import Fault, Faults
from tests.servers.local import LocalServer
from tests.servers.tws import TwsServer
from workbench.adapters import secrets, vault
from workbench.adapters.connection import Check, Step, check
from workbench.core.errors import InputError
from workbench.engine.connection import STEPS

USD_M = {"product_type": "usd_m"}
TIMEOUT = 30.0  # generous: the machine may be busy


@pytest.fixture(autouse=True)
def _store(tmp_path, monkeypatch) -> None:
    """Keep the user's store of secrets out of it."""
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "secrets.json"))


@pytest.fixture
def store(monkeypatch):
    """Store an account's key as variables, for one adapter and environment."""

    def put(account: Account, adapter: str, environment: str = "live") -> None:
        values = {"api_key": account.key, "api_secret": account.secret}
        values["api_passphrase"] = account.passphrase
        for field in secrets.credential_fields(adapter):
            name = f"WORKBENCH_SECRET_{adapter}_{environment}_{field}".upper()
            monkeypatch.setenv(name, values[field])

    return put


@pytest.fixture
def serve(monkeypatch):
    """Serve an application as an adapter's venue."""

    @contextmanager
    def served(
        adapter: str, app: web.Application, faults: Faults | None = None, tls=None
    ) -> Iterator[LocalServer]:
        if faults:
            app.middlewares.append(faults.middleware)
        with LocalServer(app, tls) as server:
            monkeypatch.setenv(f"WORKBENCH_URL_{adapter.upper()}", server.url)
            address = server.url.replace("http", "ws", 1)
            monkeypatch.setenv(f"WORKBENCH_URL_{adapter.upper()}_WS", address)
            yield server

    return served


def verdicts(result: Check) -> list[bool | None]:
    return [step.ok for step in result.steps]


VENUES = [
    ("bybit", accounts.bybit, "testnet", {}, "BTCUSDT-LINEAR.BYBIT"),
    ("okx", accounts.okx, "demo", {}, "BTC-USDT.OKX"),
    ("binance", accounts.binance, "live", USD_M, "ETHUSDT-PERP.BINANCE"),
    ("kraken", accounts.kraken, "live", {}, "BTC/USDT.KRAKEN"),
    ("tardis", accounts.tardis, "live", {}, "bitmex"),
]


def account_of(adapter: str, **more) -> Account:
    secret = {"secret": accounts.KRAKEN_SECRET} if adapter == "kraken" else {}
    return Account(**secret, **more)


@pytest.mark.parametrize(("adapter", "app", "environment", "settings", "first"), VENUES)
def test_a_venue_that_is_well(serve, store, adapter, app, environment, settings, first) -> None:
    account = account_of(adapter)
    store(account, adapter, environment)
    seen: list[Step] = []
    with serve(adapter, app(account)) as server:
        result = check(
            adapter,
            environment=environment,
            settings=settings,
            timeout=TIMEOUT,
            on_step=seen.append,
        )
    assert verdicts(result) == [True] * 5, result
    assert result.ok
    assert tuple(seen) == result.steps
    assert [step.name for step in seen] == list(STEPS)
    assert server.url in result["reachable"].detail
    assert result["reachable"].values["latency_ms"] > 0
    assert abs(result["clock"].values["offset_ms"]) < 1500
    assert len(account.asked) == 1
    assert account.asked[0][1] == account.key
    assert result["permissions"].values["permissions"]
    assert result["instruments"].values["names"][0] == first
    assert result.to_dict()["ok"] is True
    assert result.to_dict()["steps"][0]["name"] == "reachable"


def test_the_demo_of_okx_is_asked_as_such(serve, store) -> None:
    account = Account()
    store(account, "okx", "demo")
    with serve("okx", accounts.okx(account)):
        check("okx", environment="demo", timeout=TIMEOUT)
    assert account.asked == [("/api/v5/account/config 1", account.key)]


@pytest.mark.parametrize(("adapter", "app", "environment", "settings", "_"), VENUES)
def test_a_wrong_key_is_refused_and_not_shown(
    serve, store, adapter, app, environment, settings, _
) -> None:
    right, wrong = (
        account_of(adapter, echo=True),
        account_of(adapter, key="another-planted-key-9876"),
    )
    store(wrong, adapter, environment)
    with serve(adapter, app(right)):
        result = check(adapter, environment=environment, settings=settings, timeout=TIMEOUT)
    assert verdicts(result) == [True, True, False, None, True], result
    assert right.asked[0][1] == wrong.key
    assert "********" in result["authenticated"].detail
    assert "another-pla" not in str(result.to_dict())
    assert result["permissions"].detail == "not told without a key that is accepted"


@pytest.mark.parametrize(
    ("adapter", "app", "words"),
    [
        ("bybit", accounts.bybit, "10004 error sign!"),
        ("binance", accounts.binance, "HTTP 401 Unauthorized.*-2015.*Invalid API-key"),
        ("kraken", accounts.kraken, "EAPI:Invalid signature"),
    ],
)
def test_a_wrong_secret_is_refused(serve, store, adapter, app, words) -> None:
    right = account_of(adapter)
    wrong = account_of(adapter)
    wrong.secret = "c2VjcmV0" + right.secret[8:]
    store(wrong, adapter)
    with serve(adapter, app(right)):
        result = check(adapter, timeout=TIMEOUT, settings=USD_M if adapter == "binance" else None)
    assert result["authenticated"].ok is False
    assert re.search(words, result["authenticated"].detail), result
    assert right.secret not in str(result)


def test_a_wrong_passphrase_is_refused(serve, store) -> None:
    store(Account(passphrase="not the planted one"), "okx", "demo")
    with serve("okx", accounts.okx(Account())):
        result = check("okx", environment="demo", timeout=TIMEOUT)
    assert "50105" in result["authenticated"].detail
    assert "OK-ACCESS-PASSPHRASE incorrect" in result["authenticated"].detail


def test_an_ed25519_key_of_binance_signs(serve, store) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
    account = Account(secret=pem)
    store(account, "binance")
    with serve("binance", accounts.binance(account)):
        result = check("binance", settings=USD_M, timeout=TIMEOUT)
    assert result["authenticated"].ok, result
    assert result["permissions"].detail.endswith("from listed addresses")


def test_the_futures_of_kraken_are_another_venue(serve, store) -> None:
    account = account_of("kraken", echo=True)
    store(account, "kraken", "demo")
    settings = {"product_type": "futures"}
    with serve("kraken", accounts.kraken_futures(account)):
        well = check("kraken", environment="demo", settings=settings, timeout=TIMEOUT)
        account.key = "another"
        wrong = check("kraken", environment="demo", settings=settings, timeout=TIMEOUT)
    assert verdicts(well) == [True, True, True, None, True], well
    assert verdicts(wrong) == [True, True, False, None, True], wrong
    assert "planted" not in str(wrong)


def test_spot_of_kraken_has_no_demo() -> None:
    result = check("kraken", environment="demo", timeout=TIMEOUT)
    assert "set product_type to futures" in result["reachable"].detail


def test_a_key_does_not_follow_a_redirect(serve, store) -> None:
    account, elsewhere = Account(), Account()
    store(account, "bybit")
    app = web.Application()
    with LocalServer(accounts.bybit(elsewhere)) as other:

        async def moved(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{other.url}{request.path_qs}")

        app.router.add_get("/{path:.*}", moved)
        with serve("bybit", app):
            result = check("bybit", timeout=TIMEOUT)
        assert f"HTTP 307 Temporary Redirect: to {other.url}" in result["reachable"].detail
        assert other.requests == []


def test_half_a_credential_and_none(serve, monkeypatch) -> None:
    with serve("bybit", accounts.bybit(Account())):
        none = check("bybit", environment="demo", timeout=TIMEOUT)
        monkeypatch.setenv("WORKBENCH_SECRET_BYBIT_DEMO_API_KEY", "half")
        half = check("bybit", environment="demo", timeout=TIMEOUT)
    assert verdicts(none) == [True, True, None, None, True]
    assert none.ok
    remedy = "workbench secrets set bybit --environment demo"
    assert none["authenticated"].detail == f"no api_key and no api_secret stored: {remedy}"
    assert verdicts(half) == [True, True, False, None, True]
    assert "no api_secret stored: workbench secrets set bybit api_secret" in str(half)


def test_a_testnet_check_does_not_find_the_live_key(serve, store, monkeypatch) -> None:
    account = Account()
    store(account, "bybit", "live")
    # Where NautilusTrader looks for keys it was not given.
    monkeypatch.setenv("BYBIT_API_KEY", account.key)
    monkeypatch.setenv("BYBIT_TESTNET_API_KEY", account.key)
    monkeypatch.setenv("BYBIT_TESTNET_API_SECRET", account.secret)
    with serve("bybit", accounts.bybit(account)):
        result = check("bybit", environment="testnet", timeout=TIMEOUT)
    assert result["authenticated"].ok is None
    assert account.asked == []


def test_a_key_without_any_permission(serve, store) -> None:
    account = Account(permissions=[])
    store(account, "bybit")
    with serve("bybit", accounts.bybit(account)):
        result = check("bybit", timeout=TIMEOUT)
    assert verdicts(result) == [True, True, True, False, True]
    assert result["permissions"].detail == "the key has no permission"


def test_a_clock_that_is_off(serve, store) -> None:
    account = Account()
    store(account, "bybit")
    with serve("bybit", accounts.bybit(account)):
        for account.ahead, side in ((5.0, "behind"), (-5.0, "ahead of")):
            result = check("bybit", timeout=TIMEOUT)
            clock = result["clock"]
            assert clock.ok is False
            assert abs(clock.values["offset_ms"] + account.ahead * 1000) < 1000
            assert f"5.0 s {side} the venue's" in clock.detail
            assert "set the clock (NTP)" in clock.detail
            # The venue refuses the key for that, and says so.
            assert "10002 invalid request, please check your server timestamp" in str(result)


def test_a_locked_store_is_said(serve, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(vault, "_COST", {"n": 2**12, "r": 8, "p": 1})
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "correct horse battery")
    secrets.set_("bybit", "live", "api_key", "kept")
    monkeypatch.delenv("WORKBENCH_PASSPHRASE")
    monkeypatch.setattr(vault, "_known", {})
    with serve("bybit", accounts.bybit(Account())):
        result = check("bybit", timeout=TIMEOUT)
    assert result["authenticated"].ok is None
    assert "set WORKBENCH_PASSPHRASE" in result["authenticated"].detail
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "a wrong passphrase")
    with pytest.raises(InputError, match="wrong passphrase"):
        check("bybit", timeout=TIMEOUT)


# Ways a venue fails


FAULTS = {
    Fault.TOO_MANY: "HTTP 429 Too Many Requests",
    Fault.PORTAL: "answers, but not as Bybit does: <!DOCTYPE html>",
    Fault.RESET: "breaks the connection off",
    Fault.UNAVAILABLE: "HTTP 503 Service Unavailable",
    Fault.GARBAGE: "answers, but not as Bybit does",
    Fault.EMPTY: "answers, but not as Bybit does",
    Fault.REFUSED: "breaks the connection off",
    Fault.TOO_LONG: "breaks the connection off",
}


def test_faults_of_an_answer(serve, request) -> None:
    for fault in list(FAULTS)[: 8 if request.config.getoption("--drills") else 3]:
        faults = Faults(rate=1.0, kinds=[fault])
        with serve("bybit", accounts.bybit(Account()), faults):
            result = check("bybit", timeout=TIMEOUT)
        assert verdicts(result) == [False, None, None, None, None]
        assert FAULTS[fault] in result["reachable"].detail
        skipped = result.steps[1:]
        assert {step.detail for step in skipped} == {"not tried: the venue cannot be reached"}
        assert [step.seconds for step in skipped] == [None] * 4


def test_a_venue_that_hangs(serve) -> None:
    faults = Faults()
    faults.next(Fault.HANG)
    with serve("bybit", accounts.bybit(Account()), faults):
        result = check("bybit", timeout=3)
    assert "took the connection and does not answer" in result["reachable"].detail
    assert result.seconds < 3.5


def test_a_fault_of_one_step_leaves_the_others(serve, store) -> None:
    account = Account()
    store(account, "bybit")
    faults = Faults()
    faults.next(Fault.PORTAL, path="/v5/user/query-api")
    faults.next(Fault.GARBAGE, path="/v5/market/instruments-info")
    with serve("bybit", accounts.bybit(account), faults):
        result = check("bybit", timeout=TIMEOUT)
    assert verdicts(result) == [True, True, False, None, False]
    assert "the answer is not understood: <!DOCTYPE html>" in result["authenticated"].detail
    assert "NautilusTrader's client reports: " in result["instruments"].detail


def test_a_slow_venue_is_slow_and_well(serve) -> None:
    app = accounts.bybit(Account())

    @web.middleware
    async def slow(request: web.Request, handler):
        await asyncio.sleep(0.1)
        return await handler(request)

    app.middlewares.append(slow)
    with serve("bybit", app):
        result = check("bybit", timeout=TIMEOUT)
    assert result.ok
    assert result["reachable"].values["latency_ms"] >= 100
    assert result["clock"].values["unsure_ms"] >= 50


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{port}", "refuses the connection: nothing listens there"),
        ("http://no-such-host.invalid", "the name in http://no-such-host.invalid cannot be resolv"),
        ("ftp://127.0.0.1", "UnsupportedProtocol"),
        ("127.0.0.1:80", "UnsupportedProtocol"),
    ],
)
def test_an_address_that_leads_nowhere(monkeypatch, url, words) -> None:
    monkeypatch.setenv("WORKBENCH_URL_BYBIT", url.format(port=free_port()))
    result = check("bybit", timeout=TIMEOUT)
    assert verdicts(result) == [False, None, None, None, None]
    assert words in result["reachable"].detail


def test_certificates_are_verified(serve, store, tmp_path, monkeypatch) -> None:
    """Databento's own client insists on TLS; a certificate it does not trust ends it."""
    account = Account(echo=True)
    store(account, "databento")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serve("databento", accounts.databento(account), tls=context):
        refused = check("databento", timeout=TIMEOUT)
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(bundle))
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.setenv(name, str(bundle))
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        well = check("databento", timeout=TIMEOUT)
        store(Account(key="db-another-planted-key-9876"), "databento")
        wrong = check("databento", timeout=TIMEOUT)
    assert "is not trusted" in refused["reachable"].detail
    assert account.asked[0] == ("/v0/metadata.list_datasets", account.key)
    assert verdicts(well) == [True, True, True, None, True], well
    assert "TLSv1.3" in well["reachable"].detail
    assert well["instruments"].detail == "3 datasets: GLBX.MDP3, XNAS.ITCH, DBEQ.BASIC"
    assert verdicts(wrong) == [True, True, False, None, None], wrong
    assert "Databento refuses the key: 401 auth_authentication_failed" in str(wrong)
    assert "********" in wrong["authenticated"].detail
    assert "another-pla" not in str(wrong)


def test_plain_text_where_tls_is_expected(serve, monkeypatch) -> None:
    with serve("bybit", accounts.bybit(Account())) as server:
        monkeypatch.setenv("WORKBENCH_URL_BYBIT", server.url.replace("http", "https", 1))
        result = check("bybit", timeout=TIMEOUT)
    assert "TLS with https://127.0.0.1" in result["reachable"].detail


# The process


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def running_check(server: LocalServer) -> psutil.Process:
    """Wait until the check's process has sent its first request."""
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        if not server.count():
            time.sleep(0.01)
            continue
        for child in psutil.Process().children():
            try:
                if "workbench.engine.connection" in child.cmdline():
                    return child
            except psutil.Error:
                continue
    raise AssertionError("no process of a check")


def test_a_panic_is_a_failed_step_with_its_reason(tmp_path, monkeypatch) -> None:
    """A real one: a node of NautilusTrader's is touched from another thread."""
    (tmp_path / "sitecustomize.py").write_text("""
import threading
from nautilus_trader.common import Environment
from nautilus_trader.live import LiveNode
from nautilus_trader.model import TraderId

node = LiveNode.builder("A-001", TraderId("A-001"), Environment.LIVE).build()
threading.Thread(target=lambda: node.cache.instruments()).start()
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = check("bybit", timeout=TIMEOUT)
    assert verdicts(result) == [False, None, None, None, None]
    assert "the process of the check ended (SIGABRT): " in result["reachable"].detail
    assert "panicked at" in result["reachable"].detail
    assert "sent to another thread" in result["reachable"].detail


@pytest.mark.parametrize(("signal", "words"), [(9, "SIGKILL"), (11, "SIGSEGV")])
def test_a_process_that_dies_is_a_failed_step(serve, signal, words) -> None:
    faults = Faults()
    faults.next(Fault.HANG)
    results: list[Check] = []
    with serve("bybit", accounts.bybit(Account()), faults) as server:
        thread = threading.Thread(target=lambda: results.append(check("bybit", timeout=TIMEOUT)))
        thread.start()
        process = running_check(server)
        process.send_signal(signal)
        thread.join(TIMEOUT)
    assert verdicts(results[0]) == [False, None, None, None, None]
    assert f"the process of the check ended ({words})" in results[0]["reachable"].detail
    assert results[0]["clock"].detail == "not tried: the check had ended"


def test_a_process_that_stops_for_good_is_killed_in_time(serve) -> None:
    """As when a client of NautilusTrader's hangs and keeps the interpreter."""
    faults = Faults()
    faults.next(Fault.HANG)
    results: list[Check] = []
    with serve("bybit", accounts.bybit(Account()), faults) as server:
        thread = threading.Thread(target=lambda: results.append(check("bybit", timeout=2)))
        thread.start()
        process = running_check(server)
        process.suspend()
        thread.join(TIMEOUT)
    assert "no answer within 2 s: the check was stopped" in results[0]["reachable"].detail
    assert process.pid not in children()


def test_the_rest_of_the_steps_is_skipped_when_the_time_is_up(serve, store) -> None:
    account = Account()
    store(account, "bybit")
    faults = Faults()
    faults.next(Fault.HANG, times=2, path="query-api")
    with serve("bybit", accounts.bybit(account), faults):
        result = check("bybit", timeout=3)
    assert result["authenticated"].ok is False
    assert result.seconds < 6


def test_a_step_that_raises_in_the_caller_leaves_no_process(serve) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    before = children()
    with serve("bybit", accounts.bybit(Account())), pytest.raises(KeyboardInterrupt):
        check("bybit", timeout=TIMEOUT, on_step=interrupt)
    assert children() <= before


# Any adapter: by way of a node


def test_a_node_connects_any_adapter(serve, store) -> None:
    account = Account()
    store(account, "deribit", "testnet")
    with serve("deribit", accounts.deribit(account)):
        result = check("deribit", environment="testnet", timeout=TIMEOUT)
    assert verdicts(result) == [True, True, None, None, True], result
    assert result["instruments"].values["names"] == [
        "BTC-PERPETUAL.DERIBIT",
        "ETH-PERPETUALS.DERIBIT",
    ]
    assert "from the Date of its answer" in result["clock"].detail
    assert account.asked == [("public/auth", account.key)]


def test_a_node_that_does_not_connect_says_why(serve, store) -> None:
    account = Account(echo=True)
    store(Account(key="another-planted-key-9876"), "deribit", "testnet")
    with serve("deribit", accounts.deribit(account)):
        result = check("deribit", environment="testnet", timeout=TIMEOUT)
    assert result["instruments"].ok is False, result
    for words in ("does not connect", "invalid_credentials", "Failed to connect data client"):
        assert words in result["instruments"].detail
    assert "another-pla" not in str(result)


def test_an_adapter_without_market_data_has_nothing_to_check() -> None:
    result = check("sandbox")
    assert verdicts(result) == [None] * 5
    assert result.ok


# Interactive Brokers


def test_tws_tells_its_version_time_and_accounts(monkeypatch) -> None:
    with TwsServer() as server:
        monkeypatch.setenv("WORKBENCH_URL_INTERACTIVE_BROKERS", server.url)
        well = check("interactive_brokers", timeout=TIMEOUT)
        monkeypatch.delenv("WORKBENCH_URL_INTERACTIVE_BROKERS")
        settings = {"host": "127.0.0.1", "port": server.port, "client_id": 7}
        check("interactive_brokers", settings=settings, timeout=TIMEOUT)
    assert verdicts(well) == [True, True, True, None, None], well
    assert "server version 176" in well["reachable"].detail
    assert well["authenticated"].detail == "logged in there, 2 accounts"
    assert server.client_ids[-1] == "7"


@pytest.mark.parametrize(
    ("options", "step", "words"),
    [
        ({"ahead": 5.0}, "clock", "behind the venue's"),
        ({"greeting": b""}, "reachable", "closes the connection: is this address trusted there?"),
        ({"greeting": b"HTTP/1.1 400 Bad Request"}, "reachable", "not as TWS or IB Gateway does"),
        ({"error": ("326", "client id is already in use")}, "clock", "refuses: 326 client id is"),
    ],
)
def test_tws_that_fails(monkeypatch, options, step, words) -> None:
    with TwsServer(**options) as server:
        monkeypatch.setenv("WORKBENCH_URL_INTERACTIVE_BROKERS", server.url)
        result = check("interactive_brokers", timeout=TIMEOUT)
    assert result[step].ok is False
    assert words in result[step].detail


# Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "bybt"}, "unknown adapter 'bybt'. Did you mean 'bybit'?"),
        ({"name": "okx", "environment": "testnet"}, "okx has no environment 'testnet'"),
        ({"name": "bybit", "timeout": 0}, "above zero"),
        ({"name": "bybit", "settings": {"product_type": []}}, "Did you mean 'product_types'?"),
        ({"name": "bybit", "settings": {"product_types": ["liner"]}}, "Did you mean 'linear'?"),
        ({"name": "bybit", "settings": {"api_key": "k"}}, "use workbench secrets set bybit api_k"),
        ({"name": "bybit", "settings": {"base_url_http": "x"}}, "use WORKBENCH_URL_BYBIT"),
    ],
)
def test_bad_input_says_what_is_right(arguments, words) -> None:
    with pytest.raises(InputError) as caught:
        check(**arguments)
    assert words in str(caught.value)


def test_the_command_tells_each_step_and_exits_with_the_verdict(workbench, serve, store) -> None:
    account = Account()
    store(account, "bybit", "testnet")
    with serve("bybit", accounts.bybit(account)):
        well = workbench("adapters", "check", "bybit", "-e", "testnet", "--json")
    assert well.code == 0
    assert [step["ok"] for step in well.json["steps"]] == [True] * 5
    wrong = workbench(
        "adapters", "check", "bybit", env={"WORKBENCH_URL_BYBIT": "http://127.0.0.1:1"}
    )
    assert wrong.code == 1
    assert "failed   reachable" in wrong.out
    assert "Traceback" not in wrong.out + wrong.err


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf"), 1e30])
def test_a_limit_no_clock_can_keep_is_refused(timeout: float) -> None:
    with pytest.raises(InputError, match="a number of seconds above zero, at most 86400"):
        check("bybit", timeout=timeout)
