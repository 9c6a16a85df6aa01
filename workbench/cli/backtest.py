"""``workbench backtest``."""

import click

from workbench.cli.options import load_study, overrides, project_of, study_options
from workbench.cli.output import emit, json_option, note, progress_bar, say
from workbench.core.errors import Cancelled, RunError


@click.group()
def backtest() -> None:
    """Run a study once."""


@backtest.command()
@study_options
@click.option(
    "--notebook", type=click.Path(exists=True, dir_okay=False), metavar="NB",
    help="Run it as this notebook, through papermill.",
)  # fmt: skip
@click.option("--report", is_flag=True, help="Write the report and print its path.")
@json_option
def run(
    study: str,
    over: list[str],
    params: list[str],
    notebook: str | None,
    report: bool,
    as_json: bool,
) -> int:
    """Run STUDY's backtest and record it."""
    from pathlib import Path

    from workbench.backtest.process import dismiss, launch

    process = launch("notebook" if notebook else "worker")
    try:
        project = project_of(study)
        document = load_study(study, over, params)
        recorded = overrides(params)
    except BaseException:
        dismiss(process)
        raise
    from workbench.backtest.runner import start

    with progress_bar() as on_progress:
        running = start(
            document,
            project=project,
            notebook=Path(notebook).resolve() if notebook else None,
            recorded_params=recorded,
            process=process,
            on_progress=on_progress,
        )
        try:
            found = running.wait()
        except KeyboardInterrupt:
            running.cancel()
            found = running.wait()
    page = found.report() if report and found.status != "cancelled" else None
    result = found.summary() | {"report": str(page) if page else None}

    def text() -> None:
        for name, value in found.headline().items():
            if name not in ("warnings", "error"):
                say(f"{name:<13}{value}")
        if page:
            say(f"{'report':<13}{page}")

    emit(result, as_json, text)
    for warning in found.warnings:
        note(f"warning: {warning}")
    if found.status == "failed":
        note(f"error: {found.error}")
        return RunError.exit_code
    return Cancelled.exit_code if found.status == "cancelled" else 0


@backtest.command()
@click.argument("run_id")
@json_option
def cancel(run_id: str, as_json: bool) -> int:
    """Cancel a run, whichever process started it."""
    from workbench.backtest.runner import cancel as cancel_run

    found = cancel_run(run_id)
    emit(found.summary(), as_json, lambda: say(f"{found.id}: {found.status}"))
    return 0
