"""Venues as a connection check meets them: time, instruments, and what they say of a key.

Each is an aiohttp application for `LocalServer`. Signatures are verified as the venues document it,
so a wrong secret is refused as there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

KRAKEN_SECRET = base64.b64encode(b"planted kraken secret, 32 bytes!").decode()


@dataclass
class Account:
    """A venue's view of one key.

    Attributes
    ----------
    key, secret, passphrase
        The right ones.
    permissions
        What the key may do.
    ahead
        Seconds the venue's clock is ahead of this machine's.
    echo
        Whether refusals quote the key that was sent, as some gateways do.
    asked
        Signed requests that came: path, and the key in them.

    """

    key: str = "planted-key-0123456789abcdef"
    secret: str = "planted-secret-fedcba9876543210"
    passphrase: str = "planted-passphrase-42"
    permissions: list[str] = field(default_factory=lambda: ["Order", "Position"])
    ahead: float = 0.0
    echo: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    def now(self) -> float:
        return time.time() + self.ahead

    def quoting(self, text: str, key: str) -> str:
        return f"{text} (you sent {key})" if self.echo else text

    def signature(self, message: str) -> bytes:
        return hmac.new(self.secret.encode(), message.encode(), "sha256").digest()

    def signed(self, message: str, signature: str) -> bool:
        """Whether `signature` is this account's, by HMAC or by an Ed25519 key in PEM."""
        if not self.secret.startswith("-----"):
            return signature == self.signature(message).hex()
        key: Any = load_pem_private_key(self.secret.encode(), None)
        try:
            key.public_key().verify(base64.b64decode(signature), message.encode())
        except InvalidSignature:
            return False
        return True


def bybit(account: Account) -> web.Application:
    def answer(result: Any, code: int = 0, words: str = "OK") -> web.Response:
        milliseconds = int(account.now() * 1000)
        body = {"retCode": code, "retMsg": words, "result": result, "retExtInfo": {}}
        return web.json_response({**body, "time": milliseconds})

    async def moment(request: web.Request) -> web.Response:
        now = account.now()
        return answer({"timeSecond": str(int(now)), "timeNano": str(int(now * 1e9))})

    async def instruments(request: web.Request) -> web.Response:
        price = {"minPrice": "0.1", "maxPrice": "900000", "tickSize": "0.1"}
        lot = {
            "maxOrderQty": "100", "minOrderQty": "0.01", "qtyStep": "0.01",
            "postOnlyMaxOrderQty": "100", "maxMktOrderQty": "50", "minNotionalValue": "5",
        }  # fmt: skip
        found = [
            {
                "symbol": f"{coin}USDT", "contractType": "LinearPerpetual", "status": "Trading",
                "baseCoin": coin, "quoteCoin": "USDT", "settleCoin": "USDT",
                "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "",
                "priceScale": "1", "unifiedMarginTrade": True, "fundingInterval": 480,
                "leverageFilter": {"minLeverage": "1", "maxLeverage": "25", "leverageStep": "0.1"},
                "priceFilter": price, "lotSizeFilter": lot,
            }
            for coin in ("BTC", "ETH", "SOL", "XRP")
        ]  # fmt: skip
        return answer({"category": "linear", "list": found, "nextPageCursor": ""})

    async def query(request: web.Request) -> web.Response:
        key = request.headers["X-BAPI-API-KEY"]
        account.asked.append((request.path, key))
        sent, window = request.headers["X-BAPI-TIMESTAMP"], request.headers["X-BAPI-RECV-WINDOW"]
        if key != account.key:
            return answer({}, 10003, account.quoting("API key is invalid.", key))
        if request.headers["X-BAPI-SIGN"] != account.signature(f"{sent}{key}{window}").hex():
            return answer(
                {}, 10004, "error sign! please check your signature generation algorithm."
            )
        if not -int(window) <= int(sent) - account.now() * 1000 < 1000:
            words = "invalid request, please check your server timestamp or recv_window param."
            return answer({}, 10002, words)
        permissions = {"ContractTrade": account.permissions, "Spot": [], "Wallet": []}
        about = {"ips": ["*"], "readOnly": 0, "expiredAt": "2031-05-17T00:00:00Z", "apiKey": key}
        return answer({"id": "1", "note": "test", "permissions": permissions, **about})

    app = web.Application()
    app.router.add_get("/v5/market/time", moment)
    app.router.add_get("/v5/market/instruments-info", instruments)
    app.router.add_get("/v5/user/query-api", query)
    return app


