"""The sweep section: where its parameters point, and that each value makes a valid study."""

from collections.abc import Callable, Sequence

import pytest

from workbench.core.errors import Issue
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

Loads = Callable[..., Study]
Issues = Callable[..., Sequence[Issue]]

HEAD = "    fast: [5, 10]\n"


def test_size(loads: Loads, full: str) -> None:
    study = loads(full.replace("fast: [5, 10]", "fast: [5, 10, 15]"))
    assert study.sweep is not None and study.sweep.size == 6


@pytest.mark.parametrize(
    ("entry", "path", "message"),
    [
        ("data.0.start: [2005-01-01, 2013-06-01]", "data.0.start.1",
         "'2013-06-01' makes no valid study: data.0.end: the data ends at 2013-03-01, before"),
        ("data.0.instrument: [AAPL.XNAS, MSFT.XNSA]", "data.0.instrument.1", "mean 'XNAS'?"),
        ("data.0.instrumnt: [AAPL.XNAS]", "data.0.instrumnt.0", "Did you mean 'instrument'?"),
        ("data.5.start: [2005-01-01]", "data.5.start.0", "no item '5': the list has 2"),
        ("venues.0.fees.taker: [0, 5]", "venues.0.fees.taker.1", "must be at most 1, found 5"),
        ("risk.max_position.AAPL.XNAS: [5, 0]", "risk.max_position.AAPL.XNAS.1", "must be above 0"),
        ("risk.max_orders: [5/1s, [1]]", "risk.max_orders.1", "a list of 1 makes no valid study"),
        ("strategy.path: [a]", "strategy.path.0", "'package.module:Class'"),
        ("study.x: [a]", "study.x", "a sweep varies a part of the study. Allowed: trader"),
        ("stratgy.path: [a]", "stratgy.path", "Did you mean 'strategy'?"),
        ("sweep.params.fast: [[1]]", "sweep.params.fast", "a sweep varies a part of the study"),
        ("'.': [1]", ".", "a sweep varies a part of the study"),
        ("data..start: [1]", "data..start", "a sweep varies a part of the study"),
        ("slow: []", "slow", "needs at least one entry"),
        ("slow: 5", "slow", "is a list, found 5"),
        ("strategy.params.fast: [5]", "strategy.params.fast", "sets the same value as 'fast'"),
        ("strategy: [{path: 'a:B'}]", None, None),
    ],
)  # fmt: skip
def test_a_wrong_entry(
    loads: Loads, issues: Issues, full: str, entry: str, path: str, message: str
) -> None:
    start = full.index("    data.0.start: [")
    text = full[:start] + f"    {entry}\n" + full[full.index("live:") :]
    if path is None:  # a plain name is a strategy parameter, whatever it is called
        loads(text)
        return
    (found,) = issues(text)
    assert (found.file, found.line, found.path) == ("a.yaml", 43, f"sweep.params.{path}")
    assert message in found.message


def test_entries_that_overlap(issues: Issues, full: str) -> None:
    overlapping = full.replace(HEAD, HEAD + "    risk.max_orders: [5/1s]\n    data.0.end: [x]\n")
    (found,) = issues(overlapping)
    assert found.path == "sweep.params.data.0.end.0"
    entries = "strategy.params.tags: [[1]]\n    strategy.params.tags.0: [1]"
    nested = full.replace("data.0.start: [2005-01-01, 2006-01-01]", entries)
    (found,) = issues(nested)
    assert found.path == "sweep.params.strategy.params.tags.0"
    assert found.message == "sets the same value as 'strategy.params.tags'"


def test_a_point_need_not_fit_the_other_points(loads: Loads, full: str) -> None:
    text = full.replace("[2005-01-01, 2006-01-01]", "[2006-01-01]\n    data.0.end: [2005-06-01]")
    point = loads(text).with_values({"data.0.start": "2006-01-01"})
    assert build(point.to_dict(), Places()).digest == point.digest


def test_instruments_of_the_sweep_may_have_limits(loads: Loads, full: str) -> None:
    text = full.replace(
        "data.0.start: [2005-01-01, 2006-01-01]", "data.0.instrument: [AAPL.XNAS, MSFT.XNAS]"
    )
    text = text.replace("{AAPL.XNAS: 2_000}", "{AAPL.XNAS: 2_000, MSFT.XNAS: 1_000}")
    study = loads(text)
    assert study.with_values({"data.0.instrument": "MSFT.XNAS"}).data[0].instrument == "MSFT.XNAS"


def test_of_many_wrong_values_some_are_told(issues: Issues, full: str) -> None:
    values = str([f"2014-01-{day:02}" for day in range(1, 31)])
    found = issues(full.replace("[2005-01-01, 2006-01-01]", values))
    assert [issue.path for issue in found] == [f"sweep.params.data.0.start.{n}" for n in range(10)]


def test_too_many_runs(issues: Issues, full: str) -> None:
    thousand = str(list(range(1000)))
    (found,) = issues(full.replace("fast: [5, 10]", f"fast: {thousand}\n    slow: {thousand}"))
    assert found.path == "sweep.params"
    assert found.message == "a grid of 2,000,000 runs; at most 100,000"


@pytest.mark.timeout(20)
def test_a_long_list_of_values_is_checked_quickly(loads: Loads, full: str) -> None:
    values = str([f"T{number}.XNAS" for number in range(3_000)])
    text = full.replace("data.0.start: [2005-01-01, 2006-01-01]", f"data.0.instrument: {values}")
    text = text.replace("AAPL.XNAS: 2_000", "GBP/USD.SIM: 1")
    study = loads(text.replace("fast: [5, 10]", f"slow: {list(range(30))}"))
    assert study.sweep is not None and study.sweep.size == 90_000
