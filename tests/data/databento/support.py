"""A market at a local Databento, and studies that want of it."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.data.databento.dbn_files import (
    DAY,
    ES,
    MINUTE,
    NQ,
    SECOND,
    T0,
    definition,
    index,
    market,
)
from tests.data.support import study_of
from tests.servers.databento import Market
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.rows import add_hashes
from workbench.study import Study

FUTURE = {"type": "future", "currency": "USD", "price_precision": 2, "multiplier": 50}
FUTURE |= {"underlying": "ES", "expires": "2024-09-20"}
BARS = {
    "provider": "databento",
    "dataset": "GLBX.MDP3",
    "instrument": "ESU4.GLBX",
    "bars": "1-MINUTE-LAST",
    "start": "2024-07-02",
    "end": "2024-07-03",
    "definition": FUTURE,
}
BUSY = 10_000  # trades a day
# As Databento has it: from its own definitions.
THEIRS: dict[str, Any] = {"definition": None}


def glbx(ticks: int = 120) -> Market:
    """Return ten days of an hour each: bars, trades and quotes of two contracts."""
    records = {}
    for schema, count in (("ohlcv-1m", 60), ("trades", ticks), ("mbp-1", 120)):
        opens = [T0 + day * DAY + 14 * 60 * MINUTE for day in range(10)]
        parts = [
            market(schema, count, number, at, step(count), seed=at // DAY + number)
            for at in opens
            for number in (ES, NQ)
        ]
        joined = np.concatenate(parts)
        records[schema] = joined[np.argsort(index(joined), kind="stable")]
    records["ohlcv-1d"] = market("ohlcv-1d", 10)
    always = (T0, T0 + 10 * DAY)
    return Market(
        records=records,
        raw={
            "ESU4": [(ES, *always)],
            "NQU4": [(NQ, *always)],
            "META": [(77, T0 + 7 * DAY, T0 + 10 * DAY)],
        },
        continuous={"ES.c.0": [(ES, T0, T0 + 5 * DAY), (NQ, T0 + 5 * DAY, T0 + 10 * DAY)]},
        definitions=[
            (T0 + day * DAY, number, definition(symbol, number, T0 + day * DAY))
            for day in range(10)
            for symbol, number in (("ESU4", ES), ("NQU4", NQ))
        ],
    )


def step(count: int) -> int:
    """Return the time between ticks: a second, or less where they would not fit into the hour."""
    return min(SECOND, 60 * MINUTE // count) if count > 60 else 0


def bars(**more: Any) -> Study:
    """Return a study of bars."""
    return study_of(BARS | more)


def trades(**more: Any) -> Study:
    """Return a study of trades."""
    wanted = BARS | {"ticks": "trades"} | more
    del wanted["bars"]
    return study_of(wanted)


def stored(project: Project, document: Study) -> tuple[int, int]:
    """Return the number of rows the catalog has, and their hash."""
    spec = document.data[0]
    files = Dataset(project, spec.kind, spec.identity).good()
    return sum(file.rows for file in files), add_hashes(*(file.rows_hash or 0 for file in files))


def price(records: float) -> Decimal:
    """Return what so many trades cost."""
    return Decimal(str(round(records * 48 * 0.5 / 2**30, 12)))


def study_file(project: Project, document: Study) -> Path:
    """Write ``study.yaml``."""
    path = project.root / "study.yaml"
    path.write_text(yaml.safe_dump(document.to_dict()))
    return path


def parts(project: Project) -> list[Path]:
    """Return the downloads that lie in the scratch folder."""
    return list((project.gateway / "downloads").rglob("*.dbn.zst"))
