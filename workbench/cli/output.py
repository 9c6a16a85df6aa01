"""What commands print: one JSON document or text for people; progress on standard error."""

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from workbench.core.errors import Cancelled, InputError, WorkbenchError
from workbench.core.progress import OnProgress, Progress

# A command that was asked for JSON and fails before it printed any still prints one document.
_printed = False


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether ``--json`` is among the arguments."""
    return "--json" in arguments


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def emit(document: Mapping[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    """Print `document` as JSON, or call `text`, which prints for people."""
    global _printed
    if as_json:
        text_form = json.dumps(document, indent=2, default=str)
        _printed = True
        sys.stdout.write(text_form + "\n")
        sys.stdout.flush()
    else:
        text()


def say(message: str = "") -> None:
    """Print lines for people on standard output."""
    click.echo(shown(message))


def note(message: str) -> None:
    """Print a line on standard error."""
    with suppress(OSError):
        click.echo(shown(message), err=True)


def shown(text: str) -> str:
    """Return `text` with what would steer a terminal written out: it may be somebody else's."""
    if text.isprintable():
        return text
    return "".join(
        repr(each)[1:-1]
        if unicodedata.category(each) in ("Cc", "Cf") and each not in "\n\t"
        else each
        for each in text
    )


def fail(error: WorkbenchError, as_json: bool) -> int:
    """Say what went wrong; return the exit code."""
    if as_json and not _printed:
        document: dict[str, Any] = {"status": "failed", "error": str(error)}
        if isinstance(error, Cancelled):
            document["status"] = "cancelled"
        if isinstance(error, InputError):
            document["status"] = "invalid"
            document["errors"] = [issue.to_dict() for issue in error.issues]
        with suppress(OSError):  # the reader has left, or the disk is full: the exit code tells
            sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")
            sys.stdout.flush()
    if isinstance(error, InputError):
        for issue in error.issues:
            note(f"error: {issue}")
    else:
        note(f"{'cancelled' if isinstance(error, Cancelled) else 'error'}: {error}")
    return error.exit_code


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print a table; numbers are set flush right."""
    from rich.console import Console
    from rich.table import Table

    # Not a terminal: wide enough that no line is broken.
    width = None if sys.stdout.isatty() else 200
    console = Console(width=width, highlight=False, markup=False)  # [linear] is a value
    drawn = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_numeric(row[index]) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console.print(drawn)


def _numeric(value: Any) -> bool:
    if isinstance(value, str):
        text = value.strip("%+- ").replace(",", "")
        return text == "" or text.replace(".", "", 1).isdecimal()
    return value is None or isinstance(value, int | float)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.4g}" if isinstance(value, float) else shown(str(value))


def percent(value: float | None, *, signed: bool = True) -> str | None:
    """Write a share as a percentage."""
    if value is None:
        return None
    return f"{value:+.2%}" if signed else f"{value:.2%}"


def decimal(value: float | None, places: int = 2) -> str | None:
    """Write a number with fixed decimals."""
    return None if value is None else f"{value:,.{places}f}"


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """Draw progress on standard error: a bar on a terminal, else a line every 10 %."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def draw(progress: Progress) -> None:
            bar.update(
                task,
                description=_described(progress),
                completed=progress.fraction,
                total=1.0 if progress.total else None,  # a moving bar where the end is not known
            )

        yield draw


def _described(progress: Progress) -> str:
    """Return what is being done, and how far it is in its own terms."""
    detail = f" ({progress.detail})" if progress.detail else ""
    if progress.unit != "rows" or not progress.detail:
        return progress.task + detail
    return f"{progress.task} {progress.done:,.0f} rows{detail}"


def _lines() -> OnProgress:
    last: dict[str, tuple[int, float]] = {}

    def draw(progress: Progress) -> None:
        tenth, now = int(progress.fraction * 10), time.monotonic()
        name = progress.task.partition(",")[0]
        before, when = last.get(name, (0, now))
        if tenth > before and (now - when >= 1.0 or tenth == 10):
            note(f"{_described(progress)}: {progress.fraction:.0%}")
            last[name] = (tenth, now)
        elif name not in last:
            last[name] = (0, now)

    return draw
