"""``workbench config``."""

import click

from workbench.cli.options import load_study, project_of, study_options
from workbench.cli.output import emit, json_option, say, table


@click.group()
def config() -> None:
    """Check, show, store and compare studies."""


@config.command()
@study_options
@json_option
def check(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Check STUDY, its data and its strategy; print every error with file and line."""
    from workbench import checks
    from workbench.core.errors import InputError, Issue

    issues: list[Issue] = []
    try:
        document = load_study(study, over, params)
        issues = checks.check(document, project_of(study))
    except InputError as error:
        issues = list(error.issues)

    def text() -> None:
        for issue in issues:
            say(f"error: {issue}")
        if not issues:
            say(f"{study} is valid")

    emit({"valid": not issues, "errors": [issue.to_dict() for issue in issues]}, as_json, text)
    return InputError.exit_code if issues else 0


@config.command()
@study_options
@json_option
def show(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Print STUDY as it will run: files merged, overrides applied, defaults filled in."""
    document = load_study(study, over, params)

    def text() -> None:
        import sys

        from ruamel.yaml import YAML

        YAML(typ="safe", pure=True).dump(document.to_dict(), sys.stdout)

    emit(document.to_dict(), as_json, text)
    return 0


@config.command()
@json_option
def schema(as_json: bool) -> int:
    """Print the JSON Schema of a study, for editors and forms."""
    from workbench.study import schema as study_schema

    del as_json  # it is JSON either way
    emit(study_schema(), True, lambda: None)
    return 0


@config.command()
@study_options
@json_option
def save(study: str, over: list[str], params: list[str], as_json: bool) -> int:
    """Store STUDY under its name; a new version where it changed."""
    from workbench.study import StudyStore

    document = load_study(study, over, params)
    version = StudyStore(project_of(study)).save(document)
    emit(
        {"name": document.name, "version": version},
        as_json,
        lambda: say(f"{document.name}, version {version}"),
    )
    return 0


@config.command()
@click.argument("name")
@json_option
def history(name: str, as_json: bool) -> int:
    """List the stored versions of the study NAME."""
    from workbench.core.project import Project
    from workbench.study import StudyStore

    versions = [entry.to_dict() for entry in StudyStore(Project.find()).history(name)]

    def text() -> None:
        table(
            ["version", "saved", "digest"],
            [[v["version"], v["saved_at"], str(v["digest"])[:12]] for v in versions],
        )

    emit({"name": name, "versions": versions}, as_json, text)
    return 0


@config.command()
@click.argument("name")
@click.argument("first", type=int)
@click.argument("second", type=int, required=False)
@json_option
def diff(name: str, first: int, second: int | None, as_json: bool) -> int:
    """Compare two stored versions of NAME (SECOND: the newest where it is left out)."""
    from workbench.core.project import Project
    from workbench.study import StudyStore

    changes = StudyStore(Project.find()).diff(name, first, second)

    def text() -> None:
        for change in changes:
            say(str(change))
        if not changes:
            say("no difference")

    found = {"name": name, "changes": [change.to_dict() for change in changes]}
    emit(found, as_json, text)
    return 0


@config.command()
@click.argument("name")
@click.argument("version", type=int)
@json_option
def restore(name: str, version: int, as_json: bool) -> int:
    """Store an old VERSION of NAME as its newest."""
    from workbench.core.project import Project
    from workbench.study import StudyStore

    newest = StudyStore(Project.find()).restore(name, version)
    emit(
        {"name": name, "version": newest},
        as_json,
        lambda: say(f"{name}, version {newest}, as version {version} was"),
    )
    return 0
