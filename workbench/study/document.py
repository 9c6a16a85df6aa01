"""The study document, schema 1.

Every model is frozen and refuses unknown keys. What one field alone can tell is checked by its type
(`workbench.study.fields`); what takes several fields is in `workbench.study.consistency`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PrivateAttr,
    Tag,
)

from workbench.core.errors import Issue, StudyError
from workbench.study.base import Document
from workbench.study.datasets import AnyData
from workbench.study.fields import (
    ClassName,
    CurrencyCode,
    Duration,
    FeeRate,
    Flag,
    InstrumentId,
    Leverage,
    Name,
    NonNegativeMoney,
    OrderRate,
    Percent,
    Positive,
    PositiveMoney,
    Share,
    StrategyPath,
    TraderId,
    VenueName,
    Whole,
    wrong,
)
from workbench.study.places import Path, Places
from workbench.study.values import shown

# What a run depends on: these sections make the digest, and only they can be swept.
RUN_SECTIONS = ("trader", "data", "venues", "strategy", "risk")

# Of a mapping by instrument, in the JSON Schema.
_ONLY_THESE_KEYS: dict[str, JsonValue] = {"additionalProperties": False}


class MakerTaker(Document):
    """Fees as shares of notional (0.0001 is one basis point)."""

    maker: FeeRate = Field(description="Of orders that rest in the book")
    taker: FeeRate = Field(description="Of orders that take from it")


class FixedFee(Document):
    """The same commission for each order."""

    per_order: NonNegativeMoney = Field(description="Commission of an order")


class PerContractFee(Document):
    """The same commission for each unit of quantity."""

    per_contract: NonNegativeMoney = Field(description="Commission of one unit")


def _fee_kind(value: object) -> str | None:
    if isinstance(value, FixedFee) or (isinstance(value, dict) and "per_order" in value):
        return "FixedFee"
    if isinstance(value, PerContractFee) or (isinstance(value, dict) and "per_contract" in value):
        return "PerContractFee"
    return "MakerTaker" if isinstance(value, dict | MakerTaker) else None


Fees = Annotated[
    Annotated[MakerTaker, Tag("MakerTaker")]
    | Annotated[FixedFee, Tag("FixedFee")]
    | Annotated[PerContractFee, Tag("PerContractFee")],
    Discriminator(
        _fee_kind,
        custom_error_type="fees",
        custom_error_message="one of maker and taker, per_order, per_contract",
    ),
]


class Fills(Document):
    """How the simulated venue fills orders (the engine's fill models)."""

    model: Literal[
        "default", "best_price", "one_tick_slippage", "probabilistic", "two_tier", "three_tier",
        "limit_partial", "size_aware", "volume_sensitive", "market_hours",
    ] = Field("default", description="The engine's fill model")  # fmt: skip
    limit_probability: Share = Field(1.0, description="That a touched limit fills")
    slippage_probability: Share = Field(0.0, description="Of one tick of slippage")
    seed: Whole = Field(42, ge=0, lt=2**63, description="So that a run can be repeated")


class Latency(Document):
    """Time from sending an order command to its arrival at the venue."""

    base: Duration = Field("0ms", description="Of every command")
    insert: Duration = Field("0ms", description="Added for a new order")
    update: Duration = Field("0ms", description="Added for a change")
    cancel: Duration = Field("0ms", description="Added for a cancel")


class Venue(Document):
    """A simulated venue and the account held there."""

    name: VenueName = Field(description="The part after the dot of its instruments' ids")
    account: Literal["cash", "margin"] = Field(description="Type of the account")
    oms: Literal["netting", "hedging"] = Field(
        "netting", description="One position an instrument, or several"
    )
    balances: tuple[NonNegativeMoney, ...] = Field(min_length=1, description="Starting balances")
    base_currency: CurrencyCode | None = Field(None, description="For a single-currency account")
    leverage: Leverage = Field(Decimal(1), description="Of a margin account, by default")
    leverages: dict[InstrumentId, Leverage] = Field(
        {}, description="Leverage by instrument", json_schema_extra=_ONLY_THESE_KEYS
    )
    book_type: Literal["L1_MBP", "L2_MBP", "L3_MBO"] | None = Field(
        None, description="Depth of the simulated book; default: the most its data allow"
    )
    fees: Fees = Field(description="Commissions")
    fills: Fills = Field(Fills(), description="How orders are filled")
    latency: Latency = Field(Latency(), description="How long a command takes")
    reject_stop_orders: Flag = Field(True, description="Stops already through the market")
    bar_adaptive_high_low: Flag = Field(
        False, description="Order high and low within a bar by nearness to the open"
    )
    allow_cash_borrowing: Flag = Field(False, description="Of a cash account: below zero")


class Strategy(Document):
    """The strategy's class and the parameters of its config."""

    path: StrategyPath = Field(
        description="'package.module:Class' or 'strategies/file.py:Class' in the project"
    )
    config: ClassName | None = Field(
        None, description="Config class; default: the strategy's annotation"
    )
    params: dict[str, Any] = Field({}, description="Fields of the config class")


class Risk(Document):
    """The risk policy."""

    max_orders: OrderRate | None = Field(None, description="Orders submitted in a span of time")
    max_notional_per_order: PositiveMoney | None = Field(None, description="Largest order")
    max_position: dict[InstrumentId, Positive] = Field(
        {},
        description="Largest position in units, by instrument",
        json_schema_extra=_ONLY_THESE_KEYS,
    )
    max_gross_exposure: PositiveMoney | None = Field(
        None, description="Notional of all positions, long and short added up"
    )
    max_net_exposure: PositiveMoney | None = Field(
        None, description="Notional of all positions, long less short"
    )
    price_band: Percent | None = Field(
        None, description="Farthest an order's price may be from the market's"
    )
    duplicate_window: Duration | None = Field(
        None, description="An order equal to one this short before is refused"
    )
    max_drawdown: Percent | None = Field(None, description="Fall of equity from its peak")
    max_daily_loss: PositiveMoney | None = Field(None, description="Loss since midnight UTC")
    stale_feed: Duration | None = Field(None, description="Longest silence of a feed")
    max_reject_rate: Percent | None = Field(
        None, description="Share of the last 20 orders that the venue refused"
    )
    max_latency: Duration | None = Field(
        None, description="From order to acknowledgement, median of the last 20"
    )
    dead_man: Duration | None = Field(
        None, description="Longest silence of whoever watches the node (workbench risk alive)"
    )
    on_breach: tuple[Literal["alert", "reduce_only", "flatten", "halt"], ...] = Field(
        ("alert",), min_length=1, description="What is done when a limit is broken, in order"
    )


class Sweep(Document):
    """Runs over many parameters."""

    method: Literal["grid"] = Field("grid", description="Every combination")
    params: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        min_length=1, description="Values to try, by parameter name or dotted path in the study"
    )

    @property
    def size(self) -> int:
        """How many runs the sweep has."""
        return math.prod(len(values) for values in self.params.values())


