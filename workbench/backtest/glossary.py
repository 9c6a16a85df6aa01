"""The statistics in words: label, format and meaning of each, for reports and comparisons."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["money", "percent", "ratio", "count", "days", "seconds"]


@dataclass(frozen=True, slots=True)
class Term:
    """One statistic.

    Attributes
    ----------
    name
        Its key in ``run.statistics``.
    label
        As headings show it.
    kind
        How its values are written.
    meaning
        One plain sentence.

    """

    name: str
    label: str
    kind: Kind
    meaning: str


GROUPS: dict[str, tuple[Term, ...]] = {
    "Return": (
        Term("net_profit", "Net profit", "money", "Final equity less starting equity, open "
             "positions at the last price, after commissions."),
        Term("total_return", "Total return", "percent", "Net profit as a share of the starting "
             "equity."),
        Term("cagr", "CAGR", "percent", "Compound annual growth rate: the steady yearly return "
             "that gives the same result. Needs at least 30 days."),
        Term("best_day", "Best day", "percent", "Largest daily return."),
        Term("worst_day", "Worst day", "percent", "Smallest daily return."),
        Term("exposure", "Time in market", "percent", "Share of the time in which at least one "
             "position was open."),
    ),
    "Risk": (
        Term("volatility", "Volatility", "percent", "Standard deviation of daily returns, "
             "annualised."),
        Term("sharpe", "Sharpe ratio", "ratio", "Mean daily return over its standard deviation, "
             "annualised; no risk-free rate is taken off."),
        Term("sortino", "Sortino ratio", "ratio", "As the Sharpe ratio, but counting only downward "
             "deviation as risk."),
        Term("max_drawdown", "Max drawdown", "percent", "Largest fall of equity from an earlier "
             "high, as a share of that high."),
        Term("max_drawdown_days", "Longest drawdown", "days", "Longest time from a high of equity "
             "until it was reached again, or until the end."),
        Term("calmar", "Calmar ratio", "ratio", "CAGR over max drawdown."),
        Term("skew", "Skewness", "ratio", "Lopsidedness of daily returns: below zero, large losses "
             "are more common than large gains."),
        Term("kurtosis", "Excess kurtosis", "ratio", "How often extreme days occur, against zero "
             "for a normal distribution."),
    ),
    "Trades": (
        Term("trades", "Trades", "count", "Closed round trips, from flat to flat (or to the "
             "other side)."),
        Term("win_rate", "Win rate", "percent", "Share of trades that made money after "
             "commissions."),
        Term("profit_factor", "Profit factor", "ratio", "Money made in winning trades for each "
             "unit lost in losing ones."),
        Term("expectancy", "Expectancy", "money", "Average result of a trade."),
        Term("payoff_ratio", "Payoff ratio", "ratio", "Average win over average loss."),
        Term("avg_win", "Average win", "money", "Average result of the trades that made money."),
        Term("avg_loss", "Average loss", "money", "Average result of the trades that lost money."),
        Term("best_trade", "Best trade", "money", "Largest result of one trade."),
        Term("worst_trade", "Worst trade", "money", "Smallest result of one trade."),
    ),
    "Activity": (
        Term("long_trades", "Long trades", "count", "Trades that were opened by buying."),
        Term("short_trades", "Short trades", "count", "Trades that were opened by selling."),
        Term("open_positions", "Open at the end", "count", "Positions still open when the data "
             "ended; valued at the last price, not counted as trades."),
        Term("avg_duration_s", "Average duration", "seconds", "Mean time from the opening to the "
             "close of a trade."),
        Term("fills", "Fills", "count", "Executions of orders, a partial one counted as one."),
        Term("commissions", "Commissions", "money", "Paid over all fills."),
        Term("days", "Trading days", "count", "Days with a return: those on which the data has "
             "prices."),
        Term("periods_per_year", "Days in a year", "count", "What daily figures are annualised "
             "with: 252 for weekday markets, 365 for those that never close."),
    ),
}  # fmt: skip
TERMS = {term.name: term for terms in GROUPS.values() for term in terms}

MINUS, NONE = "\N{MINUS SIGN}", "\N{EN DASH}"


def written(value: float | None, kind: Kind, *, sign: bool = False) -> str:
    """Return a statistic as text: thousands separated, a real minus, a dash where undefined.

    Parameters
    ----------
    value
        Shares for ``percent``, seconds for ``seconds``.
    kind
        How to write it.
    sign
        Also write the plus of a gain.

    """
    if value is None or not math.isfinite(value):
        return NONE
    if kind == "seconds":
        return duration(value)
    text = {
        "money": f"{abs(value):,.2f}",
        "percent": f"{100 * abs(value):,.2f} %",
        "ratio": f"{abs(value):,.2f}",
        "count": f"{abs(value):,.4g}" if value % 1 else f"{abs(value):,.0f}",
        "days": f"{abs(value):,.0f} days"
        if value >= 10 or not value % 1
        else f"{abs(value):,.1f} days",
    }[kind]
    if not any(digit in text for digit in "123456789"):
        return text  # no minus before a zero
    return (MINUS if value < 0 else "+" if sign else "") + text


def duration(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    for (large, size), (small, part) in pairwise(units):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size):,} {large}" + (f" {rest} {small}" if rest else "")
    raise AssertionError
