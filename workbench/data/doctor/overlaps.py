"""Files of one dataset that cover the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.data.catalog import Dataset
from workbench.data.doctor.examination import Health
from workbench.data.doctor.findings import Finding, finding
from workbench.data.intervals import clip, shown


def overlapping(healths: Sequence[Health]) -> Iterator[tuple[Health, Health]]:
    """Yield the pairs of files in order of time that overlap: each with the furthest before it."""
    reach: Health | None = None
    for health in sorted(healths, key=lambda each: (each.file.interval, each.file.path.name)):
        if reach and clip(reach.file.interval, health.file.interval):
            yield reach, health
        if reach is None or health.file.interval[1] > reach.file.interval[1]:
            reach = health


def overlap_findings(dataset: Dataset, healths: Sequence[Health]) -> Iterator[Finding]:
    """Yield a finding for each overlap of files that can be read."""
    usable = [each for each in healths if each.named and each.fault is None]
    for first, second in overlapping(usable):
        common = clip(first.file.interval, second.file.interval)
        assert common is not None
        yield finding(
            "overlap",
            f"{first.file.path.name} covers {shown(common)} too: its rows count twice",
            dataset=f"{dataset.kind}/{dataset.identity}",
            file=dataset.project.relative(second.file.path),
            span=common,
            repair="cut off one of them, if both hold the same rows of that time",
            advice="remove the wrong one, or: workbench data fetch STUDY --replace",
        )
