"""Studies and lines of source files for the data room's tests."""

import copy
from typing import Any

from workbench.study import Study
from workbench.study.load import build
from workbench.study.places import Places

PAIR = {"type": "currency_pair", "base": "GBP", "currency": "USD", "price_precision": 5}
BARS = {
    "provider": "file",
    "instrument": "GBP/USD.SIM",
    "bars": "1-MINUTE-BID",
    "path": "data/bars.csv",
    "definition": PAIR,
}
SAMPLE = {
    "provider": "sample",
    "instrument": "AAPL.XNAS",
    "bars": "1-DAY-LAST",
    "start": "2005-01-01",
    "end": "2010-12-31",
}


def study_of(*data: dict[str, Any]) -> Study:
    """Return a study of these datasets."""
    venues = sorted({each["instrument"].rpartition(".")[2] for each in data})
    return build(
        {
            "schema": 1,
            "study": "data",
            "data": copy.deepcopy(list(data)),
            "venues": [
                {
                    "name": venue,
                    "account": "margin",
                    "balances": ["100000 USD"],
                    "fees": {"maker": 0, "taker": 0},
                }
                for venue in venues
            ],
            "strategy": {"path": "workbench.strategies.ema_cross:EMACross"},
        },
        Places(file="study.yaml"),
    )


def bar_lines(count: int, start: int = 0) -> list[str]:
    """Return lines of one-minute bars, closes all different."""
    lines = []
    for number in range(start, start + count):
        time = f"2024-01-{2 + number // 1440:02d} {number // 60 % 24:02d}:{number % 60:02d}:00"
        close = 1.25 + number * 1e-5
        lines.append(
            f"{time},{close:.5f},{close + 2e-4:.5f},{close - 2e-4:.5f},{close:.5f},{number}"
        )
    return lines


HEADER = "timestamp,open,high,low,close,volume"
