"""The small types of a study: identifiers, money, times, each checked before the engine sees it.

NautilusTrader aborts the process on some malformed identifiers and silently invents currencies it
does not know, so nothing reaches it unchecked.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from workbench.core.errors import choices, nearest
from workbench.study.currencies import PRECISION

# Bounds of the engine's 128-bit fixed-point types (16 decimals).
MAX_AMOUNT = Decimal(17_014_118_346_046)
MAX_DECIMALS = 16

_MAX_NAME = 100
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_TRADER = re.compile(r"[A-Za-z0-9_]+-[A-Za-z0-9_]+")
_VENUE = re.compile(r"[A-Z0-9][A-Z0-9_]*")
_SYMBOL = re.compile(r"[A-Za-z0-9^#$][A-Za-z0-9_/:+=^#$-]*(\.[A-Za-z0-9_/:+=^#$-]+)*")
_BAR_SPEC = re.compile(r"(?P<step>[0-9]+)-(?P<unit>[A-Z_]+)-(?P<price>[A-Z]+)")
_DURATION = re.compile(r"(?P<value>[0-9]+(\.[0-9]+)?)\s*(?P<unit>ns|us|ms|s|m|h|d)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# A time bar must divide the next larger unit: the engine refuses any other step.
TIME_BARS = {"MILLISECOND": 1000, "SECOND": 60, "MINUTE": 60, "HOUR": 24, "MONTH": 12}
OTHER_BARS = (
    "DAY", "WEEK", "YEAR", "TICK", "TICK_IMBALANCE", "TICK_RUNS", "VOLUME", "VOLUME_IMBALANCE",
    "VOLUME_RUNS", "VALUE", "VALUE_IMBALANCE", "VALUE_RUNS", "RENKO",
)  # fmt: skip
PRICE_TYPES = ("LAST", "BID", "ASK", "MID", "MARK")


def wrong(message: str) -> PydanticCustomError:
    """Return the error pydantic reports at the field being checked."""
    # Braces would be read as placeholders.
    return PydanticCustomError("workbench", "{text}", {"text": message})


def _text(value: object, what: str, example: str) -> str:
    if not isinstance(value, str):
        raise wrong(f"{what} is text such as {example}, found {value!r}")
    value = value.strip()
    if not 0 < len(value) <= _MAX_NAME:
        raise wrong(f"{what} has 1 to {_MAX_NAME} characters, found {len(value)}")
    return value


def _matching(pattern: re.Pattern[str], what: str, rule: str, example: str) -> Callable[[Any], str]:
    def check(value: object) -> str:
        text = _text(value, what, example)
        if not pattern.fullmatch(text):
            raise wrong(f"{what} '{text}' is not valid: {rule}, such as {example}")
        return text

    return check


def split_instrument(instrument: str) -> tuple[str, str]:
    """Split ``AAPL.XNAS`` into symbol and venue."""
    symbol, _, venue = instrument.rpartition(".")
    return symbol, venue


def _instrument(value: object) -> str:
    text = _text(value, "an instrument id", "AAPL.XNAS")
    symbol, venue = split_instrument(text)
    if not _SYMBOL.fullmatch(symbol) or not _VENUE.fullmatch(venue):
        raise wrong(f"instrument id '{text}' is not valid: SYMBOL.VENUE, such as AAPL.XNAS")
    return text


def _bar_spec(value: object) -> str:
    example = "1-DAY-LAST"
    text = _text(value, "a bar specification", example)
    match = _BAR_SPEC.fullmatch(text)
    if not match:
        raise wrong(f"bar specification '{text}' is not valid: STEP-UNIT-PRICE, such as {example}")
    step, unit, price = int(match["step"]), match["unit"], match["price"]
    units = (*TIME_BARS, *OTHER_BARS)
    if unit not in units:
        raise wrong(f"unknown bar unit '{unit}' in '{text}'. {choices(unit, units)}")
    if price not in PRICE_TYPES:
        raise wrong(f"unknown price type '{price}' in '{text}'. {choices(price, PRICE_TYPES)}")
    whole = TIME_BARS.get(unit)
    if whole and (step >= whole or step == 0 or whole % step):
        steps = ", ".join(str(n) for n in range(1, whole) if whole % n == 0)
        raise wrong(f"no bars of {step} {unit} exist. Steps of {unit}: {steps}")
    if not 1 <= step <= 10**9:
        raise wrong(f"the step in '{text}' must be 1 to 1000000000")
    return text


def _currency(value: object) -> str:
    text = _text(value, "a currency", "USD")
    if text not in PRECISION:
        near = nearest(text, PRECISION)
        hint = f"; did you mean '{near}'?" if near else ". Known ones: workbench config schema"
        raise wrong(f"unknown currency '{text}'{hint}")
    return text


def parse_number(value: object, what: str) -> Decimal:
    """Read a finite decimal from a number or text (underscores allowed)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise wrong(f"{what} is a number, found {value!r}")
    try:
        number = Decimal(str(value).strip().replace("_", ""))
    except InvalidOperation:
        raise wrong(f"{what} is a number, found {value!r}") from None
    if not number.is_finite():
        raise wrong(f"{what} must be finite, found {value!r}")
    if abs(number) > MAX_AMOUNT:
        raise wrong(f"{what} is at most {MAX_AMOUNT}, found {value!r}")
    return number