def okx(account: Account) -> web.Application:
    async def moment(request: web.Request) -> web.Response:
        return web.json_response(
            {"code": "0", "msg": "", "data": [{"ts": str(int(account.now() * 1000))}]}
        )

    async def instruments(request: web.Request) -> web.Response:
        empty = (
            "alias auctionEndTime ctMult ctType ctVal ctValCcy expTime instFamily lever optType "
            "settleCcy stk uly"
        )
        most = "maxIcebergSz maxLmtAmt maxLmtSz maxMktAmt maxMktSz maxStopSz maxTriggerSz maxTwapSz"
        found = [
            {
                **dict.fromkeys(empty.split(), ""), **dict.fromkeys(most.split(), "1000000"),
                "baseCcy": coin, "quoteCcy": "USDT", "instId": f"{coin}-USDT", "instType": "SPOT",
                "category": "1", "listTime": "1548133413000", "lotSz": "0.00001", "minSz": "0.0001",
                "ruleType": "normal", "state": "live", "tickSz": "0.1",
            }
            for coin in ("BTC", "ETH")
        ]  # fmt: skip
        return web.json_response({"code": "0", "msg": "", "data": found})

    async def config(request: web.Request) -> web.Response:
        headers = request.headers
        key, sent = headers["OK-ACCESS-KEY"], headers["OK-ACCESS-TIMESTAMP"]
        account.asked.append((f"{request.path} {headers.get('x-simulated-trading')}", key))
        expected = base64.b64encode(account.signature(f"{sent}GET{request.path}")).decode()
        refused = None
        if key != account.key:
            refused = ("50111", account.quoting("Invalid OK-ACCESS-KEY", key))
        elif headers["OK-ACCESS-SIGN"] != expected:
            refused = ("50113", "Invalid Sign")
        elif headers["OK-ACCESS-PASSPHRASE"] != account.passphrase:
            words = account.quoting("OK-ACCESS-PASSPHRASE incorrect", account.passphrase[:12])
            refused = ("50105", words)
        if refused:
            body = {"code": refused[0], "msg": refused[1], "data": []}
            return web.json_response(body, status=401)
        about = {"perm": ",".join(account.permissions), "ip": "192.0.2.1,192.0.2.2", "acctLv": "2"}
        return web.json_response({"code": "0", "msg": "", "data": [about]})

    app = web.Application()
    app.router.add_get("/api/v5/public/time", moment)
    app.router.add_get("/api/v5/public/instruments", instruments)
    app.router.add_get("/api/v5/account/config", config)
    return app


def binance(account: Account) -> web.Application:
    """USD-M futures, and the one call of spot that tells a key's restrictions."""

    async def moment(request: web.Request) -> web.Response:
        return web.json_response({"serverTime": int(account.now() * 1000)})

    async def exchange(request: web.Request) -> web.Response:
        filters = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.1",
                "maxPrice": "9999",
                "tickSize": "0.1",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "1000", "stepSize": "0.01"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.01", "maxQty": "99", "stepSize": "0.01"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ]
        symbol = {
            "symbol": "ETHUSDT", "pair": "ETHUSDT", "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000, "onboardDate": 1569398400000, "status": "TRADING",
            "maintMarginPercent": "2.5", "requiredMarginPercent": "5", "baseAsset": "ETH",
            "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2,
            "quantityPrecision": 3, "baseAssetPrecision": 8, "quotePrecision": 8,
            "underlyingType": "COIN", "underlyingSubType": [], "triggerProtect": "0.05",
            "liquidationFee": "0.01", "marketTakeBound": "0.05", "filters": filters,
            "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
        }  # fmt: skip
        about: dict[str, Any] = {"timezone": "UTC", "serverTime": 1, "rateLimits": []}
        return web.json_response(
            {**about, "exchangeFilters": [], "assets": [], "symbols": [symbol]}
        )

    async def restrictions(request: web.Request) -> web.Response:
        key = request.headers["X-MBX-APIKEY"]
        account.asked.append((request.path, key))
        query, _, signature = request.rel_url.raw_query_string.partition("&signature=")
        sent = int(dict(parse_qsl(query))["timestamp"])
        if key != account.key or not account.signed(query, unquote(signature)):
            words = account.quoting("Invalid API-key, IP, or permissions for action.", key)
            return web.json_response({"code": -2015, "msg": words}, status=401)
        if abs(sent - account.now() * 1000) > 5000:
            words = "Timestamp for this request is outside of the recvWindow."
            return web.json_response({"code": -1021, "msg": words}, status=400)
        flags = {f"enable{name}": True for name in account.permissions}
        return web.json_response({"ipRestrict": True, "enableWithdrawals": False, **flags})

    async def wallet(request: web.Request) -> web.Response:
        account.asked.append((request.path, request.headers["X-MBX-APIKEY"]))
        return web.json_response({"canTrade": True, "canDeposit": False, "assets": []})

    app = web.Application()
    app.router.add_get("/fapi/v1/time", moment)
    app.router.add_get("/fapi/v1/exchangeInfo", exchange)
    app.router.add_get("/sapi/v1/account/apiRestrictions", restrictions)
    app.router.add_get("/fapi/v2/account", wallet)
    return app


