"""The provider ``catalog``: rows that are in the catalog already, whoever wrote them.

Other programs write NautilusTrader catalogs too, and the doctor converts those of 1.x. Nothing is
ever fetched: what is not there is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from workbench.core.errors import DataError, Issue
from workbench.core.progress import OnProgress, ShouldStop
from workbench.data.catalog import Dataset
from workbench.data.intervals import Interval, shown
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.engine import catalog as engine_catalog
from workbench.engine.instruments import Definition, Description


class CatalogProvider(Provider):
    """What is there."""

    name: ClassVar[str] = "catalog"
    foreign: ClassVar[bool] = True

    def local(self, item: Item) -> bool:  # noqa: ARG002, D102
        return True

    def check(self, item: Item) -> list[Issue]:  # noqa: D102
        spec = item.spec
        if not Dataset(self.project, spec.kind, spec.identity).good():
            return [item.issue(f"the catalog has no {spec.kind} of {spec.identity}", "instrument")]
        try:
            self.instrument(item)
        except DataError as error:
            return [item.issue(str(error), "instrument")]
        return []

    def instrument(self, item: Item) -> Definition:  # noqa: D102
        name = item.spec.instrument
        known = engine_catalog.definitions(self.project.catalog)
        if name in known:
            return known[name]
        found = engine_catalog.instruments(self.project.catalog, [name])
        if name not in found:
            raise DataError(f"the catalog does not know {name}: write its instrument there first")
        return Description.of(found[name])

    def available(self, item: Item) -> Interval:  # noqa: D102
        files = Dataset(self.project, item.spec.kind, item.spec.identity).good()
        return files[0].interval[0], files[-1].interval[1]

    def source(self, item: Item) -> str:  # noqa: ARG002, D102
        return "catalog"

    def difference(self, item: Item, stored: str) -> str | None:  # noqa: ARG002, D102
        return None

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:  # noqa: ARG002, D102
        return [Request(span) for span in missing]

    def fetch(  # noqa: D102
        self,
        item: Item,
        request: Request,
        on_progress: OnProgress,  # noqa: ARG002
        should_stop: ShouldStop,  # noqa: ARG002
    ) -> Iterator[Chunk]:
        message = (
            f"the catalog has nothing of {item.spec.identity} in {shown(request.interval)}, and "
            "'provider: catalog' fetches nothing"
        )
        raise DataError(message)
