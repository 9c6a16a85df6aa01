"""The adapters of a study's live section, checked against their real configs."""

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from workbench import adapters
from workbench.adapters.settings import check_study, clients, missing_credentials
from workbench.core.errors import Issue, StudyError
from workbench.engine import adapters as engine
from workbench.engine.settings import sample
from workbench.engine.stubs import Field
from workbench.study import Live, Study, load

# Line numbers are part of the tests: the live section begins on line 16.
BASE = """\
schema: 1
study: live
data:
  - provider: sample
    instrument: AAPL.XNAS
    bars: 1-DAY-LAST
venues:
  - name: XNAS
    account: margin
    balances: [1_000_000 USD]
    fees: {maker: 0, taker: 0.0001}
strategy:
  path: workbench.strategies.ema_cross:EMACross
  params: {fast: 10, slow: 50, trade_size: 1_000}
live:
"""
REPLAY, SANDBOX = "{adapter: replay, speed: 600}", "{adapter: sandbox}"


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Study]:
    """Load a study with this live section."""
    monkeypatch.chdir(tmp_path)

    def call(environment: str, feeds: list[str], execution: list[str]) -> Study:
        text = BASE + f"  environment: {environment}\n  feeds:\n"
        text += "".join(f"    - {feed}\n" for feed in feeds)
        text += "  execution:\n" + "".join(f"    - {entry}\n" for entry in execution)
        Path("study.yaml").write_text(text)
        return load("study.yaml")

    return call


def told(issues: list[Issue]) -> list[tuple[str, str]]:
    return [(issue.path, issue.message) for issue in issues]


def test_the_example_of_the_issue_is_valid(live) -> None:
    study = live(
        "testnet",
        ["{adapter: bybit, product_types: [linear], testnet: true}"],
        ["{adapter: bybit, product_types: [linear], account_id: BYBIT-001}"],
    )
    assert check_study(study) == []
    feed, execution = clients(study)
    assert (feed.adapter, feed.section, feed.index) == ("bybit", "feeds", 0)
    assert feed.environment == execution.environment == "testnet"
    assert feed.settings == {"environment": "testnet", "product_types": ["linear"]}
    made = engine.build("bybit", "execution", execution.settings, {"api_key": "k"})
    assert str(made.environment) == "Testnet"


def test_the_example_of_the_docs_is_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
    (example,) = re.findall(r"```yaml\n(live:\n.*?)```", text, re.DOTALL)
    (tmp_path / "study.yaml").write_text(BASE.replace("live:\n", "") + example)
    study = load(tmp_path / "study.yaml")
    assert check_study(study) == []
    assert len(clients(study)) == 2


def test_a_study_without_a_live_section_has_no_adapters(live) -> None:
    study = live("sandbox", [REPLAY], [SANDBOX])
    without = load("study.yaml", params={"live": None})
    assert check_study(without) == clients(without) == missing_credentials(without) == []
    assert check_study(study) == clients(study) == missing_credentials(study) == []


