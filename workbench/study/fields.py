"""The small types of a study: identifiers, money, times, each checked before the engine sees it.

NautilusTrader aborts the process on some malformed identifiers and silently invents currencies it
does not know, so nothing reaches it unchecked.
"""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from workbench.core.errors import nearest
from workbench.study import bar_specs
from workbench.study.bar_specs import BAR_UNITS, PRICE_TYPES
from workbench.study.currencies import PRECISION
from workbench.study.values import shown

# Bounds of the engine's 128-bit fixed-point types (16 decimals).
MAX_AMOUNT = Decimal(17_014_118_346_045)
MAX_DECIMALS = 16

_MAX_NAME = 100
# A folder name has at most 255 bytes; the catalog adds the bar specification to the instrument.
_MAX_INSTRUMENT = 160

_NAME = r"[a-z0-9][a-z0-9_-]*"
_TRADER = r"[A-Za-z0-9_]+-[A-Za-z0-9_]+"
_VENUE = r"[A-Z0-9][A-Z0-9_]*"
# No character that the catalog's folder names change or that leads out of a folder.
_INSTRUMENT = rf"[A-Za-z0-9_$][A-Za-z0-9_:+=$-]*([./][A-Za-z0-9_:+=$-]+)*\.{_VENUE}"
_BAR_SPEC = r"[0-9]{1,10}-[A-Z_]+-[A-Z]+"
_NUMBER = r"[+-]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][+-]?[0-9]{1,3})?"
_MONEY = rf"{_NUMBER}\s+[A-Za-z0-9.]+"
_UNIT = r"(ns|us|ms|s|m|h|d)"
_DURATION = rf"[0-9]{{1,12}}(\.[0-9]{{1,9}})?\s*{_UNIT}"
_RATE = rf"[0-9]{{1,7}}\s*/\s*[0-9]{{1,6}}\s*{_UNIT}"
_PERCENT = rf"{_NUMBER}\s*%"
_MOMENT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_SYMBOL = r"[A-Za-z0-9_$][A-Za-z0-9_.:+=$/-]*"
# Options have spaces in theirs: "SPY   240319P00511000". A comma would make two of one.
_VENDOR_SYMBOL = r"[A-Za-z0-9_$^.][A-Za-z0-9 _.:+=$/!&*^-]*"
_CLASS = r"[A-Za-z_][A-Za-z0-9_]*"
_STRATEGY = rf"([A-Za-z_][A-Za-z0-9_.]*|[^:]+\.py):{_CLASS}"

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
_LONGEST_DAYS = 3650


def wrong(message: str) -> PydanticCustomError:
    """Return the error pydantic reports at the field being checked."""
    # Braces in the message would be read as placeholders.
    return PydanticCustomError("workbench", "{text}", {"text": message})


def _matching(
    pattern: str, what: str, rule: str, example: str, longest: int = _MAX_NAME
) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def check(value: object) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > longest:
            raise wrong(f"{what} has at most {longest} characters, found {len(text)}")
        if not compiled.fullmatch(text):
            raise wrong(f"{what} is {rule}, such as {example}; found {shown(value)}")
        return text

    return check


def is_name(text: str) -> bool:
    """Say whether `text` may name a study: safe as a folder's name too."""
    return len(text) <= _MAX_NAME and re.fullmatch(_NAME, text) is not None


def split_instrument(instrument: str) -> tuple[str, str]:
    """Split ``AAPL.XNAS`` into symbol and venue."""
    symbol, _, venue = instrument.rpartition(".")
    return symbol, venue


_bar_spec_text = _matching(_BAR_SPEC, "a bar specification", "STEP-UNIT-PRICE", "1-DAY-LAST")


def _bar_spec(value: object) -> str:
    text = _bar_spec_text(value)
    try:
        return bar_specs.checked(text)
    except ValueError as error:
        raise wrong(str(error)) from None


