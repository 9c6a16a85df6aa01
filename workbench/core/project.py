"""A project: the folder that holds studies, strategies, notebooks, data and ``.gateway/``."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import InputError

MARKER = ".gateway"


@dataclass(frozen=True, slots=True)
class Project:
    """The folders of one project.

    Attributes
    ----------
    root
        Absolute path of the folder that holds ``.gateway/``.

    """

    root: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> "Project":
        """Find the project that `start` (default: the working folder) lies in.

        ``WORKBENCH_PROJECT`` names the project outright where it is set and `start` is not given.

        Raises
        ------
        InputError
            If no folder from `start` upwards holds ``.gateway/``.

        """
        if start is None:
            start = os.environ.get("WORKBENCH_PROJECT") or Path.cwd()
        here = Path(start).resolve()
        for folder in (here, *here.parents):
            if (folder / MARKER).is_dir():
                return cls(folder)
        message = f"no project here: neither {here} nor a folder above it holds {MARKER}/. "
        raise InputError(message + "Make one with: workbench init DIR")

    @property
    def gateway(self) -> Path:
        """What the workbench keeps: stored configs, runs, locks."""
        return self.root / MARKER

    def shut(self) -> None:
        """Let nobody else look into what the workbench keeps, where it is ours to say."""
        with suppress(OSError):  # somebody else's project, or a disk that knows no modes
            self.gateway.chmod(0o700)

    @property
    def catalog(self) -> Path:
        """The Parquet catalog, in NautilusTrader's own layout."""
        return self.root / "data" / "catalog"

    @property
    def runs(self) -> Path:
        """The run store: ``runs.sqlite`` and a folder for each run."""
        return self.gateway / "runs"

    @property
    def stored(self) -> Path:
        """Stored studies, every version of each."""
        return self.gateway / "studies"

    def relative(self, path: Path) -> str:
        """Return `path` as seen from the root where it lies inside, else whole."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def locate(path: Path | str) -> Path:
    """Return `path` as it stands or, if nothing is there, as seen from the project's root.

    So ``studies/ema-cross.yaml`` names the same file in ``notebooks/`` and beside it.
    """
    found = Path(path)
    if found.exists() or found.is_absolute():
        return found
    try:
        root = Project.find().root
    except InputError:
        return found
    return root / found if (root / found).exists() else found
