"""The catalog on disk: Parquet files in the engine's own layout.

``data/catalog/data/<kind>/<identity>/<first>_<last>.parquet``: the file's name says which span of
time it covers, so a span without a single trade can be covered too. Files of one dataset never
overlap. Besides the engine's own keys each file's metadata says where its rows came from
(`PROVIDER`, `SOURCE`) and their hash (`ROWS_HASH`).

Writers hold the dataset's lock and rename whole files into place; readers need no lock.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import DataError
from workbench.core.files import locked, replacing
from workbench.core.project import Project
from workbench.data.intervals import Interval, clip, file_name, parse_file_name, shown
from workbench.data.rows import KINDS, rows_hash, times
from workbench.engine.catalog import folder_name
from workbench.study.datasets import Kind

if TYPE_CHECKING:
    import pyarrow as pa

PROVIDER = "workbench.provider"
SOURCE = "workbench.source"
ROWS_HASH = "workbench.rows_hash"

_ROW_GROUP = 100_000  # rows: the engine's readers work on several groups at once


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One Parquet file of a dataset.

    Attributes
    ----------
    path
        Where it is.
    interval
        The span it covers, by its name.
    broken
        Why it cannot be used; None for a good file. The attributes below are empty then.
    identity
        Whose rows they are.
    rows, size
        Number of rows and of bytes on disk.
    provider, source
        Where the rows came from; empty where another program wrote the file.
    rows_hash
        See `workbench.data.rows.rows_hash`; None where another program wrote the file.
    precisions
        Decimals of prices and of sizes.

    """

    path: Path
    interval: Interval
    broken: str | None = None
    identity: str = ""
    rows: int = 0
    size: int = 0
    provider: str = ""
    source: str = ""
    rows_hash: int | None = None
    precisions: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of a project's catalog: bars of a bar type, or ticks of an instrument."""

    project: Project
    kind: Kind
    identity: str

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.project.catalog / "data" / self.kind / folder_name(self.identity)

    @property
    def quarantine(self) -> Path:
        """Where its broken files are put aside."""
        return self.project.catalog / "quarantine" / self.kind / self.folder.name

    @property
    def lock_file(self) -> Path:
        """What a writer locks."""
        return self.project.gateway / "locks" / f"{self.kind}-{self.folder.name}.lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the dataset against other writers."""
        with locked(self.lock_file, what=f"the data of {self.identity}"):
            yield

    def files(self) -> list[CatalogFile]:
        """Return its files in order of time, broken ones included.

        Raises
        ------
        DataError
            If the folder belongs to another identity: the engine drops ``/`` from its names, so
            GBP/USD.SIM and GBPUSD.SIM cannot both be in one catalog.

        """
        found = scan(self.folder)
        for file in found:
            if not file.broken and file.identity != self.identity:
                message = (
                    f"{self.project.relative(self.folder)} holds {file.identity}, and the engine "
                    f"would keep {self.identity} in the same folder. Use one spelling of the two"
                )
                raise DataError(message)
        return found

    def good(self) -> list[CatalogFile]:
        """Return the files that can be used.

        Raises
        ------
        DataError
            If two of them cover the same time: rows would count twice.

        """
        files = [file for file in self.files() if not file.broken]
        for one, other in itertools.pairwise(files):
            if clip(one.interval, other.interval):
                message = (
                    f"{self.project.relative(one.path)} and {other.path.name} overlap: remove one "
                    "of them"
                )
                raise DataError(message)
        return files

    def sweep(self) -> list[str]:
        """Remove what killed writers left, put broken files aside; return what was put aside.

        A repair that was cut off is finished first. Call with the lock held.
        """
        from workbench.data.doctor.journal import finish

        finish(self.project, self)
        for pattern in (".*.tmp", "*.tmp", "*.parquet#*"):
            for stray in self.folder.glob(pattern):
                stray.unlink(missing_ok=True)
        moved = []
        for file in self.files():
            if file.broken:
                self.quarantine.mkdir(parents=True, exist_ok=True)
                file.path.replace(self.quarantine / file.path.name)
                moved.append(
                    f"{self.project.relative(file.path)} {file.broken}: moved to "
                    f"{self.project.relative(self.quarantine)}"
                )
        return moved

    def write(
        self,
        rows: pa.Table,
        interval: Interval,
        *,
        provider: str,
        source: str,
        replace: bool = False,
    ) -> CatalogFile:
        """Write one file.

        Call with the lock held.

        Parameters
        ----------
        rows
            In the engine's schema, see `workbench.data.rows.table`; may be empty.
        interval
            The span the file covers, every row inside it.
        provider, source
            Where the rows came from.
        replace
            Whether every other file of the dataset gives way to this one.

        Raises
        ------
        DataError
            If the disk is full, or another file covers part of `interval`. The catalog is as it
            was.

        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = self.folder / file_name(interval)
        others = [file.path for file in self.files()]
        if not replace:
            for path in others:
                known = parse_file_name(path.name)
                if known and clip(known, interval):
                    message = (
                        f"{self.project.relative(path)} covers part of {shown(interval)} already"
                    )
                    raise DataError(message)
        metadata = {
            **(rows.schema.metadata or {}),
            PROVIDER.encode(): provider.encode(),
            SOURCE.encode(): source.encode(),
            ROWS_HASH.encode(): str(rows_hash(rows)).encode(),
        }
        try:
            with replacing(target) as temporary:
                pq.write_table(
                    rows.replace_schema_metadata(metadata),
                    temporary,
                    compression="zstd",
                    # A bit that flips on the disk is an error when it is read, not another price.
                    write_page_checksum=True,
                    # Prices seldom repeat: a dictionary costs time and saves nothing.
                    use_dictionary=False,
                    row_group_size=_ROW_GROUP,
                )
                # Before the rename: two files that overlap would count rows twice, while a kill
                # right here costs no more than another fetch.
                if replace:
                    for path in others:
                        path.unlink(missing_ok=True)
        except (OSError, pa.ArrowException) as error:
            raise DataError(self._write_failed(target, error)) from None
        return inspect(target, interval)

    def _write_failed(self, target: Path, error: Exception) -> str:
        number = getattr(error, "errno", None)
        reason = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EFBIG: "the file may not grow that large",
        }.get(number or 0, str(error).splitlines()[0])
        where = self.project.relative(target)
        return f"{where} could not be written: {reason}. The catalog is as it was"


def scan(folder: Path) -> list[CatalogFile]:
    """Return the Parquet files in `folder`, in order of time."""
    found = []
    for path in folder.glob("*.parquet"):
        interval = parse_file_name(path.name)
        if interval is None:
            found.append(CatalogFile(path, (0, 0), broken="is not named FIRST_LAST.parquet"))
        else:
            found.append(inspect(path, interval))
    return sorted(found, key=lambda file: (file.interval, file.path.name))


def inspect(path: Path, interval: Interval) -> CatalogFile:
    """Read the footer of one file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        size = path.stat().st_size
        footer = pq.read_metadata(path)
        # The engine's consolidation writes its keys with the Arrow schema only.
        metadata = (footer.schema.to_arrow_schema().metadata or {}) | (footer.metadata or {})
        keys = {
            key.decode(): value.decode()
            for key, value in metadata.items()
            if key != b"ARROW:schema"
        }
        stored = keys.get(ROWS_HASH)
        return CatalogFile(
            path,
            interval,
            identity=keys.get("bar_type") or keys["instrument_id"],
            rows=footer.num_rows,
            size=size,
            provider=keys.get(PROVIDER, ""),
            source=keys.get(SOURCE, ""),
            rows_hash=None if stored is None else int(stored),
            precisions=(int(keys["price_precision"]), int(keys["size_precision"])),
        )
    except (pa.ArrowException, OSError):
        return CatalogFile(path, interval, broken="is not a whole Parquet file (cut short?)")
    except (KeyError, ValueError):
        return CatalogFile(path, interval, broken="lacks the engine's metadata")


