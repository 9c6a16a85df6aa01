"""The study document, schema 1.

Every model is frozen and refuses unknown keys. What one field alone can tell is checked by its type
(`workbench.study.fields`); what takes several fields is in `workbench.study.consistency`.
"""

import datetime as dt
import hashlib
import json
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from workbench.core.errors import Issue, StudyError
from workbench.study.fields import (
    Amount,
    BarSpec,
    CurrencyCode,
    Duration,
    InstrumentId,
    Moment,
    Money,
    Name,
    NonNegative,
    OrderRate,
    Percent,
    Positive,
    TraderId,
    VenueName,
    moment_ns,
    split_instrument,
)
from workbench.study.places import Path, Places, dotted


class Document(BaseModel):
    """Base of every part of a study: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Instrument(Document):
    """What the engine must know of an instrument whose provider does not describe it."""

    type: Literal["equity", "currency_pair", "crypto_perpetual", "future"]
    currency: CurrencyCode = Field(description="Quote currency: the one prices are in")
    base: CurrencyCode | None = Field(None, description="Base currency of a pair or perpetual")
    settlement: CurrencyCode | None = Field(None, description="Default: the quote currency")
    price_precision: int = Field(ge=0, le=16, description="Decimals of a price")
    price_increment: Positive | None = Field(None, description="Default: one unit of precision")
    size_precision: int = Field(0, ge=0, le=16, description="Decimals of a quantity")
    size_increment: Positive | None = Field(None, description="Default: one unit of precision")
    lot_size: Positive | None = None
    multiplier: Positive = Decimal(1)
    margin_init: NonNegative = Field(Decimal(0), description="Initial margin, share of notional")
    margin_maint: NonNegative = Field(Decimal(0), description="Maintenance margin, share")
    inverse: bool = False
    underlying: str | None = Field(None, description="Of a future")
    expires: Moment | None = Field(None, description="Of a future")


class DataSpec(Document):
    """One dataset of a study: of which instrument, what, from when to when."""

    provider: str
    instrument: InstrumentId
    bars: BarSpec | None = Field(None, description="Bars of this specification")
    ticks: Literal["quotes", "trades"] | None = Field(None, description="Or ticks of this kind")
    start: Moment | None = Field(None, description="Default: where the data begins")
    end: Moment | None = Field(None, description="Inclusive; default: where the data ends")

    @property
    def kind(self) -> Literal["bars", "quotes", "trades"]:
        """What the dataset holds."""
        return self.ticks or "bars"

    @property
    def identity(self) -> str:
        """The catalog's name for it: the bar type, or the instrument for ticks."""
        return f"{self.instrument}-{self.bars}-EXTERNAL" if self.bars else self.instrument

    @property
    def venue(self) -> str:
        """The venue part of the instrument id."""
        return split_instrument(self.instrument)[1]

    @property
    def start_ns(self) -> int | None:
        """First nanosecond wanted (UNIX, UTC), None from where the data begins."""
        return None if self.start is None else moment_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """Last nanosecond wanted, inclusive, None up to where the data ends."""
        return None if self.end is None else moment_ns(self.end, end=True)


class SampleData(DataSpec):
    """Real daily bars of five shares, split- and dividend-adjusted, that ship with the workbench."""

    provider: Literal["sample"]


class Columns(Document):
    """Which column of a file holds what, by header name; only what differs from the default."""

    timestamp: str = "timestamp"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str | None = Field(None, description="Default: 'volume' where the file has it, else 1")
    bid: str = "bid"
    ask: str = "ask"
    bid_size: str | None = Field(None, description="Default: 'bid_size' where present, else 1")
    ask_size: str | None = Field(None, description="Default: 'ask_size' where present, else 1")
    price: str = "price"
    size: str = "size"
    side: str | None = Field(None, description="buy or sell; default: 'side' where present")
    trade_id: str | None = Field(None, description="Default: 'trade_id' where present, else made")


Cleaning = Literal["sort", "drop_duplicates", "drop_invalid"]


class FileData(DataSpec):
    """Bars, quotes or trades of a CSV or Parquet file."""

    provider: Literal["file"]
    path: str = Field(min_length=1, max_length=4096, description="Relative to the project")
    format: Literal["csv", "parquet"] | None = Field(None, description="Default: by file name")
    columns: Columns = Columns()
    delimiter: str = Field(",", min_length=1, max_length=1)
    timezone: str = Field("UTC", description="Of timestamps that carry none (IANA name)")
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        None, description="Of integer timestamps; needed where the file has those"
    )
    timestamp_marks: Literal["open", "close"] = Field(
        "close", description="Which end of the bar its timestamp is: the engine trades at the close"
    )
    clean: tuple[Cleaning, ...] = Field(
        (), description="Faults to mend on import; any other fault refuses the file"
    )
    definition: Instrument | None = Field(
        None, description="The instrument, unless the catalog knows it already"
    )


AnyData = Annotated[SampleData | FileData, Field(discriminator="provider")]


class MakerTaker(Document):
    """Fees as shares of notional (0.0001 is one basis point)."""

    maker: Amount
    taker: Amount


class FixedFee(Document):
    """The same commission for each order."""

    per_order: Money


