"""``workbench sweep``."""

from typing import Any

import click

from workbench.cli.options import load_study, project_of, study_options
from workbench.cli.output import decimal, emit, json_option, note, percent, progress_bar, say, table


@click.group()
def sweep() -> None:
    """Run a study over a grid of parameters."""


_processes = click.option(
    "--processes", type=click.IntRange(1, 512), help="Runs at a time; default one a core."
)


@sweep.command()
@study_options
@click.option(
    "--notebook", type=click.Path(exists=True, dir_okay=False), metavar="NB",
    help="Run each point as this notebook, through papermill.",
)  # fmt: skip
@_processes
@json_option
def run(
    study: str,
    over: list[str],
    params: list[str],
    notebook: str | None,
    processes: int | None,
    as_json: bool,
) -> int:
    """Run every point of STUDY's sweep."""
    from pathlib import Path

    from workbench.backtest.sweep import run_sweep

    document = load_study(study, over, params)
    with progress_bar() as on_progress:
        result = run_sweep(
            document,
            project=project_of(study),
            notebook=Path(notebook).resolve() if notebook else None,
            processes=processes,
            on_progress=on_progress,
        )
    return show_sweep(result, as_json)


@sweep.command()
@study_options
@_processes
@json_option
def resume(
    study: str, over: list[str], params: list[str], processes: int | None, as_json: bool
) -> int:
    """Run what is missing of the newest sweep of STUDY."""
    from workbench.backtest.sweep import resume_sweep

    name = load_study(study, over, params).name
    with progress_bar() as on_progress:
        result = resume_sweep(
            name=name, project=project_of(study), processes=processes, on_progress=on_progress
        )
    return show_sweep(result, as_json)


@sweep.command()
@study_options
@json_option
def status(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Say how far the newest sweep of STUDY is."""
    from workbench.backtest.sweep import sweep_results

    name = load_study(study, over, params).name
    return show_state(sweep_results(name=name, project=project_of(study)), as_json)


def show_state(result: Any, as_json: bool) -> int:
    """Print how far a sweep is."""
    counts = ", ".join(f"{count} {what}" for what, count in result.counts.items() if count)
    document = {
        "sweep_id": result.id,
        "status": result.status,
        "points": len(result.points),
        "counts": result.counts,
    }
    emit(document, as_json, lambda: say(f"{result.id}: {result.status} ({counts})"))
    return 0


@sweep.command()
@study_options
@json_option
def cancel(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Cancel the newest sweep of STUDY, whichever process runs it; resume goes on from there."""
    from workbench.backtest.sweep import cancel_sweep

    name = load_study(study, over, params).name
    return show_state(cancel_sweep(name=name, project=project_of(study)), as_json)


@sweep.command()
@study_options
@click.option(
    "--by", default="sharpe", show_default=True, metavar="STATISTIC",
    help="What points are compared by: sharpe, total_return, max_drawdown, ...",
)  # fmt: skip
@json_option
def results(study: str, over: list[str], params: list[str], by: str, as_json: bool) -> int:
    """List the runs of the newest sweep of STUDY, the best first, and say what they tell."""
    from workbench.backtest.insight import STATISTICS
    from workbench.backtest.sweep import sweep_results
    from workbench.core.errors import choices

    if by not in STATISTICS:
        raise click.UsageError(f"--by: no statistic '{by}'. {choices(by, STATISTICS)}")
    name = load_study(study, over, params).name
    return show_sweep(sweep_results(name=name, project=project_of(study)), as_json, by)


def show_sweep(result: Any, as_json: bool, by: str = "sharpe") -> int:
    """Print a sweep's table and what it tells; return 1 if a run of it failed."""
    from workbench.backtest.insight import in_words, ranked, to_dict

    names = list(result.points[0]) if result.points else []

    def text() -> None:
        runs = ranked(result, by)
        known = {run.id for run in runs}
        runs += [run for run in result.runs if run.id not in known]
        rows = [
            [
                *(run.params.get(name) for name in names),
                run.status,
                percent(run.statistics.get("total_return")),
                decimal(run.statistics.get("sharpe")),
                percent(run.statistics.get("max_drawdown"), signed=False),
                run.n_fills,
                ", ".join(f"{float(value):,.2f} {code}" for code, value in run.pnl.items()),
                run.id[-6:],
            ]
            for run in runs
        ]
        short = [name.rpartition(".")[2] for name in names]
        columns = [*short, "status", "return", "sharpe", "max dd", "fills", "profit", "run"]
        table(columns, rows, title=f"{result.id}: {result.status}")
        for line in in_words(result, by):
            say(line)

    emit(to_dict(result, by), as_json, text)
    for run in result.runs:
        if run.status == "failed":
            note(f"error: run {run.id} failed: {(run.error or '').splitlines()[0]}")
    return 1 if result.counts["failed"] else 0
