"""Errors: exit codes, and messages that say where and what was meant."""

import json

import pytest

from workbench.core import errors
from workbench.core.errors import Issue


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("x"), 2),
        (errors.StudyError("x"), 2),
        (errors.WorkbenchError("x"), 1),
        (errors.DependencyError("x"), 1),
        (errors.DataError("x"), 1),
        (errors.RunError("x", "run-1"), 1),
        (errors.Cancelled(), 130),
    ],
)
def test_exit_codes(error: errors.WorkbenchError, code: int) -> None:
    assert isinstance(error, errors.WorkbenchError)
    assert error.exit_code == code
    assert str(error)


def test_where_an_issue_is() -> None:
    assert (
        str(Issue("is missing", "data.0.start", "a.yaml", 3))
        == "a.yaml:3: data.0.start: is missing"
    )
    assert str(Issue("is empty", file="a.yaml")) == "a.yaml: is empty"
    assert str(Issue("is missing", "study")) == "study: is missing"
    assert str(Issue("no study")) == "no study"
    issue = Issue("is missing", "study", "a.yaml", 3)
    assert json.loads(json.dumps(issue.to_dict())) == {
        "message": "is missing", "path": "study", "file": "a.yaml", "line": 3,
    }  # fmt: skip


def test_an_input_error_lists_every_issue() -> None:
    error = errors.StudyError([Issue("one"), Issue("two", "a")])
    assert [issue.message for issue in error.issues] == ["one", "two"]
    assert str(error) == "one\na: two"
    assert errors.InputError(Issue("one")).issues == (Issue("one"),)


def test_the_nearest_name() -> None:
    assert errors.nearest("stratgy", ["strategy", "sweep"]) == "strategy"
    assert errors.nearest("usd", ["EUR", "USD"]) == "USD"
    assert errors.nearest("xyz", ["strategy"]) is None
    assert errors.choices("swep", ["sweep", "live"]) == "Did you mean 'sweep'? Allowed: sweep, live"
    assert errors.choices("x", []) == "Allowed: none"
    many = errors.choices("x", [f"name{number}" for number in range(50)])
    assert many.endswith("name29 and 20 more")