@pytest.mark.parametrize(
    ("entry", "path", "message"),
    [
        ("{adapter: bybt}", "adapter", "unknown adapter 'bybt'. Did you mean 'bybit'? Allowed: "),
        ("{adapter: sandbox}", "adapter", "'sandbox' has no data side. Allowed: architect_ax, "),
        ("{adapter: bybit, foo: 1}", "foo", "unknown setting 'foo'. Allowed: product_types, "),
        (
            "{adapter: bybit, max_retry: 1}",
            "max_retry",
            "unknown setting 'max_retry'. Did you mean 'max_retries'? Allowed: ",
        ),
        (
            "{adapter: bybit, product_types: [linaer]}",
            "product_types.0",
            "found 'linaer'. Did you mean 'linear'? Allowed: spot, linear, inverse, option",
        ),
        (
            "{adapter: bybit, product_types: linear}",
            "product_types",
            "is a list of spot, linear, inverse, option, found 'linear'",
        ),
        (
            "{adapter: binance, product_type: [spot]}",
            "product_type",
            "found a list of 1. Allowed: spot, margin, usd_m, coin_m, options",
        ),
        ("{adapter: bybit, max_retries: true}", "max_retries", "is a whole number, found true"),
        ("{adapter: bybit, max_retries: '3'}", "max_retries", "is a whole number, found '3'"),
        ("{adapter: bybit, max_retries: -1}", "max_retries", "is out of range, found -1"),
        (
            "{adapter: bybit, bars_timestamp_on_close: 1}",
            "bars_timestamp_on_close",
            "is true or false, found 1",
        ),
        (
            "{adapter: binance, recv_window_ms: 99999}",
            "recv_window_ms",
            "is refused: recv_window_ms must be in the inclusive range 1..=60000, was 99999",
        ),
        ("{adapter: bybit, environment: tesnet}", "environment", "found 'tesnet'. Did you mean"),
        ("{adapter: kraken, testnet: true}", "testnet", "kraken has no testnet. Allowed: live"),
        ("{adapter: databento, demo: true}", "demo", "databento has no demo. Allowed: live"),
        ("{adapter: bybit, testnet: 'yes'}", "testnet", "is true or false, found 'yes'"),
        ("{adapter: bybit, testnet: true, demo: true}", "demo", "is true, and so is 'testnet'"),
        (
            "{adapter: bybit, testnet: true, environment: mainnet}",
            "environment",
            "is live, but 'testnet' says testnet",
        ),
        (
            "{adapter: bybit, base_url_http: 'http://127.0.0.1'}",
            "base_url_http",
            ("addresses never stand in a study, which could send the keys elsewhere: set "
            "WORKBENCH_URL_BYBIT in the environment"),
        ),
        (
            "{adapter: betfair, username: planted}",
            "username",
            ("credentials never stand in a study: remove it from here and store it with: "
            "workbench secrets set betfair username --environment live"),
        ),
        (
            "{adapter: databento}",
            "publishers_filepath",
            "is missing: a path",
        ),
        (
            "{adapter: interactive_brokers, dockerized_gateway: {trading_mode: papr}}",
            "dockerized_gateway.trading_mode",
            "found 'papr'. Did you mean 'paper'? Allowed: paper, live",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_where_it_stands(live, entry: str, path: str, message: str) -> None:
    issues = check_study(live("sandbox", [REPLAY, entry], [SANDBOX]))
    mine = [issue for issue in issues if issue.path == f"live.feeds.1.{path}"]
    assert len(mine) == 1, issues
    assert mine[0].message.startswith(message)
    assert (mine[0].file, mine[0].line) == ("study.yaml", 19)
    assert "planted" not in str(issues)


def test_every_mistake_is_told_at_once(live) -> None:
    study = live(
        "testnet",
        ["{adapter: bybit, product_types: [linaer, 3], max_retries: x, foo: 1}"],
        ["{adapter: binance, product_type: usdm, futures_leverages: {BTCUSDT: x}}"],
    )
    assert [issue.path for issue in check_study(study)] == [
        "live.feeds.0.foo",
        "live.feeds.0.product_types.0",
        "live.feeds.0.product_types.1",
        "live.feeds.0.max_retries",
        "live.execution.0.futures_leverages.BTCUSDT",
        "live.execution.0.account_id",
    ]
    assert [issue.line for issue in check_study(study)] == [18, 18, 18, 18, 20, 20]
    with pytest.raises(StudyError) as caught:
        clients(study)
    assert len(caught.value.issues) == 6


@pytest.mark.parametrize(
    ("environment", "feed", "execution", "paths"),
    [
        ("sandbox", "{adapter: bybit}", SANDBOX, []),
        ("sandbox", "{adapter: bybit, testnet: true}", SANDBOX, []),
        ("sandbox", REPLAY, "{adapter: bybit}", ["execution.0.adapter"]),
        ("practice", "{adapter: bybit}", "{adapter: bybit}", []),
        ("practice", REPLAY, "{adapter: bybit}", []),
        ("testnet", "{adapter: bybit}", "{adapter: bybit}", []),
        ("testnet", "{adapter: bybit, demo: true}", "{adapter: bybit, demo: true}", []),
        ("testnet", "{adapter: bybit, environment: mainnet}", SANDBOX, ["feeds.0.environment"]),
        ("testnet", "{adapter: bybit, testnet: false}", SANDBOX, ["feeds.0.testnet"]),
        ("testnet", "{adapter: interactive_brokers}", SANDBOX, []),
        ("testnet", "{adapter: bybit}", "{adapter: betfair}", ["execution.0.adapter"]),
        ("testnet", REPLAY, "{adapter: bybit}", ["feeds.0.adapter"]),
        ("live", REPLAY, "{adapter: bybit}", ["feeds.0.adapter"]),
        ("live", "{adapter: bybit}", "{adapter: bybit}", []),
        ("live", "{adapter: bybit, testnet: false}", "{adapter: bybit}", []),
        ("live", "{adapter: bybit}", "{adapter: bybit, testnet: true}", ["execution.0.testnet"]),
        ("live", "{adapter: bybit, demo: true}", "{adapter: bybit}", ["feeds.0.demo"]),
        ("live", "{adapter: bybit}", "{adapter: interactive_brokers}", []),
        (
            "testnet",
            "{adapter: bybit}",
            "{adapter: bybit, environment: live}",  # not one of its names
            ["execution.0.environment"],
        ),
    ],
)
def test_the_environment_of_the_study_rules(
    live, environment: str, feed: str, execution: str, paths: list[str]
) -> None:
    issues = check_study(live(environment, [feed], [execution]))
    assert [issue.path for issue in issues] == [f"live.{path}" for path in paths], issues


def test_a_testnet_study_never_reaches_a_live_venue(live) -> None:
    """Whatever an entry says: either it is refused or its config is for testnet or demo."""
    base = live("testnet", ["{adapter: tardis}"], [SANDBOX])
    built = 0
    for name, config, switch in _switches():
        values = [*switch.kind.choices, *map(str.upper, switch.kind.choices), "x", None, 3, "-"]
        for value, testnet, demo in product(values, [True, False, None, "-"], [True, False, "-"]):
            given = {switch.name: value, "testnet": testnet, "demo": demo}
            entry = {"adapter": name} | _samples(config)
            entry |= {key: item for key, item in given.items() if item != "-"}
            sections = {"feeds": [{"adapter": "tardis"}], "execution": [{"adapter": "sandbox"}]}
            section = "feeds" if config.side == "data" else "execution"
            sections[section] = [entry]
            section_of = Live.model_validate({"environment": "testnet", **sections})
            study = base.model_copy(update={"live": section_of})
            if check_study(study):
                continue
            (client,) = [client for client in clients(study) if client.section == section]
            keys = {item.name: "k" for item in config.credentials}
            made = engine.build(name, config.side, client.settings, keys)
            chosen = str(getattr(made, switch.name)).lower()
            assert not any(word in chosen for word in ("live", "main", "production")), entry
            assert client.environment in ("testnet", "demo")
            built += 1
    assert built > 100


def _switches() -> Iterator[tuple[str, engine.Config, Field]]:
    for adapter in adapters.list_():
        for config in adapter.sides:
            for item in config.fields:
                if item.role == "environment":
                    yield adapter.name, config, item


def _samples(config: engine.Config) -> dict[str, Any]:
    needed = [item for item in config.fields if item.required and item.role != "credential"]
    return {item.name: sample(item.kind) for item in needed}


def test_no_credential_and_no_address_it_goes_to_is_taken_from_a_study(live) -> None:
    base, tried = live("sandbox", [REPLAY], [SANDBOX]), 0
    for adapter in adapters.list_():
        for item in adapter.data.fields if adapter.data and adapter.credentials else ():
            if item.role in ("credential", "address") and adapter.data.credentials:
                value = 7 if item.kind.what == "whole" else "planted"
                entry = {"adapter": adapter.name, item.name: value} | _samples(adapter.data)
                feeds, execution = [entry], [{"adapter": "sandbox"}]
                section = {"environment": "live", "feeds": feeds, "execution": execution}
                study = base.model_copy(update={"live": Live.model_validate(section)})
                (issue,) = check_study(study)
                assert issue.path == f"live.feeds.0.{item.name}"
                assert "never stand in a study" in issue.message
                assert "planted" not in issue.message
                tried += 1
    assert tried > 50


def test_a_live_study_is_live_even_where_the_default_is_not(live) -> None:
    default = {item.name: item.default for item in adapters.show("architect_ax").execution.fields}
    assert default["environment"] == "sandbox"
    study = live("live", ["{adapter: architect_ax}"], ["{adapter: architect_ax}"])
    for client in clients(study):
        assert client.environment == "live"
        assert client.settings == {"environment": "production"}


def test_addresses_may_be_set_where_no_key_is_sent(live) -> None:
    gateway = "{adapter: interactive_brokers, host: 10.0.0.5, port: 4001, client_id: 7}"
    assert check_study(live("live", [gateway], [gateway])) == []


def test_what_the_workbench_has_itself_stays_valid(live) -> None:
    study = live(
        "sandbox",
        ["{adapter: replay, speed: 600, options: {loop: false}}"],
        ["{adapter: sandbox, bar_execution: true}"],
    )
    assert check_study(study) == []
    study = live("sandbox", [REPLAY], ["{adapter: sandbox, bar_executon: true, oms_type: nett}"])
    assert [issue.path for issue in check_study(study)] == [
        "live.execution.0.bar_executon",
        "live.execution.0.oms_type",
    ]


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set credentials as continuous integration does; nothing else is stored."""
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "secrets.json"))

    def call(adapter: str, environment: str, *fields: str) -> None:
        for field in fields:
            monkeypatch.setenv(f"WORKBENCH_SECRET_{adapter}_{environment}_{field}".upper(), "value")

    return call


def test_missing_credentials_are_named_with_the_command_that_sets_them(live, secrets) -> None:
    study = live("testnet", ["{adapter: bybit}"], ["{adapter: bybit}"])
    (issue,) = missing_credentials(study)
    assert issue.path == "live.execution.0.adapter"
    assert (issue.file, issue.line) == ("study.yaml", 20)
    for text in ("api_key", "api_secret", "bybit", "testnet", "workbench secrets set bybit"):
        assert text in issue.message
    secrets("bybit", "live", "api_key", "api_secret")
    assert missing_credentials(study) == [issue], "a live key is none for the testnet"
    secrets("bybit", "testnet", "api_key")
    (issue,) = missing_credentials(study)
    assert "api_secret" in issue.message
    assert "no api_key" not in issue.message
    secrets("bybit", "testnet", "api_secret")
    assert missing_credentials(study) == []


def test_market_data_needs_only_what_its_config_asks_for(live, secrets) -> None:
    free = live("sandbox", ["{adapter: bybit}", "{adapter: tardis}"], [SANDBOX])
    assert missing_credentials(free) == []
    paid = live("sandbox", ["{adapter: databento, publishers_filepath: p.json}"], [SANDBOX])
    (issue,) = missing_credentials(paid)
    assert issue.path == "live.feeds.0.adapter"
    assert "databento" in issue.message
    gateway = "{adapter: interactive_brokers}"
    assert missing_credentials(live("live", [gateway], [gateway])) == []
    assert missing_credentials(live("practice", ["{adapter: bybit}"], ["{adapter: bybit}"])) == []
    with pytest.raises(StudyError):
        missing_credentials(live("sandbox", ["{adapter: bybt}"], [SANDBOX]))


def test_config_check_reports_adapters(workbench, project) -> None:
    text = (project.root / "studies" / "ema-cross.yaml").read_text()
    line = len(text.splitlines()) + 3
    text += "live:\n  environment: sandbox\n  feeds: [{adapter: bybit, foo: 1}]\n"
    text += "  execution: [{adapter: sandbox}]\n"
    (project.root / "studies" / "live.yaml").write_text(text)
    answer = workbench("config", "check", "studies/live.yaml", "--json")
    assert answer.code == 2
    (error,) = answer.json["errors"]
    assert error["path"] == "live.feeds.0.foo"
    assert (error["file"], error["line"]) == ("studies/live.yaml", line)
    fixed = workbench("config", "check", "studies/live.yaml", "-p", "live.feeds.0.foo=null")
    assert fixed.code == 2
    good = text.replace(", foo: 1", ", product_types: [spot]")
    (project.root / "studies" / "live.yaml").write_text(good)
    assert workbench("config", "check", "studies/live.yaml").code == 0
