"""Instruments from Databento's definition records, decoded by NautilusTrader's own loader.

The loader runs in a process of its own: a record it does not expect aborts the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError, DependencyError
from workbench.engine.instruments import Description
from workbench.engine.version import require

TIMEOUT_SECONDS = 120.0

_CLASSES = "shares, currency pairs, futures, options and spreads of these"


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as a definition record has it.

    Attributes
    ----------
    description
        With the id the loader gives it: its symbol and the publisher's venue.
    symbol
        Its symbol at the venue.
    venues
        What its id may name as venue: the publisher's, and the exchange's own code.

    """

    description: Description
    symbol: str
    venues: tuple[str, ...]

    def named(self, instrument_id: str) -> Description:
        """Return the description under another id: another of its venues, a continuous contract."""
        values = json.loads(self.description.content) | {"id": instrument_id}
        return replace(self.description, content=json.dumps(values, sort_keys=True))


def listing(definitions: bytes) -> Listing:
    """Decode definition records; of several the last one counts.

    Parameters
    ----------
    definitions
        A DBN file of one instrument's definitions, compressed with Zstandard.

    Raises
    ------
    DataError
        If the engine has no such instrument, or cannot read the records.
    DependencyError
        If `databento` is missing: it knows which publisher is which venue.

    """
    require()
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        Path(folder, "definition.dbn.zst").write_bytes(definitions)
        try:
            process = subprocess.run(
                [sys.executable, "-P", "-m", "workbench.engine.databento", folder],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=os.environ | {"RUST_BACKTRACE": "0"},
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            message = f"the engine took more than {TIMEOUT_SECONDS:g} s to read a definition"
            raise DataError(message) from None
    try:
        answer = json.loads(process.stdout)
    except ValueError:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        reason = next((line for line in lines if line.startswith("Condition failed")), "")
        reason = reason or f"its process ended with exit code {process.returncode}"
        raise DataError(f"the engine cannot read the instrument's definition: {reason}") from None
    if "missing" in answer:
        raise DependencyError(answer["missing"])
    if "error" in answer:
        raise DataError(f"the engine cannot read the instrument's definition: {answer['error']}")
    return Listing(
        Description(answer["content"]), answer["symbol"], tuple(dict.fromkeys(answer["venues"]))
    )


def publishers() -> list[dict[str, Any]]:
    """Return Databento's publishers, as the engine's loader wants them.

    Raises
    ------
    DependencyError
        If `databento` is missing.

    """
    try:
        from databento.common.publishers import Publisher
    except ImportError:
        message = "Databento's client is missing. Install it: pip install nt-workbench[databento]"
        raise DependencyError(message) from None
    return [
        {
            "publisher_id": publisher.to_int(),
            "dataset": str(publisher.dataset),
            "venue": str(publisher.venue),
            "description": publisher.description,
        }
        for publisher in Publisher
    ]


def _decode(folder: Path) -> dict[str, Any]:
    from nautilus_trader.adapters.databento import DatabentoDataLoader

    known = folder / "publishers.json"
    try:
        known.write_text(json.dumps(publishers()))
    except DependencyError as error:
        return {"missing": str(error)}
    try:
        loader = DatabentoDataLoader(known)
        found = loader.load_instruments(folder / "definition.dbn.zst", False)
    except (OSError, RuntimeError, ValueError) as error:
        return {"error": str(error).splitlines()[0]}
    if not found:
        return {"error": f"it knows {_CLASSES}, and this is none of them"}
    description = Description.of(found[-1])
    symbol, _, venue = description.id.rpartition(".")
    exchange = json.loads(description.content).get("exchange")
    return {
        "content": description.content,
        "symbol": symbol,
        "venues": [venue, exchange] if exchange else [venue],
    }


def main() -> None:
    """Decode the definition in the folder that is the one argument; answer in JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the engine logs to standard output
    json.dump(_decode(Path(sys.argv[1])), answers)
    answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
