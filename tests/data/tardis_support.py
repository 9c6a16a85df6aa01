"""Studies of Tardis data for the provider's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data.support import study_of
from tests.servers.tardis import PERPETUAL, TardisServer, lines, text
from workbench.study import Study

DAYS = ("2020-03-01", "2020-03-02", "2020-03-03")
NS_DAY = 86_400 * 10**9
FIRST_NS = 1_583_020_800 * 10**9  # midnight of the first of DAYS
XBT = {
    "type": "crypto_perpetual",
    "base": "BTC",
    "currency": "USD",
    "price_precision": 1,
    "inverse": True,
}
REMOTE = {
    "provider": "tardis",
    "instrument": "XBTUSD.BITMEX",
    "exchange": "bitmex",
    "ticks": "trades",
    "start": DAYS[0],
    "end": DAYS[-1],
}
LOCAL = {
    "provider": "tardis",
    "instrument": "XBTUSD.BITMEX",
    "ticks": "trades",
    "path": "data/tardis",
    "definition": XBT,
}


def remote(**changes: Any) -> Study:
    """Return a study of a download."""
    return _study(REMOTE, changes)


def local(**changes: Any) -> Study:
    """Return a study of files."""
    return _study(LOCAL, changes)


def _study(base: dict[str, Any], changes: dict[str, Any]) -> Study:
    merged = base | changes
    if "book" in changes or "bars" in changes:
        merged.pop("ticks")
    return study_of({key: value for key, value in merged.items() if value is not None})


def stocked(server: TardisServer, *data_types: str, rows: int = 200) -> None:
    """Let a server have XBTUSD of `DAYS`, and its instrument."""
    for data_type in data_types:
        for day in DAYS:
            server.add(data_type, day, text(data_type, lines(data_type, day, rows)))
    server.instruments["bitmex/XBTUSD"] = PERPETUAL


def write_study(path: Path, dataset: dict[str, Any], params: dict[str, Any] | None = None) -> Path:
    """Write a study that trades `dataset` on hourly bars of its ticks."""
    instrument = dataset["instrument"]
    document = {
        "schema": 1,
        "study": path.stem,
        "data": [dataset],
        "venues": [
            {
                "name": instrument.rpartition(".")[2],
                "account": "margin",
                "balances": ["100 BTC"],
                "fees": {"maker": 0, "taker": 0},
            }
        ],
        "strategy": {
            "path": "workbench.strategies.ema_cross:EMACross",
            "params": {
                "bar_type": f"{instrument}-1-HOUR-LAST-INTERNAL",
                "trade_size": 100,
                "fast": 2,
                "slow": 5,
            }
            | (params or {}),
        },
    }
    path.write_text(json.dumps(document))
    return path
