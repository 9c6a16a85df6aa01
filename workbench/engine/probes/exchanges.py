"""The venues whose own calls tell more than a connection does.

Instruments are loaded with NautilusTrader's clients, as a node loads them. The question what a key
may do is put by a signed request of ours: no client of NautilusTrader's returns the answer whole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from workbench.engine.probes.answers import config_of, load, origins, read, told, wait
from workbench.engine.probes.base import Failed, Outcome, Probe, Request


class Bybit(Probe):
    """Bybit's v5 API."""

    name = "Bybit"
    time_path = "/v5/market/time"

    def address(self) -> str:
        """Return the environment's address."""
        suffix = "" if self.request.environment == "live" else f"-{self.request.environment}"
        return f"https://api{suffix}.bybit.com"

    def told_time(self, body: Any) -> tuple[float, float]:
        """Return the time of the answer to ``/v5/market/time``."""
        return int(body["result"]["timeNano"]) / 1e9, 0.0

    def account(self) -> Any:
        """Return the answer to ``/v5/user/query-api``, which any key may ask."""
        key, moment = self.request.credentials["api_key"], str(_milliseconds())
        signature = _sign(self.request.credentials["api_secret"], f"{moment}{key}5000")
        headers = {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": moment,
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": signature.hex(),
        }
        body = read(self.send("GET", "/v5/user/query-api", headers=headers))
        if body.get("retCode") != 0:
            raise Failed(f"Bybit refuses the key: {body.get('retCode')} {body.get('retMsg')}")
        return body["result"]

    def describe(self, account: Any) -> Outcome:
        """Say which permissions, from where and until when."""
        granted = sorted(name for names in account["permissions"].values() for name in names)
        addresses = [ip for ip in account.get("ips") or [] if ip != "*"]
        notes = ["read only" if account.get("readOnly") else "read and write", origins(addresses)]
        until = account.get("expiredAt") or "1970"
        if not until.startswith("1970"):
            notes.append(f"expires {until[:10]}")
        return told(granted, notes)

    def instruments(self) -> Outcome:
        """Load the instruments of the product types in the settings."""
        import nautilus_trader.adapters.bybit as venue

        client = venue.BybitHttpClient(base_url=self.base, max_retries=0)
        return load(self, client.request_instruments, config_of(self.request).product_types)


class Okx(Probe):
    """OKX's v5 API."""

    name = "OKX"
    time_path = "/api/v5/public/time"
    fields = ("api_key", "api_secret", "api_passphrase")

    def address(self) -> str:
        """Return the region's address; the demo has the same."""
        import nautilus_trader.adapters.okx as venue

        region = str(self.request.settings.get("region") or "global")
        return venue.get_okx_http_base_url(getattr(venue.OKXRegion, region.upper()))

    def told_time(self, body: Any) -> tuple[float, float]:
        """Return the time of the answer to ``/api/v5/public/time``."""
        return int(body["data"][0]["ts"]) / 1000, 0.0

    def account(self) -> Any:
        """Return the answer to ``/api/v5/account/config``."""
        given, path = self.request.credentials, "/api/v5/account/config"
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        signature = _sign(given["api_secret"], f"{moment}GET{path}")
        headers = {
            "OK-ACCESS-KEY": given["api_key"],
            "OK-ACCESS-PASSPHRASE": given["api_passphrase"],
            "OK-ACCESS-TIMESTAMP": moment,
            "OK-ACCESS-SIGN": base64.b64encode(signature).decode(),
        }
        if self.request.environment == "demo":
            headers["x-simulated-trading"] = "1"
        body = read(self.send("GET", path, headers=headers))
        if body.get("code") != "0":
            raise Failed(f"OKX refuses the key: {body.get('code')} {body.get('msg')}")
        return body["data"][0]

    def describe(self, account: Any) -> Outcome:
        """Say which permissions and from where."""
        granted = sorted(name for name in account.get("perm", "").split(",") if name)
        addresses = [ip for ip in account.get("ip", "").split(",") if ip]
        return told(granted, [origins(addresses)])

    def instruments(self) -> Outcome:
        """Load the instruments of the types in the settings."""
        import nautilus_trader.adapters.okx as venue

        config = config_of(self.request)
        # Given no keys it looks for some in the environment; given empty ones it sends none.
        client = venue.OKXHttpClient(
            "", "", "", base_url=self.base, max_retries=0, environment=config.environment
        )

        async def ask(kind: Any) -> list[Any]:
            instruments, _codes = await client.request_instruments(kind)
            return list(instruments)

        return load(self, ask, config.instrument_types)


