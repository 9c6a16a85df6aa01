"""``workbench runs``."""

import click

from workbench.cli.output import decimal, emit, json_option, percent, say, table


@click.group()
def runs() -> None:
    """List, show, compare and report runs."""


@runs.command(name="list")
@click.option("--status", type=click.Choice(["queued", "running", "done", "failed", "cancelled"]))
@click.option("--study", "name", help="Only runs of the study of this name.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--all", "gates", is_flag=True, help="Also the short runs a flip's gates make.")
@json_option
def list_(status: str | None, name: str | None, limit: int, gates: bool, as_json: bool) -> int:
    """List runs, newest first."""
    from workbench.backtest.store import RunStore
    from workbench.core.project import Project

    found = RunStore(Project.find()).list(status=status, name=name, limit=limit, gates=gates)

    def text() -> None:
        if not found:
            say("no runs yet: workbench backtest run studies/ema-cross.yaml")
            return
        rows = [
            [
                run.id,
                run.status,
                " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in run.params.items()),
                percent(run.statistics.get("total_return")),
                decimal(run.statistics.get("sharpe")),
                run.n_fills,
                decimal(run.seconds),
            ]
            for run in found
        ]
        table(["run", "status", "parameters", "return", "sharpe", "fills", "seconds"], rows)

    emit({"runs": [run.summary() for run in found]}, as_json, text)
    return 0


@runs.command()
@click.argument("run_id", default="latest")
@json_option
def show(run_id: str, as_json: bool) -> int:
    """Show a run: its id, the end of one, or 'latest'."""
    from workbench.backtest.store import RunStore
    from workbench.core.project import Project

    run = RunStore(Project.find()).get(run_id)

    def text() -> None:
        for name, value in run.to_dict().items():
            if name in ("study", "statistics", "run_id"):
                continue
            if value not in (None, [], {}):
                say(f"{name:<15}{value}")
        say()
        for name, value in run.statistics.items():
            if isinstance(value, int | float | str):
                say(f"{name:<25}{value:,.6g}" if isinstance(value, float) else f"{name:<25}{value}")

    emit(run.to_dict(), as_json, text)
    return 0


@runs.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID RUN_ID...")
@json_option
def compare(run_ids: tuple[str, ...], as_json: bool) -> int:
    """Compare runs: what differs in parameters, statistics, digests."""
    from workbench.backtest.comparison import compare as compare_runs
    from workbench.backtest.comparison import table as as_table
    from workbench.backtest.store import RunStore
    from workbench.core.project import Project

    store = RunStore(Project.find())
    found = [store.get(run_id) for run_id in run_ids]

    def text() -> None:
        frame = as_table(found)
        rows = [[str(name), *map(str, values)] for name, *values in frame.itertuples()]
        table(["", *(run.id for run in found)], rows)

    emit(compare_runs(found), as_json, text)
    return 0


@runs.command()
@click.argument("run_id", default="latest")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write the page.")
@json_option
def report(run_id: str, output: str | None, as_json: bool) -> int:
    """Write a run's report, one self-contained HTML page."""
    from workbench.backtest.store import RunStore
    from workbench.core.project import Project

    run = RunStore(Project.find()).get(run_id)
    path = run.report(output)
    emit({"run_id": run.id, "report": str(path)}, as_json, lambda: say(str(path)))
    return 0
