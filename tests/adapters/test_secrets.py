"""Secrets are kept, bound to their environment, and never shown."""

import copy
import dataclasses
import json
import logging
import os
import pickle
import pty
import shutil
import subprocess
import sys
import traceback
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend

from workbench.adapters import secrets, vault
from workbench.adapters.secrets import Secret, redact, redacting
from workbench.core.errors import DataError, InputError, WorkbenchError

KEY = "pK+7/planted=Key&0123456789"
PASSPHRASE = "correct horse battery"


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """Keep secrets in an encrypted file of this test."""
    path = tmp_path / "config" / "secrets.json"
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(path))
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", PASSPHRASE)
    monkeypatch.setattr(vault, "_COST", {"n": 2**12, "r": 8, "p": 1})
    return path


def plain(adapter: str, environment: str) -> dict[str, str]:
    return {name: value.reveal() for name, value in secrets.get(adapter, environment).items()}


def test_a_secret_is_kept_encrypted_and_found_again(file) -> None:
    entry = secrets.set_("bybit", "testnet", "api_key", KEY)
    assert entry == secrets.Entry("bybit", "testnet", "api_key", f"encrypted file {file}")
    secrets.set_fields("okx", "demo", {"api_key": "a-1", "api_passphrase": "b c"})
    assert plain("bybit", "testnet") == {"api_key": KEY}
    assert plain("okx", "demo") == {"api_key": "a-1", "api_passphrase": "b c"}
    assert [e.field for e in secrets.list_()] == ["api_key", "api_key", "api_passphrase"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    content = file.read_text()
    assert not {word for word in (KEY, "bybit", "api_key", PASSPHRASE) if word in content}
    secrets.set_("bybit", "testnet", "api_key", "another")
    assert plain("bybit", "testnet") == {"api_key": "another"}
    assert [e.environment for e in secrets.remove("bybit", "testnet")] == ["testnet"]
    assert secrets.get("bybit", "testnet") == {}
    assert plain("okx", "demo")["api_key"] == "a-1"


def test_the_default_parameters_are_strong_and_the_file_says_them(file, monkeypatch) -> None:
    monkeypatch.undo()
    path = file.with_name("default.json")
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", PASSPHRASE)
    vault.EncryptedFile(path).write({})
    kdf = json.loads(path.read_text())["kdf"]
    assert (kdf["name"], kdf["n"], kdf["r"], kdf["p"]) == ("scrypt", 2**17, 8, 1)


def test_an_environment_never_sees_the_keys_of_another(file) -> None:
    secrets.set_("bybit", "live", "api_key", KEY)
    assert secrets.get("bybit", "testnet") == {}
    assert secrets.get("bybit", "demo") == {}
    with pytest.raises(InputError) as caught:
        secrets.require("bybit", "testnet", ["api_key"])
    assert "no api_key stored for bybit (testnet)" in str(caught.value)
    assert "workbench secrets set bybit api_key --environment testnet" in str(caught.value)
    assert "WORKBENCH_SECRET_BYBIT_TESTNET_API_KEY" in str(caught.value)
    with pytest.raises(InputError, match="no api_key and no api_secret stored for bybit"):
        secrets.require("bybit", "testnet", ["api_key", "api_secret"])
    with pytest.raises(InputError, match="no credential of bybit is stored for testnet"):
        secrets.remove("bybit", "testnet")
    assert plain("bybit", "live") == {"api_key": KEY}


def test_a_variable_wins_and_an_empty_one_is_none(file, monkeypatch) -> None:
    secrets.set_("okx", "live", "api_key", "stored")
    monkeypatch.setenv("WORKBENCH_SECRET_OKX_LIVE_API_KEY", KEY)
    monkeypatch.setenv("WORKBENCH_SECRET_OKX_LIVE_API_SECRET", "")
    assert plain("okx", "live") == {"api_key": KEY}
    assert plain("okx", "demo") == {}
    [entry] = secrets.list_()
    assert (entry.field, entry.where) == ("api_key", "variable WORKBENCH_SECRET_OKX_LIVE_API_KEY")
    monkeypatch.setenv("WORKBENCH_SECRET_OKX_DEMO_API_KEY", KEY)
    with pytest.raises(InputError, match="comes from the variable WORKBENCH_SECRET_OKX_DEMO"):
        secrets.remove("okx", "demo", "api_key")


def test_a_private_key_has_lines(file) -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
    secrets.set_("coinbase", "live", "api_secret", pem)
    assert plain("coinbase", "live") == {"api_secret": pem}


def test_a_variable_that_holds_no_key_is_named(file, monkeypatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_OKX_LIVE_API_KEY", f"{KEY}\udcff")
    with pytest.raises(InputError, match="variable WORKBENCH_SECRET_OKX_LIVE_API_KEY") as error:
        secrets.get("okx", "live")
    assert KEY not in str(error.value)


def test_variables_alone_need_no_passphrase(file, monkeypatch) -> None:
    secrets.set_("bybit", "live", "api_key", "stored")
    monkeypatch.delenv("WORKBENCH_PASSPHRASE")
    monkeypatch.setattr(vault, "_known", {})
    monkeypatch.setenv("WORKBENCH_SECRET_TARDIS_LIVE_API_KEY", KEY)
    assert secrets.require("tardis", "live", ["api_key"])["api_key"].reveal() == KEY
    with pytest.raises(secrets.LockedError, match="set WORKBENCH_PASSPHRASE"):
        secrets.require("bybit", "live", ["api_key"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bybt", "live", "api_key", "v"), "unknown adapter 'bybt'. Did you mean 'bybit'?"),
        (("bybit", "tesnet", "api_key", "v"), "unknown environment 'tesnet'. Did you mean"),
        (("okx", "testnet", "api_key", "v"), "okx has no environment 'testnet'.*live, demo"),
        (("bybit", "live", "api_keys", "v"), "no such credential. Did you mean 'api_key'?"),
        (("bybit", "live", "api_key", ""), "the value of api_key is empty"),
        (("bybit", "live", "api_key", "v\n"), "begins or ends with a space or a line break"),
        (("bybit", "live", "api_key", "v\0w"), "holds a character that no key has"),
        (("bybit", "live", "api_key", "v\udcff"), "holds a character that no key has"),
        (("sandbox", "live", "api_key", "v"), "sandbox takes no credentials"),
    ],
)
def test_bad_input_says_what_is_right(file, arguments, words) -> None:
    with pytest.raises(InputError, match=words):
        secrets.set_(*arguments)
    assert not file.exists()


def test_a_wrong_passphrase_and_a_damaged_file_are_told(file, monkeypatch) -> None:
    secrets.set_("bybit", "live", "api_key", KEY)
    whole = file.read_bytes()
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "something else")
    for call in (secrets.list_, lambda: secrets.set_("bybit", "live", "api_key", "new")):
        with pytest.raises(InputError, match="wrong passphrase"):
            call()
    assert file.read_bytes() == whole
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", PASSPHRASE)
    header = json.loads(whole)
    token = header["token"]
    flipped = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    for content, error, words in [
        (json.dumps(header | {"token": flipped}).encode(), InputError, "changed or damaged"),
        (whole[:50], DataError, "no secrets file of this workbench"),
        (b"\xff\x00", DataError, "no secrets file"),
        (b"[]", DataError, "no secrets file"),
        (json.dumps(header | {"version": 2}).encode(), DataError, "no secrets file"),
        (json.dumps(header | {"kdf": header["kdf"] | {"n": 2**30}}).encode(), DataError, "range"),
        (json.dumps(header | {"kdf": header["kdf"] | {"n": 3}}).encode(), DataError, "parameters"),
    ]:
        file.write_bytes(content)
        with pytest.raises(error, match=words):
            secrets.list_()
        assert file.read_bytes() == content
    file.write_bytes(whole)
    assert plain("bybit", "live") == {"api_key": KEY}


def test_a_new_passphrase_has_a_length(file, monkeypatch) -> None:
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "short")
    with pytest.raises(InputError, match="at least 8 characters"):
        secrets.set_("bybit", "live", "api_key", KEY)
    assert not file.exists()