def _currency(value: object) -> str:
    code = value.strip() if isinstance(value, str) else ""
    if code in PRECISION:
        return code
    near = nearest(code, PRECISION)
    hint = f"Did you mean '{near}'?" if near else "Such as USD, EUR, BTC, USDT"
    raise wrong(f"unknown currency {shown(value)}. {hint}")


_number = re.compile(_NUMBER)


def parse_number(value: object, what: str) -> Decimal:
    """Read a decimal number, or text that is one (underscores allowed), without trailing zeros.

    Raises
    ------
    PydanticCustomError
        If it is not a number or not one the engine's fixed-point types can hold.

    """
    text = "" if isinstance(value, bool) else str(value).strip()
    if len(text) > _MAX_NAME or not _number.fullmatch(text):
        raise wrong(f"{what} is a number, found {shown(value)}")
    number = Decimal(text.replace("_", ""))
    # `abs` and arithmetic would round to 28 digits.
    if number.copy_abs() > MAX_AMOUNT:
        raise wrong(f"{what} is at most {MAX_AMOUNT}, found {shown(value)}")
    whole, _, fraction = f"{number.copy_abs():f}".partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > MAX_DECIMALS:
        raise wrong(f"{what} has at most {MAX_DECIMALS} decimals, found {shown(value)}")
    sign = "-" if number < 0 else ""
    return Decimal(f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}")


def decimals(number: Decimal) -> int:
    """Return how many decimals are needed to write `number`."""
    return len(f"{number:f}".partition(".")[2].rstrip("0"))


def _bounded(
    low: int | None = None, high: int | None = None, *, above: bool = False
) -> Callable[[Any], Decimal]:
    def check(value: object) -> Decimal:
        number = parse_number(value, "the value")
        if low is not None and (number < low or (above and number == low)):
            raise wrong(f"must be {'above' if above else 'at least'} {low}, found {shown(value)}")
        if high is not None and number > high:
            raise wrong(f"must be at most {high}, found {shown(value)}")
        return number

    return check


def _money(sign: str = "") -> Callable[[Any], str]:
    def check(value: object) -> str:
        parts = value.split() if isinstance(value, str) else []
        if len(parts) != 2:
            example = "'100_000 USD'"
            raise wrong(
                f"money is an amount and a currency such as {example}, found {shown(value)}"
            )
        number, currency = parse_number(parts[0], "the amount"), _currency(parts[1])
        if decimals(number) > PRECISION[currency]:
            raise wrong(f"{currency} has {PRECISION[currency]} decimals, found {shown(value)}")
        if sign and number < 0:
            raise wrong(f"must not be negative, found {shown(value)}")
        if sign == "+" and number == 0:
            raise wrong(f"must be above zero, found {shown(value)}")
        return f"{number:f} {currency}"

    return check


def split_money(money: str) -> tuple[Decimal, str]:
    """Split ``100000 USD`` into amount and currency."""
    amount, currency = money.split()
    return Decimal(amount), currency


_duration_parts = re.compile(rf"(?P<value>[0-9.]+)\s*(?P<unit>{_UNIT})")


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as ``30s`` or ``5ms``, rounded down."""
    match = _duration_parts.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(Decimal(match["value"]) * _NANOSECONDS[match["unit"]])


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration such as ``30s`` or ``5ms``."""
    return duration_ns(text) / 1e9


_duration_text = _matching(
    _DURATION, "a duration", "a number and one of ns, us, ms, s, m, h, d", "30s"
)


def _duration(value: object) -> str:
    text = "".join(_duration_text(value).split())
    if duration_ns(text) > _LONGEST_DAYS * _DAY_NS:
        raise wrong(f"a duration is at most {_LONGEST_DAYS}d, found {shown(value)}")
    return text


_rate_text = _matching(_RATE, "a rate", "COUNT/DURATION", "100/1s")


