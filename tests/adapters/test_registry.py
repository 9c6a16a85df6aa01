"""The registry of adapters, held against the installed NautilusTrader.

``python tests/adapters/test_registry.py`` writes adapters.json and the table in docs/adapters.md
anew. What changed in NautilusTrader since is then the difference under version control.
"""

import inspect
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from workbench import adapters
from workbench.core.errors import InputError
from workbench.engine import adapters as engine
from workbench.engine.settings import Refused, convert, make, plain, sample, samples
from workbench.engine.stubs import Field, Kind, environments, role, stub, written

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("adapters.json")
DOCS = ROOT / "docs" / "adapters.md"
BEGIN, END = "<!-- adapters: made from the registry -->\n", "<!-- end of adapters -->\n"

CONFIGS = [config for adapter in adapters.list_() for config in adapter.sides]
FIELDS = [(config, item) for config in CONFIGS for item in config.fields]
each_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)

# Fields whose constructor takes less than the type says, with values it takes. None: no value.
NARROWER: dict[str, Any] = {
    "BinanceDataClientConfig.retry_delay_max_ms": 60_000,
    "BinanceExecutionClientConfig.retry_delay_max_ms": 60_000,
    "BybitExecutionClientConfig.smp_type": "CancelMaker",
    "InteractiveBrokersDataClientConfig.dockerized_gateway": None,
    "InteractiveBrokersExecutionClientConfig.dockerized_gateway": None,
    "PolymarketDataClientConfig.proxy_url": "http://127.0.0.1:3128",
    "PolymarketExecutionClientConfig.proxy_url": "http://127.0.0.1:3128",
    "TardisDataClientConfig.options": [
        {
            "exchange": "deribit",
            "symbols": ["BTC-PERPETUAL"],
            "from": "2024-01-01",
            "to": "2024-01-02",
            "dataTypes": ["trade"],
        }
    ],
    "TardisDataClientConfig.stream_options": [{"exchange": "deribit", "dataTypes": ["trade"]}],
}
# Of several fields together.
TOGETHER: dict[str, dict[str, Any]] = {
    "BinanceDataClientConfig": {"spot_market_data_mode": "json"},
    "KrakenExecutionClientConfig": {"spot_account_type": "margin", "default_leverage": 2},
}


def described() -> list[dict[str, Any]]:
    return [adapter.to_dict() for adapter in adapters.list_()]


