"""From the study's strategy section to a strategy instance, with every fault located.

The parameters of a strategy are those of its config class: the keyword parameters of the config's
``__init__``, with their annotations and defaults. They are checked before anything is built.
"""

import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
import typing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from nautilus_trader.trading import Strategy, StrategyConfig

from workbench.core.errors import Issue, StudyError, choices
from workbench.core.project import Project
from workbench.engine.parameters import Parameter, describe
from workbench.engine.parameters import config as build_config
from workbench.engine.supervise import HANDLERS, clean
from workbench.study import Study


@dataclass(frozen=True, slots=True)
class Loaded:
    """A strategy's class, ready to be made, and what it was made of.

    Attributes
    ----------
    strategy
        The user's class.
    config
        Its config instance, None for a strategy without one.
    sources
        SHA-256 of each source file, by the name of its module.

    """

    strategy: type[Strategy]
    config: Any | None
    sources: dict[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 over the sources."""
        return hashlib.sha256(json.dumps(self.sources, sort_keys=True).encode()).hexdigest()


def load(study: Study, project: Project) -> Loaded:
    """Import the strategy of `study` and build its config.

    Runs the user's module: call it in a process that may die.

    Raises
    ------
    StudyError
        With every issue: the module cannot be imported (file and line in it), no such class,
        unknown, missing or ill-typed parameters, a config that refuses its values.

    """
    module, root = _import(study, project)
    strategy = _strategy_class(study, module)
    _check_handlers(study, strategy)
    config_class = _config_class(study, module, strategy)
    config = None
    if config_class is None:
        if study.strategy.params:
            message = f"{strategy.__name__} takes no config, so it has no parameters"
            raise study.error(message, "strategy", "params")
    else:
        config = build_config(study, config_class)
    return Loaded(strategy, config, _sources(module, root))


def parameters(study: Study, project: Project) -> list[Parameter]:
    """Return the parameters the study's strategy takes, in the order of its signature."""
    module, _ = _import(study, project)
    config_class = _config_class(study, module, _strategy_class(study, module))
    return [] if config_class is None else describe(config_class)


def _import(study: Study, project: Project) -> tuple[ModuleType, Path]:
    """Import the module; return it and the folder whose files count as the strategy's source."""
    target = study.strategy.path.rpartition(":")[0]
    for folder in (project.root, project.root / "strategies"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    path = _file(study, project, target)
    try:
        module = _import_file(path, project) if path else importlib.import_module(target)
    except StudyError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (target == error.name or target.startswith(f"{error.name}.")):
            message = f"no module '{error.name}' for {study.strategy.path}"
            raise study.error(message, "strategy", "path") from None
        raise _import_error(error, study, project) from None
    except SyntaxError as error:
        name = project.relative(Path(error.filename)) if error.filename else target
        message = f"syntax error: {error.msg}"
        raise StudyError(Issue(message, "strategy.path", name, error.lineno)) from None
    except BaseException as error:  # whatever a module raises while it is imported
        raise _import_error(error, study, project) from None
    if module.__file__ is None:
        raise study.error(f"'{target}' is a folder, not a module", "strategy", "path")
    source = Path(module.__file__).resolve()
    own = target.partition(".")[0] != "workbench" and ".venv" not in source.parts
    inside = own and source.is_relative_to(project.root)
    return module, project.root if inside else source.parent


def _file(study: Study, project: Project, target: str) -> Path | None:
    """Return the file a strategy path names, None where it names a module."""
    if not (target.endswith(".py") or "/" in target or "\\" in target):
        return None
    path = (project.root / target).resolve()
    if not path.is_relative_to(project.root):
        raise study.error(f"{target} lies outside the project", "strategy", "path")
    if not path.is_file():
        files = sorted((project.root / "strategies").glob("*.py"))
        known = choices(target, [project.relative(file) for file in files])
        raise study.error(f"no such file: {target}. {known}", "strategy", "path")
    return path


def _import_file(path: Path, project: Project) -> ModuleType:
    """Import a file under the name it would have if imported from the project's root."""
    parts = path.relative_to(project.root).with_suffix("").parts
    name = ".".join(part if part.isidentifier() else f"_{abs(hash(part))}" for part in parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{project.relative(path)} is not a Python file (.py)"
        raise StudyError(Issue(message, "strategy.path"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_error(error: BaseException, study: Study, project: Project) -> StudyError:
    """Locate an exception raised while the module was being imported, at its last own line."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename != __file__
    ]
    said = clean("".join(traceback.format_exception_only(error)))
    message = f"importing {study.strategy.path} failed: {said}"
    if not frames:
        return study.error(message, "strategy", "path")
    last = frames[-1]
    file = project.relative(Path(last.filename))
    return StudyError(Issue(message, "strategy.path", file, last.lineno))


def _strategy_class(study: Study, module: ModuleType) -> type[Strategy]:
    name = study.strategy.path.rpartition(":")[2]
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Strategy) and found is not Strategy:
        return found
    allowed = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Strategy) and value is not Strategy
    ]
    problem = f"no class '{name}'" if found is None else f"'{name}' is not a Strategy"
    message = f"{problem} in {study.strategy.path.rpartition(':')[0]}. {choices(name, allowed)}"
    raise study.error(message, "strategy", "path")


def _check_handlers(study: Study, strategy: type[Strategy]) -> None:
    """Refuse handlers the engine would call and never run."""
    for name in HANDLERS:
        handler = getattr(strategy, name)
        if inspect.iscoroutinefunction(handler) or inspect.isgeneratorfunction(handler):
            message = f"{strategy.__name__}.{name} is a coroutine or generator: it would never run"
            raise study.error(message, "strategy", "path")


def _config_class(study: Study, module: ModuleType, strategy: type[Strategy]) -> type[Any] | None:
    """Find the config class: named in the study, annotated on the strategy, or by convention."""
    if study.strategy.config:
        found = getattr(module, study.strategy.config, None)
        if not isinstance(found, type) or not issubclass(found, StrategyConfig):
            message = f"no config class '{study.strategy.config}' in {module.__name__}"
            raise study.error(message, "strategy", "config")
        return found
    if strategy.__init__ is Strategy.__init__:
        return None
    wanted = [
        parameter
        for parameter in list(inspect.signature(strategy.__init__).parameters.values())[1:]
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    if not wanted:
        return None
    try:
        annotation = typing.get_type_hints(strategy.__init__).get(wanted[0].name)
    except (NameError, TypeError):
        annotation = None
    candidates = [annotation, getattr(module, f"{strategy.__name__}Config", None)]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, StrategyConfig):
            return candidate
    message = (
        f"cannot tell the config class of {strategy.__name__}: annotate its config parameter, "
        f"call it {strategy.__name__}Config, or name it in strategy.config"
    )
    raise study.error(message, "strategy", "path")


def _sources(module: ModuleType, root: Path) -> dict[str, str]:
    """Digest the strategy's module and every module under `root` it brought in, by module name."""
    ours = module.__name__.partition(".")[0] == "workbench"
    sources: dict[str, str] = {}
    for name, other in list(sys.modules.items()):
        file = getattr(other, "__file__", None)
        if other is module:
            sources[name] = _digest(Path(str(file)))
        elif file and file.endswith(".py") and file.startswith(f"{root}{os.sep}"):
            # In a checkout of the workbench its own modules lie in the project too.
            foreign = name == "__main__" or (name.partition(".")[0] == "workbench" and not ours)
            if not foreign and ".venv" not in Path(file).parts:
                sources[name] = _digest(Path(file))
    return sources


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
