"""Looking at a strategy without running it, in a process that may die of it.

Importing a strategy runs its module. A module that loops, exits or aborts must not take a command,
a notebook kernel or a server with it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from workbench.core.environment import without_keys
from workbench.core.errors import InputError, Issue, StudyError
from workbench.core.project import Project
from workbench.engine.version import require
from workbench.study import Study

TIMEOUT_SECONDS = 60.0


def check_strategy(study: Study, project: Project) -> list[dict[str, Any]]:
    """Check the study's strategy and its parameters.

    Returns
    -------
    list[dict]
        The parameters it takes: name, type, required, default.

    Raises
    ------
    StudyError
        With every issue, located in the study or in the strategy's source.

    """
    found: list[dict[str, Any]] = _inspected(study, project)["parameters"]
    return found


def source_digest(study: Study, project: Project) -> str:
    """Return the SHA-256 over the strategy's source files, as a run records it.

    Raises
    ------
    StudyError
        See `check_strategy`.

    """
    return str(_inspected(study, project)["digest"])


def _inspected(study: Study, project: Project) -> dict[str, Any]:
    require()
    request = {"project": str(project.root), "study": study.to_dict()}
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "workbench.engine.inspection"],
            input=json.dumps(request).encode(),
            capture_output=True,
            env=without_keys(),
            cwd=project.root,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"importing it took more than {TIMEOUT_SECONDS:g} s"
        raise study.error(message, "strategy", "path") from None
    try:
        answer = json.loads(process.stdout)
    except ValueError:
        tail = process.stderr.decode(errors="replace")[-500:].strip()
        message = f"importing it ended the process (exit code {process.returncode}) {tail}"
        raise study.error(message.strip(), "strategy", "path") from None
    if answer["issues"]:
        raise StudyError([located(study, Issue(**issue)) for issue in answer["issues"]])
    found: dict[str, Any] = answer
    return found


def located(study: Study, issue: Issue) -> Issue:
    """Give an issue found in another process, which knew only values, its file and line."""
    if issue.file is not None or not issue.path:
        return issue
    path = [int(part) if part.isdecimal() else part for part in issue.path.split(".")]
    return study.issue(issue.message, *path)


def main() -> None:
    """Answer the request on standard input; what the strategy prints is dropped."""
    from workbench.engine import strategy
    from workbench.study.load import build
    from workbench.study.places import Places

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    request = json.load(sys.stdin)
    study, project = build(request["study"], Places()), Project(Path(request["project"]))
    answer: dict[str, Any] = {"issues": [], "parameters": [], "digest": None}
    try:
        answer["digest"] = strategy.load(study, project).digest
        answer["parameters"] = [
            {"name": p.name, "type": p.type, "required": p.required, "default": p.default}
            for p in strategy.parameters(study, project)
        ]
    except InputError as error:
        answer["issues"] = [issue.to_dict() for issue in error.issues]
    json.dump(answer, answers)
    answers.flush()
    os._exit(0)  # threads a strategy's module started do not keep us


if __name__ == "__main__":
    main()
