"""The parameters of a strategy: those of its config class, checked before it is built.

They are the keyword parameters of the config's ``__init__``, with their annotations and defaults.
"""

import inspect
import json
import traceback
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nautilus_trader import model
from nautilus_trader.trading import StrategyConfig
from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from workbench.core.errors import InputError, Issue, StudyError, choices
from workbench.engine.supervise import clean
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


def signature(config_class: type[Any]) -> dict[str, tuple[inspect.Parameter, Any]]:
    """Return the config's own parameters with their types."""
    if config_class.__init__ is StrategyConfig.__init__:
        return {}
    try:
        hints = typing.get_type_hints(config_class.__init__)
    except Exception as error:  # an annotation is any expression of the user's
        message = f"an annotation of {config_class.__name__} cannot be read: {error}"
        raise InputError(Issue(message, "strategy.path")) from None
    return {
        name: (parameter, hints.get(name, Any))
        for name, parameter in list(inspect.signature(config_class.__init__).parameters.items())[1:]
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def config(study: Study, config_class: type[Any]) -> Any:
    """Build the config of the study's parameters.

    Raises
    ------
    StudyError
        With every parameter that is unknown, missing or of another type, or with the config's own
        words where it refuses the values.

    """
    taken = signature(config_class)
    issues: list[Issue] = []
    values: dict[str, Any] = {}
    for name in study.strategy.params:
        if name not in taken:
            message = f"unknown parameter '{name}'. {choices(name, taken)}"
            issues.append(study.issue(message, "strategy", "params", name))
    for name, (parameter, hint) in taken.items():
        if name in study.strategy.params:
            given = study.strategy.params[name]
            try:
                values[name] = convert(given, hint)
            except ValueError as error:
                message = f"is {words(hint)}: {error}"
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
            message = f"parameter '{name}' ({words(hint)}) is missing"
            issues.append(study.issue(message, "strategy", "params", name))
    if issues:
        raise StudyError(issues)
    try:
        return config_class(**values)
    except BaseException as error:  # whatever the user's config raises is its verdict
        said = clean("".join(traceback.format_exception_only(error)))
        said = said.removeprefix("ValueError: ")
        message = f"{config_class.__name__} refuses the parameters: {said}"
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
        elif (
            isinstance(item, model.BarType)
            and str(item).endswith("-EXTERNAL")
            and str(item) not in bars
        ):
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


def words(hint: Any) -> str:
    """Write a type the way the study's author reads it."""
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("nautilus_trader.model.", "")


def describe(config_class: type[Any]) -> list[Parameter]:
    """Return the parameters of a config class, in the order of its signature."""
    found = []
    for name, (parameter, hint) in signature(config_class).items():
        required = parameter.default is inspect.Parameter.empty
        default = None if required else str(parameter.default)
        found.append(Parameter(name, words(hint), required and name not in BOUND, default))
    return found
