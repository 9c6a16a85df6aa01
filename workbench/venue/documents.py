"""What the venue writes, in Bybit's shapes.

Every field that Bybit documents for linear contracts is there: a client that parses strictly drops
a whole message for one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from workbench.venue.account import Account
from workbench.venue.market import Market, Trade
from workbench.venue.model import CENT, COIN, ZERO, Contract, Execution, Order, text
from workbench.venue.orders import CATEGORY

type Document = dict[str, Any]

_FUNDING_HOURS = 8


def money(amount: Decimal) -> str:
    """Write an amount of USDT."""
    return text(amount.quantize(CENT))


def price_of(amount: Decimal | None) -> str:
    """Write a price that may be an average."""
    return "" if amount is None else text(amount.quantize(Decimal("1e-12")))


def instrument(contract: Contract) -> Document:
    """Return an entry of ``instruments-info``."""
    return {
        "symbol": contract.symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": contract.base,
        "quoteCoin": COIN,
        "settleCoin": COIN,
        "launchTime": "0",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(max(-int(contract.tick.as_tuple().exponent), 0)),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": text(contract.max_leverage),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": f"{contract.tick:f}",
            "maxPrice": text(contract.tick * 10**9),
            "tickSize": f"{contract.tick:f}",
        },
        "lotSizeFilter": {
            "maxOrderQty": text(contract.max_quantity),
            "minOrderQty": f"{contract.step:f}",
            "qtyStep": f"{contract.step:f}",
            "postOnlyMaxOrderQty": text(contract.max_quantity),
            "maxMktOrderQty": text(contract.max_quantity),
            "minNotionalValue": text(contract.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": _FUNDING_HOURS * 60,
        "copyTrading": "none",
        "upperFundingRate": "0",
        "lowerFundingRate": "0",
        "isPreListing": False,
        "preListingInfo": None,
        "symbolType": "",
    }


def ticker(market: Market, now: int) -> Document:
    """Return an entry of ``tickers``, of the socket's topic too."""
    first, last = market.first or ZERO, market.last or ZERO
    change = ((last - first) / first).quantize(Decimal("0.000001")) if first else ZERO
    period = _FUNDING_HOURS * 3_600_000
    return {
        "symbol": market.contract.symbol,
        "tickDirection": "PlusTick" if not market.trades or market.trades[-1].up else "MinusTick",
        "lastPrice": text(market.last),
        "indexPrice": text(market.mark),
        "markPrice": text(market.mark),
        "prevPrice24h": text(first),
        "prevPrice1h": text(first),
        "price24hPcnt": text(change),
        "highPrice24h": text(market.high or ZERO),
        "lowPrice24h": text(market.low or ZERO),
        "openInterest": "0",
        "openInterestValue": "0",
        "turnover24h": text(market.turnover),
        "volume24h": text(market.volume),
        "fundingRate": "0",
        "nextFundingTime": str(now - now % period + period),
        "fundingIntervalHour": str(_FUNDING_HOURS),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "basis": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "bid1Price": text(market.bids[0][0]) if market.bids else "",
        "bid1Size": text(market.bids[0][1]) if market.bids else "",
        "ask1Price": text(market.asks[0][0]) if market.asks else "",
        "ask1Size": text(market.asks[0][1]) if market.asks else "",
    }


def book(market: Market, depth: int) -> Document:
    """Return the levels of an order book, best first."""
    return {
        "s": market.contract.symbol,
        "b": [[text(price), text(size)] for price, size in market.bids[:depth]],
        "a": [[text(price), text(size)] for price, size in market.asks[:depth]],
        "u": market.update,
        "seq": market.update,
    }


def public_trade(trade: Trade, symbol: str) -> Document:
    """Return a trade as the socket's topic has it."""
    return {
        "T": trade.time,
        "s": symbol,
        "S": trade.side,
        "v": text(trade.size),
        "p": text(trade.price),
        "L": "PlusTick" if trade.up else "MinusTick",
        "i": trade.id,
        "BT": False,
        "RPI": False,
        "seq": trade.time,
    }


def recent_trade(trade: Trade, symbol: str) -> Document:
    """Return a trade as ``recent-trade`` has it."""
    return {
        "execId": trade.id,
        "symbol": symbol,
        "price": text(trade.price),
        "size": text(trade.size),
        "side": trade.side,
        "time": str(trade.time),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.time),
    }