def _order_rate(value: object) -> str:
    count, _, per = "".join(_rate_text(value).split()).partition("/")
    if not 1 <= int(count) <= 10**6:
        raise wrong(f"the count of a rate is 1 to 1000000, found {shown(value)}")
    span = duration_ns(per)
    if span % 10**9 or not 1 <= span // 10**9 <= 7 * 86400:
        raise wrong(f"the span of a rate is whole seconds, 1s to 7d, found {shown(value)}")
    return f"{int(count)}/{per}"


_percent_text = _matching(_PERCENT, "a share", "written in percent", "10%")


def _percent(value: object) -> str:
    number = parse_number(_percent_text(value)[:-1], "the percentage")
    if not 0 < number <= 100:
        raise wrong(f"a share is above 0% and at most 100%, found {shown(value)}")
    return f"{number:f}%"


_FIRST, _LAST = dt.date(1970, 1, 1), dt.date(2261, 12, 31)
_moment_text = _matching(
    _MOMENT, "a moment", "a date or a time", "2024-01-31 or 2024-01-31T09:30:00Z"
)


def _moment(value: object) -> dt.date | dt.datetime:
    """Read a date or a time; a time without a zone is UTC."""
    text = _moment_text(value.isoformat() if isinstance(value, dt.date) else value)
    try:
        if len(text) == len("2024-01-31"):
            moment = day = dt.date.fromisoformat(text)
        else:
            time = dt.datetime.fromisoformat(text)
            moment = time.replace(tzinfo=time.tzinfo or dt.UTC).astimezone(dt.UTC)
            day = moment.date()
    except (ValueError, OverflowError):
        raise wrong(f"no such day or time: '{text}'") from None
    if not _FIRST <= day <= _LAST:
        raise wrong(f"dates run from {_FIRST} to {_LAST}, found {text}")
    return moment


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY_NS = _NANOSECONDS["d"]


def moment_ns(moment: dt.date | dt.datetime, *, end: bool = False) -> int:
    """Return UNIX nanoseconds of a date or time.

    A date is its first nanosecond in UTC, or its last one with `end`: a study that ends on a day
    includes that day.
    """
    if isinstance(moment, dt.datetime):
        return (moment - _EPOCH) // dt.timedelta(microseconds=1) * 1000
    start = (moment - _EPOCH.date()).days * _DAY_NS
    return start + _DAY_NS - 1 if end else start


def _printable(value: object) -> object:
    """Refuse characters no file name should have."""
    if isinstance(value, str) and not value.isprintable():
        raise wrong(f"holds a control character: {shown(value)}")
    return value


_strategy_text = _matching(
    _STRATEGY, "a strategy", "'package.module:Class' or 'strategies/file.py:Class'",
    "workbench.strategies.ema_cross:EMACross", 4096,
)  # fmt: skip


def _string(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            # People may leave spaces around a value.
            "pattern": rf"^\s*{pattern}\s*$",
            "description": description,
            "examples": list(examples),
        }
    )


def _number_schema(description: str, **bounds: int) -> WithJsonSchema:
    text = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*$"}
    return WithJsonSchema(
        {"anyOf": [{"type": "number", **bounds}, text], "description": description}
    )


_as_decimal = PlainSerializer(lambda number: f"{number:f}", return_type=str, when_used="json")
_as_iso = PlainSerializer(lambda moment: moment.isoformat(), return_type=str, when_used="json")

