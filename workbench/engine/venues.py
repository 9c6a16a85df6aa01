"""A study's venues and risk limits as the engine's."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from nautilus_trader import execution
from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import (
    AccountType,
    BookType,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig

from workbench import study as documents
from workbench.study.document import FixedFee, MakerTaker, PerContractFee
from workbench.study.fields import duration_seconds, split_money

_FILL_MODELS: dict[str, Any] = {
    "default": execution.DefaultFillModel,
    "best_price": execution.BestPriceFillModel,
    "one_tick_slippage": execution.OneTickSlippageFillModel,
    "probabilistic": execution.ProbabilisticFillModel,
    "two_tier": execution.TwoTierFillModel,
    "three_tier": execution.ThreeTierFillModel,
    "limit_partial": execution.LimitOrderPartialFillModel,
    "size_aware": execution.SizeAwareFillModel,
    "volume_sensitive": execution.VolumeSensitiveFillModel,
    "market_hours": execution.MarketHoursFillModel,
}


BOOKS = ("order_book_deltas", "order_book_depths")


def fee_model(fees: MakerTaker | FixedFee | PerContractFee) -> Any:
    """Return the engine's fee model (mandatory for a venue)."""
    match fees:
        case MakerTaker():
            return execution.MakerTakerFeeModel(fees.maker, fees.taker)
        case FixedFee():
            return execution.FixedFeeModel(Money.from_str(fees.per_order))
        case PerContractFee():
            return execution.PerContractFeeModel(Money.from_str(fees.per_contract))


def fill_model(fills: documents.document.Fills) -> Any:
    """Return the engine's fill model, seeded."""
    kind = _FILL_MODELS[fills.model]
    return kind(fills.limit_probability, fills.slippage_probability, fills.seed)


def latency_model(latency: documents.document.Latency) -> Any:
    """Return the engine's latency model, None where there is no latency."""
    nanos = {
        f"{name}_latency_nanos": round(duration_seconds(getattr(latency, name)) * 1e9)
        for name in ("base", "insert", "update", "cancel")
    }
    return execution.StaticLatencyModel(**nanos) if any(nanos.values()) else None


def book_type(venue: documents.Venue, data: Sequence[documents.DataSpec]) -> str:
    """Return the depth of a venue's simulated book: what the study says, or the most it has."""
    kinds = {(spec.kind, spec.provider) for spec in data if spec.venue == venue.name}
    if venue.book_type:
        return venue.book_type
    if ("order_book_deltas", "databento") in kinds:
        return "L3_MBO"  # each change names its order
    return "L2_MBP" if any(kind in BOOKS for kind, _ in kinds) else "L1_MBP"


def add_venue(
    engine: BacktestEngine, venue: documents.Venue, data: Sequence[documents.DataSpec]
) -> None:
    """Add a simulated venue to `engine`; `data` are the study's datasets."""
    engine.add_venue(
        venue=Venue(venue.name),
        oms_type=OmsType.NETTING if venue.oms == "netting" else OmsType.HEDGING,
        account_type=AccountType.CASH if venue.account == "cash" else AccountType.MARGIN,
        starting_balances=[Money.from_str(balance) for balance in venue.balances],
        base_currency=Currency.from_str(venue.base_currency) if venue.base_currency else None,
        default_leverage=venue.leverage if venue.account == "margin" else None,
        leverages={InstrumentId.from_str(name): value for name, value in venue.leverages.items()}
        or None,
        book_type=BookType.from_str(book_type(venue, data)),
        fee_model=fee_model(venue.fees),
        fill_model=fill_model(venue.fills),
        latency_model=latency_model(venue.latency),
        reject_stop_orders=venue.reject_stop_orders,
        bar_adaptive_high_low_ordering=venue.bar_adaptive_high_low,
        allow_cash_borrowing=venue.allow_cash_borrowing,
    )


_ENFORCED = {"max_orders", "max_notional_per_order"}
# Feeds, answers and people: a backtest has none. What is done about a breach is no limit.
_LIVE_ONLY = {"stale_feed", "max_reject_rate", "max_latency", "dead_man", "on_breach"}
_LOOKED_AT = {"max_drawdown", "max_daily_loss"}  # afterwards: `workbench.engine.losses`


def risk_config(
    risk: documents.Risk, instruments: dict[str, Any]
) -> tuple[RiskEngineConfig, list[str]]:
    """Return the engine's risk limits, and in words those it does not enforce in a backtest."""
    settings: dict[str, Any] = {}
    unenforced = [
        name
        for name in type(risk).model_fields
        if name not in _ENFORCED | _LIVE_ONLY | _LOOKED_AT and getattr(risk, name)
    ]
    if risk.max_orders:
        count, _, per = risk.max_orders.partition("/")
        span = dt.timedelta(seconds=duration_seconds(per))
        hours, rest = divmod(int(span.total_seconds()), 3600)
        settings["max_order_submit_rate"] = f"{count}/{hours:02}:{rest // 60:02}:{rest % 60:02}"
    if risk.max_notional_per_order:
        amount, currency = split_money(risk.max_notional_per_order)
        quoted = [
            name for name, item in instruments.items() if item.quote_currency.code == currency
        ]
        # The engine takes whole units of the quote currency.
        settings["max_notional_per_order"] = {name: str(amount) for name in quoted}
        if len(quoted) < len(instruments):
            unenforced.append("max_notional_per_order (instruments quoted otherwise)")
    return RiskEngineConfig(**settings), unenforced
