"""Decimal strings become whole units without a float in between."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data.exchanges.columns import Trades, join, page_of, spans, units
from workbench.data.exchanges.service import Trouble

DECIMALS = st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=9)


@given(st.lists(DECIMALS, max_size=30), st.integers(0, 8))
def test_units_are_those_of_decimal_arithmetic(numbers: list[Decimal], precision: int) -> None:
    texts = pa.array([f"{number:f}" for number in numbers], pa.string())
    whole, inexact = units(texts, precision)
    step = Decimal(1).scaleb(-precision)
    rounded = [number.quantize(step, ROUND_HALF_EVEN) for number in numbers]
    assert whole.tolist() == [int(number.scaleb(precision)) for number in rounded]
    assert inexact.tolist() == [a != b for a, b in zip(rounded, numbers, strict=True)]


@pytest.mark.parametrize(
    ("text", "precision", "whole"),
    [
        ("0.1", 1, 1),
        ("0.1000000000000000055511151231257827", 3, 100),
        ("1e-5", 5, 1),
        ("27450.50000", 1, 274505),
        ("0.30000000000000004", 16, 3000000000000000),
        ("12345678901", 2, 1234567890100),
        ("0", 8, 0),
    ],
)
def test_units(text: str, precision: int, whole: int) -> None:
    assert units(pa.array([text]), precision)[0].tolist() == [whole]
    # The same in the middle of an array that is not its own.
    several = pa.array(["1", text, "2"])[1:2]
    assert units(several, precision)[0].tolist() == [whole]


@pytest.mark.parametrize("text", ["", "NaN", "inf", "oops", "1,5", "9" * 30, None])
def test_what_is_no_number(text: str | None) -> None:
    with pytest.raises(ValueError, match=r"no number|no price|larger than"):
        units(pa.array([text], pa.string()), 2)


def test_a_number_too_large_for_the_catalog() -> None:
    with pytest.raises(ValueError, match="larger than the catalog holds"):
        units(pa.array(["99999999999999"]), 8)


def test_empty_arrays() -> None:
    whole, inexact = units(pa.array([], pa.string()), 2)
    assert (len(whole), len(inexact)) == (0, 0)
    assert len(join([])) == 0


CANDLE = ("1.0", "2.0", "0.5", "1.5", "3")


def test_pages() -> None:
    assert page_of([(120, CANDLE), (60, CANDLE)], 60, 180, 60) == {60: CANDLE, 120: CANDLE}
    assert page_of([(60, CANDLE), (60, CANDLE)], 60, 180, 60) == {60: CANDLE}
    for wrong in (0, 240, 61):
        with pytest.raises(Trouble, match="of another time"):
            page_of([(wrong, CANDLE)], 60, 180, 60)
    with pytest.raises(Trouble, match="two different bars"):
        page_of([(60, CANDLE), (60, ("1.0", "3.0", "0.5", "1.5", "3"))], 60, 180, 60)
    strange = [
        ("1", "0.9", "0.5", "0.7", "1"),  # high below open
        ("1", "2", "1.1", "1.5", "1"),  # low above open
        ("0", "2", "0", "1", "1"),
        ("1", "2", "0.5", "", "1"),
        ("1", "2", "0.5", "NaN", "1"),
        ("1", "2", "0.5", "1"),
        ("1", "2", "0.5", "1", None),
    ]
    for candle in strange:
        assert page_of([(60, candle)], 60, 180, 60) == {}  # type: ignore[list-item]


def test_parts_of_trades() -> None:
    trades = Trades.of([(n * 10, "1", "2", 1, str(n)) for n in (1, 2, 2, 3)])
    assert trades.part(20, 20).ids.to_pylist() == ["2", "2"]
    assert len(trades.part(21, 29)) == 0
    both = join([trades.part(0, 10), trades.part(30, 99)])
    assert both.ts.tolist() == [10, 30]
    assert both.side.dtype == np.int8


def test_spans() -> None:
    assert spans([0, 60, 120, 300, 420, 480], 60) == [(0, 120), (300, 300), (420, 480)]
    assert spans([], 60) == []