def test_a_full_disk_leaves_what_was_stored(file) -> None:
    secrets.set_("bybit", "live", "api_key", "old")
    script = """
import resource, signal
from workbench.adapters import secrets
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    secrets.set_("bybit", "live", "api_secret", "x" * 5000)
except OSError as error:
    print(error.strerror)
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert process.stdout == "File too large\n", process.stderr
    assert plain("bybit", "live") == {"api_key": "old"}
    assert {path.name for path in file.parent.iterdir()} == {file.name, f"{file.name}.lock"}


def test_processes_that_store_at_once_lose_nothing(file) -> None:
    script = """
import sys
from workbench.adapters import secrets, vault
vault._COST = {"n": 2**12, "r": 8, "p": 1}
for environment in ("live", "testnet", "demo"):
    secrets.set_("bybit", environment, sys.argv[1], sys.argv[1])
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", script, field])
        for field in ("api_key", "api_secret")
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert len(secrets.list_()) == 6


def test_the_example_of_the_docs_runs(file) -> None:
    text = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    names: dict[str, object] = {}
    exec(example, names)
    assert str(names["found"]) == "{'api_key': ********, 'api_secret': ********}"
    assert secrets.list_() == []


# What a secret shows


@dataclasses.dataclass
class Holder:
    key: Secret


