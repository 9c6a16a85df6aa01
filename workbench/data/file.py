"""The provider ``file``: bars, quotes or trades of a CSV or Parquet file of the user's.

The whole file is imported at once, whatever range a study asks for: other studies may ask for
another one. What is stored remembers the file (path, size, time of change, SHA-256) and the
settings it was read with, so that rows of a file that has changed are never used in silence.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from workbench.core.errors import Cancelled, DataError, InputError, Issue, choices
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.data import tabular
from workbench.data.faults import Faults
from workbench.data.importing import Importer
from workbench.data.intervals import Interval
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.data.rows import PRICES, SIZES
from workbench.data.timestamps import TIME_UNITS, needs_unit
from workbench.engine.catalog import definitions
from workbench.engine.instruments import Definition
from workbench.study.datasets import FileData

# The study's column for each of the engine's, where they are not called the same.
_RENAMED = {"bid_price": "bid", "ask_price": "ask"}
_SETTINGS = {
    "format",
    "columns",
    "delimiter",
    "timezone",
    "timestamp_unit",
    "timestamp_marks",
    "clean",
}
_SUFFIXES = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}


class FileProvider(Provider):
    """Files on this machine."""

    name: ClassVar[str] = "file"
    whole: ClassVar[bool] = True

    def local(self, item: Item) -> bool:  # noqa: ARG002, D102
        return True

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        spec = _spec(item)
        if spec.book:
            return [item.issue("files hold bars, quotes or trades, no order book", "book")]
        path = self._path(spec)
        if path.is_dir():
            return [item.issue(f"'{spec.path}' is a folder, not a file", "path")]
        if not path.is_file():
            return [item.issue(self._not_found(spec, path), "path")]
        if _format(spec) is None:
            message = f"'{path.suffix}' does not tell the format: set 'format: csv' or parquet"
            return [item.issue(message, "path")]
        issues = []
        unit = spec.bars.split("-")[1] if spec.bars else None
        if spec.timestamp_marks == "open" and unit not in TIME_UNITS:
            what = f"bars of {unit} have" if unit else f"{spec.ticks} have"
            issues.append(item.issue(f"{what} no length to add to an open", "timestamp_marks"))
        try:
            self.instrument(item)
        except InputError as error:
            issues += error.issues
        try:
            issues += self._missing_columns(item, self._names(spec)[1])
        except InputError as error:
            issues += error.issues
        return issues

    def instrument(self, item: Item) -> Definition:  # noqa: D102
        spec = _spec(item)
        if spec.definition:
            return spec.definition
        known = definitions(self.project.catalog)
        if spec.instrument not in known:
            message = (
                f"the catalog does not know {spec.instrument}: describe it with 'definition' "
                "(type, currency, price_precision, ...)"
            )
            raise item.error(message, "instrument")
        return known[spec.instrument]

    def available(self, item: Item) -> Interval | None:  # noqa: D102, ARG002
        return None

    def source(self, item: Item) -> str:  # noqa: D102
        spec = _spec(item)
        path = self._path(spec)
        stat = self._stat(path)
        content = {
            "path": self.project.relative(path),
            **stat,
            "sha256": _sha256(path, **stat),
            "settings": self._settings(item),
        }
        return json.dumps(content, sort_keys=True)

    def difference(self, item: Item, stored: str) -> str | None:  # noqa: D102
        spec = _spec(item)
        path = self._path(spec)
        then: dict[str, Any] = json.loads(stored)
        settings = self._settings(item)
        changed = [key for key, value in settings.items() if then["settings"].get(key) != value]
        if changed:
            return f"were imported with other settings ({', '.join(changed)})"
        shown = self.project.relative(path)
        now = self._stat(path)
        untouched = then["path"] == shown and all(then[key] == now[key] for key in now)
        if untouched or (now["size"] == then["size"] and _sha256(path, **now) == then["sha256"]):
            return None
        if then["path"] != shown:
            return f"came from another file, {then['path']}"
        return f"came from {shown} before it was changed"

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: D102
        if not missing:
            return []
        spec = _spec(item)
        path = self._path(spec)
        stat = self._stat(path)
        rows = _count_rows(path, _format(spec) or "csv", **stat)
        whole = (missing[0][0], missing[-1][1])
        return [Request(whole, rows=rows, bytes=stat["size"])]

    def fetch(  # noqa: D102
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        spec = _spec(item)
        path = self._path(spec)
        shown, total = self.project.relative(path), request.rows or 0
        before = self._stat(path)

        def step(what: str, done: float) -> None:
            if should_stop():
                raise Cancelled
            on_progress(Progress(f"{what} {shown}", done * total, total, "rows"))

        step("reading", 0)
        names, header = self._names(spec)
        if issues := self._missing_columns(item, header):
            raise InputError(issues)
        raw = self._read(spec, path, shown, names)
        step("checking", 0.5)
        if not raw.rows and not raw.misshapen:
            raise InputError(Issue("has a header but no rows", file=shown))
        column = raw.columns.get(names["timestamp"] or "")
        if raw.rows and not spec.timestamp_unit and _integers(column):
            message = "the file has integer timestamps: say of what, s, ms, us or ns"
            raise item.error(message, "timestamp_unit")
        faults = Faults(shown, raw.line_of, raw.unit, spec.clean)
        chunk = Importer(spec, self.instrument(item), names, raw, faults).run()
        if self._stat(path) != before:
            raise DataError(f"{shown} was changed while it was read: fetch again")
        step("read", 1)
        yield chunk

    def _path(self, spec: FileData) -> Path:
        """Return the file: relative paths belong to the project, absolute ones are the user's."""
        return self.project.root / spec.path

    def _not_found(self, spec: FileData, path: Path) -> str:
        beside = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        near = choices(path.name, sorted(beside)).partition("?")
        hint = f". {near[0][0].upper()}{near[0][1:]}?" if near[1] else ""
        return f"there is no file '{spec.path}' (looked for {path}){hint}"

    def _names(self, spec: FileData) -> tuple[dict[str, str | None], list[str]]:
        """Return the file's column for each of the engine's, and all its columns."""
        path = self._path(spec)
        shown = self.project.relative(path)
        header = tabular.header(path, _format(spec) or "csv", spec.delimiter, shown)
        wanted = ["timestamp", *PRICES[spec.kind], *SIZES[spec.kind]]
        wanted += ["side", "trade_id"] if spec.kind == "trades" else []
        names: dict[str, str | None] = {}
        for name in wanted:
            key = _RENAMED.get(name, name)
            chosen = getattr(spec.columns, key)
            names[name] = chosen or (key if key in header else None)
        return names, header

    def _missing_columns(self, item: Item, header: list[str]) -> list[Issue]:
        spec = _spec(item)
        path = self._path(spec)
        shown = self.project.relative(path)
        names, _ = self._names(spec)
        absent = {name: column for name, column in names.items() if column and column not in header}
        if absent and _format(spec) == "csv" and len(header) == 1:
            other = tabular.other_delimiter(path, spec.delimiter, shown)
            if other:
                message = f"{shown} has one column if cells end at '{spec.delimiter}': try {other}"
                return [item.issue(message, "delimiter")]
        issues = []
        for name, column in absent.items():
            message = f"{shown} has no column '{column}'. {choices(column, header)}"
            issues.append(item.issue(message, "columns", _RENAMED.get(name, name)))
        twice = {column for column in names.values() if column and header.count(column) > 1}
        issues += [item.issue(f"{shown} has two columns '{name}'", "columns") for name in twice]
        return issues

    def _read(
        self, spec: FileData, path: Path, shown: str, names: dict[str, str | None]
    ) -> tabular.Raw:
        texts = [name for key in ("timestamp", "side", "trade_id") if (name := names.get(key))]
        numbers = [name for key in (*PRICES[spec.kind], *SIZES[spec.kind]) if (name := names[key])]
        if _format(spec) == "parquet":
            return tabular.read_parquet(path, list(dict.fromkeys([*texts, *numbers])), shown)
        return tabular.read_csv(path, numbers, texts, spec.delimiter, shown)

    def _stat(self, path: Path) -> dict[str, int]:
        stat = path.stat()
        return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    def _settings(self, item: Item) -> dict[str, Any]:
        """Return what of the study decides how the file is read."""
        spec = _spec(item)
        instrument = self.instrument(item)
        return spec.model_dump(mode="json", include=_SETTINGS) | {
            "price_precision": instrument.price_precision,
            "size_precision": instrument.size_precision,
        }


def _spec(item: Item) -> FileData:
    assert isinstance(item.spec, FileData)
    return item.spec


def _format(spec: FileData) -> str | None:
    return spec.format or _SUFFIXES.get(Path(spec.path).suffix.lower())


def _integers(column: Any) -> bool:
    return hasattr(column, "type") and needs_unit(column)


# Both are asked several times in one fetch; a file that changes has another time of change.
@functools.lru_cache(maxsize=16)
def _count_rows(path: Path, kind: str, *, size: int, mtime_ns: int) -> int:  # noqa: ARG001
    return tabular.count_rows(path, kind)


@functools.lru_cache(maxsize=16)
def _sha256(path: Path, *, size: int, mtime_ns: int) -> str:  # noqa: ARG001
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
