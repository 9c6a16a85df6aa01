"""Any adapter at all: a node with nothing but its market data, started until it is connected."""

from __future__ import annotations

import importlib
import os
import re
import threading
import time
from typing import Any

from workbench.engine.probes.answers import config_of
from workbench.engine.probes.base import Failed, Outcome, Probe, Request, quoted

# Where each venue's HTTP API lives, to tell what is wrong with the way there. One that is missing
# here is checked all the same, but a failure is told less well.
_ADDRESSES = {
    "architect_ax": {
        "live": "https://gateway.architect.exchange",
        "testnet": "https://gateway.sandbox.architect.exchange",
    },
    "betfair": {"live": "https://api.betfair.com"},
    "coinbase": {
        "live": "https://api.coinbase.com",
        "testnet": "https://api-sandbox.coinbase.com",
    },
    "deribit": {"live": "https://www.deribit.com", "testnet": "https://test.deribit.com"},
    "derive": {"live": "https://api.lyra.finance", "testnet": "https://api-demo.lyra.finance"},
    "dydx": {
        "live": "https://indexer.dydx.trade",
        "testnet": "https://indexer.v4testnet.dydx.exchange",
    },
    "hyperliquid": {
        "live": "https://api.hyperliquid.xyz",
        "testnet": "https://api.hyperliquid-testnet.xyz",
    },
    "lighter": {
        "live": "https://mainnet.zklighter.elliot.ai",
        "testnet": "https://testnet.zklighter.elliot.ai",
    },
    "polymarket": {"live": "https://clob.polymarket.com"},
}
# After it is connected: what the client sent before it said so is still on its way.
_SETTLE_SECONDS = 0.3
# What the engine logs when a client's connection failed; it goes on waiting for it all the same.
_REFUSED = "Failed to connect data client"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"\[(?:WARN|ERROR)\] [^ ]+: (.*)")


class Node(Probe):
    """The steps by way of a node."""

    def __init__(self, request: Request) -> None:
        from workbench.engine import adapters

        self._adapter = adapters.adapter(request.adapter)
        self.name = self._adapter.name
        self.fields = self._adapter.credentials
        super().__init__(request)

    def address(self) -> str:
        """Return the venue's address as far as it is known, else an empty text."""
        rpc = str(self.request.settings.get("http_rpc_url") or "")
        return _ADDRESSES.get(self.name, {}).get(self.request.environment, rpc)

    def reachable(self) -> Outcome:
        """Ask the venue's address; one that is not known is left to the node."""
        if not self.base:
            return Outcome(None, "its address is known to NautilusTrader only: see instruments")
        return super().reachable()

    def clock(self) -> Outcome:
        """Compare our clock with the Date of the venue's answers."""
        if not self.base:
            return Outcome(None, "its address is known to NautilusTrader only")
        return super().clock()

    def account(self) -> Any:
        """Return nothing: a connection for market data does not tell."""
        return None

    def authenticated(self) -> Outcome:
        """Say what is stored."""
        if not self.fields:
            return Outcome(None, f"{self.name} takes no credentials")
        found = super().authenticated()
        if not found.ok:
            return Outcome(None, found.detail)
        return Outcome(None, "stored, but a connection for market data does not tell more")

    def instruments(self) -> Outcome:
        """Run the node until its client is connected; count what it loaded."""
        names = self._connect()
        if not names:
            return Outcome(None, "connected; with these settings it loads no instruments ahead")
        return self.listed(names)

    def _connect(self) -> list[str]:
        from nautilus_trader.common import Environment, LoggerConfig
        from nautilus_trader.live import LiveNode
        from nautilus_trader.model import TraderId

        data = self._adapter.data
        assert data is not None
        module = importlib.import_module(f"nautilus_trader.adapters.{self.name}")
        log, failure, names = _Log(), "", list[str]()
        builder = LiveNode.builder("CHECK-001", TraderId("CHECK-001"), Environment.LIVE)
        builder = (
            builder.with_timeout_connection(max(1, int(self.request.left - 1)))
            .with_timeout_disconnection_secs(1)
            .with_delay_post_stop_secs(0)
            .with_delay_shutdown_secs(0)
            .with_reconciliation(False)
            .with_logging(LoggerConfig.from_spec("stdout=Warn"))
        )
        try:
            builder = builder.add_data_client(None, getattr(module, data.factory)(), self._config())
            node = builder.build()
            watch = threading.Thread(target=_stop, args=(node.handle(), log), daemon=True)
            watch.start()
            node.run()
            names = sorted(str(instrument.id) for instrument in node.cache.instruments())
        except RuntimeError as error:
            failure = str(error)
        reasons = log.reasons()
        if failure or _REFUSED in log.text():
            raise Failed("; ".join(["the node does not connect", *(reasons or [failure])]))
        if not names and re.search("fail|error", " ".join(reasons), re.IGNORECASE):
            raise Failed("; ".join(["connected, but loaded no instruments", *reasons]))
        return names

    def _config(self) -> Any:
        """Return the config with the addresses and credentials of this check."""
        data = self._adapter.data
        assert data is not None
        more: dict[str, Any] = {}
        for field in data.fields:
            if field.role == "address" and re.search(r"http|rest|^base_url$", field.name):
                more[field.name] = self.request.url
            elif field.role == "address" and re.search(r"ws|wss", field.name):
                more[field.name] = self.request.ws_url
        given = {name: value for name, value in more.items() if value}
        return config_of(self.request, self.request.credentials, **given)


class _Log:
    """What the engine logs from now on: it writes errors to standard error, the rest before it.

    Both are one file here, that of our caller, who reads it too if this process dies.
    """

    def __init__(self) -> None:
        self._start = os.fstat(2).st_size

    def text(self) -> str:
        size = os.fstat(2).st_size - self._start
        return _COLOUR.sub("", os.pread(2, size, self._start).decode(errors="replace"))

    def reasons(self) -> list[str]:
        """Return the last warnings and errors, each once."""
        time.sleep(0.05)  # it is written by a thread of the engine's
        found = dict.fromkeys(quoted(line) for line in _LINE.findall(self.text()))
        return [line for line in found if not line.startswith("Stop signal")][-3:]


def _stop(handle: Any, log: _Log) -> None:
    """Stop the node soon after it is connected, or at once when it says that it cannot."""
    while not handle.is_running:
        time.sleep(0.02)
        if _REFUSED in log.text():
            handle.stop()
            return
    time.sleep(_SETTLE_SECONDS)
    handle.stop()
