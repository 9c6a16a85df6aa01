"""Checks of a study before anything is run with it."""

from workbench import adapters, data
from workbench.core.errors import InputError, Issue
from workbench.core.project import Project
from workbench.engine.inspection import check_strategy
from workbench.study import Study

__all__ = ["check"]


def check(study: Study, project: Project | None = None) -> list[Issue]:
    """Return everything wrong with a loaded study's data, strategy and adapters.

    Nothing if it can run. The adapters are those of its live section, where it has one; whether
    their credentials are stored is for `workbench.adapters.missing_credentials`.

    Parameters
    ----------
    study
        A study that `workbench.study.load` accepted.
    project
        Default: the one the working folder lies in.

    """
    project = project or Project.find()
    issues = list(data.check(study, project))
    try:
        check_strategy(study, project)
    except InputError as error:
        issues += error.issues
    if study.live:
        issues += adapters.check_study(study)
    return issues