def kraken(account: Account) -> web.Application:
    """Spot."""

    async def moment(request: web.Request) -> web.Response:
        result = {"unixtime": int(account.now()), "rfc1123": "not looked at"}
        return web.json_response({"error": [], "result": result})

    async def pairs(request: web.Request) -> web.Response:
        pair = {
            "altname": "XBTUSDT", "wsname": "XBT/USDT", "aclass_base": "currency", "base": "XXBT",
            "aclass_quote": "currency", "quote": "USDT", "lot": "unit", "cost_decimals": 5,
            "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
            "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
            "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1", "status": "online",
        }  # fmt: skip
        return web.json_response({"error": [], "result": {"XBTUSDT": pair}})

    async def about(request: web.Request) -> web.Response:
        key, body = request.headers["API-Key"], await request.text()
        account.asked.append((request.path, key))
        nonce = dict(parse_qsl(body))["nonce"]
        digest = hashlib.sha256(f"{nonce}{body}".encode()).digest()
        secret = base64.b64decode(account.secret)
        signed = hmac.new(secret, request.path.encode() + digest, "sha512").digest()
        error = []
        if key != account.key:
            error = [account.quoting("EAPI:Invalid key", key)]
        elif request.headers["API-Sign"] != base64.b64encode(signed).decode():
            error = ["EAPI:Invalid signature"]
        if error:
            return web.json_response({"error": error})
        found = {"apiKeyName": "test", "apiKey": key, "validUntil": "1924992000"}
        found |= {"permissions": account.permissions, "ipAllowlist": []}
        return web.json_response({"error": [], "result": found})

    app = web.Application()
    app.router.add_get("/0/public/Time", moment)
    app.router.add_get("/0/public/AssetPairs", pairs)
    app.router.add_post("/0/private/GetApiKeyInfo", about)
    return app


def kraken_futures(account: Account) -> web.Application:
    def success(**more: Any) -> web.Response:
        moment = datetime.fromtimestamp(account.now(), UTC).isoformat(timespec="milliseconds")
        told = moment.replace("+00:00", "Z")
        return web.json_response({"result": "success", "serverTime": told, **more})

    async def fees(request: web.Request) -> web.Response:
        return success(feeSchedules=[])

    async def instruments(request: web.Request) -> web.Response:
        levels = [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}]
        found = {
            "symbol": "PI_ETHUSD", "type": "futures_inverse", "underlying": "rr_ethusd",
            "tickSize": 0.05, "contractSize": 1, "tradeable": True, "impactMidSize": 100.0,
            "maxPositionSize": 1000000.0, "openingDate": "2018-08-31T00:00:00Z",
            "marginLevels": levels, "contractValueTradePrecision": 0, "postOnly": False,
            "feeScheduleUid": "a", "mtf": True, "base": "ETH", "quote": "USD", "pair": "ETH:USD",
        }  # fmt: skip
        return success(instruments=[found])

    async def wallets(request: web.Request) -> web.Response:
        key = request.headers["APIKey"]
        account.asked.append((request.path, key))
        message = request.path.removeprefix("/derivatives")
        digest = hashlib.sha256(f"{request.headers.get('Nonce', '')}{message}".encode()).digest()
        secret = base64.b64decode(account.secret)
        signed = base64.b64encode(hmac.new(secret, digest, "sha512").digest()).decode()
        if key != account.key or request.headers["Authent"] != signed:
            words = account.quoting("authenticationError", key)
            return web.json_response({"result": "error", "error": words})
        cash = {"type": "cashAccount", "balances": {"eth": 1.5}}
        return success(accounts={"cash": cash})

    app = web.Application()
    app.router.add_get("/derivatives/api/v3/feeschedules", fees)
    app.router.add_get("/derivatives/api/v3/instruments", instruments)
    app.router.add_get("/derivatives/api/v3/accounts", wallets)
    return app


