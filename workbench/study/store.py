"""Stored studies: every version kept, each in a file of its own that never changes.

::

    .gateway/studies/
    ├── .lock                 held while a version is added
    └── ema-cross/
        ├── 0001.json         {"saved_at": "2025-03-01T09:30:00+00:00", "study": {...}}
        └── 0002.json

A version is written aside and renamed, so that a reader, who takes no lock, sees it whole or not at
all, and a writer may be killed at any moment. Nothing is ever deleted: the way back is `restore`.
"""

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any

from workbench.core.errors import DataError, InputError, StudyError, choices
from workbench.core.files import locked, write_text
from workbench.core.project import Project
from workbench.study.differences import Change, diff
from workbench.study.document import Study
from workbench.study.fields import is_name
from workbench.study.load import build
from workbench.study.places import Places

_VERSION_FILE = re.compile(r"(\d{4,9})\.json")


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a study's history.

    Attributes
    ----------
    version
        1 for the first.
    saved_at
        When, as ISO text in UTC; None if the file is damaged.
    digest
        The study's digest; None if the file is damaged.
    problem
        What is wrong with the file, None if nothing is.

    """

    version: int
    saved_at: str | None
    digest: str | None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON values."""
        return asdict(self)


class StudyStore:
    """The stored studies of a project.

    Any number of processes may save and read at once.

    Parameters
    ----------
    project
        The project whose ``.gateway/studies/`` holds them.

    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._folder = project.stored

    def save(self, study: Study) -> int:
        """Store `study` under its name, as a new version if it differs from the latest.

        Returns
        -------
        int
            Its version, on disk when this returns.

        """
        folder = self._folder / study.name
        with locked(self._folder / ".lock", what="the study store"):
            for stray in folder.glob(".*.tmp"):
                stray.unlink()  # of a writer that was killed
            latest = max(self._versions(study.name), default=0)
            content = study.to_dict()
            if latest and self._same(study.name, latest, content):
                return latest
            version = latest + 1
            saved_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
            document = {"saved_at": saved_at, "study": content}
            text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
            write_text(self._file(study.name, version), text + "\n")
        return version

    def load(self, name: str, version: int | None = None) -> Study:
        """Return a stored study, by default its latest version.

        Raises
        ------
        InputError
            If there is no such study or no such version.
        DataError
            If the file is damaged.

        """
        return self._read(name, self._version(name, version))[1]

    def names(self) -> list[str]:
        """Return the names of the stored studies, sorted."""
        if not self._folder.is_dir():
            return []
        names = (folder.name for folder in self._folder.iterdir())
        return sorted(name for name in names if next(self._versions(name), None) is not None)

    def history(self, name: str) -> list[Version]:
        """Return every version of a study, oldest first; damaged ones say what is wrong."""
        self._version(name, None)
        entries = []
        for version in sorted(self._versions(name)):
            try:
                saved_at, study = self._read(name, version)
            except DataError as error:
                entries.append(Version(version, None, None, str(error)))
            else:
                entries.append(Version(version, saved_at, study.digest))
        return entries

    def diff(self, name: str, old: int, new: int | None = None) -> list[Change]:
        """Return what changed from version `old` to version `new`, by default the latest."""
        return diff(self.load(name, old), self.load(name, new))

    def restore(self, name: str, version: int) -> int:
        """Save an old version as the newest one and return its number: the undo of a save."""
        return self.save(self.load(name, version))

    def _file(self, name: str, version: int) -> FilePath:
        return self._folder / name / f"{version:04}.json"

    def _versions(self, name: str) -> Iterator[int]:
        folder = self._folder / name
        if is_name(name) and folder.is_dir():
            for file in folder.iterdir():
                if match := _VERSION_FILE.fullmatch(file.name):
                    yield int(match[1])

    def _version(self, name: str, version: int | None) -> int:
        versions = sorted(self._versions(name))
        if not versions:
            raise InputError(f"no stored study {name!r}. {choices(name, self.names())}")
        if version is None:
            return versions[-1]
        if version not in versions:
            known = ", ".join(map(str, versions))
            raise InputError(f"'{name}' has no version {version}. Versions: {known}")
        return version

    def _content(self, name: str, version: int) -> tuple[str, dict[str, Any]]:
        """Return when a version was saved and its document."""
        file = self._file(name, version)
        try:
            document = json.loads(file.read_bytes())
            return str(document["saved_at"]), dict(document["study"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(file, error) from None

    def _read(self, name: str, version: int) -> tuple[str, Study]:
        saved_at, content = self._content(name, version)
        file = self._file(name, version)
        try:
            study = build(content, Places(file=self._project.relative(file)))
        except StudyError as error:
            first = error.issues[0]
            raise self._damaged(file, f"{first.path}: {first.message}") from None
        if study.name != name:
            raise self._damaged(file, f"it holds the study '{study.name}'")
        return saved_at, study

    def _same(self, name: str, version: int, content: dict[str, Any]) -> bool:
        try:
            stored = self._content(name, version)[1]
        except DataError:
            return False
        # As text: True equals 1 and 1.0 in Python.
        return json.dumps(stored, sort_keys=True) == json.dumps(content, sort_keys=True)

    def _damaged(self, file: FilePath, reason: object) -> DataError:
        others = sorted(v for v in self._versions(file.parent.name) if f"{v:04}" != file.stem)
        known = ", ".join(map(str, others)) or "none"
        where = self._project.relative(file)
        return DataError(f"{where} is damaged: {reason}. Other versions: {known}")
