"""Specifications of bars, such as ``5-MINUTE-LAST``, as far as the engine takes them."""

from workbench.core.errors import choices

# A time bar must divide the next larger unit: the engine refuses any other step.
_DIVISORS = {"MILLISECOND": 1000, "SECOND": 60, "MINUTE": 60, "HOUR": 24, "MONTH": 12}
_MAX_STEP = {"DAY": 365, "WEEK": 52, "YEAR": 100} | dict.fromkeys(
    ("TICK", "TICK_IMBALANCE", "TICK_RUNS", "VOLUME", "VOLUME_IMBALANCE", "VOLUME_RUNS", "VALUE",
     "VALUE_IMBALANCE", "VALUE_RUNS", "RENKO"), 10**9,
)  # fmt: skip
BAR_UNITS = (*_DIVISORS, *_MAX_STEP)
PRICE_TYPES = ("LAST", "BID", "ASK", "MID", "MARK")


def checked(text: str) -> str:
    """Return a well-formed specification in its usual form; `ValueError` if none is meant."""
    number, unit, price = text.split("-")
    step = int(number)
    if unit not in BAR_UNITS:
        raise ValueError(f"unknown bar unit '{unit}' in '{text}'. {choices(unit, BAR_UNITS)}")
    if price not in PRICE_TYPES:
        raise ValueError(f"unknown price type '{price}' in '{text}'. {choices(price, PRICE_TYPES)}")
    if whole := _DIVISORS.get(unit):
        steps = [count for count in range(1, whole) if whole % count == 0]
        if step not in steps:
            known = ", ".join(map(str, steps))
            raise ValueError(f"no bars of {step} {unit} exist. Steps of {unit}: {known}")
    elif not 1 <= step <= _MAX_STEP[unit]:
        raise ValueError(f"the step in '{text}' is 1 to {_MAX_STEP[unit]}")
    return f"{step}-{unit}-{price}"
