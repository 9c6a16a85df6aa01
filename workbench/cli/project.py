"""``workbench init``, ``demo`` and ``lab``."""

import os
import shutil
import sys
import time
from pathlib import Path

import click

from workbench.cli.output import emit, json_option, note, progress_bar, say
from workbench.core.errors import DependencyError, InputError, WorkbenchError
from workbench.core.files import make_folder, write_text
from workbench.core.project import MARKER, Project

SHIPPED = ("notebooks", "studies", "strategies")


def shipped() -> Path:
    """Return the folder that holds the notebooks, studies and strategies a project begins with."""
    package = Path(__file__).parents[1]
    inside = package / "_project"
    return inside if inside.is_dir() else package.parent


@click.command()
@click.argument("folder", type=click.Path(file_okay=False), metavar="DIR")
@json_option
def init(folder: str, as_json: bool) -> int:
    """Make a project in DIR: studies, strategies, notebooks, data and .gateway."""
    root = Path(folder).resolve()
    if (root / MARKER).exists():
        raise InputError(f"{root} is a project already")
    taken = [name for name in (*SHIPPED, "data") if (root / name).exists()]
    if taken:
        raise InputError(f"{root} holds {', '.join(taken)} already: nothing was changed")
    new, ignored = not root.exists(), root / ".gitignore"
    keeps = ignored.exists()  # somebody's own
    try:
        for name in SHIPPED:
            shutil.copytree(
                shipped() / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*")
            )
        (root / "data").mkdir()
        if not keeps:
            ignored.write_text("data/catalog/\n__pycache__/\n.ipynb_checkpoints/\n")
        (root / MARKER).mkdir(mode=0o700)  # orders, journals, tokens: nobody else's business
        (root / MARKER / ".gitignore").write_text("*\n!.gitignore\n")
    except (OSError, shutil.Error) as error:
        for name in (*SHIPPED, "data", MARKER):
            shutil.rmtree(root / name, ignore_errors=True)
        if not keeps:
            ignored.unlink(missing_ok=True)
        if new:
            shutil.rmtree(root, ignore_errors=True)
        reasons = error.args[0] if isinstance(error, shutil.Error) else None
        reason = reasons[0][2] if reasons else error.strerror or str(error)
        raise WorkbenchError(f"{root} could not be made: {reason}. Nothing is left") from None

    def text() -> None:
        say(f"a project in {root}")
        say(f"next: cd {folder} && workbench backtest run studies/ema-cross.yaml --report")

    emit({"project": str(root)}, as_json, text)
    return 0


@click.command()
@json_option
def demo(as_json: bool) -> int:
    """Run a notebook over a small grid, write a report, let the best trade on a practice venue."""
    from workbench import live
    from workbench.backtest.sweep import grid, run_sweep
    from workbench.cli.node import say_rehearsed, show_fill, show_gates
    from workbench.cli.sweep import show_sweep
    from workbench.study import load

    project = Project.find()
    study = load(project.root / "studies" / "ema-cross.yaml")
    notebook = project.root / "notebooks" / "backtest.ipynb"
    began = time.monotonic()
    note(f"{len(grid(study))} runs of {project.relative(notebook)} through papermill, "
         "each on the NautilusTrader engine")  # fmt: skip
    with progress_bar() as on_progress:
        result = run_sweep(study, project=project, notebook=notebook, on_progress=on_progress)
    code = show_sweep(result, as_json)
    done = [run for run in result.runs if run.finished_well]
    if not done:
        return 1
    best = max(done, key=lambda run: run.statistics.get("sharpe") or float("-inf"))
    page = best.report()
    if not as_json:
        say()
        for run in result.runs:
            say(f"notebook {project.relative(run.folder / 'notebook.ipynb')}")
        say(f"report   {project.relative(page)}  (the best Sharpe ratio)")
    note("")
    note(f"live: {best.id} goes to the practice venue, as it is, through the Bybit clients")
    with progress_bar() as on_progress:
        rehearsed = live.rehearse(
            best, on_flip=show_gates, on_event=show_fill, on_progress=on_progress
        )
    if not as_json:
        say_rehearsed(rehearsed)
        say(f"took     {time.monotonic() - began:.0f} s")
    return code if rehearsed.flat else 1


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.pass_context
def lab(context: click.Context) -> None:
    """Open JupyterLab on this project, dashboard and API under its login; options are handed on."""
    project = Project.find()
    program = Path(sys.executable).parent / "jupyter-lab"
    if not program.exists():
        raise DependencyError("JupyterLab is not installed: pip install 'nt-workbench[lab]'")
    # Beside the user's own settings, which stay as they are; the gateway's token is made in Lab.
    folder = project.gateway / "lab"
    make_folder(folder)
    write_text(folder / "jupyter_server_config.py", _LAB_SETTINGS)
    known = os.environ.get("JUPYTER_CONFIG_PATH")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join([str(folder), *([known] if known else [])])
    os.environ["WORKBENCH_PROJECT"] = str(project.root)
    arguments = [str(program), f"--notebook-dir={project.root}", *context.args]
    os.execv(program, arguments)  # noqa: S606 - it takes this process's place


_LAB_SETTINGS = """\
# Written anew by `workbench lab`.
from workbench.gateway.lab import proxied

c.ServerProxy.servers = {"workbench": proxied()}  # noqa: F821
"""
