"""The catalog's folders: datasets, what is left of killed writers, and what belongs to nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench.core.project import Project
from workbench.data.catalog import Dataset, inspect
from workbench.data.doctor.findings import Finding, finding
from workbench.data.doctor.schemas import LEGACY_FOLDERS, legacy_schema
from workbench.data.doctor.tally import counted
from workbench.data.rows import KINDS
from workbench.engine.catalog import INSTRUMENT_FOLDERS, folder_name

UNDO = ".undo"
"""The folder of the catalog in which repairs keep what they replaced."""

_QUARANTINE = "quarantine"
# Kinds of data the engine keeps and the workbench does not use.
_UNCHECKED = (
    "custom", "funding_rates", "index_prices", "instrument_closes", "instrument_status",
    "mark_prices", "option_greeks",
)  # fmt: skip
# Of 1.x, and of no kind that can be converted.
_LEGACY_OTHERS = (
    "custom_", "funding_rate_update", "index_price_update", "instrument_close",
    "instrument_status_update", "mark_price_update",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LegacyFolder:
    """A dataset in the layout of NautilusTrader 1.x.

    Attributes
    ----------
    path
        Its folder.
    dataset
        What it becomes.

    """

    path: Path
    dataset: Dataset

    @property
    def files(self) -> list[Path]:
        """Its Parquet files, in order of their names."""
        return sorted(self.path.glob("*.parquet"))


def find_datasets(project: Project) -> list[Dataset]:
    """Return the datasets of the catalog; each is named by most of its files."""
    found = []
    for kind in KINDS:
        for folder in _folders(project.catalog / "data" / kind):
            names = _identities(folder)
            fitting = [name for name in names if folder_name(name) == folder.name]
            if fitting or not names:
                found.append(Dataset(project, kind, fitting[0] if fitting else folder.name))
    return found


def _identities(folder: Path) -> list[str]:
    """Return whose rows a folder's files hold, the most frequent first."""
    names = Counter(inspect(path, (0, 0)).identity for path in folder.glob("*.parquet"))
    return [name for name, _ in names.most_common() if name]


def find_legacy(project: Project) -> list[LegacyFolder]:
    """Return the datasets that lie where NautilusTrader 1.x kept them and 2.x does not look."""
    # Order books lie in folders of the same name in both: they are found among the datasets.
    places = [(name, kind) for name, kind in LEGACY_FOLDERS.items() if name not in KINDS]
    return [
        LegacyFolder(folder, Dataset(project, kind, identity))
        for name, kind in places
        for folder in _folders(project.catalog / "data" / name)
        if (identity := _legacy_identity(folder))
    ]


def _legacy_identity(folder: Path) -> str | None:
    for path in folder.glob("*.parquet"):
        if schema := legacy_schema(path):
            keys = schema.metadata or {}
            name = keys.get(b"bar_type") or keys.get(b"instrument_id")
            if name:
                return str(name.decode())
    return None


def strays(dataset: Dataset, *, held: bool = False) -> list[Path]:
    """Return what killed writers left in a dataset's folder; nothing while a writer is at work.

    `held` says that the caller itself holds the dataset's lock.
    """
    found = [
        path
        for pattern in (".*.tmp", "*.tmp", "*.parquet#*")
        for path in dataset.folder.glob(pattern)
    ]
    return sorted(set(found)) if found and (held or not _busy(dataset)) else []


def _busy(dataset: Dataset) -> bool:
    """Whether a process holds the dataset's lock."""
    lock = dataset.lock_file
    if not lock.exists():
        return False
    handle: Any = FileLock(lock, timeout=0)
    try:
        handle.acquire()
    except (Timeout, OSError):
        return True
    handle.release()
    return False


def strangers(dataset: Dataset) -> Iterator[Finding]:
    """Yield what lies in a dataset's folder and is no part of it."""
    for path in _children(dataset.folder):
        temporary = path.suffix == ".tmp" or ".parquet#" in path.name
        if path.is_dir() or not (temporary or path.suffix == ".parquet"):
            yield _unknown(dataset.project, path, dataset=f"{dataset.kind}/{dataset.identity}")


def examine_layout(project: Project) -> Iterator[Finding]:
    """Yield what is wrong with the catalog's folders themselves."""
    known = {"data", _QUARANTINE, UNDO}
    for path in _children(project.catalog):
        if path.name not in known and not path.name.startswith(".instruments-"):
            yield _unknown(project, path)
    put_aside = [path for path in (project.catalog / _QUARANTINE).rglob("*") if path.is_file()]
    if put_aside:
        where = project.relative(project.catalog / _QUARANTINE)
        message = f"{counted(len(put_aside), 'broken file')} put aside: delete them if not needed"
        yield finding("quarantine", message, file=where)
    for folder in _children(project.catalog / "data"):
        yield from _examine_folder(project, folder)


def _examine_folder(project: Project, folder: Path) -> Iterator[Finding]:
    name = folder.name
    if name in KINDS or name in INSTRUMENT_FOLDERS:
        for path in _children(folder):
            if not path.is_dir():
                yield _unknown(project, path)
            elif name in KINDS:
                names = _identities(path)
                if names and path.name not in map(folder_name, names):
                    yield _misplaced(project, path, names[0])
    elif name in LEGACY_FOLDERS:
        for path in _children(folder):
            if not path.is_dir() or not _legacy_identity(path):
                yield _unknown(project, path)
    elif name in _UNCHECKED:
        message = f"{name}: not looked into"
        yield finding("unchecked", message, file=project.relative(folder))
    elif name.endswith(".parquet") or name.startswith(_LEGACY_OTHERS):
        message = (
            "a layout of NautilusTrader 1.x that cannot be converted here; the 2.x engine does "
            "not see it"
        )
        advice = "read it with the version that wrote it, or fetch the data again"
        yield finding("legacy", message, file=project.relative(folder), advice=advice)
    else:
        yield _unknown(project, folder)


def _misplaced(project: Project, folder: Path, identity: str) -> Finding:
    right = folder.with_name(folder_name(identity))
    message = (
        f"its files hold rows of {identity}, which belong in {right.name}: the engine does not "
        "find them here"
    )
    advice = f"rename the folder to {right.name}"
    return finding("identity", message, file=project.relative(folder), advice=advice)


def legacy_finding(folder: LegacyFolder) -> Finding:
    """Return what is wrong with a dataset in the layout of NautilusTrader 1.x."""
    project, kind = folder.dataset.project, folder.dataset.kind
    message = (
        f"{folder.dataset.identity} ({counted(len(folder.files), 'file')}) was written by "
        f"NautilusTrader 1.x: the 2.x engine looks in data/{kind}/ and reads this as no rows at "
        "all, without an error"
    )
    return finding(
        "legacy",
        message,
        dataset=f"{kind}/{folder.dataset.identity}",
        file=project.relative(folder.path),
        repair=f"converted to data/{kind}/; the old files are kept for the undo",
    )


def _unknown(project: Project, path: Path, **details: Any) -> Finding:
    what = "folder" if path.is_dir() else "file"
    message = f"a {what} that neither the engine nor the workbench made: it is left alone"
    return finding("unknown", message, file=project.relative(path), **details)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return [path for path in _children(folder) if path.is_dir()]
