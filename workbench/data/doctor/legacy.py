"""Files of NautilusTrader 1.x: converted by the engine, compared column by column, written anew."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.core.errors import DataError
from workbench.core.files import make_folder
from workbench.data.doctor import rewriting
from workbench.data.doctor.journal import Journal
from workbench.data.doctor.schemas import legacy_schema
from workbench.data.doctor.steps import link_or_copy
from workbench.data.intervals import file_name, parse_file_name
from workbench.data.rows import SCALE, SIDES, add_hashes, rows_hash
from workbench.engine.migration import migrate_data

if TYPE_CHECKING:
    import pyarrow as pa

# What 1.x wrote as a number and the engine now writes as a word.
_WORDS = {
    "aggressor_side": SIDES,
    "side": ("NO_ORDER_SIDE", "BUY", "SELL"),
    "action": (None, "ADD", "UPDATE", "DELETE", "CLEAR"),
}
_STANDARD = 9  # decimals of 1.x's eight-byte numbers


@dataclass(frozen=True, slots=True)
class Converted:
    """One file of 1.x, converted.

    Attributes
    ----------
    source
        As 1.x wrote it.
    staged
        As the engine reads it.
    name
        What the new one is to be called: the old name, or the span of its rows.
    rows, hash
        Number and hash of its rows.

    """

    source: Path
    staged: Path
    name: str
    rows: int
    hash: int


def convert(kind: str, folder: Path, files: Sequence[Path], journal: Journal) -> list[Converted]:
    """Convert the 1.x files of one dataset.

    Parameters
    ----------
    kind
        What they hold, see `workbench.data.rows.KINDS`.
    folder
        Theirs.
    files
        Those of its files that 1.x wrote.
    journal
        Where the new files are staged.

    Raises
    ------
    DataError
        If the engine cannot convert them, or what it made differs from them. Nothing has changed.

    """
    aside = journal.stage("conversion")
    old = aside / "old" / "data" / folder.parent.name / folder.name
    make_folder(old)
    names = {path: _new_name(path) for path in files}
    if len(set(names.values())) < len(files):
        raise DataError(f"{folder}: two of its files hold the same span of time")
    for path, name in names.items():
        link_or_copy(path, old / name)
    migrate_data(aside / "old", aside / "new")
    converted = []
    for path, name in names.items():
        made = list((aside / "new" / "data" / kind).glob(f"*/{name}"))
        if len(made) != 1:
            raise DataError(f"{path}: the engine's conversion left it out")
        count, digest = _compare(path, made[0])
        staged = journal.stage(name)
        rewriting.write(
            staged,
            rewriting.schema_of(made[0]),
            rewriting.batches(made[0]),
            rows=count,
            digest=digest,
        )
        converted.append(Converted(path, staged, name, count, digest))
    shutil.rmtree(aside)
    return converted


def _new_name(path: Path) -> str:
    """Return the old name where it says a span of time, else one that says that of the rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if parse_file_name(path.name):
        return path.name
    ts = pq.read_table(path, columns=["ts_init"], use_threads=False)["ts_init"]
    if not len(ts):
        raise DataError(f"{path}: holds no rows, and its name no span of time")
    span = pc.min_max(ts).as_py()
    return file_name((span["min"], span["max"]))


def _compare(old: Path, new: Path) -> tuple[int, int]:
    """Return number and hash of the new file's rows, once each value is known to be the old one."""
    import pyarrow.parquet as pq

    before = pq.read_table(old, use_threads=False)
    parts = list(rewriting.batches(new))
    count = sum(part.num_rows for part in parts)
    if count != before.num_rows:
        raise DataError(f"{old}: the conversion gave {count:,} rows of {before.num_rows:,}")
    first = 0
    for part in parts:
        then = before.slice(first, part.num_rows)
        first += part.num_rows
        for name in set(part.column_names) & set(then.column_names):
            if not _same(name, then[name].combine_chunks(), part[name].combine_chunks()):
                raise DataError(f"{old}: the conversion changed its column {name}")
    return count, add_hashes(*map(rows_hash, parts))


def _same(name: str, old: Any, new: Any) -> bool:
    """Whether a column holds the same values in both forms."""
    import pyarrow as pa

    if pa.types.is_fixed_size_binary(old.type):
        return bool(_decimals(old).equals(new))
    if pa.types.is_timestamp(new.type):
        return bool(old.cast(pa.int64()).equals(new.cast(pa.int64())))
    if name in _WORDS and pa.types.is_dictionary(new.type):
        words = pa.array(_WORDS[name]).take(old)
        return bool(words.equals(new.cast(pa.string())))
    return bool(old.equals(new.cast(old.type)))


def _decimals(column: pa.Array) -> pa.Array:
    """Read 1.x's fixed-point numbers: 16 bytes of 16 decimals, or 8 bytes of 9."""
    import pyarrow as pa

    width = column.type.byte_width
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8).reshape(-1, width)
    data = np.ascontiguousarray(data[column.offset : column.offset + len(column)])
    if width == 16:
        words, scale = data.view(np.int64), SCALE
    else:
        low = data.view(np.int64)
        words, scale = np.ascontiguousarray(np.concatenate([low, low >> 63], axis=1)), _STANDARD
    numbers = pa.Array.from_buffers(
        pa.decimal128(38, scale), len(column), [None, pa.py_buffer(words)]
    )
    return numbers.cast(pa.decimal128(38, SCALE))


def legacy_files(folder: Path) -> list[Path]:
    """Return the files of a folder that 1.x wrote."""
    return [path for path in sorted(folder.glob("*.parquet")) if legacy_schema(path)]