class Binance(Probe):
    """Binance: spot, futures and options, each with an API of its own."""

    name = "Binance"

    # Product type: path of the API, the part of the address, the call for the account.
    _APIS: ClassVar = {
        "USD_M": ("/fapi/v1", "fapi", "/fapi/v2/account"),
        "COIN_M": ("/dapi/v1", "dapi", "/dapi/v1/account"),
        "OPTIONS": ("/eapi/v1", "eapi", "/eapi/v1/account"),
    }

    def __init__(self, request: Request) -> None:
        spot = ("/api/v3", "api", "/api/v3/account")
        kind = str(config_of(request).product_type)
        prefix, self._host, self._path = self._APIS.get(kind, spot)
        self.time_path = f"{prefix}/time"
        # One call tells everything of a key, but only in the live environment.
        self._whole = request.environment == "live" and not request.settings.get("us")
        super().__init__(request)

    def address(self) -> str:
        """Return the address of the product type's API."""
        if self.request.settings.get("us"):
            return "https://api.binance.us"
        if self.request.environment == "live":
            return f"https://{self._host}.binance.com"
        if self._host == "eapi":
            return "https://testnet.binancefuture.com"
        if self._host == "api" and self.request.environment == "testnet":
            return "https://testnet.binance.vision"
        return f"https://demo-{self._host}.binance.com"

    def told_time(self, body: Any) -> tuple[float, float]:
        """Return the time of the answer to ``.../time``."""
        return int(body["serverTime"]) / 1000, 0.0

    def account(self) -> Any:
        """Return the key's restrictions or, outside of the live environment, the account."""
        given = self.request.credentials
        query = f"timestamp={_milliseconds()}&recvWindow=5000"
        query += f"&signature={quote(_binance_signature(given['api_secret'], query), safe='')}"
        headers, path, base = {"X-MBX-APIKEY": given["api_key"]}, self._path, self.base
        if self._whole:
            path = "/sapi/v1/account/apiRestrictions"
            base = self.request.url or "https://api.binance.com"
        return read(self.send("GET", f"{path}?{query}", base=base, headers=headers))

    def describe(self, account: Any) -> Outcome:
        """Say which permissions and from where."""
        flags = ("enable", "permits", "can")
        granted = sorted(name for name, on in account.items() if on and name.startswith(flags))
        notes = []
        if "ipRestrict" in account:
            notes = ["from listed addresses" if account["ipRestrict"] else "from any address"]
        return told([*granted, *account.get("permissions", [])], notes)

    def instruments(self) -> Outcome:
        """Load the instruments of the product type in the settings."""
        import nautilus_trader.adapters.binance as venue

        config = config_of(self.request, base_url_http=self.base, max_retries=0)
        return load(self, venue.load_binance_instruments, [config])


class Kraken(Probe):
    """Kraken: spot and futures, two venues with one name."""

    name = "Kraken"

    def __init__(self, request: Request) -> None:
        self._futures = str(config_of(request).product_type).endswith("FUTURES")
        self.time_path = "/0/public/Time"
        if self._futures:
            self.time_path = "/derivatives/api/v3/feeschedules"
        super().__init__(request)

    def address(self) -> str:
        """Return the address of the product type's API."""
        if not self._futures and self.request.environment == "demo":
            raise Failed("Kraken has a demo for futures only: set product_type to futures")
        if not self._futures:
            return "https://api.kraken.com"
        demo = "demo-" if self.request.environment == "demo" else ""
        return f"https://{demo}futures.kraken.com"

    def told_time(self, body: Any) -> tuple[float, float]:
        """Return the time of an answer: whole seconds of spot, milliseconds of futures."""
        if self._futures:
            return datetime.fromisoformat(body["serverTime"]).timestamp(), 0.0
        return float(body["result"]["unixtime"]), 1.0

    def account(self) -> Any:
        """Return what spot says of the key; of futures, that it gave the account."""
        given = self.request.credentials
        if self._futures:
            from nautilus_trader.model import AccountId

            asked = self._client(given["api_key"], given["api_secret"])
            wait(self, lambda: asked.request_account_state(AccountId("KRAKEN-CHECK")))
            return {}
        path, nonce = "/0/private/GetApiKeyInfo", str(time.time_ns())
        try:
            secret = base64.b64decode(given["api_secret"], validate=True)
        except binascii.Error:
            raise Failed("the api_secret is no base64: was it stored whole?") from None
        digest = hashlib.sha256(f"{nonce}nonce={nonce}".encode()).digest()
        signature = hmac.new(secret, path.encode() + digest, "sha512").digest()
        headers = {"API-Key": given["api_key"], "API-Sign": base64.b64encode(signature).decode()}
        body = read(self.send("POST", path, data={"nonce": nonce}, headers=headers))
        if body.get("error"):
            raise Failed(f"Kraken refuses the key: {', '.join(body['error'])}")
        return body["result"]

    def describe(self, account: Any) -> Outcome:
        """Say which permissions and from where."""
        if self._futures:
            return Outcome(None, "Kraken's futures do not tell them")
        notes = [origins(account.get("ipAllowlist") or [])]
        until = int(account.get("validUntil") or 0)
        if until:
            notes.append(f"expires {datetime.fromtimestamp(until, UTC):%Y-%m-%d}")
        return told(sorted(account.get("permissions", [])), notes)

    def instruments(self) -> Outcome:
        """Load the instruments of the product type in the settings."""
        client = self._client(None, None)
        return load(self, lambda _: client.request_instruments(), [None])

    def _client(self, key: str | None, secret: str | None) -> Any:
        import nautilus_trader.adapters.kraken as venue

        if not self._futures:
            return venue.KrakenSpotHttpClient(key, secret, base_url=self.base, max_retries=0)
        return venue.KrakenFuturesHttpClient(
            key,
            secret,
            base_url=self.base,
            demo=self.request.environment == "demo",
            max_retries=0,
        )


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def _sign(secret: str, message: str) -> bytes:
    return hmac.new(secret.encode(), message.encode(), "sha256").digest()


def _binance_signature(secret: str, query: str) -> str:
    """Sign with an Ed25519 key where the secret is one, else by HMAC."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    text = "".join(line for line in secret.splitlines() if not line.startswith("-----"))
    try:
        key = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.sign(query.encode())).decode()
    return _sign(secret, query).hex()
