"""``workbench venue``."""

import os
import sys
from dataclasses import asdict
from typing import Any

import click

from workbench.cli.options import project_of
from workbench.cli.output import emit, json_option, note, say


@click.group()
def venue() -> None:
    """Serve the practice venue: an exchange that replays cached data."""


@venue.command()
@click.option("--study", metavar="STUDY", help="List a study's data, with its fees and dollars.")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    metavar="[KIND/]IDENTITY",
    help="List a cached dataset (a bar type, or an instrument for its ticks); may be repeated.",
)
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="SYMBOL:TERMS",
    help="List a contract without data: BTCUSDT:tick=0.1,step=0.001,price=30000.",
)
@click.option("--speed", default="1", show_default=True, metavar="N|max", help="Times real time.")
@click.option("--paused", is_flag=True, help="Wait with the replay until told to resume or step.")
@click.option("--start", metavar="TIME", help="Where in its data the replay begins.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    show_default=True,
    help="On 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--books",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep orders and account in this journal; default: in memory.",
)
@click.option("--balance", metavar="AMOUNT", help="Of new books, such as '100000 USDT'.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="A fault that strikes from the start, such as slow:times=5,seconds=2.",
)
@json_option
def serve(study: str | None, as_json: bool, **options: Any) -> int:
    """Serve the practice venue on this machine until Ctrl-C; print its address when it is ready.

    Credentials are made for each start, or taken from
    WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY and _API_SECRET.
    """
    from workbench import venue as room
    from workbench.core.errors import InputError
    from workbench.core.project import Project
    from workbench.study import load

    project = None
    if study is not None:
        project = project_of(study)
    else:
        try:
            project = Project.find()
        except InputError:
            if options["datasets"]:
                raise

    def ready(found: room.Ready) -> None:
        def text() -> None:
            say(found.url)
            for instrument, name in found.instruments.items():
                say(f"{instrument} is {name}")
            for variable, value in found.environment.items():
                say(f"export {variable}={value}")

        document = asdict(found) | {"environment": found.environment}
        emit(document, as_json, text)
        sys.stdout.flush()
        if found.books is None:
            note("orders and account are in memory: --books FILE keeps them over a restart")

    room.serve(
        study=None if study is None else load(study),
        project=project,
        key=os.environ.get("WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY"),
        secret=os.environ.get("WORKBENCH_SECRET_BYBIT_PRACTICE_API_SECRET"),
        on_ready=ready,
        **options,
    )
    return 0
