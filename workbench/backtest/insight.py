"""What a sweep tells: which parameter matters, and its results in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, fmean, median, pstdev
from typing import Any, Literal, get_args

from workbench.backtest.glossary import TERMS, written
from workbench.backtest.model import Run
from workbench.backtest.sweep import SweepResult

Statistic = Literal[
    "sharpe", "total_return", "net_profit", "cagr", "sortino", "calmar", "max_drawdown",
    "volatility", "profit_factor", "win_rate", "trades",
]  # fmt: skip
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
"""What points of a sweep are compared by."""

SMALLER_IS_BETTER = frozenset({"max_drawdown", "max_drawdown_days", "volatility", "commissions"})

_LEAST = 4  # points from which a share, a spread or a neighbour tells anything
_EULER = 0.5772156649015329


def importance(result: SweepResult, statistic: str = "sharpe") -> dict[str, float]:
    """Return how much of the differences between points each parameter explains, 0 to 1.

    That is its main effect: the sum of squares between the means of its values, over the total
    sum of squares. On a full grid the shares add up to at most 1; the rest is interplay between
    parameters. On one that is not finished they may add up to more.

    Parameters
    ----------
    result
        A sweep, finished or not.
    statistic
        A name of ``run.statistics``.

    Returns
    -------
    dict
        Share by parameter, the largest first; empty where fewer than four points have a value, or
        all have the same.

    """
    found = valued(result, statistic)
    total = pstdev(found.values()) ** 2 * len(found) if found else 0.0
    if len(found) < _LEAST or total < 1e-18:
        return {}
    mean = fmean(found.values())
    params = {run.id: run.params for run in result.runs}
    shares = {}
    for name in varied(result):
        groups: dict[str, list[float]] = {}
        for run_id, value in found.items():
            groups.setdefault(str(params[run_id].get(name)), []).append(value)
        between = sum(len(each) * (fmean(each) - mean) ** 2 for each in groups.values())
        shares[name] = between / total
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def in_words(result: SweepResult, statistic: str = "sharpe") -> list[str]:
    """Return what a sweep says of a statistic, a sentence or two for each thing worth saying.

    Parameters
    ----------
    result
        A sweep, finished or not.
    statistic
        A name of ``run.statistics``.

    """
    lines = [_state(result)]
    found = valued(result, statistic)
    if not found:
        return lines
    label = TERMS[statistic].label
    ordered = ranked(result, statistic)
    best = ordered[0]
    lines.append(_best(result, best, statistic))
    if len(found) >= _LEAST:
        lines += _around(result, best, statistic)
        lines.append(_spread(found, statistic))
        if shares := importance(result, statistic):
            lines.append(_shares(shares))
        if statistic in ("sharpe", "sortino", "calmar"):
            lines.append(_luck(found, label))
    return lines


def to_dict(result: SweepResult, statistic: str = "sharpe") -> dict[str, Any]:
    """Return a sweep as plain JSON values, with what it tells.

    That is ``SweepResult.to_dict`` and ``statistic``, ``words`` (`in_words`) and ``importance``.
    """
    return result.to_dict() | {
        "statistic": statistic,
        "words": in_words(result, statistic),
        "importance": importance(result, statistic),
    }


def ranked(result: SweepResult, statistic: str) -> list[Run]:
    """Return the runs that have a statistic, the best first."""
    found = valued(result, statistic)
    sign = 1 if statistic in SMALLER_IS_BETTER else -1
    return sorted(
        (run for run in result.runs if run.id in found), key=lambda run: sign * found[run.id]
    )


def valued(result: SweepResult, statistic: str) -> dict[str, float]:
    """Return a statistic by run id, of the runs that are done and have it."""
    return {
        run.id: float(value)
        for run in result.runs
        if run.status == "done" and (value := run.statistics.get(statistic)) is not None
    }


def varied(result: SweepResult) -> dict[str, list[Any]]:
    """Return the parameters that differ between points, each with its values in order."""
    values: dict[str, dict[str, Any]] = {}
    for point in result.points:
        for name, value in point.items():
            values.setdefault(name, {})[str(value)] = value
    return {name: _ordered(each.values()) for name, each in values.items() if len(each) > 1}


def short(name: str) -> str:
    """Return a parameter's name as people say it: ``data.0.instrument`` is ``instrument``."""
    return name.rpartition(".")[2]


