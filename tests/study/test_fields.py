"""The small types: how values are kept, and what they mean in nanoseconds and seconds."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from workbench.study import fields


def kept(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (fields.NonNegativeMoney, " 1_000_000.50   USD ", "1000000.5 USD"),
        (fields.NonNegativeMoney, "1e3 JPY", "1000 JPY"),
        (fields.NonNegativeMoney, "-0.00 USD", "0 USD"),
        (fields.NonNegativeMoney, "5 USDC.e", "5 USDC.e"),
        (fields.Positive, "0.10", Decimal("0.1")),
        (fields.Positive, 0.1, Decimal("0.1")),
        (fields.Positive, "12345678901.1234567890123456", Decimal("12345678901.1234567890123456")),
        (fields.BarSpec, " 05-MINUTE-LAST ", "5-MINUTE-LAST"),
        (fields.Duration, "0.5 s", "0.5s"),
        (fields.OrderRate, "0100 / 60 s", "100/60s"),
        (fields.Percent, "10.50 %", "10.5%"),
        (fields.InstrumentId, " BRK.B.XNYS ", "BRK.B.XNYS"),
        (fields.Moment, "2024-01-31", dt.date(2024, 1, 31)),
        (fields.Moment, dt.date(2024, 1, 31), dt.date(2024, 1, 31)),
        (fields.Moment, "2024-01-31T09:30", dt.datetime(2024, 1, 31, 9, 30, tzinfo=dt.UTC)),
        (fields.Moment, "2024-01-31 09:30:00-05:00",
         dt.datetime(2024, 1, 31, 14, 30, tzinfo=dt.UTC)),
    ],
)  # fmt: skip
def test_values_are_kept_in_one_form(kind: Any, value: Any, expected: Any) -> None:
    found = kept(kind, value)
    assert found == expected and str(found) == str(expected)
    assert kept(kind, found) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (fields.Positive, "1234567890123.12345678901234567"),
        (fields.Positive, "\u0661"),
        (fields.Positive, True),
        (fields.Positive, "1" * 101),
        (fields.Positive, "1e999"),
        (fields.Positive, "1e-999"),
        (fields.Positive, "_1"),
        (fields.Moment, "2024-01-31T09:30:00.123456789"),
        (fields.Moment, "2024-W05"),
        (fields.Moment, "2262-01-01"),
        (fields.Moment, 20240131),
        (fields.InstrumentId, "A/.B"),
        (fields.InstrumentId, "A//B.C"),
        (fields.InstrumentId, "A\n.B"),
        (fields.InstrumentId, "^GSPC.X"),  # the catalog's folder would be _GSPC
    ],
)
def test_values_that_are_refused(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        kept(kind, value)


def test_moments_in_nanoseconds() -> None:
    day = 86_400 * 10**9
    assert fields.moment_ns(dt.date(1970, 1, 2)) == day
    assert fields.moment_ns(dt.date(1970, 1, 2), end=True) == 2 * day - 1
    time = dt.datetime(1970, 1, 2, 0, 0, 0, 1, tzinfo=dt.UTC)
    assert fields.moment_ns(time) == fields.moment_ns(time, end=True) == day + 1000
    assert fields.moment_ns(dt.date(2261, 12, 31), end=True) < 2**63


def test_durations() -> None:
    assert fields.duration_ns("0.1s") == 100_000_000
    assert fields.duration_ns("1us") == 1_000
    assert fields.duration_seconds("1.5h") == 5_400
    assert fields.duration_seconds("250ms") == 0.25
    with pytest.raises(ValueError, match="soon"):
        fields.duration_ns("soon")


def test_splitting() -> None:
    assert fields.split_instrument("BRK.B.XNYS") == ("BRK.B", "XNYS")
    assert fields.split_money("1000000.5 USD") == (Decimal("1000000.5"), "USD")