def decimals(number: Decimal) -> int:
    """Return how many decimals are needed to write `number`."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _amount(value: object) -> Decimal:
    number = parse_number(value, "the value")
    if decimals(number) > MAX_DECIMALS:
        raise wrong(f"at most {MAX_DECIMALS} decimals are kept, found {value!r}")
    return number


def _at_least(minimum: int, *, exclusive: bool) -> Callable[[Any], Decimal]:
    def check(value: object) -> Decimal:
        number = _amount(value)
        if number < minimum or (exclusive and number == minimum):
            word = "above" if exclusive else "at least"
            raise wrong(f"must be {word} {minimum}, found {value!r}")
        return number

    return check


def _money(value: object) -> str:
    example = "100_000 USD"
    if not isinstance(value, str) or len(parts := value.split()) != 2:
        raise wrong(f"money is an amount and a currency such as '{example}', found {value!r}")
    number, currency = parse_number(parts[0], "the amount"), _currency(parts[1])
    if decimals(number) > PRECISION[currency]:
        places = PRECISION[currency]
        raise wrong(f"{currency} has {places} decimals, found '{value}'")
    return f"{number:f} {currency}"


def split_money(money: str) -> tuple[Decimal, str]:
    """Split ``100000 USD`` into amount and currency."""
    amount, currency = money.split()
    return Decimal(amount), currency


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration such as ``30s`` or ``5ms``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match["value"]) * _SECONDS[match["unit"]]


def _duration(value: object) -> str:
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise wrong(f"a duration is a number and ns, us, ms, s, m, h or d, such as 30s, found {value!r}")
    return value.strip().replace(" ", "")


def _order_rate(value: object) -> str:
    text = str(value).strip()
    count, _, per = text.partition("/")
    if not count.isdecimal() or not 1 <= int(count) <= 10**6 or not _DURATION.fullmatch(per.strip()):
        raise wrong(f"a rate is COUNT/DURATION, such as 100/1s, found {value!r}")
    if not 1 <= duration_seconds(per.strip()) <= 86400 * 7:
        raise wrong(f"the span of a rate is 1s to 7d, found {value!r}")
    return f"{int(count)}/{per.strip()}"


def _percent(value: object) -> str:
    text = str(value).strip()
    if not text.endswith("%"):
        raise wrong(f"a share is written in percent, such as 10%, found {value!r}")
    number = parse_number(text[:-1], "the percentage")
    if not 0 < number <= 100:
        raise wrong(f"a share is above 0% and at most 100%, found {value!r}")
    return f"{number:f}%"


_FIRST, _LAST = dt.date(1970, 1, 1), dt.date(2261, 12, 31)


def _moment(value: object) -> dt.date | dt.datetime:
    """Read a date or a time; a time without a zone is UTC."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = dt.date.fromisoformat(text)
        except ValueError:
            try:
                value = dt.datetime.fromisoformat(text)
            except ValueError:
                raise wrong(f"a date such as 2024-01-31 or a time such as 2024-01-31T09:30:00Z, "
                            f"found '{text[:_MAX_NAME]}'") from None  # fmt: skip
    if not isinstance(value, dt.date):
        raise wrong(f"a date such as 2024-01-31 or a time such as 2024-01-31T09:30:00Z, found {value!r}")
    if isinstance(value, dt.datetime):
        value = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    day = value.date() if isinstance(value, dt.datetime) else value
    if not _FIRST <= day <= _LAST:
        raise wrong(f"dates run from {_FIRST} to {_LAST}, found {value}")
    return value


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_NS = 86_400_000_000_000


