"""``workbench dashboard``."""

import sys

import click

from workbench.cli.output import emit, json_option, note, say
from workbench.core.project import Project


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=5006, show_default=True,
    help="On 127.0.0.1; 0 takes a free one.",
)  # fmt: skip
@click.option("--show", is_flag=True, help="Open it in a browser.")
@json_option
def dashboard(port: int, show: bool, as_json: bool) -> int:
    """Serve the dashboard on this machine until Ctrl-C."""
    from workbench.app.server import serve

    project = Project.find()

    def ready(url: str) -> None:
        emit({"url": url, "project": str(project.root)}, as_json, lambda: say(url))
        sys.stdout.flush()
        note("the address holds a token that is good until this command ends (Ctrl-C)")

    serve(project, port=port, show=show, on_ready=ready)
    return 0
