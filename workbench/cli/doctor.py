"""``workbench data doctor``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.output import emit, json_option, note, progress_bar, say

if TYPE_CHECKING:
    from workbench.core.project import Project
    from workbench.data.doctor.findings import Report

_LIST = "*"  # what --undo means without an id


@click.command()
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--repair", is_flag=True, help="Do what is safe; --undo brings everything back.")
@click.option(
    "--consolidate", is_flag=True, help="Repair, then put files together that follow one another."
)
@click.option(
    "--undo", is_flag=False, flag_value=_LIST, metavar="[ID]",
    help="Bring back the files of a repair; without an id: list the repairs.",
)  # fmt: skip
@click.option(
    "--calendar", "calendars", multiple=True, metavar="VENUE=NAME",
    help="The trading calendar of a venue: an exchange's code (XNYS), 24/7 or 24/5.",
)  # fmt: skip
@click.option(
    "--spikes", type=click.FloatRange(min=0), metavar="N",
    help="Robust standard deviations a spike stands out by (default 15); 0: do not look.",
)  # fmt: skip
@json_option
def doctor(
    datasets: tuple[str, ...],
    repair: bool,
    consolidate: bool,
    undo: str | None,
    calendars: tuple[str, ...],
    spikes: float | None,
    as_json: bool,
) -> int:
    """Examine every file and row of the catalog, or of some datasets of it.

    DATASET is one that 'workbench data list' shows, or an instrument. Exit code 1 if errors remain.
    """
    from workbench import data as room
    from workbench.core.project import Project

    project = Project.find()
    if undo is not None:
        if datasets or repair or consolidate:
            raise click.UsageError("--undo takes an id and goes with no dataset and no repair")
        return _undo(project, undo, as_json)
    options: dict[str, Any] = {"calendars": _chosen(calendars)}
    if spikes is not None and not math.isfinite(spikes):
        raise click.UsageError("--spikes is a number of at least 0")
    if spikes is not None:
        options["spikes"] = spikes
    with progress_bar() as on_progress:
        if repair or consolidate:
            report = room.repair(
                datasets, project, consolidate=consolidate, on_progress=on_progress, **options
            )
        else:
            report = room.diagnose(datasets, project, on_progress=on_progress, **options)
    emit(report.to_dict(), as_json, lambda: _print(report))
    return 1 if report.errors else 0


def _undo(project: Project, name: str, as_json: bool) -> int:
    from workbench import data as room

    if name == _LIST:
        known = [run.to_dict() for run in room.repairs(project)]

        def listed() -> None:
            for run in known:
                say(run["id"])
                for each in run["repairs"]:
                    say(f"  {each['action']:<12} {each['file'] or each['dataset']}")
            if not known:
                say("no repair to undo")

        emit({"repairs": known}, as_json, listed)
        return 0
    undone = room.undo(name, project)

    def told() -> None:
        for each in undone:
            say(f"undone: {each.action} {each.file or each.dataset}")

    emit({"undone": [each.to_dict() for each in undone]}, as_json, told)
    return 0


def _chosen(calendars: tuple[str, ...]) -> dict[str, str]:
    chosen = {}
    for text in calendars:
        venue, equals, name = text.partition("=")
        if not (venue and equals and name):
            raise click.UsageError(f"--calendar {text}: write VENUE=NAME, such as XNAS=XNYS")
        chosen[venue] = name
    return chosen


def _print(report: Report) -> None:
    for done in report.repaired:
        say(f"repaired {done.file or done.dataset}")
        say(f"         {done.message}")
    for each in report.findings:
        say(f"{each.severity:<8} {each.code}  {each.file or each.dataset or ''}".rstrip())
        say(f"         {each.message}")
        if each.repair and not report.repaired:
            say(f"         repair: {each.repair}")
        elif each.advice:
            say(f"         {each.advice}")
    counts = {word: sum(each.severity == kind for each in report.findings) for kind, word in _WORDS}
    found = ", ".join(_counted(n, word) for word, n in counts.items() if n)
    looked = ", ".join(
        _counted(n, what)
        for n, what in ((report.datasets, "dataset"), (report.files, "file"), (report.rows, "row"))
    )
    say(f"{looked}: {found or 'nothing is wrong'}")
    if report.undo:
        note(f"to undo the repairs: workbench data doctor --undo {report.undo}")
    elif any(each.repair for each in report.findings) and not report.repaired:
        note("to repair what is safe to repair: workbench data doctor --repair")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


_WORDS = (("error", "error"), ("warning", "warning"), ("info", "note"))