def order(each: Order) -> Document:
    """Return an order; the same over HTTP and on the socket."""
    leaves = each.leaves
    at = each.price if each.price is not None else each.last_price or ZERO
    return {
        "category": CATEGORY,
        "symbol": each.symbol,
        "orderId": each.id,
        "orderLinkId": each.link,
        "parentOrderLinkId": "",
        "blockTradeId": "",
        "side": each.side,
        "positionIdx": 0,
        "orderType": each.type,
        "orderStatus": each.status,
        "createType": "CreateByUser",
        "cancelType": each.cancel_type,
        "rejectReason": each.reason,
        "price": text(each.price or ZERO),
        "qty": text(each.quantity),
        "avgPrice": price_of(each.average),
        "leavesQty": text(leaves),
        "leavesValue": text(leaves * at),
        "cumExecQty": text(each.filled),
        "cumExecValue": text(each.value),
        "cumExecFee": text(each.fee),
        "cumFeeDetail": {COIN: text(each.fee)} if each.fee else {},
        "feeCurrency": COIN,
        "timeInForce": each.tif,
        "isLeverage": "",
        "stopOrderType": "Stop" if each.conditional else "",
        "triggerPrice": text(each.trigger),
        "triggerDirection": each.direction,
        "triggerBy": each.trigger_by,
        "lastPriceOnCreated": text(each.last_price),
        "reduceOnly": each.reduce_only,
        "closeOnTrigger": each.close_on_trigger,
        "takeProfit": "",
        "stopLoss": "",
        "tpslMode": "",
        "ocoTriggerBy": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "tpTriggerBy": "",
        "slTriggerBy": "",
        "orderIv": "",
        "marketUnit": "",
        "placeType": "",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "slippageTolerance": "0",
        "slippageToleranceType": "UNKNOWN",
        "createdTime": str(each.created),
        "updatedTime": str(each.updated),
    }


def execution(each: Execution) -> Document:
    """Return an execution; the same over HTTP and on the socket."""
    return {
        "category": CATEGORY,
        "symbol": each.symbol,
        "orderId": each.order,
        "orderLinkId": each.link,
        "side": each.side,
        "orderPrice": text(each.order_price or ZERO),
        "orderQty": text(each.order_quantity),
        "leavesQty": text(each.leaves),
        "createType": "CreateByUser",
        "orderType": each.order_type,
        "stopOrderType": "Stop" if each.conditional else "UNKNOWN",
        "execFee": text(each.fee),
        "execFeeV2": "",
        "execId": each.id,
        "execPrice": text(each.price),
        "execQty": text(each.quantity),
        "execPnl": text(each.pnl),
        "execType": "Trade",
        "execValue": text(each.value),
        "execTime": str(each.time),
        "isMaker": each.maker,
        "isLeverage": "0",
        "feeCurrency": COIN,
        "feeRate": text(each.rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(each.mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": text(each.closed),
        "extraFees": "",
        "marketUnit": "",
        "seq": each.seq,
    }


def position(account: Account, symbol: str) -> Document:
    """Return a position; the same over HTTP (``avgPrice``) and on the socket (``entryPrice``)."""
    held = account.positions[symbol]
    initial, maintenance = account.position_margin(symbol), account.maintenance(symbol)
    average = price_of(held.average) or "0"
    return {
        "category": CATEGORY,
        "symbol": symbol,
        "positionIdx": 0,
        "tradeMode": 0,
        "riskId": 1,
        "riskLimitValue": "1000000000",
        "side": held.side,
        "size": text(abs(held.size)),
        "avgPrice": average,
        "entryPrice": average,
        "sessionAvgPrice": "",
        "breakEvenPrice": "",
        "leverage": text(account.leverage(symbol)),
        "positionValue": text(held.cost),
        "positionBalance": "0",
        "markPrice": text(account.mark(symbol)),
        "positionIM": money(initial),
        "positionMM": money(maintenance),
        "positionIMByMp": money(initial),
        "positionMMByMp": money(maintenance),
        "liqPrice": "",
        "bustPrice": "",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": text(account.unrealised_of(symbol)),
        "curRealisedPnl": text(held.current),
        "cumRealisedPnl": text(held.realised - held.fees),
        "positionStatus": "Normal",
        "adlRankIndicator": 0,
        "autoAddMargin": 0,
        "isReduceOnly": False,
        "leverageSysUpdatedTime": "",
        "mmrSysUpdatedTime": "",
        "createdTime": str(held.created),
        "updatedTime": str(held.updated),
        "openTime": held.opened if held.size else 0,
        "seq": held.seq,
    }


def wallet(account: Account, orders: Iterable[Order]) -> Document:
    """Return the wallet; the same over HTTP and on the socket."""
    of_orders, of_positions, maintenance = account.margins(orders)
    unrealised = account.unrealised
    equity = account.wallet + unrealised
    initial = of_orders + of_positions
    free = max(equity - initial, ZERO)
    coin = {
        "coin": COIN,
        "equity": text(equity),
        "usdValue": text(equity),
        "walletBalance": text(account.wallet),
        "availableToWithdraw": money(free),
        "availableToBorrow": "",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": money(of_orders),
        "totalPositionIM": money(of_positions),
        "totalPositionMM": money(maintenance),
        "unrealisedPnl": text(unrealised),
        "cumRealisedPnl": text(account.realised - account.fees),
        "bonus": "0",
        "locked": "0",
        "spotHedgingQty": "0",
        "spotBorrow": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
    }
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": _share(initial, equity),
        "accountMMRate": _share(maintenance, equity),
        "totalEquity": text(equity),
        "totalWalletBalance": text(account.wallet),
        "totalMarginBalance": text(equity),
        "totalAvailableBalance": money(free),
        "totalPerpUPL": text(unrealised),
        "totalInitialMargin": money(initial),
        "totalMaintenanceMargin": money(maintenance),
        "coin": [coin],
    }


def _share(part: Decimal, whole: Decimal) -> str:
    return text((part / whole).quantize(Decimal("0.0001"))) if whole > 0 else "0"
