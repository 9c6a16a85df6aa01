"""What a study says once it is loaded."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from workbench.core.errors import StudyError
from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

Loads = Callable[..., Study]


def test_everything_is_read(loads: Loads, full: str) -> None:
    study = loads(full)
    apple, cable = study.data
    assert (apple.kind, apple.identity, apple.venue) == (
        "bars", "AAPL.XNAS-1-DAY-LAST-EXTERNAL", "XNAS",
    )  # fmt: skip
    assert (cable.kind, cable.identity, cable.venue) == ("quotes", "GBP/USD.SIM", "SIM")
    assert apple.start_ns == 1_104_537_600_000_000_000
    assert apple.end_ns == 1_362_182_399_999_999_999  # the whole of the last day
    assert (cable.start_ns, cable.end_ns) == (None, None)
    assert study.venues[0].balances == ("1000000 USD",)
    assert study.venues[1].leverages == {"GBP/USD.SIM": Decimal(30)}
    assert study.strategy.params["tags"] == ["a", {"b": None}]
    assert study.sweep is not None and study.sweep.size == 4
    assert study.live is not None
    assert study.live.feeds[0].model_extra == {"speed": 600, "options": {"loop": False}}
    assert study.name == "full"


def test_the_dictionary_is_json_and_makes_the_same_study(loads: Loads, full: str) -> None:
    study = loads(full)
    content = json.loads(json.dumps(study.to_dict(), allow_nan=False))
    assert content == study.to_dict()
    again = build(content, Places())
    assert again.to_dict() == content
    assert again.digest == study.digest


def test_a_study_is_frozen(loads: Loads, full: str) -> None:
    study = loads(full)
    with pytest.raises(ValueError, match="frozen"):
        study.study = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("study: full", "study: other", True),
        ("fast: [5, 10]", "fast: [5]", True),
        ("speed: 600", "speed: 60", True),
        ("1_000_000 USD", "1000000.00 USD", True),
        ("leverage: 20", "leverage: 20.0", True),
        ("taker: 0.0001", "taker: '1e-4'", True),
        ("max_drawdown: 10%", "max_drawdown: 10.0 %", True),
        ("fast: 10,", "fast: 11,", False),
        ("end: 2013-03-01", "end: 2013-03-02", False),
        ("max_drawdown: 10%", "max_drawdown: 11%", False),
        ("base: 5ms", "base: 6ms", False),
    ],
)
def test_the_digest_is_of_what_decides_a_run(
    loads: Loads, full: str, old: str, new: str, same: bool
) -> None:
    changed = full.replace(old, new)
    assert changed != full
    assert (loads(full).digest == loads(changed).digest) is same


def test_values_can_be_changed_in_a_copy(loads: Loads, full: str) -> None:
    study = loads(full)
    copy = study.with_params(fast=11).with_values(
        {("data", 0, "end"): "2012-01-01", "data.1.timezone": "UTC", "slow": 60}
    )
    assert copy.strategy.params["fast"] == 11
    assert copy.strategy.params["slow"] == 60
    assert str(copy.data[0].end) == "2012-01-01"
    assert study.strategy.params["fast"] == 10
    assert copy.digest != study.digest
    # What was not changed is still where it was written.
    assert copy.issue("x", "venues", 0, "name").line == 18
    assert copy.issue("x", "strategy", "params", "fast").file == "-p strategy.params.fast"
    with pytest.raises(StudyError, match=r"data\.0\.end: no such day or time: '2012-02-30'"):
        study.with_values({"data.0.end": "2012-02-30"})


def test_an_issue_names_the_nearest_written_part(loads: Loads, full: str) -> None:
    study = loads(full)
    issue = study.issue("unknown parameter", "strategy", "params", "slwo")
    assert str(issue) == "a.yaml:34: strategy.params.slwo: unknown parameter"
    assert study.error("wrong", "sweep").issues[0].line == 40
