"""What repairs did: so that each is done whole or not at all, and can be undone.

A repair puts aside the files it replaces and brings its own in their place::

    data/catalog/.undo/<id>/0001.json     what the first step moves where, and how far it came
                            0001/old/     files as they were
                            0001/new/     files to come, read back before anything moves

A step exists once its JSON file does. A process killed before that has changed nothing; one killed
later leaves a step that `finish` carries on, in the same direction, whenever somebody who holds the
dataset's lock looks: the next repair, or the next fetch. Every move is a rename within one file
system, or a second link to the same bytes where a new file takes the very place of an old one, so a
reader sees one of the two. Between the moves of a step of several files a reader may miss rows,
never find wrong ones.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench.core.errors import DataError, InputError, WorkbenchError, choices
from workbench.core.files import make_folder, write_text
from workbench.core.project import Project
from workbench.data.catalog import Dataset
from workbench.data.doctor.findings import Repaired
from workbench.data.doctor.layout import UNDO
from workbench.data.doctor.steps import Move, Step, sha256, sync
from workbench.data.intervals import clip, parse_file_name

_UNDER_WAY = ("going", "returning")


@dataclass(frozen=True, slots=True)
class Run:
    """The steps of one repair of the catalog.

    Attributes
    ----------
    project
        Whose catalog.
    id
        Names it.

    """

    project: Project
    id: str

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.project.catalog / UNDO / self.id

    @property
    def undoing(self) -> Path:
        """A file that is there while the run is being undone."""
        return self.folder / "undoing"

    def steps(self) -> list[tuple[Path, Step]]:
        """Return its steps in order, each with its file."""
        return [(path, Step.read(path)) for path in sorted(self.folder.glob("[0-9]*.json"))]

    @property
    def cut_off(self) -> bool:
        """Whether the process that made it, or undid it, died over it."""
        if not self.undoing.exists() and all(s.state not in _UNDER_WAY for _, s in self.steps()):
            return False
        return not self.alive

    @property
    def alive(self) -> bool:
        """Whether a process is at work on it."""
        try:
            with self.owned():
                return False
        except WorkbenchError:
            return True

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Work on it; refused while another process does."""
        lock: Any = FileLock(self.folder / "owner.lock", timeout=0)
        try:
            lock.acquire()
        except (Timeout, OSError) as error:
            raise WorkbenchError(f"repair {self.id} is being worked on") from error
        try:
            yield
        finally:
            lock.release()

    def to_dict(self) -> dict[str, Any]:
        """Return it with the keys ``workbench data doctor --undo`` prints."""
        steps = [step for _, step in self.steps() if step.state != "undone"]
        return {"id": self.id, "repairs": [step.repaired.to_dict() for step in steps]}