class Adapter(BaseModel):
    """An adapter by name; its further keys are the adapter's own settings, without credentials."""

    model_config = ConfigDict(frozen=True, extra="allow")

    adapter: Name = Field(description="The adapter's name", examples=["bybit"])


class Live(Document):
    """How the study goes live."""

    environment: Literal["sandbox", "practice", "testnet", "live"] = Field(
        description="Whose money: simulated, the practice venue's, a testnet's, one's own"
    )
    feeds: tuple[Adapter, ...] = Field(min_length=1, description="Where market data comes from")
    execution: tuple[Adapter, ...] = Field(min_length=1, description="Where orders go")
    persistence: Literal["none", "redis"] = Field(
        "none", description="Where orders and positions outlive the node"
    )


def _known_version(value: object) -> object:
    if isinstance(value, bool) or value != 1:
        raise wrong(f"this workbench reads schema 1, found {shown(value)}")
    return value


SchemaVersion = Annotated[Literal[1], BeforeValidator(_known_version)]


class Study(Document):
    """A study: one run of one strategy on this data, at these venues."""

    schema_: SchemaVersion = Field(alias="schema", description="Version of this document's format")
    study: Name = Field(description="The study's name")
    description: str = Field("", description="For people")
    trader: TraderId = Field("WORKBENCH-001", description="Id of the trader")
    data: tuple[AnyData, ...] = Field(min_length=1, description="What the strategy trades on")
    budget: NonNegativeMoney | None = Field(
        None, description="Most that fetching the data may cost; default: no limit"
    )
    venues: tuple[Venue, ...] = Field(min_length=1, description="Where it trades")
    strategy: Strategy = Field(description="What trades")
    risk: Risk = Field(Risk(), description="Limits")
    sweep: Sweep | None = Field(None, description="Runs over many parameters")
    live: Live | None = Field(None, description="How the study goes live")

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
        """Note where each value was written; return the study itself."""
        self._places = places
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the whole study, defaults included, as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    def written(self) -> dict[str, Any]:
        """Return what was given, without the defaults, as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def digest(self) -> str:
        """SHA-256 of what decides a run: data, venues, trader, strategy and risk."""
        sections = ("schema", *RUN_SECTIONS)
        content = {key: value for key, value in self.to_dict().items() if key in sections}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_params(self, **params: Any) -> "Study":
        """Return a copy with other strategy parameters (not yet checked by the strategy)."""
        values: dict[Path, Any] = {
            ("strategy", "params", name): value for name, value in params.items()
        }
        return self.with_values(values)

    def with_values(self, values: Mapping[Path, Any] | Mapping[str, Any]) -> "Study":
        """Return a checked copy with other values.

        Parameters
        ----------
        values
            By path (``("data", 0, "start")``), or by name as ``-p`` takes it (``"data.0.start"``,
            and ``"fast"`` for a strategy parameter). Values may be any Python objects that
            JSON has a form for, dates and decimals.

        Raises
        ------
        StudyError
            If the copy would not be valid.

        """
        from workbench.study.load import build
        from workbench.study.overlay import override, parameter_path

        overrides = [
            override(parameter_path(path) if isinstance(path, str) else path, value)
            for path, value in values.items()
        ]
        return build(self.written(), self._places, overrides)