Name = Annotated[
    str,
    BeforeValidator(_matching(_NAME, "a name", "lower-case letters, digits, - and _", "ema-cross")),
    _string(_NAME, "Lower-case letters, digits, - and _", "ema-cross"),
]
TraderId = Annotated[
    str,
    BeforeValidator(_matching(_TRADER, "a trader id", "NAME-TAG", "WORKBENCH-001")),
    _string(_TRADER, "NAME-TAG", "WORKBENCH-001"),
]
VenueName = Annotated[
    str,
    BeforeValidator(_matching(_VENUE, "a venue", "capital letters, digits and _", "XNAS")),
    _string(_VENUE, "Capital letters, digits and _", "XNAS"),
]
InstrumentId = Annotated[
    str,
    BeforeValidator(
        _matching(_INSTRUMENT, "an instrument id", "SYMBOL.VENUE", "AAPL.XNAS", _MAX_INSTRUMENT)
    ),
    _string(_INSTRUMENT, "SYMBOL.VENUE", "AAPL.XNAS", "GBP/USD.SIM"),
]
BarSpec = Annotated[
    str,
    BeforeValidator(_bar_spec),
    _string(
        rf"[0-9]{{1,10}}-({'|'.join(BAR_UNITS)})-({'|'.join(PRICE_TYPES)})",
        "STEP-UNIT-PRICE",
        "1-DAY-LAST",
        "5-MINUTE-LAST",
    ),
]
CurrencyCode = Annotated[
    str, BeforeValidator(_currency), WithJsonSchema({"type": "string", "enum": list(PRECISION)})
]
_money_schema = _string(_MONEY, "Amount and currency", "100_000 USD")
NonNegativeMoney = Annotated[str, BeforeValidator(_money("0")), _money_schema]
PositiveMoney = Annotated[str, BeforeValidator(_money("+")), _money_schema]
Duration = Annotated[
    str, BeforeValidator(_duration), _string(_DURATION, "Number and unit", "30s", "5ms")
]
OrderRate = Annotated[str, BeforeValidator(_order_rate), _string(_RATE, "COUNT/DURATION", "100/1s")]
Percent = Annotated[str, BeforeValidator(_percent), _string(_PERCENT, "Percentage", "10%")]
Moment = Annotated[
    dt.date | dt.datetime,
    BeforeValidator(_moment),
    _as_iso,
    _string(_MOMENT, "A date (UTC, the whole day) or a time", "2013-03-01", "2013-03-01T14:30:00Z"),
]
FeeRate = Annotated[
    Decimal,
    BeforeValidator(_bounded(-1, 1)),
    _as_decimal,
    _number_schema("Share of notional; negative for a rebate", minimum=-1, maximum=1),
]
Leverage = Annotated[
    Decimal,
    BeforeValidator(_bounded(1, 1000)),
    _as_decimal,
    _number_schema("1 to 1000", minimum=1, maximum=1000),
]
Positive = Annotated[
    Decimal,
    BeforeValidator(_bounded(0, above=True)),
    _as_decimal,
    _number_schema("A number above 0", exclusiveMinimum=0),
]
NonNegative = Annotated[
    Decimal,
    BeforeValidator(_bounded(0)),
    _as_decimal,
    _number_schema("A number of at least 0", minimum=0),
]
Symbol = Annotated[
    str,
    BeforeValidator(_matching(_SYMBOL, "a symbol", "a name", "ES")),
    _string(_SYMBOL, "A symbol without venue", "ES"),
]
VendorSymbol = Annotated[
    str,
    BeforeValidator(_matching(_VENDOR_SYMBOL, "a symbol", "one symbol without commas", "ESU4")),
    _string(_VENDOR_SYMBOL, "A symbol as the vendor writes it", "ESU4"),
]
ClassName = Annotated[
    str,
    BeforeValidator(_matching(_CLASS, "a class", "a name", "EMACrossConfig")),
    _string(_CLASS, "A class of the strategy's module", "EMACrossConfig"),
]
StrategyPath = Annotated[
    str,
    BeforeValidator(_strategy_text),
    BeforeValidator(_printable),
    _string(
        _STRATEGY,
        "'package.module:Class' or 'strategies/file.py:Class'",
        "workbench.strategies.ema_cross:EMACross",
    ),
]
FilePath = Annotated[str, Field(min_length=1, max_length=4096), BeforeValidator(_printable)]
# YAML and JSON know the difference between 1, "1", 1.0 and true; so does a study.
Whole = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
