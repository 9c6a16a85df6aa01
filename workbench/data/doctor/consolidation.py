"""Many small files into few: the same rows, proved before the small ones go."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from workbench.data.catalog import ROWS_HASH, Dataset
from workbench.data.doctor import rewriting
from workbench.data.doctor.examination import Health
from workbench.data.doctor.findings import Repaired
from workbench.data.doctor.journal import Journal
from workbench.data.doctor.surgeon import is_sound
from workbench.data.intervals import file_name
from workbench.data.rows import add_hashes

MOST_ROWS = 5_000_000
"""Rows of a file made of others: readers take files whole."""


def put_together(
    dataset: Dataset, healths: Sequence[Health], journal: Journal
) -> Iterator[Repaired]:
    """Put files that follow one another without a gap together.

    Only files of the same source are joined, so that what is known of each row's origin stays, and
    only files whose spans touch, so that nothing is claimed to be covered that was not. The new
    file is read back and its rows counted and hashed before the others go.

    Parameters
    ----------
    dataset
        Whose lock the caller holds.
    healths
        Its files.
    journal
        Carries out the steps.

    Raises
    ------
    DataError
        If the new file could not be written, or its rows differ: the old ones stay.

    """
    name = f"{dataset.kind}/{dataset.identity}"
    for group in _groups(healths):
        rows = sum(health.rows for health in group)
        digest = add_hashes(*(health.hash for health in group))
        paths = [health.file.path for health in group]
        interval = group[0].file.interval[0], group[-1].file.interval[1]
        target = dataset.folder / file_name(interval)
        staged = journal.stage(target.name)
        parts = itertools.chain.from_iterable(map(rewriting.batches, paths))
        schema = rewriting.schema_of(paths[0])
        rewriting.write(staged, schema, parts, rows=rows, digest=digest)
        repaired = Repaired(
            "consolidate",
            f"{len(group):,} files put together",
            dataset=name,
            file=dataset.project.relative(target),
            rows=(rows, rows),
            hashes=(digest, digest),
        )
        yield journal.step(dataset, repaired, old=paths, new=[(staged, target)])


def _groups(healths: Sequence[Health]) -> Iterator[list[Health]]:
    """Yield runs of files to be put together."""
    group: list[Health] = []
    for health in [*healths, None]:
        fits = (
            health is not None
            and is_sound(health)
            and (not group or _fits(group[-1], health))
            and sum(each.rows for each in group) + health.rows <= MOST_ROWS
        )
        if not fits and len(group) > 1:
            yield group
        if not fits:
            group = []
        if health is not None and is_sound(health):
            group.append(health)


def _fits(before: Health, after: Health) -> bool:
    """Whether a file continues another: in time, and in what is known of its rows."""
    if after.file.interval[0] != before.file.interval[1] + 1:
        return False
    one, other = (dict(rewriting.schema_of(each.file.path).metadata) for each in (before, after))
    one.pop(ROWS_HASH.encode(), None)
    other.pop(ROWS_HASH.encode(), None)
    return one == other