class PerContractFee(Document):
    """The same commission for each unit of quantity."""

    per_contract: Money


class Fills(Document):
    """How the simulated venue fills orders (the engine's fill models)."""

    model: Literal[
        "default", "best_price", "one_tick_slippage", "probabilistic", "two_tier", "three_tier",
        "limit_partial", "size_aware", "volume_sensitive", "market_hours",
    ] = "default"  # fmt: skip
    limit_probability: float = Field(1.0, ge=0, le=1, description="That a touched limit fills")
    slippage_probability: float = Field(0.0, ge=0, le=1, description="Of one tick of slippage")
    seed: int = Field(42, ge=0, lt=2**63, description="So that a run can be repeated")


class Latency(Document):
    """Time from sending an order command to its arrival at the venue."""

    base: Duration = "0ms"
    insert: Duration = "0ms"
    update: Duration = "0ms"
    cancel: Duration = "0ms"


class Venue(Document):
    """A simulated venue and the account held there."""

    name: VenueName
    account: Literal["cash", "margin"]
    oms: Literal["netting", "hedging"] = "netting"
    balances: tuple[Money, ...] = Field(min_length=1, description="Starting balances")
    base_currency: CurrencyCode | None = Field(None, description="For a single-currency account")
    leverage: Annotated[Positive, Field(le=1000)] = Decimal(1)
    leverages: dict[InstrumentId, Annotated[Positive, Field(le=1000)]] = {}
    fees: MakerTaker | FixedFee | PerContractFee
    fills: Fills = Fills()
    latency: Latency = Latency()
    reject_stop_orders: bool = Field(True, description="Stops already through the market")
    bar_adaptive_high_low: bool = Field(
        False, description="Order high and low within a bar by nearness to the open"
    )
    allow_cash_borrowing: bool = False


ParamValue = Any


class Strategy(Document):
    """The strategy's class and the parameters of its config."""

    path: str = Field(
        min_length=3,
        max_length=4096,
        pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$",
        description="'package.module:Class' or 'strategies/file.py:Class'",
    )
    config: str | None = Field(None, description="Config class; default: the strategy's annotation")
    params: dict[str, ParamValue] = {}


class Risk(Document):
    """The risk policy."""

    max_orders: OrderRate | None = None
    max_notional_per_order: Money | None = None
    max_position: dict[InstrumentId, Positive] = {}
    max_drawdown: Percent | None = None
    max_daily_loss: Money | None = None
    stale_feed: Duration | None = None
    on_breach: tuple[Literal["alert", "reduce_only", "flatten", "halt"], ...] = ("alert",)


class Sweep(Document):
    """Runs over many parameters."""

    method: Literal["grid"] = "grid"
    params: dict[str, Annotated[tuple[ParamValue, ...], Field(min_length=1)]] = Field(
        min_length=1, description="Values to try, by parameter name or dotted path in the study"
    )


class Adapter(BaseModel):
    """An adapter by name; its further keys are the adapter's own settings."""

    model_config = ConfigDict(frozen=True, extra="allow")

    adapter: Name


class Live(Document):
    """How the study goes live."""

    environment: Literal["sandbox", "practice", "testnet", "live"]
    feeds: tuple[Adapter, ...] = Field(min_length=1)
    execution: tuple[Adapter, ...] = Field(min_length=1)
    persistence: str = "none"


class Study(Document):
    """A study: one run of one strategy on this data, at these venues."""

    schema_: Literal[1] = Field(alias="schema", description="Version of this document's format")
    study: Name = Field(description="The study's name")
    description: str = ""
    trader: TraderId = "WORKBENCH-001"
    data: tuple[AnyData, ...] = Field(min_length=1)
    venues: tuple[Venue, ...] = Field(min_length=1)
    strategy: Strategy
    risk: Risk = Risk()
    sweep: Sweep | None = None
    live: Live | None = None

    _places: Places = PrivateAttr(default_factory=Places)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study

    def issue(self, message: str, *path: str | int) -> Issue:
        """Return an issue at `path` with the file and line it was written on."""
        return self._places.issue(message, path)

    def error(self, message: str, *path: str | int) -> StudyError:
        """Return the error to raise for `path`."""
        return StudyError(self.issue(message, *path))

    def located(self, places: Places) -> Self:
        """Return this study knowing where each of its values was written."""
        self._places = places
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the whole study, defaults included, as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides a run: data, venues, trader, strategy and risk."""
        content = self.to_dict()
        for key in ("study", "description", "sweep", "live"):
            del content[key]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_params(self, **params: Any) -> "Study":
        """Return a copy with other strategy parameters (not yet checked by the strategy)."""
        return self.with_values({("strategy", "params", name): value for name, value in params.items()})

    def with_values(self, values: dict[Path, Any]) -> "Study":
        """Return a checked copy with other values at the given paths."""
        from workbench.study.load import build

        content = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return build(content, self._places, overrides=[(path, value, "-p") for path, value in values.items()])


def today() -> dt.date:
    """Return today's date in UTC."""
    return dt.datetime.now(dt.UTC).date()


__all__ = ["DataSpec", "FileData", "Instrument", "Study", "dotted", "today"]
