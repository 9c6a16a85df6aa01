"""Several runs side by side: what differs in them and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.backtest.glossary import TERMS, written

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.model import Run

SHOWN = (
    "total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar", "trades",
    "win_rate", "profit_factor", "expectancy", "exposure", "commissions",
)  # fmt: skip


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what differs between runs, and their results, fit for JSON.

    Parameters
    ----------
    runs
        Two or more, in the order to show them.

    Returns
    -------
    dict
        ``runs``: the ids. ``status``, ``digest``, ``balances``, ``pnl``: lists in that order.
        ``params``: path in the study to a list of values, for what differs in the study (strategy,
        data, venues, risk) only. ``statistics``: name to a list of values, None where a run has
        none. ``identical``: whether all runs are done with one result digest. ``digests``: for
        each kind of input whether it is equal in all runs.

    """
    studies = [_flat(run.study) for run in runs]
    names = dict.fromkeys(name for study in studies for name in study)
    params = {name: [study.get(name) for study in studies] for name in names}
    statistics = {name: [run.statistics.get(name) for run in runs] for name in TERMS}
    kinds = dict.fromkeys(kind for run in runs for kind in run.digests)
    finished = all(run.status == "done" and run.digest for run in runs)
    return {
        "runs": [run.id for run in runs],
        "status": [run.status for run in runs],
        "params": {name: values for name, values in params.items() if not _equal(values)},
        "statistics": {
            name: values
            for name, values in statistics.items()
            if any(value is not None for value in values)
        },
        "balances": [run.balances for run in runs],
        "pnl": [run.pnl for run in runs],
        "digest": [run.digest for run in runs],
        "identical": finished and _equal([run.digest for run in runs]),
        "digests": {kind: _equal([run.digests.get(kind) for run in runs]) for kind in kinds},
    }


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the comparison as text for a notebook: a row for each figure, a column for each run.

    Parameters
    ----------
    runs
        Two or more, in the order to show them.

    """
    import pandas as pd

    found = compare(runs)
    rows = {"Status": found["status"]}
    rows |= {_short(name): _texts(values) for name, values in found["params"].items()}
    currencies = sorted({name for pnl in found["pnl"] for name in pnl})
    for currency in currencies:
        rows[f"Profit ({currency})"] = [pnl.get(currency, "") for pnl in found["pnl"]]
    for name in SHOWN:
        if name in found["statistics"]:
            kind = TERMS[name].kind
            values = found["statistics"][name]
            rows[TERMS[name].label] = [written(value, kind) for value in values]
    rows["Result digest"] = [(digest or "")[:12] for digest in found["digest"]]
    return pd.DataFrame.from_dict(rows, orient="index", columns=found["runs"])


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of a study by dotted path; its name, sweep and live setup left out."""
    if isinstance(value, dict) and value:
        skipped = () if path else ("study", "description", "sweep", "live")
        pairs = [(str(key), one) for key, one in value.items() if key not in skipped]
    elif isinstance(value, list | tuple) and value:
        pairs = [(str(index), one) for index, one in enumerate(value)]
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for key, one in pairs:
        found |= _flat(one, f"{path}.{key}" if path else key)
    return found


def _equal(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _short(path: str) -> str:
    return path.removeprefix("strategy.params.")


def _texts(values: Sequence[Any]) -> list[str]:
    return ["" if value is None else str(value) for value in values]
