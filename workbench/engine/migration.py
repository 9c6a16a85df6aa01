"""Files of NautilusTrader 1.x in the engine's present form, made in a process of its own.

The engine's own conversion is used for data. Of instruments it takes what the Rust half of 1.x
wrote and refuses what the Python half did (ids in a dictionary): those are read by the names of
their columns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError

TIMEOUT_SECONDS = 3600.0


def migrate_data(source: Path, target: Path) -> None:
    """Convert the data files of a 1.x catalog.

    Parameters
    ----------
    source
        The old catalog; left as it is.
    target
        A folder for the new one, empty or missing.

    Raises
    ------
    DataError
        If the engine cannot convert it; with its reason.

    """
    answer = _ask({"source": str(source), "target": str(target)})
    if answer["error"]:
        raise DataError(answer["error"])


def migrate_instruments(files: Iterable[Path], target: Path) -> dict[Path, str]:
    """Convert instrument files of a 1.x catalog.

    Parameters
    ----------
    files
        Each of one instrument; left as they are.
    target
        A folder for a new catalog that holds those that could be converted.

    Returns
    -------
    dict
        Why the others could not.

    """
    answer = _ask({"files": [str(path) for path in files], "target": str(target)})
    if answer["error"]:
        raise DataError(answer["error"])
    return {Path(path): why for path, why in answer["failed"].items()}


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "workbench.engine.migration"],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        answer: dict[str, Any] = json.loads(process.stdout)
    except subprocess.TimeoutExpired:
        raise DataError(f"the conversion took more than {TIMEOUT_SECONDS:g} s") from None
    except ValueError:
        tail = process.stderr.decode(errors="replace")[-500:].strip()
        code = process.returncode
        raise DataError(f"the conversion ended its process (exit code {code}) {tail}") from None
    return answer


def _convert_data(source: str, target: str) -> None:
    from nautilus_trader.persistence import ParquetDataCatalog

    Path(target).mkdir(parents=True, exist_ok=True)
    ParquetDataCatalog(target).migrate_from_legacy_parquet_path(source)


def _convert_instruments(files: list[str], target: str) -> dict[str, str]:
    import pyarrow.parquet as pq
    from nautilus_trader import model

    from workbench.engine.catalog import write_instruments
    from workbench.engine.instruments import Description

    found, failed = {}, {}
    for file in files:
        try:
            rows = pq.read_table(file, use_threads=False)
            name = (rows.schema.metadata or {}).get(b"class", Path(file).parts[-3].encode())
            values = rows.to_pylist()[-1]  # the latest definition
            values["info"] = json.loads(values.get("info") or b"{}")
            values["type"] = name.decode()
            instrument = getattr(model, values["type"]).from_dict(values)
            found[str(instrument.id)] = Description.of(instrument)
        except Exception as error:
            failed[file] = str(error).splitlines()[0]
    write_instruments(Path(target), found.items())
    return failed


def main() -> None:
    """Answer the request on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    request = json.load(sys.stdin)
    answer: dict[str, Any] = {"error": None, "failed": {}}
    try:
        if "files" in request:
            answer["failed"] = _convert_instruments(request["files"], request["target"])
        else:
            _convert_data(request["source"], request["target"])
    except (OSError, RuntimeError, ValueError) as error:
        answer["error"] = str(error).strip()
    json.dump(answer, answers)
    answers.flush()


if __name__ == "__main__":
    main()
