"""Studies as files, and a fetch of one in a process of its own."""

import os
import subprocess
import sys
from typing import Any

from tests.data.exchanges.support import INSTRUMENTS, VARIABLES, VENUES, text
from tests.servers.local import LocalServer
from tests.servers.tape import DAY, Tape, now_ms
from workbench.core.project import Project
from workbench.data.catalog import Dataset, read_rows

STUDY = """\
schema: 1
study: exchange
data:
  - provider: {exchange}
    instrument: {instrument}
    {what}
    start: {start}
    end: {end}
venues:
  - {{name: {venue}, account: margin, balances: [1_000_000 {currency}], fees: {{maker: 0, taker: 0}}}}
strategy: {{path: "workbench.strategies.ema_cross:EMACross", params: {{fast: 3, slow: 9, trade_size: 1}}}}
"""  # noqa: E501
CURRENCIES = {"bybit": "USDT", "okx": "USDT", "kraken": "BTC", "binance": "USDT"}


def write(project: Project, exchange: str, first: int, last: int, **changes: str) -> str:
    content = {
        "exchange": exchange,
        "instrument": INSTRUMENTS[exchange],
        "venue": exchange.upper(),
        "currency": CURRENCIES[exchange],
        "what": "bars: 1-MINUTE-LAST",
        "start": text(first),
        "end": text(last),
    }
    path = project.root / "study.yaml"
    path.write_text(STUDY.format(**(content | changes)))
    return str(path)


def addresses(exchange: str, server: LocalServer) -> dict[str, str]:
    return dict.fromkeys(VARIABLES[exchange], server.url)


class Download:
    """A long download of minutes, in a project without anything else."""

    def __init__(self, project: Project, exchange: str, days: int) -> None:
        self.project = project
        self.exchange = exchange
        self.first = now_ms() // DAY * DAY - (days + 2) * DAY
        self.path = write(project, exchange, self.first, self.first + days * DAY)
        self.rows = days * 1440 + 1
        self.venue: Any = VENUES[exchange]()
        tape = Tape(self.first - DAY, lots=0)
        groups = (
            [self.venue.spot, self.venue.futures]
            if exchange == "kraken"
            else self.venue.tapes.values()
        )
        for tapes in groups:
            tapes |= dict.fromkeys(tapes, tape)

    def start(self, server: LocalServer) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "workbench", "data", "fetch", self.path],
            cwd=self.project.root,
            env=os.environ | addresses(self.exchange, server),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def fetched(self) -> Any:
        """Return the rows the catalog has."""
        identity = f"{INSTRUMENTS[self.exchange]}-1-MINUTE-LAST-EXTERNAL"
        return read_rows(Dataset(self.project, "bars", identity).good())
