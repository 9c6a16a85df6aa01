"""The contract of a data provider.

A provider turns a dataset of a study into rows in the engine's Parquet schema. It knows nothing of
the catalog: the planner (`workbench.data.planner`) works out what the catalog lacks, asks the
provider how it would get it, and stores what it delivers.

Who calls what, and in which order:

1. `check`, `source` and `difference` before anything else, as often as anybody likes. They say what
   is wrong with the dataset as the study has it, or with the rows the catalog holds of it. They may
   look at local files; they open no connection: every run calls them.
2. `available` and `plan` to work out what is missing. They may ask a remote service, must cost
   nothing and fetch no rows. The plan may be thrown away. They are asked only if the catalog lacks
   part of the dataset.
3. `instrument`, before the first row is fetched and when the catalog does not know the instrument.
   It may ask the remote service.
4. `fetch`, once for each request of a plan, by the one process that holds the dataset's lock. It
   yields chunks as they arrive. Each chunk is stored, whole, before the next one is asked for, and
   counts as covered from then on; whatever was not yet yielded when the process died or the user
   stopped is asked for again by the next plan. So a provider need not remember how far it came;
   what it keeps to save a second download lies in its `scratch` folder.

What may be lost: everything that was not yet yielded. What may not: a chunk says which span of time
it covers, and rows inside that span are all there are. A provider that came back short must not
yield the chunk, but raise `DataError` with the reason.

Threads: up to `Provider.parallel` requests are fetched at once, each by a thread of its own, each
thread with its own iterator of `fetch`; everything else is called by one thread at a time. Where a
library is asynchronous, `fetch` runs its own event loop.

A suite that every provider has to pass is ``tests/data/conformance.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.core.errors import Issue, StudyError
from workbench.core.progress import OnProgress, ShouldStop
from workbench.core.project import Project
from workbench.data.intervals import Interval
from workbench.engine.instruments import Definition
from workbench.study.datasets import DataSpec
from workbench.study.document import Study

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Item:
    """One dataset of a study, by its place in it, so that what is wrong can be located."""

    study: Study
    index: int

    @property
    def spec(self) -> DataSpec:
        """What is wanted."""
        return self.study.data[self.index]

    def issue(self, message: str, *keys: str | int) -> Issue:
        """Return an issue of this dataset, or of one of its keys."""
        return self.study.issue(message, "data", self.index, *keys)

    def error(self, message: str, *keys: str | int) -> StudyError:
        """Return the error to raise for this dataset, or for one of its keys."""
        return StudyError(self.issue(message, *keys))


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask a provider for.

    Attributes
    ----------
    interval
        The span asked for.
    rows, bytes
        What will come, as far as the provider can tell; None where it cannot. Bytes are those the
        provider delivers, not those on disk afterwards.
    cost, currency
        The price of asking.
    payload
        Anything the provider wants to have back in `Provider.fetch`.
    calls
        How many requests to the remote service it takes, as far as the provider can tell.
    notes
        What is worth knowing before it is made; the plan tells it.

    """

    interval: Interval
    rows: int | None = None
    bytes: int | None = None
    cost: Decimal = Decimal(0)
    currency: str = "USD"
    payload: Any = None
    calls: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that arrived.

    Attributes
    ----------
    interval
        The span they are all the rows of.
    rows
        In the engine's schema (`workbench.data.rows.table`), sorted by ``ts_init``; may be empty.
    warnings
        What the user should know of them: gaps, rows that were mended.
    bytes
        How many the provider delivered for them, 0 where that cannot be told.

    """

    interval: Interval
    rows: pa.Table
    warnings: tuple[str, ...] = ()
    bytes: int = 0


class Provider(ABC):
    """Base of every provider; this module's text is the contract.

    Parameters
    ----------
    project
        Whose files relative paths belong to.

    """

    name: ClassVar[str]
    """As in a study's ``provider:``."""

    parallel: ClassVar[int] = 1
    """How many requests may be under way at once."""

    foreign: ClassVar[bool] = False
    """Whether rows of any origin will do: another provider's, another program's."""

    whole: ClassVar[bool] = False
    """Whether one fetch delivers all there is, whatever span was asked for."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def local(self, item: Item) -> bool:  # noqa: ARG002
        """Whether fetching is free and needs no connection: a run then fetches what it lacks."""
        return False

    @property
    def scratch(self) -> Path:
        """A folder of the project for downloads under way, kept between fetches."""
        return self.project.gateway / "downloads" / self.name

    @abstractmethod
    def check(self, item: Item) -> list[Issue]:
        """Return what is wrong with the dataset as the study has it."""

    @abstractmethod
    def instrument(self, item: Item) -> Definition:
        """Return the definition of the dataset's instrument.

        Raises
        ------
        StudyError
            If neither the study nor the provider describes it.
        DataError
            If the provider could not be asked.

        """

    @abstractmethod
    def available(self, item: Item) -> Interval | None:
        """Return the span the provider has data for; None if only a fetch can tell.

        What a study wants of a remote provider has to lie in it: else the part that can never come
        would be asked for again and again.
        """

    @abstractmethod
    def source(self, item: Item) -> str:
        """Return what the rows depend on beside the dataset's identity.

        It is stored with the rows: a file's hash and the settings it is read with, a dataset's
        version.
        """

    def difference(self, item: Item, stored: str) -> str | None:
        """Say how rows stored from source `stored` differ from what a fetch would give now.

        None if they do not. The text completes "the catalog's rows ...".
        """
        return None if stored == self.source(item) else "came from another source"

    @abstractmethod
    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:
        """Return the requests that would get the spans `missing`, none if there are none."""

    @abstractmethod
    def fetch(
        self, item: Item, request: Request, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Iterator[Chunk]:
        """Carry out one request.

        Parameters
        ----------
        item, request
            The dataset and one of the requests `plan` gave.
        on_progress
            To be called now and then.
        should_stop
            To be asked now and then; raise `Cancelled` when it says so.

        Raises
        ------
        InputError
            If what the user handed in (a file) is wrong.
        DataError
            If the provider did not deliver.
        Cancelled
            If `should_stop` said so.

        """