def tardis(account: Account) -> web.Application:
    async def root(request: web.Request) -> web.Response:
        return web.json_response({"code": 0, "message": "Not Found"}, status=404)

    async def about(request: web.Request) -> web.Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        account.asked.append((request.path, key))
        if key != account.key:
            words = account.quoting("API key is invalid", key)
            return web.json_response({"code": 1, "message": words}, status=401)
        entry = {"accessType": "time-bound", "symbols": [], "dataPlan": "perpetuals"}
        dates = {"from": "2019-11-17T00:00:00.000Z", "to": "2031-01-01T00:00:00.000Z"}
        found = [{"exchange": name, **entry, **dates} for name in account.permissions]
        return web.json_response(found)

    async def exchanges(request: web.Request) -> web.Response:
        names = ("bitmex", "deribit", "binance-futures", "binance")
        return web.json_response([{"id": name, "name": name.title()} for name in names])

    app = web.Application()
    app.router.add_get("/v1", root)
    app.router.add_get("/v1/api-key-info", about)
    app.router.add_get("/v1/exchanges", exchanges)
    return app


def databento(account: Account) -> web.Application:
    async def datasets(request: web.Request) -> web.Response:
        encoded = request.headers["Authorization"].removeprefix("Basic ")
        key = base64.b64decode(encoded).decode().removesuffix(":")
        account.asked.append((request.path, key))
        if key == account.key:
            return web.json_response(["GLBX.MDP3", "XNAS.ITCH", "DBEQ.BASIC"])
        words = account.quoting("Authentication failed.", encoded)
        detail = {"case": "auth_authentication_failed", "message": words, "status_code": 401}
        detail |= {"docs": "https://databento.com/docs/portal/api-keys", "payload": {}}
        return web.json_response({"detail": detail}, status=401)

    async def root(request: web.Request) -> web.Response:
        return web.json_response({"detail": "Not Found"}, status=404)

    app = web.Application()
    app.router.add_get("/", root)
    app.router.add_get("/v0/metadata.list_datasets", datasets)
    return app


def deribit(account: Account) -> web.Application:
    """What the market data client of a node needs to connect: JSON-RPC by HTTP and WebSocket."""

    def future(name: str) -> dict[str, Any]:
        return {
            "price_index": "btc_usd", "kind": "future", "instrument_name": name,
            "max_leverage": 50, "maker_commission": 0.0, "taker_commission": 0.0005,
            "instrument_type": "reversed", "expiration_timestamp": 32503708800000,
            "creation_timestamp": 1534167754000, "is_active": True, "tick_size": 0.5,
            "contract_size": 10.0, "instrument_id": len(name), "min_trade_amount": 10.0,
            "future_type": "reversed", "max_liquidation_commission": 0.0075,
            "block_trade_commission": 0.00025, "block_trade_min_trade_amount": 200000,
            "block_trade_tick_size": 0.01, "settlement_currency": "BTC",
            "settlement_period": "perpetual", "base_currency": "BTC", "counter_currency": "USD",
            "quote_currency": "USD", "tick_size_steps": [],
        }  # fmt: skip

    def reply(call: dict[str, Any]) -> dict[str, Any]:
        result: Any = "ok"
        stamps = dict.fromkeys(("usIn", "usOut"), int(account.now() * 1e6))
        if call["method"] == "public/get_instruments":
            result = [future("BTC-PERPETUAL"), future("ETH-PERPETUALS")]
        if call["method"] == "public/auth":
            key = call["params"].get("client_id", "")
            account.asked.append((call["method"], key))
            if key != account.key:
                error = {"code": 13004, "message": account.quoting("invalid_credentials", key)}
                return {
                    "jsonrpc": "2.0",
                    "id": call.get("id"),
                    "error": error,
                    "usDiff": 1,
                } | stamps
            result = {"access_token": "t", "refresh_token": "r", "expires_in": 900}
            result |= {"scope": "connection", "token_type": "bearer"}
        if call["method"].endswith("/subscribe"):
            result = call["params"]["channels"]
        return {"jsonrpc": "2.0", "id": call["id"], "result": result, "usDiff": 1} | stamps

    async def call(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            if request.method == "GET":
                return web.Response(text="Deribit", status=404)
            return web.json_response({**reply(await request.json()), "testnet": True})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_json({**reply(json.loads(message.data)), "testnet": True})
        return socket

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", call)
    return app
