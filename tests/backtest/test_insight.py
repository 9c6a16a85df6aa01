"""What a sweep tells, held against grids whose answer is known."""

import itertools
import random
from pathlib import Path
from statistics import fmean

import pytest

from workbench.backtest import SweepResult
from workbench.backtest.insight import importance, in_words, ranked, varied
from workbench.backtest.model import Run
from workbench.core.project import Project


def sweep(values, worth, **status):
    """Return a sweep whose Sharpe ratio at a point is what `worth` says of it."""
    names = list(values)
    points = [dict(zip(names, each, strict=True)) for each in itertools.product(*values.values())]
    project = Project(Path("/nowhere"))
    runs = []
    for at, point in enumerate(points):
        how = status.get(f"r{at}", "done")
        runs.append(Run(
            f"r{at}", "s", how, point, {}, "2026-01-01", project.root, project,
            statistics={"sharpe": worth(**point)} if how == "done" else {},
            error="fast < slow is required\ntrace" if how == "failed" else None,
        ))  # fmt: skip
    return SweepResult("sweep", "s", points, [run for run in runs if run.status != "waiting"])


FAST, SLOW = [5, 10, 20], [50, 100, 200, 400]


def test_one_parameter_that_decides_everything_has_all_the_importance():
    result = sweep({"fast": FAST, "slow": SLOW}, lambda fast, slow: fast / 10)
    assert importance(result) == pytest.approx({"fast": 1.0, "slow": 0.0})
    assert any("fast explains 100% and slow explains 0%." in line for line in in_words(result))


def test_shares_of_an_additive_grid_add_up_and_interplay_is_the_rest():
    added = importance(sweep({"fast": FAST, "slow": SLOW}, lambda fast, slow: fast + slow / 50))
    assert sum(added.values()) == pytest.approx(1.0)
    crossed = sweep({"a": [-1, 1], "b": [-1, 1]}, lambda a, b: a * b)
    assert importance(crossed) == pytest.approx({"a": 0.0, "b": 0.0})
    assert any("the other 100% is how they act together" in line for line in in_words(crossed))


def test_nothing_is_said_of_what_cannot_be_told():
    same = sweep({"fast": FAST, "slow": SLOW}, lambda fast, slow: 1.0)
    assert importance(same) == {}
    few = sweep({"fast": [1, 2]}, lambda fast: fast)
    assert importance(few) == {}
    lines = in_words(few)
    assert lines == ["All 2 points are done.", "The best Sharpe ratio is 2.00, at fast = 2."]
    none = sweep({"fast": [1]}, lambda fast: 1, r0="failed")
    assert in_words(none) == [
        "0 of 1 points are done: 1 failed. The reason: fast < slow is required"
    ]


def test_a_broad_top_and_a_lone_peak_are_told_apart():
    broad = sweep({"x": list(range(9))}, lambda x: -((x - 4) ** 2))
    assert any("Its 2 neighbours average" in line and "broad top" in line
               for line in in_words(broad, "sharpe"))  # fmt: skip
    lone = sweep({"x": list(range(9))}, lambda x: 5 if x == 4 else x / 100)
    assert any("a lone peak: do not trust it" in line for line in in_words(lone))


def test_a_best_value_at_the_end_of_its_range_is_said():
    lines = in_words(sweep({"x": [1, 2, 3, 4]}, lambda x: x))
    assert any("x = 4 is the end of its range: larger values may be better" in one for one in lines)
    inside = in_words(sweep({"x": [1, 2, 3, 4]}, lambda x: -abs(x - 2)))
    assert not any("end of its range" in one for one in inside)


def test_what_luck_gives_is_what_drawing_it_gives():
    """The formula's expected best of n equal tries, against ten thousand draws."""
    draw = random.Random(4)
    values = [draw.gauss(0.5, 0.2) for _ in range(30)]
    found = sweep({"x": list(range(30))}, lambda x: values[x])
    (line,) = [one for one in in_words(found) if "luck" in one]
    said = float(line.partition("near ")[2].partition(". ")[0])
    mean = fmean(values)
    deviation = (sum((one - mean) ** 2 for one in values) / len(values)) ** 0.5
    drawn = fmean(max(draw.gauss(mean, deviation) for _ in range(30)) for _ in range(10_000))
    assert said == pytest.approx(drawn, abs=0.02)


def test_the_smallest_is_the_best_of_a_drawdown():
    result = sweep({"x": [1, 2, 3]}, lambda x: x)
    for run in result.runs:
        run.statistics["max_drawdown"] = run.params["x"] / 100
    assert [run.params["x"] for run in ranked(result, "max_drawdown")] == [1, 2, 3]
    assert [run.params["x"] for run in ranked(result, "sharpe")] == [3, 2, 1]
    assert in_words(result, "max_drawdown")[1].startswith("The smallest max drawdown is 1.00 %")


def test_values_of_several_types_have_an_order():
    result = sweep({"x": [None, 2, "a"], "y": [1]}, lambda x, y: 1.0)
    assert varied(result) == {"x": [2, None, "a"]}


def test_an_unfinished_sweep_says_how_far_it_is():
    result = sweep({"x": [1, 2, 3, 4, 5]}, lambda x: x, r3="running", r4="waiting")
    assert in_words(result)[0] == "3 of 5 points are done: 1 running, 1 waiting."
