"""The engine's Parquet catalog: its instruments, and data as the engine's objects.

`instruments` and `query` use the engine's own reader, which starts threads: a process that will
fork must not call them. `definitions` reads the files with pyarrow and may be called anywhere.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import DataError
from workbench.core.files import write_bytes
from workbench.engine.instruments import DEFINITION, build

if TYPE_CHECKING:
    from workbench.study.document import Instrument

_FOLDERS = ("equity", "currency_pair", "crypto_perpetual", "futures_contract")
_DATA_TYPES = {"bars": "Bar", "quotes": "QuoteTick", "trades": "TradeTick"}


def folder_name(identity: str) -> str:
    """Return the name of the folder the engine keeps `identity` in."""
    return identity.replace("/", "").replace("^", "_").replace("#", "%23")


def write_instruments(path: Path, items: Iterable[tuple[str, Instrument]]) -> None:
    """Write instruments to the catalog at `path`; those it holds already are replaced.

    Each file is written beside the catalog's and renamed, so a reader sees the old instrument or
    the new one. One process at a time may write.
    """
    from nautilus_trader.persistence import ParquetDataCatalog

    path.mkdir(parents=True, exist_ok=True)
    for stray in path.glob(".instruments-*.tmp"):  # of a writer that was killed
        shutil.rmtree(stray, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=path, prefix=".instruments-", suffix=".tmp") as aside:
        items = list(items)
        ParquetDataCatalog(aside).write_instruments([build(*item) for item in items])
        for written in sorted(Path(aside).rglob("*.parquet")):
            target = path / written.relative_to(aside)
            write_bytes(target, written.read_bytes())
            for other in _files(path, target.parent.name):
                if other != target:  # the same instrument as another type
                    other.unlink(missing_ok=True)


def definitions(path: Path) -> dict[str, Instrument]:
    """Return the definition of each instrument the workbench wrote to the catalog at `path`.

    Files that cannot be read are left out; `broken_instruments` names them.
    """
    return _read_definitions(path)[0]


def broken_instruments(path: Path) -> dict[Path, str]:
    """Return the instrument files that cannot be read, each with the reason."""
    return _read_definitions(path)[1]


def _read_definitions(path: Path) -> tuple[dict[str, Instrument], dict[Path, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pydantic import ValidationError

    from workbench.study.document import Instrument

    found: dict[str, Instrument] = {}
    broken: dict[Path, str] = {}
    for file in _files(path):
        try:
            rows = pq.read_table(file, columns=["id", "info"], use_threads=False)
            for name, info in zip(rows["id"].to_pylist(), _texts(rows["info"]), strict=True):
                definition = json.loads(info or "{}").get(DEFINITION)
                if definition is not None:
                    found[name] = Instrument.model_validate(definition)
        except (pa.ArrowException, OSError, KeyError, ValueError, ValidationError) as error:
            broken[file] = str(error).splitlines()[0]
    return found, broken


def _texts(column: Any) -> list[str | None]:
    """Return a JSON column as text, whether pyarrow knows the extension type or not."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string())
    texts: list[str | None] = column.to_pylist()
    return texts


def instruments(path: Path, ids: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the engine's instruments in the catalog at `path`, by id.

    Parameters
    ----------
    path
        The catalog.
    ids
        Which ones; default all of them.

    Raises
    ------
    DataError
        If the engine cannot read them; broken files are named.

    """
    from nautilus_trader.persistence import ParquetDataCatalog

    if not path.is_dir():
        return {}
    try:
        found = ParquetDataCatalog(str(path)).instruments(None if ids is None else list(ids))
    except (OSError, RuntimeError, ValueError) as error:
        names = "".join(f"\n{file}: {why}" for file, why in broken_instruments(path).items())
        raise DataError(f"the catalog's instruments cannot be read: {error}{names}") from None
    return {str(item.id): item for item in found}


def query(
    catalog_path: Path,
    kind: str,
    identity: str,
    start_ns: int | None,
    end_ns: int | None,
    files: Sequence[Path | str],
) -> list[Any]:
    """Return rows of the catalog as the engine's objects, in order of time.

    Parameters
    ----------
    catalog_path
        The catalog the files belong to.
    kind, identity
        ``bars`` of a bar type, ``quotes`` or ``trades`` of an instrument.
    start_ns, end_ns
        First and last nanosecond, both inside; None for all there is.
    files
        The files to read, and no others: a broken file beside them does no harm.

    Returns
    -------
    list[Bar] | list[QuoteTick] | list[TradeTick]

    Raises
    ------
    DataError
        If a file cannot be read; it is named.

    """
    from nautilus_trader import model
    from nautilus_trader.persistence import ParquetDataCatalog

    if not files:
        return []
    names = [str(Path(file).absolute()) for file in files]
    catalog = ParquetDataCatalog(str(catalog_path.absolute()))
    try:
        # Otherwise the engine reads whole folders, whatever files it is given.
        found: list[Any] = catalog.query(
            getattr(model.NautilusDataType, _DATA_TYPES[kind]),
            [identity],
            start_ns,
            end_ns,
            files=names,
            optimize_file_loading=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        reasons = [f"{name}: {why}" for name in names if (why := _unreadable(name))]
        raise DataError("\n".join(reasons) or f"{identity}: {error}") from None
    return found


def _unreadable(file: str) -> str | None:
    """Say why `file` cannot be read, None if it can."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_table(file, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    return None


def _files(path: Path, folder: str = "*") -> list[Path]:
    """Return the instrument files of the catalog, of one folder or of all."""
    data = path / "data"
    return [file for kind in _FOLDERS for file in sorted((data / kind).glob(f"{folder}/*.parquet"))]