def moment_ns(moment: dt.date | dt.datetime, *, end: bool = False) -> int:
    """Return UNIX nanoseconds of a date or time.

    A date is its first nanosecond in UTC, or its last one with `end`: a study that ends on a day
    includes that day.
    """
    if isinstance(moment, dt.datetime):
        return (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000
    start = (moment - _EPOCH.date()).days * _DAY_NS
    return start + _DAY_NS - 1 if end else start


def _schema(description: str, *examples: str, kind: str = "string") -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "description": description, "examples": list(examples)})


def _number_schema(description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["number", "string"], "description": description})


_as_text = PlainSerializer(str, return_type=str, when_used="json")
_as_decimal = PlainSerializer(lambda number: f"{number:f}", return_type=str, when_used="json")

Name = Annotated[
    str,
    BeforeValidator(
        _matching(_NAME, "a name", "lower-case letters, digits, - and _", "ema-cross-aapl")
    ),
    _schema("Lower-case letters, digits, - and _", "ema-cross-aapl"),
]
TraderId = Annotated[
    str,
    BeforeValidator(_matching(_TRADER, "trader id", "NAME-TAG", "WORKBENCH-001")),
    _schema("NAME-TAG", "WORKBENCH-001"),
]
VenueName = Annotated[
    str,
    BeforeValidator(_matching(_VENUE, "venue", "capital letters, digits and _", "XNAS")),
    _schema("Capital letters, digits and _", "XNAS"),
]
InstrumentId = Annotated[
    str, BeforeValidator(_instrument), _schema("SYMBOL.VENUE", "AAPL.XNAS", "GBP/USD.SIM")
]
BarSpec = Annotated[
    str, BeforeValidator(_bar_spec), _schema("STEP-UNIT-PRICE", "1-DAY-LAST", "5-MINUTE-LAST")
]
CurrencyCode = Annotated[
    str, BeforeValidator(_currency), WithJsonSchema({"type": "string", "enum": list(PRECISION)})
]
Money = Annotated[str, BeforeValidator(_money), _schema("Amount and currency", "100_000 USD")]
Duration = Annotated[str, BeforeValidator(_duration), _schema("Number and unit", "30s", "5ms")]
OrderRate = Annotated[str, BeforeValidator(_order_rate), _schema("COUNT/DURATION", "100/1s")]
Percent = Annotated[str, BeforeValidator(_percent), _schema("Percentage", "10%")]
Moment = Annotated[
    dt.date | dt.datetime,
    BeforeValidator(_moment),
    PlainSerializer(lambda moment: moment.isoformat(), return_type=str, when_used="json"),
    _schema("A date (UTC, the whole day) or a time", "2013-03-01", "2013-03-01T14:30:00Z"),
]
Amount = Annotated[Decimal, BeforeValidator(_amount), _as_decimal, _number_schema("A number")]
Positive = Annotated[
    Decimal,
    BeforeValidator(_at_least(0, exclusive=True)),
    _as_decimal,
    _number_schema("A number above 0"),
]
NonNegative = Annotated[
    Decimal,
    BeforeValidator(_at_least(0, exclusive=False)),
    _as_decimal,
    _number_schema("A number of at least 0"),
]
