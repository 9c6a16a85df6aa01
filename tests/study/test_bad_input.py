"""Every kind of mistake in a study: file, line, path and a message that helps."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from workbench.core.errors import Issue, StudyError
from workbench.study import load

Issues = Callable[..., Sequence[Issue]]


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"),
    [
        # misspelt keys
        ("study: full", "stuudy: full", 2, "stuudy", "unknown key 'stuudy'. Did you mean 'study'?"),
        ("fees: {maker: 0,", "fees: {makr: 0,", 21, "venues.0.fees.makr", "Did you mean 'maker'?"),
        ("    path: data", "    pth: data", 12, "data.1.pth", "Did you mean 'path'?"),
        ("{timestamp: time}", "{timestmp: time}", 13, "data.1.columns.timestmp", "'timestamp'?"),
        ("price_precision", "price_prec", 16, "data.1.definition.price_prec", "'price_precision'?"),
        ("max_drawdown", "maxdrawdown", 38, "risk.maxdrawdown", "Did you mean 'max_drawdown'?"),
        ("seed: 7", "sed: 7", 29, "venues.1.fills.sed", "Did you mean 'seed'?"),
        ("{per_order: 1 USD}", "{per_order: 1 USD, x: 1}", 28, "venues.1.fees.x", "per_order"),
        # wrong values
        ("provider: file", "provider: fle", 9, "data.1.provider", "Did you mean 'file'?"),
        ("oms: hedging", "oms: hedgin", 24, "venues.1.oms", "Did you mean 'hedging'?"),
        ("schema: 1", "schema: 2", 1, "schema", "reads schema 1, found 2"),
        ("schema: 1", "schema: true", 1, "schema", "reads schema 1, found true"),
        ("seed: 7", "seed: many", 29, "venues.1.fills.seed", "is a whole number, found 'many'"),
        ("seed: 7", "seed: true", 29, "venues.1.fills.seed", "is a whole number, found true"),
        ("seed: 7", "seed: -1", 29, "venues.1.fills.seed", "is at least 0, found -1"),
        ("_probability: 0.5", "_probability: 2", 29, "venues.1.fills.slippage_probability",
         "is at most 1, found 2"),
        ("price_precision: 5", "price_precision: 5.5", 16, "data.1.definition.price_precision",
         "is a whole number, found 5.5"),
        ("timezone: Europe/London", "timezone: 5", 14, "data.1.timezone", "is text"),
        ("columns: {timestamp: time}", "columns: time", 13, "data.1.columns",
         "is a group of keys, found 'time'"),
        ("[sort, drop_duplicates]", "sort", 15, "data.1.clean", "is a list, found 'sort'"),
        ("[sort, drop_duplicates]", "[sort, drop]", 15, "data.1.clean.1", "found 'drop'"),
        ("    fees: {maker: 0, taker: 0.0001}", "    fees: 0.1", 21, "venues.0.fees", "is one of"),
        ("taker: 0.0001", "taker: 7", 21, "venues.0.fees.taker", "must be at most 1, found 7"),
        ("taker: 0.0001", "taker: .nan", 21, "venues.0.fees.taker", "finite"),
        ("taker: 0.0001", "taker: x", 21, "venues.0.fees.taker", "is a number, found 'x'"),
        ("data/gbpusd.csv", '"a\\0b"', 12, "data.1.path", "NUL"),
        ("data/gbpusd.csv", '"a\\tb"', 12, "data.1.path", "control character"),
        ("data/gbpusd.csv", "''", 12, "data.1.path", "has at least 1 characters"),
        ("fast: 10", "fast: .inf", 34, "strategy.params.fast", "must be a finite number"),
        ("fast: 10", f"fast: {2**70}", 34, "strategy.params.fast", "more than 64 bits"),
        ("fast: 10", f"fast: {'9' * 5000}", 34, "strategy.params.fast", "is not valid as int"),
        ("fast: 10", '"f\\0": 1', 34, "strategy.params", "keys are text"),
        ("fast: 10", "10: 1", 34, "strategy.params", "keys are text, found '10'; write it in qu"),
        ("fast: 10", "[1]: 1", 34, "strategy.params", "keys are text, found a list or group"),
        ("fast: 10", "fast: !!python/name os", 34, "strategy.params.fast", "not valid"),
        ("fast: 10", "fast: !mine {}", 34, "strategy.params.fast", "the tag '!mine' means nothing"),
        ("fast: 10", "fast: !!int abc", 34, "strategy.params.fast", "'abc' is not valid as int"),
        ('fast: 10', 'fast: "\\ud800"', 34, "strategy.params.fast", "surrogate"),
        ("workbench.strategies.ema_cross:EMACross", "EMACross", 32, "strategy.path",
         "'package.module:Class' or 'strategies/file.py:Class'"),
        ("config: EMACrossConfig", "config: a.b", 33, "strategy.config", "a class is a name"),
        # identifiers, money, times
        ("name: XNAS", "name: xnas", 18, "venues.0.name", "a venue is capital letters"),
        ("study: full", "study: ../x", 2, "study", "a name is lower-case letters"),
        ("study: full", "study: full\ntrader: nodash", 3, "trader", "a trader id is NAME-TAG"),
        ("instrument: AAPL.XNAS", "instrument: AAPL", 5, "data.0.instrument", "is SYMBOL.VENUE"),
        ("instrument: AAPL.XNAS", "instrument: ..XNAS", 5, "data.0.instrument", "is SYMBOL.VENUE"),
        ("instrument: AAPL.XNAS", "instrument: ../../A.XNAS", 5, "data.0.instrument", "is SYMBOL."),
        ("instrument: AAPL.XNAS", "instrument: .A.XNAS", 5, "data.0.instrument", "is SYMBOL.VENUE"),
        ("instrument: AAPL.XNAS", 'instrument: "A\\tB.XNAS"', 5, "data.0.instrument", "is SYMBOL"),
        ("instrument: AAPL.XNAS", f"instrument: {'A' * 200}.XNAS", 5, "data.0.instrument", "most"),
        ("1-DAY-LAST", "1-DYA-LAST", 6, "data.0.bars", "unknown bar unit 'DYA' in '1-DYA-LAST'"),
        ("1-DAY-LAST", "1-DAY-LSAT", 6, "data.0.bars", "Did you mean 'LAST'?"),
        ("1-DAY-LAST", "7-MINUTE-LAST", 6, "data.0.bars", "no bars of 7 MINUTE exist. Steps"),
        ("1-DAY-LAST", "0-DAY-LAST", 6, "data.0.bars", "the step in '0-DAY-LAST' is 1 to 365"),
        ("1-DAY-LAST", "daily", 6, "data.0.bars", "STEP-UNIT-PRICE, such as 1-DAY-LAST; found"),
        ("[1_000_000 USD]", "[1_000_000 USF]", 20, "venues.0.balances.0", "unknown currency 'USF'"),
        ("[1_000_000 USD]", "[1_000_000]", 20, "venues.0.balances.0", "money is an amount and a"),
        ("[1_000_000 USD]", "[1.001 USD]", 20, "venues.0.balances.0", "USD has 2 decimals"),
        ("[1_000_000 USD]", "[-1 USD]", 20, "venues.0.balances.0", "must not be negative"),
        ("[1_000_000 USD]", "[1e400 USD]", 20, "venues.0.balances.0", "at most 17014118346045"),
        ("[1_000_000 USD]", "[1e-400 USD]", 20, "venues.0.balances.0", "at most 16 decimals"),
        ("currency: USD, base: GBP", "currency: USS, base: GBP", 16, "data.1.definition.currency",
         "unknown currency 'USS'. Did you mean '"),
        ("2005-01-01\n", "2005-13-01\n", 7, "data.0.start", "no such day or time: '2005-13-01'"),
        ("2005-01-01\n", "2005\n", 7, "data.0.start", "a date or a time, such as 2024-01-31 or"),
        ("2005-01-01\n", "1969-01-01\n", 7, "data.0.start", "dates run from 1970-01-01 to 2261-12"),
        ("2005-01-01\n", "0001-01-01T00:00:00+14:00\n", 7, "data.0.start", "no such day or time"),
        ("base: 5ms", "base: 5 parsecs", 30, "venues.1.latency.base", "a duration is a number"),
        ("base: 5ms", "base: 99999d", 30, "venues.1.latency.base", "at most 3650d"),
        ("max_orders: 100/1s", "max_orders: 100/s", 36, "risk.max_orders", "a rate is COUNT/DURA"),
        ("max_orders: 100/1s", "max_orders: 100/1ms", 36, "risk.max_orders", "whole seconds, 1s"),
        ("max_orders: 100/1s", "max_orders: 0/1s", 36, "risk.max_orders", "is 1 to 1000000"),
        ("max_drawdown: 10%", "max_drawdown: 0.1", 38, "risk.max_drawdown", "written in percent"),
        ("max_drawdown: 10%", "max_drawdown: 110%", 38, "risk.max_drawdown", "at most 100%"),
        ("on_breach: [alert, flatten]", "on_breach: []", 39, "risk.on_breach", "at least one"),
        # contradictions
        ("end: 2013-03-01", "end: 2004-03-01", 8, "data.0.end",
         "the data ends at 2004-03-01, before it starts at 2005-01-01"),
        ("name: SIM", "name: XNAS", 22, "venues.1.name", "venue 'XNAS' is already venues.0"),
        ("name: XNAS", "name: XNSA", 5, "data.0.instrument",
         "'AAPL.XNAS' trades at 'XNAS', which is not among the venues. Did you mean 'XNSA'?"),
        ("100_000 USD, 5 BTC", "100_000 USD, 5 USD", 25, "venues.1.balances.1", "two bala"),
        ("    leverage: 20", "    base_currency: USD", 26, "venues.1.base_currency", "one bal"),
        ("account: cash", "account: cash\n    leverage: 2", 20, "venues.0.leverage", "no leverage"),
        ("account: margin", "account: margin\n    allow_cash_borrowing: true", 24,
         "venues.1.allow_cash_borrowing", "is for cash accounts"),
        ("{GBP/USD.SIM: 30}", "{GBP/USF.SIM: 30}", 27, "venues.1.leverages.GBP/USF.SIM",
         "'GBP/USF.SIM' is not in the data. Did you mean 'GBP/USD.SIM'?"),
        ("{GBP/USD.SIM: 30}", "{AAPL.XNAS: 30}", 27, "venues.1.leverages.AAPL.XNAS",
         "'AAPL.XNAS' does not trade at 'SIM'"),
        ("{AAPL.XNAS: 2_000}", "{APPL.XNAS: 2_000}", 37, "risk.max_position.APPL.XNAS",
         "'APPL.XNAS' is not in the data. Did you mean 'AAPL.XNAS'?"),
        ("{AAPL.XNAS: 2_000}", "{AAPL: 2_000}", 37, "risk.max_position.AAPL", "is SYMBOL.VENUE"),
        ("    ticks: quotes\n", "    ticks: quotes\n    bars: 1-DAY-BID\n", 9, "data.1", "one of"),
        ("timezone: Europe/London", "timezone: Europe/Lodnon", 14, "data.1.timezone", "unknown"),
        ("timezone: Europe/London", "timezone: ../../etc", 14, "data.1.timezone", "unknown"),
        ("base: GBP,", "", 16, "data.1.definition.base", "is missing: a currency_pair has one"),
        ("base: GBP,", "base: USD,", 16, "data.1.definition.base", "are the same"),
        ("type: currency_pair", "type: future", 16, "data.1.definition.expires", "is missing: a f"),
        ("price_precision: 5", "price_precision: 1, price_increment: 0.25", 16,
         "data.1.definition.price_increment", "0.25 does not fit 1 decimals"),
    ],
)  # fmt: skip
def test_a_wrong_value(
    issues: Issues, full: str, old: str, new: str, line: int, path: str, message: str
) -> None:
    text = full.replace(old, new, 1)
    assert text != full
    found = issues(text)
    assert any(
        (issue.file, issue.line, issue.path) == ("a.yaml", line, path) and message in issue.message
        for issue in found
    ), [str(issue) for issue in found]


@pytest.mark.parametrize(
    ("removed", "line", "path"),
    [
        ("schema: 1\n", None, "schema"),
        ("study: full\n", None, "study"),
        ("  - provider: sample\n    instrument", 4, "data.0.provider"),
        ("    instrument: GBP/USD.SIM\n", 9, "data.1.instrument"),
        ("    account: cash\n", 18, "venues.0.account"),
        ("    fees: {per_order: 1 USD}\n", 22, "venues.1.fees"),
        (", taker: 0.0001", 21, "venues.0.fees.taker"),
        ("  path: workbench.strategies.ema_cross:EMACross\n", 31, "strategy.path"),
        ("adapter: replay, ", None, "live.feeds.0.adapter"),
    ],
)
def test_a_missing_key(
    issues: Issues, full: str, removed: str, line: int | None, path: str
) -> None:
    text = full.replace(removed, "  - instrument" if "instrument" in removed[:40] and
                        removed.startswith("  -") else "", 1)  # fmt: skip
    assert text != full
    found = [issue for issue in issues(text) if issue.message.startswith("is missing")]
    assert [issue.path for issue in found] == [path]
    assert found[0].file == "a.yaml"
    if line is not None:
        assert found[0].line == line


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("", 1, "", "is empty: a study begins with 'schema: 1'"),
        ("# only a comment\n", 1, "", "is empty"),
        ("- a\n- b\n", 1, "", "holds a list, a study is a group of keys"),
        ("\nschema", 2, "", "holds a single value"),
        ("schema: 1\nstudy: a\nschema: 1\n", 3, "schema", "stands twice, first on line 1"),
        ("schema: 1\nstudy:\n\t- a\n", 3, "", "indent with spaces, found a tab"),
        ("schema: 1\nstudy: [a\n", 3, "", "is not valid YAML: expected ',' or ']'"),
        ("schema: 1\nstudy: *nope\n", 2, "", "found undefined alias 'nope'"),
        ("schema: 1\n---\nschema: 1\n", 2, "", "is not valid YAML: expected a single document"),
        (b"schema: 1\nstudy: \xff\xfe\n", 2, "", "is not UTF-8 text"),
        (b"schema: 1\nstudy: \x00\n", 2, "", "is not valid YAML: unacceptable character"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 1, "", "is not UTF-8 text"),
        ("schema: 1\nx: " + "[" * 60 + "]" * 60, 2, "", "nested more than 40 levels deep"),
        ("schema: 1\nx: " + "[" * 100_000, 2, "", "nested more than 40 levels deep"),
        ("schema: 1\nx: " + "{a: " * 30_000, 2, "", "nested more than 40 levels deep"),
        ("schema: 1\nx: &x [*x]\n", 2, "x.0.0.0", "is too large: at most 20000 values, 40 levels"),
        ("schema: 1\nx: &x {<<: *x, a: 1}\n", 2, "x.<<.<<.<<", "is too large"),
        ("schema: 1\n<<: 5\n", 2, "", "'<<' merges groups of keys"),
        ("#" * 300_000, None, "", "is too large: a study has at most 256000 bytes"),
    ],
)
def test_a_broken_file(
    issues: Issues, text: str | bytes, line: int | None, path: str, message: str
) -> None:
    found = issues(text)[0]
    assert (found.file, found.line, found.path) == ("a.yaml", line, path), str(found)
    assert message in found.message


@pytest.mark.parametrize("kind", ["list", "merge"])
@pytest.mark.timeout(20)
def test_a_billion_laughs(issues: Issues, kind: str) -> None:
    lines = ["a0: &a0 {x: lol}"]
    for level in range(1, 12):
        nine = ", ".join([f"*a{level - 1}"] * 9)
        body = f"[{nine}]" if kind == "list" else f"{{<<: [{nine}]}}"
        lines.append(f"a{level}: &a{level} {body}")
    (found,) = issues("\n".join(lines))
    assert "is too large: at most 20000 values" in found.message
    assert found.file == "a.yaml" and found.line


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"schema": 1,\n "study": "a",\n}', 3, "is not valid JSON: "),
        ('{"schema": 1,\n study: "a"}', 2, "is not valid JSON: expecting property name"),
        ("schema: 1\n", 1, "is not valid JSON: expecting value"),
        ('{"schema": 1, // version\n "study": "a"}', 1, "is not valid JSON"),
        ('{"schema": 1,\n "schema": 1}', 2, "the key 'schema' stands twice"),
        ("[" * 100_000, 1, "nested more than 40 levels deep"),
    ],
)
def test_broken_json(issues: Issues, text: str, line: int, message: str) -> None:
    found = issues(text, suffix="json")[0]
    assert (found.file, found.line) == ("a.json", line)
    assert message in found.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "none.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        ("nul\0.yaml", "cannot be read: embedded null byte"),
        ("/dev/zero", "not a file but a pipe or device"),
    ]:
        with pytest.raises(StudyError) as caught:
            load(path)
        (issue,) = caught.value.issues
        assert issue.file == str(path)
        assert reason in issue.message
    with pytest.raises(StudyError, match="name a study file"):
        load()


def test_every_mistake_is_told_at_once(issues: Issues, full: str) -> None:
    text = full.replace("XNAS\n    account", "xnas\n    account").replace("5 BTC", "5 BTX")
    text = text.replace("max_drawdown: 10%", "max_drawdown: 0%").replace("[sort,", "[srt,")
    found = issues(text)
    assert [issue.path for issue in found] == [
        "data.1.clean.0",
        "venues.0.name",
        "venues.1.balances.1",
        "risk.max_drawdown",
    ]


def test_a_list_with_a_wrong_item_is_not_called_empty(issues: Issues, full: str) -> None:
    start = full.index("  - name: SIM")
    one_venue = full[:start] + full[full.index("strategy:") :]
    found = issues(one_venue.replace("account: cash", "account: csh"))
    assert [issue.path for issue in found] == ["venues.0.account"]
    found = issues(full.replace("balances: [1_000_000 USD]", "balances: []"))
    assert [(issue.path, issue.message) for issue in found] == [
        ("venues.0.balances", "needs at least one entry")
    ]


@pytest.mark.parametrize(
    "setting",
    [
        "api_key: hunter2",
        "apiKey: hunter2",
        "API_SECRET: hunter2",
        "passphrase: hunter2",
        "private_key: hunter2",
        "bot_token: hunter2",
        "password: 12345",
        "secret: hunter2",
        "api_key_id: hunter2",
        "credentials: {user: hunter2}",
        "more: {nested: [{access_token: hunter2}]}",
        "url: 'redis://user:hunter2@localhost'",
    ],
)
@pytest.mark.parametrize("section", ["replay", "sandbox"])
def test_credentials_are_refused(issues: Issues, full: str, setting: str, section: str) -> None:
    (found,) = issues(full.replace(f"adapter: {section}", f"adapter: {section}, {setting}"))
    assert found.path.startswith("live.feeds.0." if section == "replay" else "live.execution.0.")
    assert found.line == (46 if section == "replay" else 47)
    assert "credentials never stand in a study; they come from the keyring" in found.message
    assert "hunter2" not in str(found) and "12345" not in str(found)


@pytest.mark.parametrize("setting", ["use_token: true", "api_key: null", "key_rate: 5", "keys: 3"])
def test_settings_that_only_sound_like_credentials(
    loads: Callable[..., object], full: str, setting: str
) -> None:
    loads(full.replace("adapter: replay", f"adapter: replay, {setting}"))


def test_what_stands_in_a_misplaced_group_is_not_shown(issues: Issues, full: str) -> None:
    text = full.replace("execution: [{adapter: sandbox}]", "execution: {a: x, api_key: hunter2}")
    (found,) = issues(text)
    assert found.message == "is a list, found a group of keys (a, api_key)"