def snapshot(value: Any, depth: int = 0) -> str:
    """Return JSON with a line for each field: adapters, their sides, the list of fields."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if depth == 4 or not any(isinstance(part, dict | list) for part in parts):
        return json.dumps(value)
    begin, end = "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {snapshot(item, depth + 1)}" for key, item in value.items()]
    else:
        items = [snapshot(item, depth + 1) for item in value]
    edge = "\n" + " " * depth
    return begin + ",".join(f"{edge} {item}" for item in items) + edge + end


def summary() -> str:
    """Return the table of the docs."""
    lines = ["| Adapter | Data | Execution | Environments | Credentials |", "|---|---|---|---|---|"]
    for adapter in adapters.list_():
        places = [
            f"{name} (`{', '.join(f'{key}: {value}' for key, value in setting.items())}`)"
            if (setting := adapter.sides[0].environments[name])
            else name
            for name in adapter.environments
        ]
        keys = ", ".join(f"`{name}`" for name in adapter.credentials)
        sides = ["yes" if side else "" for side in (adapter.data, adapter.execution)]
        lines.append(f"| `{adapter.name}` | {' | '.join(sides)} | {', '.join(places)} | {keys} |")
    return "\n".join(lines) + "\n"


def differences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    """Say in words what changed from one registry to another."""
    before, after = _by_name(old), _by_name(new)
    for name in before | after:
        if name not in after:
            yield f"adapter {name} was removed"
        elif name not in before:
            yield f"adapter {name} was added"
        else:
            for side in ("data", "execution"):
                yield from _of_side(f"{name}: {side}", before[name][side], after[name][side])
            yield from _of_keys(name, before[name], after[name], skip={"data", "execution"})


def _of_side(where: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Iterator[str]:
    if old and new:
        yield from _of_keys(f"{where}: {new['config']}", old, new, skip={"fields"})
        yield from _of_fields(f"{where}: {new['config']}", old, new)
    elif old or new:
        yield f"{where} was {'added' if new else 'removed'}"


def _of_fields(where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = _by_name(old.get("fields", [])), _by_name(new.get("fields", []))
    for name in before | after:
        if name not in after:
            yield f"{where}: field '{name}' was removed"
        elif name not in before:
            yield f"{where}: field '{name}' was added"
        else:
            inner = f"{where}: field '{name}'"
            yield from _of_keys(inner, before[name], after[name], skip={"fields"})
            yield from _of_fields(inner, before[name], after[name])
    if list(before) != list(after) and set(before) == set(after):
        yield f"{where}: the order of the fields changed"


def _of_keys(where: str, old: dict[str, Any], new: dict[str, Any], skip: set[str]) -> Iterator[str]:
    for key in {**old, **new}:
        if key not in skip and old.get(key) != new.get(key):
            yield f"{where}: {key} changed from {old.get(key)!r} to {new.get(key)!r}"


def _by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in items}


def test_the_registry_is_the_one_we_know() -> None:
    new = json.loads(json.dumps(described()))
    changes = list(differences(json.loads(SNAPSHOT.read_text()), new))
    told = "\n".join(changes)
    assert not changes, (
        f"NautilusTrader's adapters changed:\n{told}\n"
        f"If that is meant: python tests/adapters/{Path(__file__).name}"
    )


def test_a_change_is_told_in_words() -> None:
    old = described()
    new: list[dict[str, Any]] = json.loads(json.dumps(old))
    new = [adapter for adapter in new if adapter["name"] != "tardis"]
    by_name = _by_name(new)
    bybit = by_name["bybit"]["data"]["fields"]
    assert bybit.pop(0)["name"] == "product_types"
    bybit.append({**bybit[0], "name": "new_one"})
    _by_name(bybit)["max_retries"]["default"] = 4
    _by_name(by_name["okx"]["execution"]["fields"])["margin_mode"]["allowed"].append("both")
    nested = _by_name(by_name["binance"]["data"]["fields"])["instrument_provider"]["fields"]
    nested.pop()
    by_name["kraken"]["execution"] = None
    assert list(differences(old, new)) == [
        (
            "binance: data: BinanceDataClientConfig: field 'instrument_provider': "
            "field 'query_commission_rates' was removed"
        ),
        "bybit: data: BybitDataClientConfig: field 'product_types' was removed",
        "bybit: data: BybitDataClientConfig: field 'max_retries': default changed from 3 to 4",
        "bybit: data: BybitDataClientConfig: field 'new_one' was added",
        "kraken: execution was removed",
        (
            "okx: execution: OKXExecutionClientConfig: field 'margin_mode': allowed changed from "
            "['none', 'isolated', 'cross'] to ['none', 'isolated', 'cross', 'both']"
        ),
        "adapter tardis was removed",
    ]
    assert list(differences(new, old))[-1] == "adapter tardis was added"
    assert not list(differences(old, old))


def test_the_table_of_the_docs_is_the_registry() -> None:
    text = DOCS.read_text()
    table = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert table == summary(), f"run: python tests/adapters/{Path(__file__).name}"


KEYS = ("api_key", "api_secret")
CLASSIFIED: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "architect_ax": ("DE", ("live", "testnet"), KEYS),
    "betfair": ("DE", ("live",), ("username", "password", "app_key")),
    "binance": ("DE", ("live", "testnet", "demo"), KEYS),
    # A config for execution is there, a factory that would make a client of it is not.
    "blockchain": ("D", ("live",), ()),
    "bybit": ("DE", ("live", "testnet", "demo"), KEYS),
    "coinbase": ("DE", ("live", "testnet"), KEYS),
    "databento": ("D", ("live",), ("api_key",)),
    "deribit": ("DE", ("live", "testnet"), KEYS),
    "derive": ("DE", ("live", "testnet"), ("session_key",)),
    "dydx": ("DE", ("live", "testnet"), ("private_key",)),
    "hyperliquid": ("DE", ("live", "testnet"), ("private_key",)),
    "interactive_brokers": ("DE", ("live",), ()),
    "kraken": ("DE", ("live", "demo"), KEYS),
    "lighter": ("DE", ("live", "testnet"), ("private_key",)),
    "okx": ("DE", ("live", "demo"), (*KEYS, "api_passphrase")),
    "polymarket": ("DE", ("live",), ("private_key", *KEYS, "passphrase")),
    "sandbox": ("E", (), ()),
    "tardis": ("D", ("live",), ("api_key",)),
}


def test_every_adapter_is_classified() -> None:
    found = {
        adapter.name: (
            ("D" if adapter.data else "") + ("E" if adapter.execution else ""),
            adapter.environments,
            adapter.credentials,
        )
        for adapter in adapters.list_()
    }
    assert found == CLASSIFIED


def test_every_field_that_looks_like_a_secret_or_an_address_is_classified() -> None:
    """A wider net than the rules: what it catches and they let go must be named here."""
    secret = ("key", "secret", "pass", "token", "private", "mnemonic", "user", "credential")
    address = ("url", "host", "port", "addr", "endpoint", "gateway", "server")
    environment = ("environment", "testnet", "demo", "network", "paper", "mode", "live", "sandbox")
    known = {
        "api_key_index", "treat_expired_as_canceled", "wallet_address", "account_address",
        "vault_address", "trade_module_address", "proxy_url", "margin_mode",
        "spot_market_data_mode", "dockerized_gateway", "support_gtd_orders",
        "support_contingent_orders", "fee_model", "fill_model", "latency_model",
        "use_hypersync_for_live_data", "use_spot_position_reports", "transport_backend",
        "retail_portfolio_id",
    }  # fmt: skip
    caught = {
        item.name
        for _, item in FIELDS
        if item.role == "setting" and any(w in item.name for w in secret + address + environment)
    }
    assert caught - known == set()


def test_needed_credentials_are_those_of_orders_and_what_a_constructor_asks_for() -> None:
    assert adapters.show("bybit").data.needed == ()
    assert adapters.show("bybit").execution.needed == KEYS
    assert adapters.show("databento").data.needed == ("api_key",)
    assert adapters.show("interactive_brokers").execution.needed == ()


def test_the_environments_name_the_setting_that_chooses_them() -> None:
    assert adapters.show("bybit").data.environments == {
        "live": {"environment": "mainnet"},
        "testnet": {"environment": "testnet"},
        "demo": {"environment": "demo"},
    }
    assert adapters.show("dydx").data.environments["testnet"] == {"network": "testnet"}
    assert adapters.show("architect_ax").execution.environments["testnet"] == {
        "environment": "sandbox"
    }
    assert adapters.show("interactive_brokers").data.environments == {"live": {}}


@pytest.mark.parametrize("name", ["testnet", "is_testnet", "use_testnet"])
def test_a_flag_may_be_the_switch(name: str) -> None:
    kind = Kind("flag")
    switch = Field(name, kind, required=False, nullable=False, role=role(name, kind))
    assert switch.role == "environment"
    assert environments(switch) == {"live": False, "testnet": True}


def test_names_in_small_letters() -> None:
    names = ["USD_M", "Sbe", "PolyProxy", "Poly1271", "VIP0", "L1_MBP"]
    assert [written(name) for name in names] == [
        "usd_m", "sbe", "poly_proxy", "poly1271", "vip0", "l1_mbp",
    ]  # fmt: skip


@each_config
def test_the_stub_tells_what_the_constructor_takes(config: engine.Config) -> None:
    parameters = inspect.signature(config.python).parameters
    assert [item.name for item in config.fields] == list(parameters)
    for item in config.fields:
        assert item.required == (parameters[item.name].default is inspect.Parameter.empty)
        if item.required:
            assert not item.default_known


def test_defaults_are_those_of_an_instance() -> None:
    from nautilus_trader.adapters.bybit import BybitDataClientConfig

    real = BybitDataClientConfig()
    found = {item.name: item for item in adapters.show("bybit").data.fields}
    assert found["recv_window_ms"].default == real.recv_window_ms == 5000
    assert found["product_types"].default == ["linear"]
    assert found["bars_timestamp_on_close"].default is True
    for name in ("api_key", "proxy_url"):  # nothing reads them back
        assert not hasattr(real, name)
        assert not found[name].default_known


def test_almost_every_default_is_known() -> None:
    unknown = {
        item.name
        for _, item in FIELDS
        if not (item.default_known or item.required or item.role == "credential")
    }
    assert unknown == {
        "proxy_url", "dockerized_gateway", "postgres_cache_database_config", "wss_rpc_url",
        "tardis_ws_url", "tardis_http_url", "pool_filters",
    }  # fmt: skip


def test_enums_have_every_member() -> None:
    checked = 0
    for _, item in FIELDS:
        kind = item.kind.items[0] if item.kind.items else item.kind
        if kind.what == "choice":
            members = [n for n, value in vars(kind.python).items() if type(value) is kind.python]
            assert list(kind.members) == members, kind.name
            checked += 1
    assert checked > 50


def enums(config: engine.Config) -> Iterator[tuple[Field, Kind]]:
    for item in config.fields:
        inner = item.kind.items[0] if item.kind.items else item.kind
        if inner.what == "choice":
            yield item, inner


@each_config
def test_a_wrong_name_is_refused_with_the_right_ones(config: engine.Config) -> None:
    for item, inner in enums(config):
        wrong: Any = "no_such_thing"
        wrong = [wrong] if item.kind.what == "list" else wrong
        wrong = {"BTCUSDT": "no_such_thing"} if item.kind.what == "mapping" else wrong
        found = [p for p in engine.problems(config, {item.name: wrong}) if p.path[0] == item.name]
        assert len(found) == 1
        assert found[0].path[0] == item.name
        assert f"Allowed: {', '.join(inner.choices[:30])}" in found[0].message


@each_config
def test_every_choice_is_taken_in_any_spelling(config: engine.Config) -> None:
    for _, inner in enums(config):
        for choice, member in zip(inner.choices, inner.members, strict=True):
            expected = getattr(inner.python, member)
            for text in (choice, choice.upper(), member, choice.replace("_", "-")):
                assert convert(inner, text) == expected


@each_config
def test_every_default_given_again_is_accepted(config: engine.Config) -> None:
    required = {item.name: sample(item.kind) for item in config.fields if item.required}
    defaults = {item.name: item.default for item in config.fields if item.default_known}
    again = make(config.python, config.fields, required | defaults)
    for item in config.fields:
        if item.default_known:
            assert plain(item.kind, getattr(again, item.name)) == item.default
    for item in config.fields:
        if item.default_known:
            make(config.python, config.fields, required | {item.name: item.default})


@each_config
def test_every_field_takes_a_valid_value(config: engine.Config) -> None:
    required = {item.name: sample(item.kind) for item in config.fields if item.required}
    every = dict(required)
    for item in config.fields:
        value = NARROWER.get(f"{config.name}.{item.name}", sample(item.kind))
        if item.kind.what == "any" or value is None:
            continue
        extra = TOGETHER.get(config.name, {}) if item.name in ("us", "default_leverage") else {}
        made = make(config.python, config.fields, required | {item.name: value} | extra)
        every[item.name] = value
        if hasattr(made, item.name) and item.kind.what in ("text", "flag", "whole", "choice"):
            assert (
                plain(item.kind, getattr(made, item.name)) == {item.name: value, **extra}[item.name]
            )
    make(config.python, config.fields, every | TOGETHER.get(config.name, {}))


@pytest.mark.parametrize("what", ["text", "flag", "whole", "number", "decimal", "value", "choice"])
def test_a_value_of_another_type_is_refused(what: str) -> None:
    wrong: dict[str, list[Any]] = {
        "text": [1, True, 1.5, ["a"], {"a": "b"}],
        "flag": [1, 0, "true", "yes", ["true"], {}],
        "whole": [True, "3", 1.5, 3.0, [3], {}],
        "number": [True, "1.5", [1.5], {}],
        "decimal": [True, "a", [1], {}, "NaN", "Infinity"],
        "value": [1, True, ["A-1"], {}, ""],
        "choice": [1, True, ["a"], {}, ""],
    }
    checked = 0
    for config, item in FIELDS:
        if item.kind.what == what:
            for value in wrong[what]:
                found = engine.problems(config, {item.name: value})
                mine = [problem for problem in found if problem.path == (item.name,)]
                assert len(mine) == 1, (config.name, item.name, value, found)
                checked += 1
    assert checked


def test_null_is_for_what_may_be_null() -> None:
    config = adapters.show("binance").data
    assert engine.problems(config, {"max_retries": None}) == ()
    (found,) = engine.problems(config, {"us": None})
    assert found.message == "is true or false, found nothing"


def test_lists_and_mappings_are_checked_inside() -> None:
    bybit = adapters.show("bybit").data
    found = engine.problems(bybit, {"product_types": ["linear", "linaer", 3]})
    assert [problem.path for problem in found] == [("product_types", 1), ("product_types", 2)]
    assert "Did you mean 'linear'?" in found[0].message
    (found_one,) = engine.problems(bybit, {"product_types": "linear"})
    assert found_one.message.startswith("is a list of spot, linear")
    binance = adapters.show("binance").execution
    settings = {
        "account_id": "BINANCE-001",
        "futures_leverages": {"BTCUSDT": "x"},
        "futures_margin_types": {"BTCUSDT": "crossed"},
        "instrument_provider": {"load_all": 1, "load": True},
    }
    assert [problem.path for problem in engine.problems(binance, settings)] == [
        ("futures_leverages", "BTCUSDT"),
        ("futures_margin_types", "BTCUSDT"),
        ("instrument_provider", "load_all"),
        ("instrument_provider", "load"),
    ]


def test_what_the_constructor_refuses_is_placed() -> None:
    binance = adapters.show("binance").data
    (late,) = engine.problems(binance, {"recv_window_ms": 70_000, "us": False})
    assert late.path == ("recv_window_ms",)
    assert "1..=60000" in late.message
    both = engine.problems(binance, {"max_retries": -1, "retry_delay_max_ms": 2**64})
    assert [problem.path for problem in both] == [("max_retries",), ("retry_delay_max_ms",)]
    assert all("out of range" in problem.message for problem in both)
    # Neither is wrong by itself.
    (pair,) = engine.problems(binance, {"retry_delay_initial_ms": 500, "retry_delay_max_ms": 400})
    assert pair.path == ("retry_delay_max_ms",)
    assert "delay_max must be >= delay_initial" in pair.message
    wrong = {"recv_window_ms": 0, "retry_delay_initial_ms": 0}
    (several,) = engine.problems(binance, wrong)
    assert several.path == ()
    assert several.message.startswith("BinanceDataClientConfig refuses the settings: ")
    (alone,) = engine.problems(binance, {"us": True, "spot_market_data_mode": "sbe"})
    assert alone.path == ("us",)


def test_built_configs_hold_what_was_asked_for() -> None:
    made = engine.build(
        "bybit",
        "execution",
        {"product_types": ["linear", "SPOT"], "environment": "testnet", "account_id": "BYBIT-7"},
        {"api_key": "k", "api_secret": "s", "api_passphrase": "of another adapter"},
    )
    assert type(made).__name__ == "BybitExecutionClientConfig"
    assert [str(kind) for kind in made.product_types] == ["Linear", "Spot"]
    assert str(made.environment) == "Testnet"
    assert str(made.account_id) == "BYBIT-7"
    coinbase = engine.build("coinbase", "execution", {"default_leverage": 2.5}, {})
    assert coinbase.default_leverage == Decimal("2.5")


def test_build_names_everything_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        engine.build("kraken", "execution", {"product_type": "spoot", "foo": 1}, {})
    assert sorted(issue.path for issue in caught.value.issues) == [
        "account_id", "foo", "product_type",
    ]  # fmt: skip
    with pytest.raises(InputError, match="api_secret: is missing"):
        engine.build("kraken", "execution", {"account_id": "KRAKEN-1"}, {"api_key": "k"})
    with pytest.raises(InputError, match="tardis has no execution side"):
        engine.build("tardis", "execution", {}, {})


def test_no_message_holds_a_credential() -> None:
    planted = "a\0planted-credential"
    with pytest.raises(InputError) as caught:
        engine.build("bybit", "data", {"api_key": planted}, {})
    assert "planted" not in str(caught.value)
    made = 0
    for adapter in adapters.list_():
        for config in adapter.sides:
            required = {i.name: sample(i.kind) for i in config.fields if i.required}
            keys = {item.name: planted for item in config.credentials}
            settings = {name: v for name, v in required.items() if name not in keys}
            try:
                assert "planted" not in repr(
                    engine.build(adapter.name, config.side, settings, keys)
                )
                made += 1
            except InputError as error:
                assert "planted" not in str(error)
    assert made


def test_credentials_the_constructor_refuses_are_not_shown(monkeypatch) -> None:
    """No constructor of this version refuses one; the next may, and quote it."""
    config = adapters.show("bybit").data

    class Picky:
        def __init__(self, **given: Any) -> None:
            if "api_key" in given:
                raise ValueError(f"bad key {given['api_key']}")

    picky = engine.replace(config, python=Picky)
    monkeypatch.setattr(engine, "adapter", lambda name: engine.Adapter(name, "", picky, None))
    with pytest.raises(InputError, match="refuses these credentials: api_key") as caught:
        engine.build("bybit", "data", {}, {"api_key": "planted"})
    assert "planted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_every_factory_makes_clients_of_its_config() -> None:
    for adapter in adapters.list_():
        for config in adapter.sides:
            made = engine.factory(adapter.name, config.side)
            assert type(made).__name__ == config.factory
            assert made.name() == config.client
    with pytest.raises(InputError, match="sandbox has no data side"):
        engine.factory("sandbox", "data")


def test_samples_are_valid() -> None:
    for config in CONFIGS:
        config.python(**samples(config.fields))


def test_identifiers_that_abort_are_refused() -> None:
    polymarket = adapters.show("polymarket").execution
    assert engine.problems(polymarket, {"account_id": "POLYMARKET-001"}) == ()
    (found,) = engine.problems(polymarket, {"account_id": "0xabc"})
    assert found.message == "is text such as 'VENUE-001', found '0xabc'"
    sandbox = adapters.show("sandbox").execution
    found_two = engine.problems(sandbox, {"venue": "-A", "starting_balances": ["1 USD"]})
    assert [problem.path for problem in found_two] == [("venue",)]


def test_nothing_we_let_through_aborts_the_process(request: pytest.FixtureRequest) -> None:
    rounds = "20000" if request.config.getoption("--drills") else "50"
    hunt = subprocess.run(
        [sys.executable, Path(__file__).with_name("hunt.py"), rounds],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert hunt.stdout == "done\n", hunt.stdout[:2000] + hunt.stderr[-2000:]


def test_an_unknown_type_in_a_stub_is_an_error_not_a_guess() -> None:
    import ast

    bybit = stub("nautilus_trader.adapters.bybit")
    with pytest.raises(TypeError, match="no kind for int"):
        bybit.kind(ast.parse("int | str", mode="eval").body)
    with pytest.raises(Refused):
        convert(Kind("whole"), "1")


def test_list_and_show(workbench) -> None:
    listed = workbench("adapters", "list")
    assert listed.code == 0, listed.err
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == list(CLASSIFIED)
    assert [item["name"] for item in workbench("adapters", "list", "--json").json["adapters"]] == [
        *CLASSIFIED
    ]
    shown = workbench("adapters", "show", "bybit")
    assert shown.code == 0, shown.err
    for text in ("product_types", "[linear]", "{environment: testnet}", "recv_window_ms", "5000"):
        assert text in shown.out
    document = workbench("adapters", "show", "bybit", "--json").json
    assert document == json.loads(json.dumps(adapters.show("bybit").to_dict()))
    wrong = workbench("adapters", "show", "bybt")
    assert wrong.code == 2
    assert "Did you mean 'bybit'?" in wrong.err


def test_check_tells_each_step_and_its_reason(workbench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        arguments = ("adapters", "check", "interactive_brokers", "-p", f"port={port}")
        answer = workbench(*arguments, "--timeout", "10")
    assert answer.code == 1, answer.err
    lines = answer.out.splitlines()
    assert lines[0].startswith("failed   reachable (")
    assert str(port) in lines[0]
    assert lines[-1] == "interactive_brokers (live): does not work"
    for wrong, message in (
        (("interactive_broker",), "Did you mean 'interactive_brokers'?"),
        (("bybit", "-e", "tesnet"), "Did you mean 'testnet'?"),
        (("bybit", "-p", "max_retries=x"), "is a whole number"),
    ):
        answer = workbench("adapters", "check", *wrong, "--json")
        assert answer.code == 2
        assert message in answer.json["error"]
    nothing = workbench("adapters", "check", "sandbox")
    assert nothing.code == 0
    assert nothing.out.splitlines()[-1].endswith("nothing to check")


def rewrite() -> None:
    SNAPSHOT.write_text(snapshot(described()) + "\n")
    text = DOCS.read_text()
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    DOCS.write_text(head + summary() + tail)


if __name__ == "__main__":
    rewrite()
