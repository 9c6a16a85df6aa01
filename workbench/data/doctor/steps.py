"""One step of a repair: which files leave their places, and which come instead."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from workbench.core.errors import DataError
from workbench.core.files import make_folder, write_text
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.doctor.findings import Repaired

State = Literal["going", "done", "returning", "undone"]


@dataclass(frozen=True, slots=True)
class Move:
    """A file and the place where it lies while another state of the catalog holds.

    Attributes
    ----------
    path
        Where it belongs, as seen from the catalog's folder.
    shelf
        Where it lies otherwise.
    sha256
        Of its content.

    """

    path: str
    shelf: str
    sha256: str

    @classmethod
    def of(cls, root: Path, path: Path, shelf: Path, content: Path) -> Move:
        """Describe the move of a file that now lies at `content`."""
        digest = sha256(content)
        if digest is None:
            raise DataError(f"{content} vanished while it was to be repaired")
        return cls(str(path.relative_to(root)), str(shelf.relative_to(root)), digest)


@dataclass(frozen=True, slots=True)
class Step:
    """One repair of one dataset.

    Attributes
    ----------
    kind, identity
        The dataset whose lock it needs.
    repaired
        What it does.
    old, new
        Files that go and files that come.
    state
        ``going`` and ``returning`` are under way.

    """

    kind: Any
    identity: str
    repaired: Repaired
    old: tuple[Move, ...] = ()
    new: tuple[Move, ...] = ()
    state: State = "going"

    def dataset(self, project: Project) -> Dataset:
        """Return the dataset it repairs."""
        return Dataset(project, self.kind, self.identity)

    def write(self, manifest: Path) -> None:
        """Write it to its file, whole or not at all."""
        write_text(manifest, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, manifest: Path) -> Step:
        """Read what `write` wrote."""
        content = json.loads(manifest.read_text())
        done = content["repaired"]
        for name in ("rows", "hashes"):
            done[name] = None if done[name] is None else tuple(done[name])
        for name in ("old", "new"):
            content[name] = tuple(Move(**each) for each in content[name])
        return cls(**(content | {"repaired": Repaired(**done)}))

    def carry_out(self, project: Project, manifest: Path) -> None:
        """Move the files, on or back; whatever was moved already stays where it is.

        Raises
        ------
        DataError
            If a file that belongs to neither state is in the way.

        """
        root = project.catalog
        going = self.state == "going"
        leaving, coming = (self.old, self.new) if going else (self.new, self.old)
        _leave(root, leaving, {move.path for move in coming})
        _come(project, coming, {move.path for move in leaving})
        moves = (*leaving, *coming)
        _sync_folders(root / place for move in moves for place in (move.path, move.shelf))
        replace(self, state="done" if going else "undone").write(manifest)


def _leave(root: Path, moves: Sequence[Move], taken: set[str]) -> None:
    for move in moves:
        path, shelf = root / move.path, root / move.shelf
        if shelf.exists() or not path.exists():
            continue
        make_folder(shelf.parent)
        if move.path not in taken:
            path.rename(shelf)
            continue
        try:
            os.link(path, shelf)  # readers have it until its successor takes its place
        except OSError:  # a file system without links: they miss it for a moment
            path.rename(shelf)


def _come(project: Project, moves: Sequence[Move], left: set[str]) -> None:
    root = project.catalog
    for move in moves:
        path, shelf = root / move.path, root / move.shelf
        if not shelf.exists():
            continue
        if path.exists() and move.path not in left:
            where = project.relative(path)
            raise DataError(f"{where} is in the way of a repair that was cut off: remove it")
        make_folder(path.parent)
        shelf.replace(path)


def _sync_folders(paths: Iterable[Path]) -> None:
    for folder in {path.parent for path in paths}:
        if folder.is_dir():
            sync(folder)


def link_or_copy(path: Path, copy: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        copy.hardlink_to(path)
    except OSError:
        shutil.copy2(path, copy)


def sync(path: Path) -> None:
    """Write a file's content, or a folder's entries, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str | None:
    """Return the digest of a file's content; None where there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
