"""``workbench data coverage`` and ``workbench data preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.output import emit, json_option, note, progress_bar, say, table

if TYPE_CHECKING:
    from workbench.data.coverage import Covered
    from workbench.data.intervals import Interval
    from workbench.data.picture import Picture

_CELLS = 60
_STEPS = "▁▂▃▄▅▆▇█"

_save = click.option(
    "--save", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the picture: a page (.html) or an image (.png, .svg).",
)  # fmt: skip


@click.command()
@click.argument("study", required=False, metavar="[STUDY]")
@_save
@json_option
def coverage(study: str | None, save: Path | None, as_json: bool) -> int:
    """Show which time the catalog covers: a row for each dataset; gaps, broken files.

    With STUDY, also what it needs and the catalog lacks.
    """
    from workbench.cli.options import load_study, project_of
    from workbench.core.project import Project
    from workbench.data.picture import check_name
    from workbench.data.pictures import coverage_map

    if save:
        check_name(save)
    loaded = load_study(study, [], []) if study else None
    project = project_of(study) if study else Project.find()
    with progress_bar() as on_progress:
        picture = coverage_map(loaded, project, on_progress=on_progress)
    document = picture.to_dict() | _saved(picture, save)

    def text() -> None:
        if not document["datasets"]:
            say("the catalog is empty: workbench data fetch studies/ema-cross.yaml")
            return
        whole = picture.extent
        first, last = (_day(moment) for moment in whole)
        rows = [
            [
                each.name,
                each.provider or "-",
                timeline(each, whole),
                f"{each.rows:,}",
                len(each.gaps) if each.calendar else "-",
            ]
            for each in picture.coverage.datasets
        ]
        head = f"{first}{last:>{_CELLS - len(first)}}"
        table(["dataset", "provider", head, "rows", "gaps"], rows)
        say("█ covered  ▒ gap  ░ wanted by the study  X broken file")

    emit(document, as_json, text)
    for item in document["broken"]:
        note(f"broken: {item['path']}: {item['reason']}")
    return 0


@click.command()
@click.argument("dataset")
@_save
@json_option
def preview(dataset: str, save: Path | None, as_json: bool) -> int:
    """Show what the rows of DATASET look like.

    DATASET is what `workbench data list` calls it, such as AAPL.XNAS-1-DAY-LAST-EXTERNAL or
    trades/BTCUSDT.BINANCE, or an instrument that has only one.
    """
    from workbench.core.project import Project
    from workbench.data.picture import check_name
    from workbench.data.pictures import preview as look

    if save:
        check_name(save)
    with progress_bar() as on_progress:
        picture = look(dataset, Project.find(), on_progress=on_progress)
    document = picture.to_dict() | _saved(picture, save)

    def text() -> None:
        say(f"{picture.name}: {document['rows']:,} rows")
        say(f"{document['start']} to {document['end']}")
        for name in ("first", "last", "lowest", "highest"):
            if document[name] is not None:
                say(f"{name:<8} {document[name]:,}")
        say(sparkline(picture.line(_CELLS)))

    emit(document, as_json, text)
    return 0


def _saved(picture: Picture, save: Path | None) -> dict[str, Any]:
    if save is None:
        return {}
    path = picture.save(save)
    note(f"saved {path}")
    return {"saved": str(path)}


def timeline(each: Covered, whole: Interval, cells: int = _CELLS) -> str:
    """Return a dataset's coverage of a span of time as letters, one for each cell of it."""
    import numpy as np

    edges = np.linspace(whole[0], whole[1], cells + 1)
    length = edges[1] - edges[0]

    def share(spans: Any) -> Any:
        """Return how much of each cell the spans cover."""
        bounds = np.array(spans, dtype=float).reshape(-1, 2)
        clipped = np.minimum(bounds[:, 1:], edges[1:]) - np.maximum(bounds[:, :1], edges[:-1])
        return np.clip(clipped, 0, None).sum(axis=0) / length

    letters = np.full(cells, "·")
    covered = share(each.spans)
    letters[share(each.missing) > 0.0] = "░"
    letters[covered > 0] = "█"
    letters[share(each.gaps) > covered / 2] = "▒"
    at = [np.searchsorted(edges, file.interval[0], side="right") - 1 for file in each.broken]
    letters[np.clip(at, 0, cells - 1).astype(int)] = "X"
    return "".join(letters)


def sparkline(values: Any) -> str:
    """Return a line of numbers as letters of different heights; a gap for NaN."""
    import numpy as np

    known = np.isfinite(values)
    if not known.any():
        return ""
    low, high = values[known].min(), values[known].max()
    scaled = (values - low) / ((high - low) or 1.0) * (len(_STEPS) - 1)
    return "".join(_STEPS[int(v)] if good else " " for v, good in zip(scaled, known, strict=True))


def _day(moment: int) -> str:
    from workbench.data.intervals import iso

    return iso(moment)[:16].replace("T", " ")