def test_a_secret_does_not_show(caplog) -> None:
    secret = Secret(KEY)
    holder = Holder(secret)
    logging.getLogger("test").warning("%s %r %s", secret, secret, {"api_key": secret})
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!s:>40}", str([secret]), repr(holder)]
    shown += [str(dataclasses.asdict(holder)), caplog.text, str(dir(secret))]
    assert KEY not in "".join(shown)
    assert secret.reveal() == KEY
    assert copy.deepcopy(holder).key is secret
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"key": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(holder, protocol)
    with pytest.raises(TypeError):
        len(secret)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        f"bad key {KEY}",
        f"https://host/?key={quote(KEY, safe='')}&x",
        json.dumps({"key": KEY}),
        f"Basic {b64encode(f'{KEY}:'.encode()).decode()}",
        f"Basic {b64encode(f'user:{KEY}'.encode()).decode()}",
        f"cut {KEY[:12]}...",
        f"...{KEY[-12:]} cut",
        f"{KEY}{KEY}",
    ],
)
def test_redact_finds_every_form(text) -> None:
    clean = redact(text, [Secret(KEY)])
    assert "********" in clean
    parts = {KEY[n : n + 8] for n in range(len(KEY) - 7)}
    parts |= {b64encode(KEY.encode()[n:]).decode()[:10] for n in range(3)}
    assert not {part for part in parts if part in clean}
    assert redact("nothing to see, a b c", {"x": Secret(KEY), "y": "b"}) == "nothing to see, a b c"


def test_redact_takes_lines_of_a_private_key() -> None:
    pem = "-----BEGIN KEY-----\nMHcCAQEEIBkg4LVWM9nuwNSk3yByxZpY\nRRTk4yK9\n-----END KEY-----"
    clean = redact("cannot parse line 'MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpY'", [pem])
    assert clean == "cannot parse line '********'"
    assert "MHcCAQ" not in redact(repr(pem), [pem])


def test_no_exception_leaves_the_block_with_a_secret() -> None:
    def shown(error: BaseException) -> str:
        return "".join(traceback.format_exception(error))

    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(WorkbenchError) as caught, redacting([Secret(KEY)]):
        fail(ValueError(f"401: key {KEY} refused"))
    assert str(caught.value) == "ValueError: 401: key ******** refused"
    assert KEY not in shown(caught.value)
    with pytest.raises(InputError) as caught, redacting({"api_key": Secret(KEY)}):
        fail(InputError(f"no such key {KEY}"))
    assert str(caught.value) == "no such key ********"

    def chained() -> None:
        try:
            fail(ValueError(KEY))
        except ValueError as error:
            raise KeyError("harmless") from error

    with pytest.raises(WorkbenchError) as caught, redacting([Secret(KEY)]):
        chained()
    assert KEY not in shown(caught.value)
    with pytest.raises(ZeroDivisionError, match="harmless"), redacting([Secret(KEY)]):
        fail(ZeroDivisionError("harmless"))


