"""Thousands of damaged studies: each is a located error or a valid study, never a traceback."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from workbench.core.errors import StudyError
from workbench.study import Study, load
from workbench.study.load import build
from workbench.study.places import Places
from workbench.study.source import parse

EXAMPLE = (Path(__file__).parents[2] / "studies" / "ema-cross.yaml").read_text()

KEYS = sorted(
    {key for model in (Study, *Study.__subclasses__()) for key in model.model_fields}
    | {"schema", "provider", "instrument", "bars", "ticks", "start", "end", "path", "fees",
       "params", "adapter", "api_key", "name", "leverages", "max_position",
       "<<", "", "[key]", "sample", "*"}
)  # fmt: skip
SINGLES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(KEYS),
    st.sampled_from([
        "", "0", "1 USD", "-1 USD", "1e400 USD", "1 ZZZ", "USD", "10%", "1000%", "5ms", "1/1s",
        "AAPL.XNAS", "../x.XNAS", "..", ".", "1-DAY-LAST", "0-DAY-LAST", "9-MONTH-BID", "NO-DASH-1",
        "0001-01-01", "9999-12-31T23:59:59-23:59", "2024-02-30", "2024-01-31T24:00", "a:B", "\0",
        "\ud800", "\u2028", "٣", "NaN", "1_", "_1", "+.e1", "data.0.start", "x" * 5000, "9" * 4400,
    ]),
)  # fmt: skip
VALUES = st.recursive(
    SINGLES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found += paths(item, (*path, key))
    return found


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


@st.composite
def damaged_trees(draw: st.DrawFn, sources: list[str]) -> str:
    """Delete, rename, replace and swap nodes at random paths of a valid document."""
    tree = parse(draw(st.sampled_from(sources)), "x")[0]
    for _ in range(draw(st.integers(1, 4))):
        known = paths(tree)
        if not known:
            break
        path = draw(st.sampled_from(known))
        parent, key = at(tree, path[:-1]), path[-1]
        match draw(st.sampled_from(["delete", "rename", "replace", "swap", "add", "wrap"])):
            case "delete":
                del parent[key]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from(KEYS) | st.text(max_size=8))] = parent.pop(key)
            case "replace":
                parent[key] = draw(VALUES)
            case "swap":
                other = draw(st.sampled_from(known))
                value = copy.deepcopy(at(tree, other))
                at(tree, other[:-1])[other[-1]] = copy.deepcopy(parent[key])
                parent[key] = value
            case "add" if isinstance(parent, list):
                parent.insert(key, draw(VALUES))
            case "wrap":
                parent[key] = draw(st.sampled_from([[parent[key]], {"x": parent[key]}]))
    return json.dumps(tree)


LINES = st.sampled_from([
    "\t", "- ", "? ", ": ", "&a", "*a", "<<: *a", "{", "}", "[", "]", "'", '"', "|", ">", "!!int x",
    "!x", "%YAML 1.1", "---", "...", "#", "\0", "\ufeff", "\u2028", "\r", "\n", "  ", "@", "`", "~",
    "0x", "1:2", "schema: 1", ".nan", "9" * 4400, "=", ",", "\\", "null",
])  # fmt: skip


@st.composite
def damaged_texts(draw: st.DrawFn, sources: list[str]) -> str:
    """Cut, double, move and overwrite pieces of a valid document's text."""
    text = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        piece = draw(st.sampled_from(["", text[start:end] * 2, text[start:end][::-1]]) | LINES
                     | st.text(max_size=10))  # fmt: skip
        text = text[:start] + piece + text[end:]
    return text


def check(path: Path, **options: Any) -> bool:
    """Load the file at `path`; return whether it is valid."""
    try:
        study = load(path, **options)
    except StudyError as error:
        assert error.issues
        for issue in error.issues:
            assert issue.message and issue.file
            named = issue.file != str(path)  # a variable or a parameter
            assert issue.path or issue.line is not None or named, issue
            assert issue.line is None or issue.line >= 1
            json.dumps(issue.to_dict(), allow_nan=False)
            assert len(str(issue)) < 3_000
        return False
    content = study.to_dict()
    text = json.dumps(content, allow_nan=False)
    text.encode()
    again = build(json.loads(text), Places())
    assert (again.to_dict(), again.digest) == (content, study.digest)
    return True


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> Any:
    drills = request.config.getoption("--drills", default=False)

    def options(share: float) -> settings:
        return settings(
            max_examples=int((20_000 if drills else 1_000) * share),
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )

    return options


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_damaged_trees(tmp_path: Path, full: str, examples: Any) -> None:
    valid = []

    @examples(0.5)
    @given(damaged_trees([full, EXAMPLE]))
    def run(text: str) -> None:
        (tmp_path / "a.yaml").write_bytes(text.encode(errors="surrogatepass"))
        valid.append(check(tmp_path / "a.yaml"))

    run()
    assert 0.01 < sum(valid) / len(valid) < 0.9  # both outcomes were really met


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_damaged_texts(tmp_path: Path, full: str, examples: Any) -> None:
    valid = []

    @examples(0.5)
    @given(damaged_texts([full, EXAMPLE, json.dumps(parse(full, "x")[0], indent=2)]))
    def run(text: str) -> None:
        (tmp_path / "a.yaml").write_bytes(text.encode(errors="surrogatepass"))
        valid.append(check(tmp_path / "a.yaml"))

    run()
    assert 0.01 < sum(valid) / len(valid) < 0.9


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_random_overrides(tmp_path: Path, full: str, examples: Any) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(EXAMPLE)
    known = [".".join(map(str, path)) for path in paths(parse(EXAMPLE, "x")[0])]
    names = st.sampled_from(known) | st.sampled_from(KEYS) | st.text(max_size=20)
    valid = []

    @examples(0.2)
    @given(names, VALUES, st.booleans())
    def run(name: str, value: Any, as_text: bool) -> None:
        variable = "WORKBENCH__" + name.upper().replace(".", "__")
        text = value if isinstance(value, str) else json.dumps(value)
        if as_text:
            valid.append(check(path, environ={variable: text}))
            valid.append(check(path, params=[f"{name}={text}"]))
        else:
            valid.append(check(path, params={name: value}))

    run()
    assert 0.01 < sum(valid) / len(valid) < 0.99