class Journal:
    """Writes and carries out the steps of one repair of the catalog.

    Parameters
    ----------
    project
        Whose catalog.

    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._run: Run | None = None
        self._owner: Any = None
        self._count = 0
        self._staged = 0

    @property
    def id(self) -> str | None:
        """What undoes the steps made so far; None where there are none."""
        return self._run.id if self._run and self._count else None

    def stage(self, name: str) -> Path:
        """Return a path for a file to come; it is dropped unless a step takes it."""
        self._staged += 1
        path = self._next() / "new" / f"{self._staged}-{name}"
        make_folder(path.parent)
        return path

    def step(
        self,
        dataset: Dataset,
        repaired: Repaired,
        *,
        old: Sequence[Path],
        new: Iterable[tuple[Path, Path]] = (),
        shelves: Sequence[Path] | None = None,
    ) -> Repaired:
        """Put files aside and bring others; call with the dataset's lock held.

        Parameters
        ----------
        dataset
            Whose lock is held.
        repaired
            What is done.
        old
            Files that go.
        new
            Files that come: where `stage` put each, and where it belongs.
        shelves
            Where the old files go; default: the journal's own folder.

        """
        root, number = self._project.catalog, self._next()
        if shelves is None:
            shelves = [number / "old" / f"{place}-{path.name}" for place, path in enumerate(old)]
        going = [Move.of(root, path, to, path) for path, to in zip(old, shelves, strict=True)]
        coming = [Move.of(root, path, staged, staged) for staged, path in new]
        for move in coming:
            sync(root / move.shelf)
        step = Step(dataset.kind, dataset.identity, repaired, tuple(going), tuple(coming))
        manifest = number.with_suffix(".json")
        step.write(manifest)  # from here on it is carried out, whatever happens
        self._count += 1
        step.carry_out(self._project, manifest)
        return repaired

    def close(self) -> None:
        """Let go of the run; one without steps leaves nothing behind."""
        if self._run is None:
            return
        _drop_staged(self._run)
        if not self._count:
            _remove(self._run)
        self._owner.__exit__(None, None, None)
        self._run = None

    def _next(self) -> Path:
        """Return the folder of the next step."""
        if self._run is None:
            now = dt.datetime.now(tz=dt.UTC)
            self._run = Run(self._project, f"{now:%Y%m%dT%H%M%S-%f}")
            make_folder(self._run.folder)
            self._owner = self._run.owned()
            self._owner.__enter__()
        return self._run.folder / f"{self._count + 1:04d}"


def repairs(project: Project | None = None) -> list[Run]:
    """Return the repairs that can be undone, the latest first.

    Parameters
    ----------
    project
        Default: the project of the working folder.

    """
    project = project or Project.find()
    return [run for run in _all(project)[::-1] if run.steps()]


def finish(project: Project, dataset: Dataset | None = None) -> list[Repaired]:
    """Carry on what was cut off, and drop what never began.

    Parameters
    ----------
    project
        Whose catalog.
    dataset
        Only the steps of this one, whose lock the caller holds; default: all of them, each with
        its lock.

    Raises
    ------
    DataError
        If a file that belongs to neither state is in the way.

    """
    done = []
    for run in _all(project):
        for manifest, step in run.steps():
            if step.state not in _UNDER_WAY:
                continue
            whose = step.dataset(project)
            if dataset is None:
                with whose.locked():
                    done += _finish(project, manifest)
            elif dataset.lock_file == whose.lock_file:
                done += _finish(project, manifest)
        if dataset is None and not run.alive:
            if run.undoing.exists():
                done += _undo(run)
            _drop_staged(run)
            if not run.steps():
                _remove(run)
    return done


def _finish(project: Project, manifest: Path) -> list[Repaired]:
    # Read again: now that the lock is held, its owner may just have finished it.
    step = Step.read(manifest)
    if step.state not in _UNDER_WAY:
        return []
    step.carry_out(project, manifest)
    return [replace(step.repaired, action="finish" if step.state == "going" else "roll back")]


def undo(name: str, project: Project | None = None) -> list[Repaired]:
    """Bring back the files of one repair, byte for byte.

    Parameters
    ----------
    name
        The id a repair gave.
    project
        Default: the project of the working folder.

    Returns
    -------
    list[Repaired]
        What was undone, the last step first.

    Raises
    ------
    InputError
        If there is no such repair.
    DataError
        If the catalog has changed since in a way that forbids it: nothing is undone.

    """
    project = project or Project.find()
    finish(project)
    known = {run.id: run for run in repairs(project)}
    if name not in known:
        raise InputError(f"no repair '{name}' to undo. {choices(name, known)}")
    with known[name].owned():
        _check(project, known[name].steps()[::-1])
        write_text(known[name].undoing, "")  # from here on it is undone, whatever happens
        return _undo(known[name])


def _undo(run: Run) -> list[Repaired]:
    undone = []
    for manifest, step in run.steps()[::-1]:
        with step.dataset(run.project).locked():
            if step.state != "undone":
                back = replace(step, state="returning")
                back.write(manifest)
                back.carry_out(run.project, manifest)
        undone.append(step.repaired)
    _remove(run)
    return undone


def _check(project: Project, steps: Sequence[tuple[Path, Step]]) -> None:
    """Refuse an undo that would lose what was written since, or that lacks the old files."""
    root = project.catalog
    expected: dict[str, str | None] = {}  # what will lie at a path, step by step

    def content(path: str) -> str | None:
        return expected[path] if path in expected else sha256(root / path)

    for manifest, step in steps:
        for move in step.new:
            if content(move.path) != move.sha256:
                raise DataError(
                    f"{project.relative(root / move.path)} was changed since: undo what changed it "
                    "first, if that was a repair"
                )
            expected[move.path] = None
        for move in step.old:
            path, shelf = root / move.path, root / move.shelf
            if sha256(shelf) != move.sha256:
                what = "was changed" if shelf.exists() else "is missing"
                raise DataError(f"{project.relative(shelf)}, which the undo needs, {what}")
            for other in (path, *_younger(path, manifest)):
                if content(str(other.relative_to(root))) is not None:
                    raise DataError(
                        f"{project.relative(other)} was written since and covers the same time as "
                        "a file that would be brought back: remove it first"
                    )
            expected[move.path] = move.sha256


def _younger(path: Path, manifest: Path) -> list[Path]:
    """Return files younger than the repair that cover time of the file to be brought back."""
    interval = parse_file_name(path.name)
    if interval is None:
        return []
    repaired = manifest.stat().st_mtime_ns
    return [
        other
        for other in path.parent.glob("*.parquet")
        if (covered := parse_file_name(other.name))
        and clip(covered, interval)
        and other.stat().st_mtime_ns > repaired
    ]


def _all(project: Project) -> list[Run]:
    return [Run(project, path.name) for path in sorted((project.catalog / UNDO).glob("*/"))]


def _drop_staged(run: Run) -> None:
    """Remove files to come that no step took."""
    taken = {path.stem: step for path, step in run.steps()}
    for folder in run.folder.glob("*/"):
        step = taken.get(folder.name)
        if step is None:
            shutil.rmtree(folder, ignore_errors=True)
        elif step.state == "done":
            shutil.rmtree(folder / "new", ignore_errors=True)


def _remove(run: Run) -> None:
    # Folders first: a kill in between leaves steps that are undone, and nothing they would need.
    for folder in run.folder.glob("*/"):
        shutil.rmtree(folder, ignore_errors=True)
    for manifest in run.folder.glob("[0-9]*.json"):
        manifest.unlink(missing_ok=True)
    shutil.rmtree(run.folder, ignore_errors=True)
    with suppress(OSError):
        run.folder.parent.rmdir()
