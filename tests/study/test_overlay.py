"""Several files, environment variables and parameters over one another."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.core.errors import Issue, StudyError
from workbench.study import Study

Loads = Callable[..., Study]
Issues = Callable[..., Sequence[Issue]]


def test_files_are_laid_over_one_another(loads: Loads, full: str) -> None:
    over = """\
study: night
risk:
  max_drawdown: 5%
strategy: {params: {fast: 7}}
venues:
  - {name: XNAS, account: margin, balances: [1 USD], fees: {maker: 0, taker: 0}}
  - {name: SIM, account: margin, balances: [1 USD], fees: {maker: 0, taker: 0}}
"""
    study = loads(full, over, "study: third\n")
    assert study.name == "third"
    assert study.risk.max_drawdown == "5%"
    assert study.risk.max_orders == "100/1s"  # mappings merge
    assert study.strategy.params == {
        "fast": 7, "slow": 50, "trade_size": 1000, "tags": ["a", {"b": None}],
    }  # fmt: skip
    assert study.venues[1].leverages == {}  # lists are replaced
    places = {
        ("study",): "c.yaml:1",
        ("risk", "max_drawdown"): "b.yaml:3",
        ("risk", "max_orders"): "a.yaml:36",
        ("strategy", "params", "fast"): "b.yaml:4",
        ("strategy", "params", "slow"): "a.yaml:34",
        ("venues", 1, "name"): "b.yaml:7",
        ("venues", 1, "leverages"): "b.yaml:7",  # gone with the list it stood in
        ("data", 1, "path"): "a.yaml:12",
    }
    for path, place in places.items():
        issue = study.issue("x", *path)
        assert f"{issue.file}:{issue.line}" == place, path


def test_mistakes_are_named_in_the_file_they_stand_in(issues: Issues, full: str) -> None:
    found = issues(full, "\nrisk:\n  max_drawdwn: 5%\n", "\n\nvenues: [{name: x}]\n")
    assert {(issue.file, issue.line, issue.path) for issue in found} == {
        ("b.yaml", 3, "risk.max_drawdwn"),
        ("c.yaml", 3, "venues.0.name"),
        ("c.yaml", 3, "venues.0.account"),
        ("c.yaml", 3, "venues.0.balances"),
        ("c.yaml", 3, "venues.0.fees"),
    }
    (found_list,) = issues(full, "- 1\n")
    assert (found_list.file, found_list.line) == ("b.yaml", 1)


def test_a_section_can_be_taken_away(loads: Loads, full: str) -> None:
    study = loads(full, "sweep: null\nlive:\n")
    assert study.sweep is None and study.live is None


def test_yaml_anchors_and_merge_keys(loads: Loads, full: str) -> None:
    text = full.replace(
        "    fees: {maker: 0, taker: 0.0001}", "    fees: &fees {maker: 0, taker: 0.0001}"
    ).replace("{per_order: 1 USD}", "{<<: *fees, taker: 0.5}")
    fees = loads(text).venues[1].fees
    assert (fees.maker, fees.taker) == (Decimal(0), Decimal("0.5"))  # type: ignore[union-attr]


def test_json_bom_and_windows_lines(loads: Loads, issues: Issues, full: str) -> None:
    import json

    study = loads(full)
    as_json = json.dumps(study.to_dict(), indent="\t")
    assert loads(as_json, suffix="json").to_dict() == study.to_dict()
    smiling = as_json.replace('"fast": 10', '"fast": "\\ud83d\\ude00 \\/ 1e5"')
    assert loads(smiling, suffix="json").strategy.params["fast"] == "\N{GRINNING FACE} / 1e5"
    windows = b"\xef\xbb\xbf" + full.replace("\n", "\r\n").encode()
    assert loads(windows).to_dict() == study.to_dict()
    (found,) = issues(windows.replace(b"oms: hedging", b"oms: x"))
    assert found.line == 24


def test_yaml_reads_numbers_as_written(loads: Loads, full: str) -> None:
    text = "[010, 0x1F, 0o17, 1_0, -3, 1e3, .5, -1.5e-3, yes, ~, 2024-01-31, '1', 12:30, =]"
    study = loads(full.replace("fast: 10", f"fast: {text}"))
    assert study.strategy.params["fast"] == [
        10, 31, 15, 10, -3, 1000.0, 0.5, -0.0015, "yes", None, "2024-01-31", "1", "12:30", "=",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("STRATEGY__PARAMS__FAST", "20", ("strategy", "params", "fast"), 20),
        ("STRATEGY__PARAMS__NEW_ONE", "a b", ("strategy", "params", "new_one"), "a b"),
        ("STRATEGY__PARAMS__KeptCase", "true", ("strategy", "params", "KeptCase"), True),
        (
            "STRATEGY__PARAMS__TAGS__1__B",
            "[1, 2.5]",
            ("strategy", "params", "tags", 1, "b"),
            [1, 2.5],
        ),
        ("STUDY", "other", ("study",), "other"),
        ("DATA__0__END", "2010-01-01", ("data", 0, "end"), "2010-01-01"),
        ("VENUES__1__FEES", "{maker: 0, taker: 0}", ("venues", 1, "fees", "maker"), "0"),
        ("RISK__MAX_POSITION__AAPL.XNAS", "5", ("risk", "max_position", "AAPL.XNAS"), "5"),
        ("DESCRIPTION", "", ("description",), ""),
        ("DESCRIPTION", "*not yaml", ("description",), "*not yaml"),
        ("LIVE", "null", ("live",), None),
    ],
)
def test_environment(
    loads: Loads, full: str, name: str, value: str, path: tuple[Any, ...], expected: Any
) -> None:
    study = loads(full, environ={f"WORKBENCH__{name}": value, "WORKBENCH_PROJECT": "/x"})
    found: Any = study.to_dict()
    for part in path:
        found = found[part]
    assert found == expected and type(found) is type(expected)
    issue = study.issue("x", *path)
    assert (issue.file, issue.line) == (f"environment WORKBENCH__{name}", None)


def test_the_environment_reaches_parameters_with_capitals(loads: Loads, full: str) -> None:
    text = full.replace("fast: 10", "fastPeriod: 10, FAST: 1")
    params = loads(text, environ={"WORKBENCH__STRATEGY__PARAMS__FASTPERIOD": "20"}).strategy.params
    assert (params["fastPeriod"], params["FAST"]) == (20, 1)
    params = loads(text, environ={"WORKBENCH__STRATEGY__PARAMS__FAST": "20"}).strategy.params
    assert (params["fastPeriod"], params["FAST"]) == (10, 20)


def test_the_real_environment_is_read(
    loads: Loads, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH__STUDY", "from-outside")
    assert loads(full).name == "from-outside"


@pytest.mark.parametrize(
    ("environ", "path", "message"),
    [
        ({"STRATGY__PATH": "x"}, "stratgy", "Did you mean 'strategy'?"),
        ({"RISK__MAX_DRAWDOWN": "x"}, "risk.max_drawdown", "written in percent"),
        ({"DATA__7__START": "2010-01-01"}, "data.7", "no item '7': the list has 2"),
        ({"DATA__X__START": "2010-01-01"}, "data.x", "no item 'x': the list has 2"),
        ({"STUDY__NAME": "x"}, "study.name", "cannot be set: study is a single value"),
        ({"STRATEGY__PARAMS__FAST": ".nan"}, "strategy.params.fast", "finite"),
        ({"STRATEGY__PARAMS__FAST": "[" * 10}, None, None),  # no YAML: text
        (
            {"STRATEGY__PARAMS__FAST": "{a: 1, a: 2}"},
            "strategy.params.fast.a",
            "stands twice, first",
        ),
        ({"": "x"}, "", "unknown key ''"),
        ({"__".join("A" * 50): "x"}, "a.a.a.a", "is too large: at most 20000 values, 40 levels"),
        ({"STUDY": "\udcff"}, "study", "surrogate"),
    ],
)
def test_environment_mistakes(
    loads: Loads, issues: Issues, full: str, environ: dict[str, str], path: str, message: str
) -> None:
    ((name, value),) = environ.items()
    environ = {f"WORKBENCH__{name}": value}
    if message is None:
        assert loads(full, environ=environ).strategy.params["fast"] == value
        return
    (found,) = issues(full, environ=environ)
    assert (found.file, found.line) == (f"environment WORKBENCH__{name}", None)
    assert found.path == path
    assert message in found.message


def test_parameters_win(loads: Loads, full: str) -> None:
    environ = {"WORKBENCH__STRATEGY__PARAMS__FAST": "20", "WORKBENCH__STUDY": "env"}
    study = loads(full, environ=environ, params=["fast=30", "data.0.start=2010-01-01", "slow = 7"])
    assert study.strategy.params["fast"] == 30
    assert study.strategy.params["slow"] == 7
    assert study.name == "env"
    assert str(study.data[0].start) == "2010-01-01"
    assert study.issue("x", "strategy", "params", "fast").file == "-p fast"
    assert loads(full, params="fast=31").strategy.params["fast"] == 31
    assert (
        loads(full, params={"fast": 32}).issue("x", "strategy", "params", "fast").file == "-p fast"
    )
    study = loads(
        full, params=["risk.max_position.GBP/USD.SIM=9", "venues.1.leverages.GBP/USD.SIM=2"]
    )
    assert study.risk.max_position["GBP/USD.SIM"] == 9
    assert study.venues[1].leverages["GBP/USD.SIM"] == 2


@pytest.mark.parametrize(
    ("params", "file", "path", "message"),
    [
        (["fast"], "-p", "", "write name=value, found 'fast'"),
        (["=5"], "-p", "", "write name=value"),
        (["data.0.strat=2010-01-01"], "-p data.0.strat", "data.0.strat", "Did you mean 'start'?"),
        (["data.9.start=2010-01-01"], "-p data.9.start", "data.9", "the list has 2"),
        (["fast.period=1"], "-p fast.period", "fast", "unknown key 'fast'"),
        (["trader=5"], None, None, None),
        (["data.0.start=2010-02-30"], "-p data.0.start", "data.0.start", "no such day"),
        (["risk..x=1"], "-p risk..x", "risk.", "unknown key ''"),
        ({"fast": {1: 2}}, "-p fast", "strategy.params.fast", "keys are text, found 1"),
        ({"fast": float("nan")}, "-p fast", "strategy.params.fast", "finite"),
        ({"fast": Decimal("inf")}, "-p fast", "strategy.params.fast", "finite"),
        ({"fast": np.float64("inf")}, "-p fast", "strategy.params.fast", "finite"),
        ({"fast": 10**5000}, "-p fast", "strategy.params.fast", "more than 64 bits"),
        ({"fast": "\ud800"}, "-p fast", "strategy.params.fast", "surrogate"),
        ({"fast": b"x"}, "-p fast", "strategy.params.fast", "cannot hold a bytes"),
        ({"fast": object()}, "-p fast", "strategy.params.fast", "cannot hold a object"),
        ({"fast": print}, "-p fast", "strategy.params.fast", "cannot hold a builtin_function"),
        ({"data.0.start": dt.time(1)}, "-p data.0.start", "data.0.start", "cannot hold a time"),
        ({"data.0.start": pd.NaT}, "-p data.0.start", "data.0.start", "found 'NaT'"),
    ],
)  # fmt: skip
def test_parameter_mistakes(
    loads: Loads, issues: Issues, full: str, params: Any, file: str, path: str, message: str
) -> None:
    if file is None:  # a plain name is always a strategy parameter
        assert loads(full, params=params).strategy.params["trader"] == 5
        return
    found = issues(full, params=params)[0]
    assert (found.file, found.line, found.path) == (file, None, path)
    assert message in found.message


class Side(Enum):
    BUY = "buy"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (dt.date(2024, 1, 31), "2024-01-31"),
        (dt.datetime(2024, 1, 31, 9, 30, tzinfo=dt.UTC), "2024-01-31T09:30:00+00:00"),
        (pd.Timestamp("2024-01-31"), "2024-01-31T00:00:00"),
        (Decimal("0.1"), 0.1),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("1e400"), "1E+400"),
        ((1, 2), [1, 2]),
        (range(3), [0, 1, 2]),
        ({2, 1}, [1, 2]),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.arange(3), [0, 1, 2]),
        (Path("a/b"), "a/b"),
        (Side.BUY, "buy"),
        ({"a": (dt.date(2024, 1, 1), None)}, {"a": ["2024-01-01", None]}),
        (2**63, 2**63),
    ],
)
def test_python_objects(loads: Loads, full: str, value: Any, expected: Any) -> None:
    study = loads(full, params={"fast": value})
    for found in (study, study.with_params(other=1), loads(full).with_params(fast=value)):
        fast = found.strategy.params["fast"]
        assert fast == expected and type(fast) is type(expected)
        assert found.to_dict()["strategy"]["params"]["fast"] == expected
        assert len(found.digest) == 64


def test_python_objects_for_the_studys_own_fields(loads: Loads, full: str) -> None:
    study = loads(
        full,
        params={
            "data.0.start": dt.date(2010, 1, 1),
            "data.0.end": pd.Timestamp("2012-06-01 12:00", tz="America/New_York"),
            "venues.1.leverage": Decimal("2.5"),
            "risk.on_breach": ("halt",),
            "sweep.params": {"fast": range(2, 5)},
        },
    )
    assert study.data[0].start == dt.date(2010, 1, 1)
    assert study.data[0].end == dt.datetime(2012, 6, 1, 16, tzinfo=dt.UTC)
    assert study.venues[1].leverage == Decimal("2.5")
    assert study.risk.on_breach == ("halt",)
    assert study.sweep is not None and study.sweep.params == {"fast": (2, 3, 4)}


def test_an_object_that_holds_itself(loads: Loads, full: str) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(StudyError, match="is too large: at most 20000 values, 40 levels deep"):
        loads(full, params={"fast": loop})


def test_nothing_given_is_changed(loads: Loads, full: str) -> None:
    params = {"fast": {"a": [1]}}
    study = loads(full, params=params)
    before = study.to_dict()
    study.with_values({"strategy.params.fast.a.0": 2})
    assert params == {"fast": {"a": [1]}}
    assert study.to_dict() == before