def test_a_child_inherits_no_variable_that_may_hold_a_key(monkeypatch) -> None:
    for name in ("WORKBENCH_PASSPHRASE", "WORKBENCH_SECRET_BYBIT_LIVE_API_KEY", "BYBIT_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("WORKBENCH_URL_BYBIT", "http://127.0.0.1:1")
    child = secrets.child_environment(EXTRA="1")
    assert KEY not in child.values()
    assert child["WORKBENCH_URL_BYBIT"] == "http://127.0.0.1:1"
    assert child["PATH"] == os.environ["PATH"]
    assert child["EXTRA"] == "1"


# The keyring


class FileKeyring(KeyringBackend):
    """A backend of the library `keyring`, as third parties write them."""

    priority = 5
    name = "test keyring"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.failing = ""

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        if self.failing:
            raise keyring.errors.PasswordSetError(f"{self.failing}: {password}")
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """Make a keyring the session's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before, made = keyring.get_keyring(), FileKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_the_keyring_is_used_where_there_is_one(backend, tmp_path) -> None:
    entry = secrets.set_("bybit", "live", "api_key", KEY)
    assert entry.where == "OS keyring (test keyring)"
    assert plain("bybit", "live") == {"api_key": KEY}
    assert secrets.list_() == [entry]
    assert secrets.remove("bybit", "live", "api_key") == [entry]
    assert backend.kept == {}
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes()]


def test_a_named_file_wins_over_the_keyring(backend, file) -> None:
    secrets.set_("bybit", "live", "api_key", KEY)
    assert backend.kept == {}
    assert file.exists()


def test_a_keyring_that_fails_does_not_show_the_key(backend) -> None:
    backend.failing = "locked"
    with pytest.raises(WorkbenchError, match="cannot be written: locked") as caught:
        secrets.set_("bybit", "live", "api_key", KEY)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    backend.kept["nt-workbench", "credentials"] = f'{{"bybit": "{KEY}"'
    with pytest.raises(DataError, match="no document of secrets") as caught:
        secrets.get("bybit", "live")
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_keyring_that_keeps_nothing_or_plain_text_is_none(backend, file, monkeypatch) -> None:
    monkeypatch.delenv("WORKBENCH_SECRETS_FILE")
    plaintext = FileKeyring()
    plaintext.priority = 0.5  # what keyrings.alt gives its plain-text file
    for none in (keyring.backends.fail.Keyring(), keyring.backends.null.Keyring(), plaintext):
        keyring.set_keyring(none)
        where = secrets.set_("bybit", "live", "api_key", KEY).where
        assert where.startswith("encrypted file")
    assert plaintext.kept == {}


@pytest.mark.skipif(
    not (shutil.which("dbus-run-session") and shutil.which("gnome-keyring-daemon")),
    reason="no GNOME keyring here: apt-get install dbus gnome-keyring runs this too",
)
def test_the_real_secret_service(tmp_path) -> None:
    script = f"""
printf unlock | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null
printf '%s' '{KEY}' | {sys.executable} -m workbench secrets set bybit api_key
{sys.executable} -m workbench secrets list
{sys.executable} -c 'from workbench.adapters import secrets
print(secrets.require("bybit", "live", ["api_key"])["api_key"].reveal())'
{sys.executable} -m workbench secrets remove bybit --yes
"""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        environment[name] = str(tmp_path / name.lower())
    process = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "stored api_key of bybit (live): OS keyring (SecretService" in process.stdout
    assert KEY in process.stdout.splitlines()
    assert "removed api_key" in process.stdout
    found = [p for p in tmp_path.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]
    assert found == []


# The command


def command(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", "secrets", *arguments],
        input=given,
        stdin=None if given is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def typed(arguments: list[str], answers: dict[str, str]) -> str:
    """Run the command at a terminal, type the answers to its prompts, return what it showed."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "workbench", "secrets", *arguments])
    shown, seen = "", 0
    waiting = list(answers.items())
    while True:
        try:
            shown += os.read(terminal, 1000).decode()
        except OSError:  # the other end was closed
            break
        if waiting and waiting[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert not waiting, shown
    return f"{shown}[exit {code}]"


def test_commands_store_list_and_remove(file) -> None:
    process = command("set", "bybit", "api_key", "--environment", "testnet", "--json", given=KEY)
    assert process.returncode == 0, process.stderr
    entry = {"adapter": "bybit", "environment": "testnet", "field": "api_key"}
    entry["where"] = f"encrypted file {file}"
    assert json.loads(process.stdout) == {"stored": [entry]}
    assert plain("bybit", "testnet") == {"api_key": KEY}
    assert json.loads(command("list", "--json").stdout) == {"secrets": [entry]}
    assert command("list").stdout.split()[-4:] == ["api_key", "encrypted", "file", str(file)]
    process = command("remove", "bybit", "-e", "testnet")
    assert process.returncode == 2
    assert "add --yes" in process.stderr
    process = command("remove", "bybit", "-e", "testnet", "--yes", "--json")
    assert json.loads(process.stdout) == {"removed": [entry]}
    assert "nothing is stored" in command("list").stdout


def test_a_key_on_the_command_line_is_refused_and_not_repeated(file) -> None:
    for arguments, words in [
        (["bybit", "api_key", KEY], "not taken from the command line"),
        (["bybit", "api_key", KEY, "more", "--json"], "history"),
        (["bybit", KEY], "bybit has no such credential. Allowed: api_key, api_secret"),
        (["bybit", "api_key", f"--value={KEY}"], "No such option"),
    ]:
        process = command("set", *arguments, given="")
        assert process.returncode == 2
        assert words in process.stderr
        assert KEY not in process.stdout + process.stderr
    assert not file.exists()


def test_standard_input_holds_one_field(file) -> None:
    assert command("set", "tardis", given=f"{KEY}\n").returncode == 0
    assert plain("tardis", "live") == {"api_key": KEY}
    process = command("set", "bybit", given=KEY)
    assert process.returncode == 2
    assert (
        "say which field standard input holds. bybit takes: api_key, api_secret" in process.stderr
    )
    assert "is empty" in command("set", "tardis", given="").stderr


def test_a_terminal_is_asked_without_echo(file, monkeypatch) -> None:
    shown = typed(
        ["set", "okx", "-e", "demo"],
        {"api_key of okx": KEY, "api_secret of okx": "", "api_passphrase of okx": "words"},
    )
    assert "stored api_passphrase of okx (demo)" in shown
    assert KEY not in shown
    assert plain("okx", "demo") == {"api_key": KEY, "api_passphrase": "words"}
    assert "Remove api_key of okx (demo)?" in typed(
        ["remove", "okx", "api_key", "-e", "demo"], {"Remove": "n"}
    )
    assert len(secrets.list_()) == 2


def test_a_passphrase_is_asked_once_and_twice_for_a_new_file(file, monkeypatch) -> None:
    monkeypatch.delenv("WORKBENCH_PASSPHRASE")
    answers = {"api_key of bybit": KEY, "New passphrase": PASSPHRASE, "once more": "different one"}
    shown = typed(["set", "bybit", "api_key"], answers)
    assert "the two passphrases differ: nothing was stored" in shown
    assert not file.exists()
    answers["once more"] = PASSPHRASE
    assert "stored api_key of bybit" in typed(["set", "bybit", "api_key"], answers)
    shown = typed(["list"], {"Passphrase of": PASSPHRASE})
    assert "encrypted file" in shown
    assert PASSPHRASE not in shown
    assert "wrong passphrase" in typed(["list"], {"Passphrase of": "not this one"})
    process = command("list", "--json")
    assert process.returncode == 2
    assert "no terminal to ask for its passphrase: set WORKBENCH_PASSPHRASE" in process.stderr


@pytest.mark.parametrize("cost", [{"n": 2**20, "r": 32}, {"n": 2**21}, {"r": 0}, {"p": 99}])
def test_a_tampered_file_does_not_take_all_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: dict[str, int]
) -> None:
    path = tmp_path / "secrets.json"
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(path))
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "correct horse battery")
    secrets.set_("bybit", "testnet", "api_key", "planted-key")
    content = json.loads(path.read_text())
    content["kdf"] |= cost
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="scrypt parameters are out of range"):
        secrets.get("bybit", "testnet")


def test_a_device_is_no_file_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", "/dev/full")
    monkeypatch.setenv("WORKBENCH_PASSPHRASE", "correct horse battery")
    with pytest.raises(DataError, match="is no file"):
        secrets.get("bybit", "testnet")


def test_a_store_is_opened_with_its_passphrase_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_SECRETS_FILE", str(tmp_path / "other.json"))
    monkeypatch.delenv("WORKBENCH_PASSPHRASE", raising=False)
    monkeypatch.setattr(vault, "_known", {})
    assert "other.json" in secrets.waits()
    with pytest.raises(InputError, match="at least 8"):
        secrets.unlock("short")
    secrets.unlock("long enough")
    assert secrets.waits() == ""
    secrets.set_("bybit", "testnet", "api_key", "k-123456")
    monkeypatch.setattr(vault, "_known", {})
    with pytest.raises(InputError, match="wrong passphrase"):
        secrets.unlock("another one")
    assert secrets.waits()
    secrets.unlock("long enough")
    assert secrets.get("bybit", "testnet")["api_key"].reveal() == "k-123456"