def _ordered(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:  # values of several types
        return sorted(values, key=str)


def _state(result: SweepResult) -> str:
    counts, total = result.counts, len(result.points)
    if counts["done"] == total:
        return f"All {total:,} points are done."
    rest = ", ".join(
        f"{counts[name]:,} {name}" for name in counts if name != "done" and counts[name]
    )
    said = f"{counts['done']:,} of {total:,} points are done: {rest}."
    reasons = Counter(
        (run.error or "").partition("\n")[0] for run in result.runs if run.status == "failed"
    )
    if reasons:
        reason, times = reasons.most_common(1)[0]
        said += f" {'The reason' if times == counts['failed'] else 'Most often'}: {reason}"
    return said


def _best(result: SweepResult, best: Run, statistic: str) -> str:
    others = [name for name in ("total_return", "sharpe", "max_drawdown", "trades")
              if name != statistic and best.statistics.get(name) is not None]  # fmt: skip
    rest = ", ".join(
        f"{TERMS[name].label.lower()} {written(best.statistics[name], TERMS[name].kind)}"
        if name != "sharpe" else f"Sharpe ratio {written(best.statistics[name], 'ratio')}"
        for name in others
    )  # fmt: skip
    word = "smallest" if statistic in SMALLER_IS_BETTER else "best"
    label = _inside(TERMS[statistic].label)
    value = written(best.statistics[statistic], TERMS[statistic].kind)
    return f"The {word} {label} is {value}, at {_at(result, best)}" + (
        f": {rest}." if rest else "."
    )


def _around(result: SweepResult, best: Run, statistic: str) -> list[str]:
    """Say whether the best point is a broad top or a lone peak, and whether it is at an edge."""
    found, names, lines = valued(result, statistic), varied(result), []
    numeric = {
        name: values
        for name, values in names.items()
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    }
    near = [
        found[run.id]
        for run in result.runs
        if run.id in found and _steps_apart(run, best, names, numeric) == 1
    ]
    top, middle = found[best.id], median(found.values())
    kind = TERMS[statistic].kind
    if near and not math.isclose(top, middle):
        lost = (top - fmean(near)) / (top - middle)
        verdict = (
            "a broad top" if lost < 1 / 3 else "a lone peak: do not trust it" if lost > 2 / 3
            else "a moderate slope"
        )  # fmt: skip
        many = f"Its {len(near)} neighbours average" if len(near) > 1 else "Its neighbour has"
        lines.append(f"{many} {written(fmean(near), kind)}, the middle of all points is "
                     f"{written(middle, kind)}: {verdict}.")  # fmt: skip
    for name, values in numeric.items():
        at = values.index(best.params[name]) if best.params.get(name) in values else None
        if at in (0, len(values) - 1) and len(values) > 2:
            beyond = "smaller" if at == 0 else "larger"
            lines.append(f"{short(name)} = {best.params[name]} is the end of its range: {beyond} "
                         "values may be better still.")  # fmt: skip
    return lines


def _steps_apart(
    run: Run, best: Run, names: dict[str, list[Any]], numeric: dict[str, list[Any]]
) -> int:
    """Return how many steps of the grid lie between two runs; of what is no number, many."""
    apart = 0
    for name, values in names.items():
        one, other = run.params.get(name), best.params.get(name)
        if one == other:
            continue
        if name not in numeric or one not in values or other not in values:
            return 1_000
        apart += abs(values.index(one) - values.index(other))
    return apart


def _spread(found: dict[str, float], statistic: str) -> str:
    kind = TERMS[statistic].kind
    values = sorted(found.values())
    low, high = values[len(values) // 4], values[-1 - len(values) // 4]
    said = f"Half of the points lie between {written(low, kind)} and {written(high, kind)}"
    if values[0] < 0 < values[-1]:
        above = sum(value > 0 for value in values)
        said += f"; {above:,} of {len(values):,} are above zero"
    return said + "."


def _shares(shares: dict[str, float]) -> str:
    parts = [f"{short(name)} explains {share:.0%}" for name, share in shares.items()]
    rest = 1 - sum(shares.values())
    said = f"Of the differences between points {_listed(parts)}"
    if len(shares) > 1 and rest > 0.005:
        said += f"; the other {rest:.0%} is how they act together"
    return said + "."


def _luck(found: dict[str, float], label: str) -> str:
    """Say what the best of so many tries would be by luck (Bailey and López de Prado, 2014)."""
    n, normal = len(found), NormalDist()
    tries = (1 - _EULER) * normal.inv_cdf(1 - 1 / n) + _EULER * normal.inv_cdf(1 - 1 / (n * math.e))
    by_luck = fmean(found.values()) + pstdev(found.values()) * tries
    return (
        f"The best of {n:,} tries looks better than it is: were all points equally good and their "
        f"differences luck, the best would still have a {_inside(label)} near "
        f"{written(by_luck, 'ratio')}. Try it on data it has not seen."
    )


def _inside(label: str) -> str:
    """Return a label as it stands inside a sentence."""
    names = ("Sharpe", "Sortino", "Calmar", "CAGR")
    return label if label.startswith(names) else label[0].lower() + label[1:]


def _at(result: SweepResult, run: Run) -> str:
    return ", ".join(f"{short(name)} = {run.params.get(name)}" for name in varied(result)) or "it"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
