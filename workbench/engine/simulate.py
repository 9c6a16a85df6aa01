"""One backtest in this process: build the engine, run it, take down what happened."""

import datetime as dt
import gc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import (
    FileWriterConfig,
    LoggerConfig,
    LogLevel,
    logging_sync_to_disk,
)
from nautilus_trader.model import TraderId, Venue
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy

from workbench.core.errors import RunError, StudyError
from workbench.core.project import Project
from workbench.engine import catalog, log, losses, records, strategy
from workbench.engine.book_quotes import quotes
from workbench.engine.supervise import (
    Failure,
    Observer,
    Watch,
    clean,
    guard_instance,
    sample,
    supervised,
)
from workbench.engine.venues import BOOKS, add_venue, book_type, risk_config
from workbench.study import DataSpec, Study
from workbench.study.fields import split_instrument, split_money

_MINUTE = 60_000_000_000
_INTERVALS = tuple(minutes * _MINUTE for minutes in (1, 5, 15, 30, 60, 120, 240, 360, 720, 1440))
MAX_SAMPLES = 1_500
# Data in which market orders find a price.
_PRICED = {"LAST", "quotes", "trades", "order_book_deltas", "order_book_depths"}
_CHATTY = (
    "BacktestEngine",
    "nautilus_backtest::engine",
    "nautilus_execution::engine",
    "nautilus_portfolio::manager",
    "nautilus_portfolio::portfolio",
    "nautilus_trading::strategy",
)


@dataclass(frozen=True, slots=True)
class Input:
    """One dataset for a run: the study's wish and the catalog files that hold it."""

    spec: DataSpec
    files: Sequence[Path]


@dataclass(slots=True)
class Outcome:
    """What a run did.

    Attributes
    ----------
    orders, fills, positions, equity
        Tables as columns; see `workbench.engine.records` for names and units.
    balances, equity_end, starting
        Final balance, final equity marked to market and starting balance, by currency.
    digest
        SHA-256 over fills and final balances.
    failure
        The first exception of the strategy (`Failure.where` is None if there was none).
    cancelled
        Whether it was stopped at the user's wish.
    warnings
        What a reader of the result must know.
    events
        Data points processed.
    start_ns, end_ns
        First and last data point.

    """

    orders: records.Columns
    fills: records.Columns
    positions: records.Columns
    equity: records.Columns
    balances: dict[str, str]
    equity_end: dict[str, str]
    starting: dict[str, str]
    digest: str
    failure: Failure
    cancelled: bool
    events: int
    start_ns: int
    end_ns: int
    warnings: list[str] = field(default_factory=list)


def simulate(
    study: Study,
    project: Project,
    loaded: strategy.Loaded,
    inputs: Sequence[Input],
    *,
    log_folder: Path,
    on_progress: Callable[[float], None],
    should_stop: Callable[[], bool],
) -> Outcome:
    """Run `study` in this process, which must not have held an engine before.

    Parameters
    ----------
    study, project, loaded, inputs
        What to run: the document, its project, its strategy and its data.
    log_folder
        Where the engine writes ``engine.jsonl``, one JSON object a line.
    on_progress
        Called with the share done (0 to 1).
    should_stop
        Asked at each step of simulated time; True ends the run.

    """
    instruments = _instruments(study, project)
    _check_currencies(study, instruments)
    risk, unenforced = risk_config(study.risk, instruments)
    engine = BacktestEngine(_engine_config(study, risk, log_folder))
    for venue in study.venues:
        add_venue(engine, venue, study.data)
    for instrument in instruments.values():
        engine.add_instrument(instrument)
    start, end = _add_data(engine, study, inputs)

    failure = Failure()
    kind = supervised(loaded.strategy, failure)
    instance = _make(kind, loaded.config, failure)
    guard_instance(instance, failure)
    engine.add_strategy(instance)
    watch = Watch(
        start_ns=start,
        end_ns=end,
        interval_ns=interval_for(end - start),
        venues=[Venue(venue.name) for venue in study.venues],
        on_progress=on_progress,
        should_stop=should_stop,
    )
    observer = Observer()
    observer.watch(watch, engine.portfolio)
    engine.add_actor(observer)
    # The portfolio has no account before the run: the curve begins with what the study says.
    watch.samples += [(start, code, float(text)) for code, text in records.starting(study).items()]
    _run(engine, failure)
    sample(watch, engine.portfolio, engine.backtest_end or end)
    logging_sync_to_disk()  # the engine writes its log from a thread of its own
    found = log.errors(log_folder)
    if found.exception and not watch.stopped:
        # Raised where no handler of ours stood around it: an indicator, a library's callback.
        failure.note("the engine reports", clean(found.exception))
    outcome = _outcome(study, engine, failure, watch)
    if unenforced:
        limits = ", ".join(unenforced)
        outcome.warnings.append(f"risk limits not enforced in a backtest: {limits}")
    outcome.warnings += losses.broken(study.risk, watch.samples)
    for message, count in found.others.most_common(5):
        times = f" ({count} times)" if count > 1 else ""
        outcome.warnings.append(f"the engine reports an error{times}: {message}")
    return outcome


def _check_currencies(study: Study, instruments: dict[str, Any]) -> None:
    """Refuse an account that cannot pay for what it trades: the engine would count nonsense."""
    issues = []
    for index, venue in enumerate(study.venues):
        held = {split_money(balance)[1] for balance in venue.balances}
        for name, item in instruments.items():
            currency = getattr(item, "settlement_currency", item.quote_currency).code
            at_home = split_instrument(name)[1] == venue.name
            if at_home and venue.base_currency is None and currency not in held:
                message = f"{name} is settled in {currency}: the account needs a balance in it"
                issues.append(study.issue(message, "venues", index, "balances"))
    if issues:
        raise StudyError(issues)


