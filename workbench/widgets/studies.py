"""The studies of a project, looked at: what is wrong with one, and what its strategy takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from workbench.checks import check
from workbench.core.errors import InputError, Issue, WorkbenchError
from workbench.core.project import Project
from workbench.engine.inspection import check_strategy
from workbench.study import Study, load
from workbench.widgets.jobs import shortened

SUFFIXES = (".yaml", ".yml", ".json")

NO_STUDIES = (
    '<div class="empty"><h2>No studies yet</h2><p>A study is one YAML file in <code>{}</code>: '
    "data, venues, strategy and its parameters. Put one there, or make a project with examples: "
    "<code>workbench init DIR</code>.</p></div>"
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A study's file, looked at.

    Attributes
    ----------
    text
        The file's.
    study
        None where it cannot be loaded.
    issues
        Everything that keeps it from running.
    parameters
        Those its strategy takes, without those that come from the study's data.

    """

    text: str
    study: Study | None = None
    issues: Sequence[Issue] = ()
    parameters: Sequence[dict[str, Any]] = ()


def study_files(folder: Path) -> list[str]:
    """Return the names of the studies in a folder."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)


def inspect(path: Path, project: Project) -> Inspection:
    """Look at a study's file: it is read, checked, and its strategy is imported elsewhere."""
    text, study, found = "", None, []
    try:
        text = path.read_text(errors="replace")
        study = load(path)
        found = check(study, project)
        parameters = check_strategy(study, project)
    except InputError as error:
        issues = found or error.issues
    except (WorkbenchError, OSError) as error:
        issues = [Issue(str(error))]
    else:
        own = [one for one in parameters if not from_data(one, study)]
        return Inspection(text, study, shortened(found, project), own)
    return Inspection(text, study, shortened(issues, project))


def about(study: Study) -> str:
    """Return what a study is of, as HTML."""
    data = "".join(
        f"<p><code>{escape(one.identity)}</code> <span class='muted'>{escape(one.provider)}"
        f"{_span(one)}</span></p>"
        for one in study.data
    )
    said = f"<p>{escape(study.description)}</p>" if study.description else ""
    return f"{said}{data}<p><code>{escape(study.strategy.path)}</code></p>"


def source(found: Inspection, name: str) -> str:
    """Return a study's text as HTML, the lines of its issues marked; folded if there are none."""
    wrong = {issue.line: issue.message for issue in found.issues if issue.file == name}
    lines = "".join(
        f'<li class="wrong" title="{escape(wrong[at])}">{escape(line) or " "}</li>'
        if at in wrong
        else f"<li>{escape(line) or ' '}</li>"
        for at, line in enumerate(found.text.splitlines(), 1)
    )
    return (
        f'<details class="source"{" open" * bool(found.issues)}><summary>{escape(name)}</summary>'
        f'<ol class="source">{lines}</ol></details>'
    )


def from_data(parameter: dict[str, Any], study: Study) -> bool:
    """Whether the workbench fills a parameter in from the study's data."""
    name = parameter["name"]
    bound = name.rstrip("s") in ("instrument_id", "bar_type")
    return bound and not parameter["required"] and name not in study.strategy.params


def _span(spec: Any) -> str:
    start, end = spec.start or "its beginning", spec.end or "its end"
    return escape(f", {start} to {end}") if spec.start or spec.end else ""
