"""From a study and its resolved adapters to the engine's live node."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nautilus_trader.adapters.sandbox import (
    SandboxExecutionClientConfig,
    SandboxExecutionClientFactory,
)
from nautilus_trader.common import (
    CacheConfig,
    Environment,
    FileWriterConfig,
    LoggerConfig,
    LogLevel,
    SerializationEncoding,
)
from nautilus_trader.infrastructure import RedisCacheConfig
from nautilus_trader.live import (
    LiveExecutionEngineConfig,
    LiveNode,
    LiveRiskEngineConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.model import (
    AccountId,
    AccountType,
    BookType,
    Currency,
    Money,
    OmsType,
    TraderId,
    Venue,
)

from workbench.core.errors import DataError
from workbench.engine import adapters, catalog, log
from workbench.engine.live.replay import ReplayFactory, Tape, TapeConfig
from workbench.engine.simulate import Input
from workbench.engine.venues import (
    book_type,
    fee_model,
    fill_model,
    latency_model,
    risk_config,
)
from workbench.study import Study
from workbench.study import Venue as VenueSpec

_ENVIRONMENTS = {"sandbox": Environment.SANDBOX, "practice": Environment.LIVE}
_CONNECTION_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Connection:
    """One side of an adapter, as the launcher resolved it.

    Attributes
    ----------
    adapter, side
        Name of the adapter; ``data`` or ``execution``.
    settings
        For its config, addresses and environment among them.
    credentials
        By field; never shown.

    """

    adapter: str
    side: adapters.Side
    settings: Mapping[str, Any]
    credentials: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Connection({self.adapter!r}, {self.side!r})"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a node is made of.

    Attributes
    ----------
    study
        What to trade.
    folder
        Of the node: the engine's log goes there.
    catalog_path
        Where instruments and replayed data come from.
    inputs
        Datasets to replay; none where no feed is a replay.
    speed
        Of the replay, times real time; infinite for as fast as orders settle.
    connections
        The real adapters.
    redis
        Where orders and positions outlive the process; None for nowhere.
    quantities_equal
        Whether positions are known to be the venue's but for their average price: it is another
        where several strategies trade one instrument, and the engine would not start.

    """

    study: Study
    folder: Path
    catalog_path: Path
    inputs: Sequence[Input]
    speed: float
    connections: Sequence[Connection]
    redis: Mapping[str, Any] | None = None
    quantities_equal: bool = False


def tape(plan: Plan) -> Tape | None:
    """Load what is to be replayed; None where nothing is."""
    if not plan.inputs:
        return None
    wanted = list(dict.fromkeys(item.spec.instrument for item in plan.inputs))
    found = catalog.instruments(plan.catalog_path, wanted)
    if lacking := [name for name in wanted if name not in found]:
        raise DataError(f"the catalog does not know {', '.join(lacking)}")
    sources = [
        catalog.query(
            item.spec.kind, item.spec.identity, item.spec.start_ns, item.spec.end_ns, item.files
        )
        for item in plan.inputs
    ]
    return Tape(list(found.values()), sources, plan.speed)


def build(plan: Plan, played: Tape | None) -> LiveNode:
    """Build the node, without strategies."""
    study = plan.study
    live = study.live
    assert live is not None
    instruments = {str(item.id): item for item in (played.instruments if played else [])}
    builder = (
        LiveNode.builder(
            study.name,
            TraderId(study.trader),
            _ENVIRONMENTS.get(live.environment, Environment.LIVE),
        )
        .with_logging(_logging(plan.folder))
        .with_timeout_connection(_CONNECTION_SECONDS)
        .with_delay_post_stop_secs(1)
        .with_risk_engine_config(_risk(study, instruments))
    )
    simulated = any(each.adapter == "sandbox" for each in live.execution)
    if played:
        for venue in dict.fromkeys(str(item.id.venue) for item in played.instruments):
            builder = builder.add_data_client(venue, ReplayFactory(), TapeConfig(played))
    for connection in plan.connections:
        config = adapters.build(
            connection.adapter, connection.side, connection.settings, connection.credentials
        )
        factory = adapters.factory(connection.adapter, connection.side)
        add = builder.add_data_client if connection.side == "data" else builder.add_exec_client
        builder = add(None, factory, config)
    if simulated:
        for spec in study.venues:
            builder = builder.add_simulated_exec_client(
                spec.name, SandboxExecutionClientFactory(), _sandbox(spec, study)
            )
    if plan.redis:
        builder = (
            builder.with_cache_config(
                CacheConfig(encoding=SerializationEncoding.JSON, persist_account_events=False)
            )
            .with_cache_database_factory(RedisCacheConfig(**plan.redis))
            .with_load_state(True)
            .with_save_state(True)
        )
    if not simulated:  # a simulated account has nothing to be reconciled with
        builder = builder.with_exec_engine_config(
            _reconciling(quantities_equal=plan.quantities_equal)
        )
    with _unseen("numpy", "pandas"):
        return builder.with_reconciliation(not simulated).build()


@contextmanager
def _unseen(*libraries: str) -> Iterator[None]:
    """Keep libraries that are not loaded yet from being found.

    The engine loads them whole to print their versions: half a second and 60 MB a node.
    """
    hidden = [name for name in libraries if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _logging(folder: Path) -> LoggerConfig:
    return LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=LogLevel.INFO,
        is_colored=False,
        print_config=False,
        file_config=FileWriterConfig(
            directory=str(folder), file_name=log.FILE_NAME, file_format="json"
        ),
    )


def _reconciling(*, quantities_equal: bool) -> LiveExecutionEngineConfig:
    """Return how the engine keeps its orders and positions equal to the venue's.

    An order without an answer is never taken for dead, and open orders are not looked at by the
    clock: a fill the engine infers would count twice once the venue's own word of it arrives.
    `workbench.engine.live.doubts` asks when there is a reason to. Positions are brought into line
    only when they differ for longer than any message is late.
    """
    return LiveExecutionEngineConfig(
        reconciliation=True,
        reconciliation_startup_delay_secs=1.0,
        submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
        position_check_interval_secs=10.0,
        position_check_threshold_ms=20_000,
        filter_position_reports=quantities_equal,
    )


def _risk(study: Study, instruments: Mapping[str, Any]) -> LiveRiskEngineConfig:
    """Return the study's limits as far as the engine enforces them itself."""
    config, _ = risk_config(study.risk, dict(instruments))
    return LiveRiskEngineConfig(
        max_order_submit_rate=config.max_order_submit_rate,
        max_notional_per_order=config.max_notional_per_order,
    )


def _sandbox(venue: VenueSpec, study: Study) -> SandboxExecutionClientConfig:
    """Return the simulated account of a venue: the same as its backtest's."""
    return SandboxExecutionClientConfig(
        venue=Venue(venue.name),
        starting_balances=[Money.from_str(balance) for balance in venue.balances],
        account_id=AccountId(f"{venue.name}-001"),
        base_currency=Currency.from_str(venue.base_currency) if venue.base_currency else None,
        oms_type=OmsType.NETTING if venue.oms == "netting" else OmsType.HEDGING,
        account_type=AccountType.CASH if venue.account == "cash" else AccountType.MARGIN,
        default_leverage=venue.leverage if venue.account == "margin" else None,
        book_type=BookType.from_str(book_type(venue, study.data)),
        reject_stop_orders=venue.reject_stop_orders,
        bar_adaptive_high_low_ordering=venue.bar_adaptive_high_low,
        fee_model=fee_model(venue.fees),
        fill_model=fill_model(venue.fills),
        latency_model=latency_model(venue.latency),
    )