def _make(kind: type[Strategy], config: Any, failure: Failure) -> Strategy:
    try:
        return kind(config) if config is not None else kind()
    except BaseException as error:
        failure.record("the strategy's __init__", error)
        raise RunError(failure.text) from None


def interval_for(span_ns: int) -> int:
    """Return the time between two looks in ns: at most `MAX_SAMPLES` of them, at least daily."""
    for interval in _INTERVALS:
        if span_ns <= interval * MAX_SAMPLES:
            return interval
    return _INTERVALS[-1]


def _engine_config(study: Study, risk: RiskEngineConfig, log_folder: Path) -> BacktestEngineConfig:
    logging = LoggerConfig(
        stdout_level=LogLevel.OFF,
        fileout_level=LogLevel.INFO,
        # Some 16 lines an order would be 6 KB; orders and fills are kept as tables anyway.
        component_levels=dict.fromkeys(_CHATTY, "WARN"),
        is_colored=False,
        print_config=False,
        file_config=FileWriterConfig(
            directory=str(log_folder), file_name=log.FILE_NAME, file_format="json"
        ),
    )
    return BacktestEngineConfig(
        trader_id=TraderId(study.trader), risk_engine=risk, logging=logging, run_analysis=False
    )


def _instruments(study: Study, project: Project) -> dict[str, Any]:
    wanted = list(dict.fromkeys(spec.instrument for spec in study.data))
    return catalog.instruments(project.catalog, wanted)


def _add_data(engine: BacktestEngine, study: Study, inputs: Sequence[Input]) -> tuple[int, int]:
    """Add every dataset; return the first and last timestamp."""
    starts, ends = [], []
    for index, item in enumerate(inputs):
        spec = item.spec
        data = catalog.query(spec.kind, spec.identity, spec.start_ns, spec.end_ns, item.files)
        if not data:
            raise study.error(f"there are no {spec.kind} of it in the span", "data", index)
        starts.append(data[0].ts_init)
        ends.append(data[-1].ts_init)
        engine.add_data(data, validate=False, sort=False)
        if spec.kind in BOOKS and not _priced(study, spec.instrument):
            venue = next(each for each in study.venues if each.name == spec.venue)
            priced = quotes(spec.kind, data, book_type(venue, study.data))
            if priced:
                engine.add_data(priced, validate=False, sort=False)
    engine.sort_data()
    return min(starts), max(ends)


def _priced(study: Study, instrument: str) -> bool:
    """Say whether the engine sees prices of an instrument outside its book."""
    return any(spec.kind not in BOOKS for spec in study.data if spec.instrument == instrument)


def _run(engine: BacktestEngine, failure: Failure) -> None:
    gc.freeze()  # the imports and the data are no garbage: no collection need look at them
    try:
        engine.run()
    except Exception as error:  # an exception of on_start surfaces here, already recorded
        failure.record("the engine", error)
    # Taking down the result makes a million objects and no garbage; the process ends after it.
    gc.disable()


def _outcome(
    study: Study,
    engine: BacktestEngine,
    failure: Failure,
    watch: Watch,
) -> Outcome:
    cache = engine.cache
    orders = records.ordered(cache.orders())
    balances = records.balances(engine.portfolio, watch.venues)
    fills, digest = records.fills(records.fill_events(orders), balances)
    outcome = Outcome(
        orders=records.orders(orders),
        fills=fills,
        positions=records.positions(cache),
        equity=records.equity(watch.samples),
        balances=balances,
        equity_end=records.equity_end(engine.portfolio, watch.venues),
        starting=records.starting(study),
        digest=digest,
        failure=failure,
        cancelled=watch.stopped,
        events=engine.iteration,
        start_ns=watch.start_ns,
        end_ns=engine.backtest_end or watch.end_ns,
    )
    outcome.warnings = _warnings(study, orders, outcome, watch.end_ns)
    return outcome


def _minute(ns: int) -> str:
    return f"{dt.datetime.fromtimestamp(ns // 10**9, dt.UTC):%Y-%m-%d %H:%M}"


def _warnings(study: Study, orders: Sequence[Any], outcome: Outcome, last_ns: int) -> list[str]:
    warnings = []
    if not orders and outcome.failure.where is None:
        warnings.append("no trades: the strategy placed no order")
    elif not outcome.fills["ts"] and outcome.failure.where is None:
        warnings.append(f"no trades: none of the {len(orders)} orders was filled")
    stopped_early = outcome.end_ns < last_ns and not outcome.cancelled
    if stopped_early and outcome.failure.where is None:
        end, last = _minute(outcome.end_ns), _minute(last_ns)
        warnings.append(
            f"it stopped at {end}, before the end of its data at {last}: the strategy or the "
            "engine shut the system down"
        )
    reasons = Counter(
        (status, reason)
        for status, reason in zip(outcome.orders["status"], outcome.orders["reason"], strict=True)
        if status in ("DENIED", "REJECTED")
    )
    for (status, reason), count in reasons.most_common(5):
        warnings.append(f"{count} orders {status.lower()}: {reason or 'no reason given'}")
    by_instrument: dict[str, set[str]] = {}
    for spec in study.data:
        what = spec.bars.rpartition("-")[2] if spec.bars else spec.kind
        by_instrument.setdefault(spec.instrument, set()).add(what)
    for name, kinds in by_instrument.items():
        if not kinds & _PRICED and not {"BID", "ASK"} <= kinds:
            warnings.append(
                f"{name} has only {', '.join(sorted(kinds))} bars: market orders find no price"
            )
    return warnings
