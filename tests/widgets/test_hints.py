"""What the editor says of the place the cursor is at."""

import pytest

from tests.study.conftest import FULL
from workbench.study import source
from workbench.study.places import paths
from workbench.widgets.study_form import Known
from workbench.widgets.study_hints import Cursor, cursor, hint, offers

KNOWN = Known(
    parameters=[{"name": "fast", "type": "int"}, {"name": "slow", "type": "int"}],
    instruments=["AAPL.XNAS"],
    adapters={"bybit": {"feeds": ["product_types"], "execution": []}, "replay": {"feeds": []}},
)


def at(text):
    """Return the text without its caret, and where that is."""
    before = text[: text.index("|")]
    return text.replace("|", ""), before.count("\n") + 1, len(before) - before.rfind("\n") - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|", Cursor((), False, "")),
        ("schema: 1\nstu|", Cursor((), False, "stu")),
        ("data:\n  - provider: sam|", Cursor(("data", 0, "provider"), True, "sam")),
        ("data:\n  - provider: a\n    bar|", Cursor(("data", 0), False, "bar")),
        ("data:\n- provider: a\n- provider: b\n  |", Cursor(("data", 1), False, "")),
        ("data:\n  - {provider: a, ba|", Cursor(("data", 0), False, "ba")),
        ("data:\n  - {provider: a, bars: 1-|", Cursor(("data", 0, "bars"), True, "1-")),
        ("strategy:\n  params: {fast: 1, s|", Cursor(("strategy", "params"), False, "s")),
        ("data:\n  - provider: a\nrisk:\n  on_breach: [alert, ha|",
         Cursor(("risk", "on_breach"), True, "ha")),
        ("live:\n  feeds:\n    - adapter: bybit\n      |", Cursor(("live", "feeds", 0), False, "")),
        ("venues:\n  - name: A\n    fees: {maker: 0, |", Cursor(("venues", 0, "fees"), False, "")),
    ],
)  # fmt: skip
def test_where_the_cursor_is(text, expected):
    assert cursor(*at(text)) == expected


def test_every_key_of_a_study_is_found_on_its_line():
    content, places = source.parse(FULL, "a.yaml")
    for path in paths(content):
        if path and isinstance(path[-1], str):
            line = places.lines[path][1]
            text = FULL.split("\n")[line - 1]
            if text.count(":") == 1 and text.rstrip().endswith(":") is False and "{" not in text:
                assert cursor(FULL, line, len(text)).path == path


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("data:\n  - provider: sam|", ["sample"]),
        ("data:\n  - provider: sample\n    ti|", ["ticks: "]),
        ("data:\n  - provider: file\n    timez|", ["timezone: "]),
        ("data:\n  - provider: file\n    instrument: |", ["AAPL.XNAS", "GBP/USD.SIM"]),
        ("strategy:\n  params: {fast: 1, |}", ["slow: "]),
        ("live:\n  feeds:\n    - adapter: bybit\n      p|", ["product_types: "]),
        ("live:\n  feeds:\n    - adapter: re|", ["replay"]),
        ("risk:\n  on_breach: [alert, ha|", ["halt"]),
        ("venues:\n  - fees: {mak|", ["maker: "]),
        ("venues:\n  - account: |", ["cash", "margin"]),
        ("schema: 1\nstr|", ["strategy: "]),
    ],
)  # fmt: skip
def test_what_may_be_typed(text, offered):
    assert [one["text"] for one in offers(*at(text), KNOWN)["items"]] == offered


def test_what_it_means():
    found = hint(FULL, 6, 10)
    assert found["path"] == "data.0.bars"
    assert "Bars of this specification" in found["words"]
    assert "1-DAY-LAST" in found["words"]
    assert "Ctrl+Space" in hint("", 1, 0)["words"]
