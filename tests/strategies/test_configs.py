"""The examples as examples: configs that refuse nonsense, and nothing a user's would not have."""

import ast
import inspect
import typing
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import BarType, InstrumentId

from workbench import study
from workbench.strategies.breakout import BreakoutConfig
from workbench.strategies.ema_cross import EMACrossConfig
from workbench.strategies.mean_reversion import MeanReversionConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = [*(ROOT / "workbench/strategies").glob("*.py"), *(ROOT / "strategies").glob("*.py")]
STUDIES = ["ema-cross", "mean-reversion", "breakout", "my-strategy"]
GIVEN = {
    "instrument_id": InstrumentId.from_str("SYN.SIM"),
    "bar_type": BarType.from_str("SYN.SIM-1-MINUTE-LAST-EXTERNAL"),
    "trade_size": Decimal(100),
}


@pytest.mark.parametrize(
    ("config", "params", "words"),
    [
        (EMACrossConfig, {"fast": 50, "slow": 50}, "0 < fast < slow .* fast=50, slow=50"),
        (EMACrossConfig, {"fast": 0}, "0 < fast < slow .* fast=0"),
        (EMACrossConfig, {"trade_size": Decimal(0)}, "trade_size is above zero, found 0"),
        (EMACrossConfig, {"fsat": 5}, "unexpected keyword argument 'fsat'"),
        (MeanReversionConfig, {"period": 2}, "period is 3 or more, found 2"),
        (MeanReversionConfig, {"width": 0.0}, "width is above 0 .* found 0.0"),
        (MeanReversionConfig, {"period": 5, "width": 2.0}, "below 2.00 .* found 2.0"),
        (MeanReversionConfig, {"trade_size": Decimal(-1)}, "trade_size is above zero, found -1"),
        (BreakoutConfig, {"stop": 0.0}, "stop is above zero, found 0.0"),
        (BreakoutConfig, {"target": float("nan")}, "target is above zero, found nan"),
        (BreakoutConfig, {"channel": -1}, "channel is above zero, found -1"),
    ],
)
def test_a_config_refuses_what_makes_no_sense(config, params, words):
    with pytest.raises((ValueError, TypeError), match=words):
        config(**GIVEN | params)


@pytest.mark.parametrize("config", [EMACrossConfig, MeanReversionConfig, BreakoutConfig])
def test_a_config_is_typed_frozen_and_shows_itself(config):
    made = config(**GIVEN)
    hints = typing.get_type_hints(config.__init__)
    parameters = list(inspect.signature(config.__init__).parameters.values())[1:]
    assert [p.name for p in parameters][:3] == ["instrument_id", "bar_type", "trade_size"]
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert all(isinstance(getattr(made, p.name), hints[p.name]) for p in parameters)
    assert f"{parameters[-1].name}=" in repr(made)
    with pytest.raises(AttributeError):
        made.trade_size = Decimal(1)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_imports_what_a_users_would(path):
    tree = ast.parse(path.read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in modules} <= {
        "nautilus_trader", "dataclasses", "decimal",
    }  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_its_study_is_valid_and_names_parameters_it_has(name):
    loaded = study.load(ROOT / "studies" / f"{name}.yaml", environ={})
    place, _, class_name = loaded.strategy.path.partition(":")
    source = ROOT / (place if place.endswith(".py") else f"{place.replace('.', '/')}.py")
    classes = {n.name: n for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef)}
    fields = {
        n.target.id for n in classes[f"{class_name}Config"].body if isinstance(n, ast.AnnAssign)
    }
    swept = loaded.sweep.params if loaded.sweep else {}
    assert class_name in classes
    assert {"trade_size"} <= set(loaded.strategy.params) <= fields
    assert {name for name in swept if "." not in name} <= fields
