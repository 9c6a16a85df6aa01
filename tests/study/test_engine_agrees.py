"""What a study accepts, the engine accepts: nothing it would abort on, invent or round gets by.

The engine runs in a process of its own: a panic there would end this one.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from workbench.study import fields
from workbench.study.currencies import PRECISION

pytestmark = pytest.mark.slow

ENGINE = """
import json, sys
from decimal import Decimal
from nautilus_trader import execution
from nautilus_trader.model import (
    BarType, Currency, InstrumentId, Money, Price, Quantity, Symbol, TraderId, Venue,
)

def same(found, expected):
    if found != expected:
        raise ValueError(f"became {found!r}, not {expected!r}")

def instrument(text):
    one = InstrumentId.from_str(text)
    same(str(one), text)
    same([str(one.symbol), str(one.venue)], [text.rpartition(".")[0], text.rpartition(".")[2]])

def bars(text):
    name, spec = json.loads(text)
    one = BarType.from_str(f"{name}-{spec}-EXTERNAL")
    same([str(one), str(one.instrument_id)], [f"{name}-{spec}-EXTERNAL", name])

def money(text):
    one = Money.from_str(text)
    same([one.as_decimal(), str(one.currency)], [Decimal(text.split()[0]), text.split()[1]])
    execution.FixedFeeModel(one)

def number(text):
    same(Quantity.from_str(text).as_decimal(), Decimal(text))
    same(Price.from_str(text).as_decimal(), Decimal(text))

def currency(text):
    code, precision = json.loads(text)
    one = Currency.from_str(code, strict=True)
    same([str(one), one.precision], [code, precision])

CHECKS = {
    "trader": lambda text: same(str(TraderId(text)), text),
    "venue": lambda text: same(str(Venue(text)), text),
    "symbol": lambda text: same(str(Symbol(text)), text),
    "instrument": instrument,
    "bars": bars,
    "money": money,
    "number": number,
    "fee": lambda text: execution.MakerTakerFeeModel(Decimal(text), Decimal(text)),
    "latency": lambda text: execution.StaticLatencyModel(*[int(text)] * 4),
    "currency": currency,
}
problems = []
for kind, text in json.load(sys.stdin):
    print(kind, repr(text), file=sys.stderr)  # the last line names what aborted
    try:
        CHECKS[kind](text)
    except BaseException as error:
        problems.append(f"{kind} {text!r}: {error}")
print(json.dumps(problems))
"""


def ask_engine(values: list[tuple[str, str]]) -> list[str]:
    """Return what the engine refuses or changes."""
    process = subprocess.run(
        [sys.executable, "-c", ENGINE], input=json.dumps(values), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-2000:]
    problems: list[str] = json.loads(process.stdout)
    return problems


def accepted(
    kind: Any, strategy: st.SearchStrategy[Any], count: int, write: Callable[[Any], str] = str
) -> list[str]:
    """Return what the study accepts of the values `strategy` makes, as it keeps them."""
    adapter = TypeAdapter(kind)
    found: dict[str, None] = {}

    @settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def collect(value: Any) -> None:
        try:
            found[write(adapter.validate_python(value))] = None
        except ValidationError:
            return

    collect()
    assert len(found) > count // 10, "too few were accepted to say anything"
    return list(found)


def near(pattern: str) -> st.SearchStrategy[str]:
    """Texts of the pattern, some with a character changed."""

    def change(parts: tuple[str, int, str]) -> str:
        text, place, other = parts
        return text[: place % len(text)] + other + text[place % len(text) + 1 :] if text else other

    right = st.from_regex(pattern, fullmatch=True)
    symbols = st.sampled_from(list(".-/:+=^#$@%_ 0aZ\u00e9\u0661"))
    return right | st.tuples(right, st.integers(0, 100), symbols).map(change)


def plainly(number: Decimal) -> str:
    return f"{number:f}"


def test_the_engine_takes_what_a_study_takes(request: pytest.FixtureRequest) -> None:
    count = 5_000 if request.config.getoption("--drills", default=False) else 200
    numbers = st.decimals(0, fields.MAX_AMOUNT, places=None, allow_nan=False) | st.builds(
        lambda whole, places: Decimal(whole).scaleb(-places),
        st.integers(0, 10**20),
        st.integers(0, 16),
    )
    money = st.tuples(
        st.decimals(0, fields.MAX_AMOUNT, places=2) | st.integers(0, 10**13),
        st.sampled_from(sorted(PRECISION)),
    ).map(lambda parts: f"{parts[0]} {parts[1]}")
    steps = st.integers(0, 400) | st.sampled_from([10**9, 10**9 + 1])
    specs = st.tuples(
        steps, st.sampled_from(fields.BAR_UNITS), st.sampled_from(fields.PRICE_TYPES)
    ).map(lambda parts: "-".join(map(str, parts)))
    durations = st.from_regex(fields._DURATION, fullmatch=True) | st.just("3650d")
    instruments = accepted(fields.InstrumentId, near(fields._INSTRUMENT), count)
    bars = accepted(fields.BarSpec, specs, count)
    values = {
        "trader": accepted(fields.TraderId, near(fields._TRADER), count),
        "venue": accepted(fields.VenueName, near(fields._VENUE), count),
        "symbol": accepted(fields.Symbol, near(fields._SYMBOL), count),
        "instrument": instruments,
        "bars": [
            json.dumps([instruments[index % len(instruments)], spec])
            for index, spec in enumerate(bars)
        ],
        "money": accepted(fields.NonNegativeMoney, money, count),
        "number": accepted(fields.NonNegative, numbers, count, plainly),
        "fee": accepted(fields.FeeRate, st.decimals(-1, 1, places=16), count, plainly),
        "latency": accepted(
            fields.Duration, durations, count, lambda text: str(fields.duration_ns(text))
        ),
        "currency": [json.dumps(item) for item in PRECISION.items()],
    }
    assert ask_engine([(kind, text) for kind, texts in values.items() for text in texts]) == []


def test_the_edges_of_every_type() -> None:
    for kind, adapter, texts in [
        ("money", fields.NonNegativeMoney, ["17014118346045 USD", "17_014_118_346_045.00 USD",
         "0.00000001 BTC", "-0 JPY", "1e3 JPY", "17014118346045 BTC"]),
        ("number", fields.NonNegative, ["17014118346045", "0.0000000000000001", "-0", "1E-16",
         "1234567890123.1234567890123456", "10e12"]),
        ("instrument", fields.InstrumentId, ["A.B", "1.2", "A-1-DAY-LAST.B", "A.B.C.D", "$A.B_1",
         "a" * 157 + ".BC"]),
    ]:  # fmt: skip
        validate = TypeAdapter(adapter).validate_python
        values = [validate(text) for text in texts]
        written = [plainly(value) if isinstance(value, Decimal) else value for value in values]
        assert ask_engine([(kind, text) for text in written]) == []


def test_the_currency_table_is_the_engines() -> None:
    """Of all codes of up to four letters, and of the longer ones in the table."""
    script = """
import itertools, json, string, sys
from nautilus_trader.model import Currency
codes = json.load(sys.stdin)
for count in (1, 2, 3, 4):
    codes += map("".join, itertools.product(string.ascii_uppercase, repeat=count))
capitals = [string.ascii_uppercase] * 3
codes += map("".join, itertools.product(string.ascii_lowercase, *capitals))
known = {}
for code in codes:
    try:
        known[code] = Currency.from_str(code, strict=True).precision
    except ValueError:
        pass
print(json.dumps(known))
"""
    process = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(list(PRECISION)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(process.stdout) == PRECISION
