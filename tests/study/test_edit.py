"""A value changed in a study's text: that value, and nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.conftest import FULL
from workbench.core.errors import StudyError
from workbench.study import diff, edit, loads, source
from workbench.study.places import paths

ROOT = Path(__file__).parents[2]
CROSS = (ROOT / "studies" / "ema-cross.yaml").read_text()
TEXTS = [FULL, *(path.read_text() for path in sorted((ROOT / "studies").glob("*.yaml")))]
ODD = [
    "1 USD",
    "yes",
    "null",
    "#",
    "a: b",
    "10%",
    "[x",
    "- a",
    "1e3",
    "2005-01-01",
    "*a",
    " a",
    "'",
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(ODD),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b.c", "1"]), st.integers(0, 9), max_size=2),
    st.just([{"adapter": "replay", "speed": 600}, {"a": []}]),
)


def read(text):
    return source.parse(text, "study")[0]


def at(content, path):
    for part in path:
        content = content[part]
    return content


def lines_that_differ(old, new):
    kept = set(old.splitlines())
    return [line for line in new.splitlines() if line not in kept]


@pytest.mark.parametrize(
    ("path", "written", "line"),
    [
        (("strategy", "params", "fast"), "20", "  params: {fast: 20, slow: 50, trade_size: 1_000}"),
        (("strategy", "params", "extra"), "[1, 2]",
         "  params: {fast: 10, slow: 50, trade_size: 1_000, extra: [1, 2]}"),
        (("data", 0, "start"), "2006-02-03", "    start: 2006-02-03"),
        (("venues", 0, "balances", 0), "1_000_000 USD", "    balances: [1_000_000 USD]"),
        (("venues", 0, "latency"), "{base: 5ms}", "    latency: {base: 5ms}"),
        (("risk", "max_drawdown"), "10%", "  max_drawdown: 10%"),
        (("budget",), "5 USD", "budget: 5 USD"),
    ],
)  # fmt: skip
def test_one_line_changes_and_stands_as_it_was_written(path, written, line):
    value = source.parse_value(written, path, "form")
    changed = edit.put(CROSS, path, value, written)
    assert lines_that_differ(CROSS, changed) == [line]
    assert changed.startswith("# A moving-average cross")
    assert loads(changed)


def test_a_section_is_made_and_taken_away_again():
    live = {"environment": "sandbox", "feeds": [{"adapter": "replay"}],
            "execution": [{"adapter": "sandbox"}]}  # fmt: skip
    changed = edit.put(CROSS, ("live",), live)
    assert changed.endswith(
        "live:\n  environment: sandbox\n  feeds:\n    - adapter: replay\n"
        "  execution:\n    - adapter: sandbox\n"
    )
    assert edit.drop(changed, ("live",)) == CROSS
    more = edit.put(changed, ("live", "feeds", 1), {"adapter": "bybit"})
    assert read(more)["live"]["feeds"] == [{"adapter": "replay"}, {"adapter": "bybit"}]
    assert edit.drop(more, ("live", "feeds", 1)) == changed


def test_the_first_key_of_an_item_and_the_last_of_a_group():
    text = edit.drop(FULL, ("data", 0, "provider"))
    assert "  - instrument: AAPL.XNAS\n    bars: 1-DAY-LAST" in text
    only = edit.put(CROSS, ("risk",), {"max_drawdown": "10%"})
    assert "risk" not in read(edit.drop(only, ("risk", "max_drawdown")))


def test_what_is_json_stays_json():
    text = json.dumps(read(CROSS))
    for path, value in ((("budget",), "5 USD"), (("data", 0, "end"), "2012-01-01")):
        text = edit.put(text, path, value)
        assert at(json.loads(text), path) == value
    text = edit.put(text, ("data", 0, "ticks"), "quotes")
    assert json.loads(edit.drop(text, ("data", 0, "bars")))["data"][0]["ticks"] == "quotes"
    assert loads(edit.drop(text, ("data", 0, "ticks")), "a.json").budget == "5 USD"


def test_anchors_are_followed():
    text = CROSS.replace("slow: 50", "slow: &s 50").replace("fast: 10", "fast: &f 10")
    text += "description2: *f\n"
    assert read(edit.put(text, ("description2",), 3))["description2"] == 3
    assert read(edit.put(text, ("description2",), 3))["strategy"]["params"]["fast"] == 10


def test_a_text_that_cannot_be_read_is_not_changed():
    with pytest.raises(StudyError, match="study:2"):
        edit.put("schema: 1\nstudy: [", ("study",), "a")


@settings(max_examples=60)
@given(st.data())
def test_any_value_anywhere(data):
    text = data.draw(st.sampled_from(TEXTS))
    content = read(text)
    path = data.draw(st.sampled_from([path for path in paths(content) if path]))
    if data.draw(st.booleans()) and isinstance(at(content, path), dict):
        path = (*path, data.draw(st.sampled_from(["new", "a.b", "true"])))
    value = data.draw(VALUES)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        value = 0
    changed = edit.put(text, path, value)
    assert json.dumps(at(read(changed), path)) == json.dumps(value)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in changed.splitlines() if line.startswith("#")] == comments


@settings(max_examples=40)
@given(st.data())
def test_anything_can_be_dropped(data):
    text = data.draw(st.sampled_from(TEXTS))
    content = read(text)
    path = data.draw(st.sampled_from([path for path in paths(content) if path]))
    changed = read(edit.drop(text, path))
    assert changed != content
    assert set(changed) | {path[0]} == set(content)


def test_changes_are_undone_with_the_comments_kept():
    old = loads(FULL)
    text = edit.put(FULL, ("strategy", "params"), {"fast": 1, "other": 2})
    text = edit.put(text, ("data", 0, "end"), "2012-01-01")
    text = edit.put(text, ("risk", "max_position"), {"AAPL.XNAS": 5, "GBP/USD.SIM": 6})
    text = edit.drop(text, ("live",)) if "live" in read(text) else text
    text = "# mine\n" + text
    new = loads(text)
    back = edit.revert(text, diff(old, new))
    assert loads(back).to_dict() == old.to_dict()
    assert back.startswith("# mine\n")


def test_a_key_is_renamed_where_it_stands():
    wrong = CROSS.replace("    bars:", "    barz:")
    assert edit.rename(wrong, ("data", 0, "barz"), "bars") == CROSS
    wrong = CROSS.replace("{fast: 10", "{fas: 10")
    assert edit.rename(wrong, ("strategy", "params", "fas"), "fast") == CROSS
    with pytest.raises(StudyError):
        edit.rename(CROSS, ("data", 0, "none"), "a")
