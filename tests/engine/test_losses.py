"""Limits on losses held against an equity curve."""

from workbench.engine.losses import broken
from workbench.study.document import Risk

DAY = 86_400 * 10**9


def curve(*values: float, step: int = DAY) -> list[tuple[int, str, float]]:
    return [(at * step, "USD", value) for at, value in enumerate(values)]


def test_a_fall_is_measured_from_its_peak_and_told_once() -> None:
    risk = Risk(max_drawdown="10%")
    assert not list(broken(risk, curve(100, 90, 99, 120, 108)))
    (text,) = broken(risk, curve(100, 120, 107, 90))
    assert text == (
        "max_drawdown 10% was broken on 1970-01-03 (equity in USD 10.8% below its peak): a live "
        "node would have acted there"
    )


def test_a_day_begins_with_the_last_value_of_the_one_before() -> None:
    risk = Risk(max_daily_loss="10 USD")
    assert not list(broken(risk, curve(100, 95, 90, 85, step=DAY // 2)))
    (text,) = broken(risk, curve(100, 100, 95, 89, step=DAY // 2))
    assert text.startswith("max_daily_loss 10 USD was broken on 1970-01-02 (11 USD lost in a day)")
    assert not list(broken(risk, [(at, "EUR", value) for at, _, value in curve(100, 50)]))


def test_without_limits_nothing_is_told() -> None:
    assert not list(broken(Risk(), curve(100, 1)))
