"""From the study's strategy section to a strategy instance, with every fault located.

The parameters of a strategy are those of its config class: the keyword parameters of the config's
``__init__``, with their annotations and defaults. They are checked before anything is built.
"""

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import traceback
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from nautilus_trader import model
from nautilus_trader.trading import Strategy, StrategyConfig
from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from workbench.core.errors import Issue, StudyError, choices
from workbench.core.project import Project
from workbench.study import Study

# Parameters the workbench fills in from the study's data when the study does not name them.
BOUND = {
    "instrument_id": model.InstrumentId,
    "bar_type": model.BarType,
    "instrument_ids": list[model.InstrumentId],
    "bar_types": list[model.BarType],
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a strategy.

    Attributes
    ----------
    name, type
        As in the config's signature; the type in words.
    required
        Whether the study has to give it.
    default
        Its default as text, None if required.

    """

    name: str
    type: str
    required: bool
    default: str | None


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
        SHA-256 of each source file, by its path relative to the project or package.

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
    config_class = _config_class(study, module, strategy)
    config = None
    if config_class is None:
        if study.strategy.params:
            message = f"{strategy.__name__} takes no config, so it has no parameters"
            raise study.error(message, "strategy", "params")
    else:
        config = _config(study, config_class)
    return Loaded(strategy, config, _sources(module, root))


def parameters(study: Study, project: Project) -> list[Parameter]:
    """Return the parameters the study's strategy takes, in the order of its signature."""
    module, _ = _import(study, project)
    config_class = _config_class(study, module, _strategy_class(study, module))
    if config_class is None:
        return []
    found = []
    for name, (parameter, hint) in _signature(config_class).items():
        required = parameter.default is inspect.Parameter.empty
        default = None if required else str(parameter.default)
        found.append(Parameter(name, _words(hint), required and name not in BOUND, default))
    return found


def _import(study: Study, project: Project) -> tuple[ModuleType, Path]:
    """Import the module; return it and the folder whose files count as the strategy's source."""
    target = study.strategy.path.rpartition(":")[0]
    is_file = target.endswith(".py") or "/" in target or "\\" in target
    for folder in (project.root, project.root / "strategies"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        if is_file:
            path = (project.root / target).resolve()
            if not path.is_relative_to(project.root):
                raise study.error(f"{target} lies outside the project", "strategy", "path")
            if not path.is_file():
                raise study.error(f"no such file: {target}. {_files(target, project)}", "strategy", "path")
            return _import_file(path, project), project.root
        module = importlib.import_module(target)
    except StudyError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (target == error.name or target.startswith(f"{error.name}.")):
            message = f"no module '{error.name}' for {study.strategy.path}"
            raise study.error(message, "strategy", "path") from None
        raise _import_error(error, study, project) from None
    except SyntaxError as error:
        file = project.relative(Path(error.filename)) if error.filename else target
        message = f"syntax error: {error.msg}"
        raise StudyError(Issue(message, "strategy.path", file, error.lineno)) from None
    except (Exception, SystemExit) as error:
        raise _import_error(error, study, project) from None
    file_name = getattr(module, "__file__", None)
    if file_name is None:
        raise study.error(f"'{target}' is a folder, not a module", "strategy", "path")
    file = Path(file_name).resolve()
    inside = file.is_relative_to(project.root) and project.root / ".venv" not in file.parents
    return module, project.root if inside else file.parent


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


def _files(target: str, project: Project) -> str:
    folder = project.root / "strategies"
    names = [project.relative(path) for path in sorted(folder.glob("*.py"))] if folder.is_dir() else []
    return choices(target, names)


def _import_error(error: BaseException, study: Study, project: Project) -> StudyError:
    """Locate an exception raised while the module was being imported, at its last own line."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename != __file__
    ]
    message = f"importing {study.strategy.path} failed: {type(error).__name__}: {error}"
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


def _signature(config_class: type[Any]) -> dict[str, tuple[inspect.Parameter, Any]]:
    """Return the config's own parameters with their types."""
    if config_class.__init__ is StrategyConfig.__init__:
        return {}
    try:
        hints = typing.get_type_hints(config_class.__init__)
    except (NameError, TypeError):
        hints = {}
    return {
        name: (parameter, hints.get(name, Any))
        for name, parameter in list(inspect.signature(config_class.__init__).parameters.items())[1:]
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def _config(study: Study, config_class: type[Any]) -> Any:
    signature = _signature(config_class)
    issues: list[Issue] = []
    values: dict[str, Any] = {}
    for name in study.strategy.params:
        if name not in signature:
            message = f"unknown parameter '{name}'. {choices(name, signature)}"
            issues.append(study.issue(message, "strategy", "params", name))
    for name, (parameter, hint) in signature.items():
        if name in study.strategy.params:
            given = study.strategy.params[name]
            try:
                values[name] = convert(given, hint)
            except ValueError as error:
                message = f"is {_words(hint)}: {error}"
                issues.append(study.issue(message, "strategy", "params", name))
            else:
                issues += _not_in_data(study, name, values[name])
        elif name in BOUND and hint == BOUND[name]:
            bound = _bind(study, name)
            if isinstance(bound, Issue):
                if parameter.default is inspect.Parameter.empty:
                    issues.append(bound)
            else:
                values[name] = bound
        elif parameter.default is inspect.Parameter.empty:
            message = f"parameter '{name}' ({_words(hint)}) is missing"
            issues.append(study.issue(message, "strategy", "params", name))
    if issues:
        raise StudyError(issues)
    try:
        return config_class(**values)
    except Exception as error:  # whatever the user's config raises is its verdict on the values
        message = f"{config_class.__name__} refuses the parameters: {error}"
        raise study.error(message, "strategy", "params") from None


def _bind(study: Study, name: str) -> Any:
    """Take instrument or bar type from the study's data; an issue where it is not one alone."""
    instruments = list(dict.fromkeys(spec.instrument for spec in study.data))
    bars = [spec.identity for spec in study.data if spec.bars]
    if name == "instrument_ids":
        return [model.InstrumentId.from_str(text) for text in instruments]
    if name == "bar_types":
        return [model.BarType.from_str(text) for text in bars]
    found = instruments if name == "instrument_id" else bars
    if len(found) == 1:
        kind = model.InstrumentId if name == "instrument_id" else model.BarType
        return kind.from_str(found[0])
    message = f"parameter '{name}' is missing and the data has {len(found)}. {choices('', found)}"
    return study.issue(message, "strategy", "params", name)


def _not_in_data(study: Study, name: str, value: Any) -> list[Issue]:
    """Refuse instruments and bars the study has no data of: the strategy would wait in silence."""
    values: Iterable[Any] = value if isinstance(value, list | tuple | set) else [value]
    instruments = {spec.instrument for spec in study.data}
    bars = {spec.identity for spec in study.data if spec.bars}
    issues = []
    for item in values:
        if isinstance(item, model.InstrumentId) and str(item) not in instruments:
            message = f"the data has no {item}. {choices(str(item), sorted(instruments))}"
        elif isinstance(item, model.BarType) and str(item).endswith("-EXTERNAL") and str(item) not in bars:
            message = f"the data has no bars {item}. {choices(str(item), sorted(bars))}"
        else:
            continue
        issues.append(study.issue(message, "strategy", "params", name))
    return issues


def convert(value: Any, hint: Any) -> Any:
    """Turn a study's plain value into what the config's annotation asks for.

    Raises
    ------
    ValueError
        Saying what was found, if it does not fit.

    """
    if hint is Any or hint is inspect.Parameter.empty:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if type(None) in arguments:
        if value is None:
            return None
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return convert(value, rest[0])
    if origin in (list, tuple) and isinstance(value, list | tuple) and arguments:
        return origin(convert(item, arguments[0]) for item in value)
    if isinstance(hint, type) and isinstance(value, hint) and not isinstance(value, bool):
        return value
    if isinstance(hint, type) and hint.__module__.startswith("nautilus_trader"):
        return _engine_value(value, hint)
    if hint is Decimal and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = Decimal(str(value).replace("_", ""))
        except ArithmeticError:
            number = Decimal("nan")
        if not number.is_finite():
            raise ValueError(f"found {value!r}")
        return number
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint, config=ConfigDict(strict=True))
        return adapter.validate_json(json.dumps(value, default=str))
    except PydanticSchemaGenerationError:
        raise ValueError("no value of that type can be written in a study") from None
    except ValidationError:
        raise ValueError(f"found {value!r}") from None


def _engine_value(value: Any, hint: type[Any]) -> Any:
    """Build one of NautilusTrader's value types from text."""
    text = str(value).strip().replace("_", "") if isinstance(value, int | float) else str(value)
    if isinstance(value, bool | list | dict) or not text.isascii() or not text:
        raise ValueError(f"found {value!r}")
    if hint is model.Currency:
        return model.Currency.from_str(text, strict=True)
    build = getattr(hint, "from_str", None) or hint
    if hint is model.Quantity or hint is model.Price:
        text = text.replace("_", "")
    try:
        return build(text)
    except Exception as error:  # PyO3 raises ValueError, TypeError or KeyError here
        raise ValueError(f"found {value!r}: {error}") from None


def _words(hint: Any) -> str:
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("nautilus_trader.model.", "")


def _sources(module: ModuleType, root: Path) -> dict[str, str]:
    """Digest the strategy's module and every module under `root` it brought in."""
    sources: dict[str, str] = {}
    for other in (module, *list(sys.modules.values())):
        name = getattr(other, "__file__", None)
        if not name or not name.endswith(".py"):
            continue
        path = Path(name).resolve()
        inside = path.is_relative_to(root) and ".venv" not in path.relative_to(root).parts
        own = other is module or (inside and "workbench" not in path.relative_to(root).parts[:1])
        if own and path.is_file():
            relative = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
            sources[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return sources