def datasets(project: Project) -> list[Dataset]:
    """Return the datasets of the project's catalog."""
    found = []
    for kind in KINDS:
        for folder in sorted((project.catalog / "data" / kind).glob("*/")):
            # The folder's name may lack a character of the identity; the files know it.
            names = [file.identity for file in scan(folder) if file.identity]
            found.append(Dataset(project, kind, names[0] if names else folder.name))
    return found


def read_rows(
    files: list[CatalogFile], interval: Interval | None = None, columns: list[str] | None = None
) -> pa.Table:
    """Read rows of one dataset, in order of time: those inside `interval`, or all.

    Raises
    ------
    DataError
        If a file cannot be read; it is named.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for file in files:
        try:
            # One thread: a process that has read may still fork.
            rows = pq.read_table(
                file.path,
                columns=columns,
                use_threads=False,
                page_checksum_verification=True,
            )
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{file.path}: cannot be read: {reason}") from None
        if interval and clip(file.interval, interval) != file.interval:
            moments = times(rows.column("ts_init"))
            first = int(moments.searchsorted(interval[0], side="left"))
            last = int(moments.searchsorted(interval[1], side="right"))
            rows = rows.slice(first, last - first)
        parts.append(rows.replace_schema_metadata(None))
    return pa.concat_tables(parts)
