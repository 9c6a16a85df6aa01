"""A venue in a process of its own, and the command that serves one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.venue.conftest import DAILY
from tests.venue.support import Bybit
from workbench import venue
from workbench.core.errors import InputError, WorkbenchError

BTC = "BTCUSDT:tick=0.1,step=0.001,price=30000"


def test_start_trade_stop(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    with venue.start(symbols=[BTC], books=books, balance="5000 USDT") as practice:
        assert practice.alive
        assert practice.instruments == {"BTCUSDT-LINEAR.BYBIT": "BTCUSDT-LINEAR.BYBIT"}
        assert practice.ready.key.startswith("practice-")
        assert practice.ready.secret not in repr(practice.ready)
        with Bybit(practice.ready) as bybit:
            assert bybit.order("Buy", "0.1")["retCode"] == 0
        assert practice.price("BTCUSDT", last="30100.0")["positions"] == {"BTCUSDT": "0.1"}
        practice.fault("reject", times=1)
        assert practice.status()["faults"] == [
            {"fault": "reject", "times": 1, "code": 110007, "late": False,
             "message": "ab not enough for new order"}
        ]  # fmt: skip
        practice.clear_faults()
        with pytest.raises(InputError, match="Did you mean 'BTCUSDT'"):
            practice.price("BTCUSD", last=1)
        port = practice.ready.port
        with pytest.raises(InputError, match="cannot be used"):
            venue.start(symbols=[BTC], port=port)
        with pytest.raises(WorkbenchError, match="another process writes"):
            venue.start(symbols=[BTC], books=books)
    assert not practice.alive
    assert practice.process.returncode == 0
    with pytest.raises(WorkbenchError, match="does not answer"):
        practice.status()


def test_the_same_credentials_and_port_after_a_kill(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"symbols": [BTC], "books": tmp_path / "books.jsonl"}
    practice = venue.start(**asked)
    with Bybit(practice.ready) as bybit:
        bybit.order("Buy", "0.1")
        resting = bybit.order("Buy", "0.2", "29000")["result"]["orderId"]
    practice.kill()
    ready = practice.ready
    same = {"port": ready.port, "key": ready.key, "secret": ready.secret, "token": ready.token}
    with venue.start(**asked, **same) as again, Bybit(again.ready) as bybit:
        assert again.ready == ready
        found = bybit.get("/v5/order/realtime", category="linear", symbol="BTCUSDT")["result"]
        assert [each["orderId"] for each in found["list"]] == [resting]
        assert again.status()["positions"] == {"BTCUSDT": "0.1"}


def test_it_goes_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from workbench import venue\n"
        f"practice = venue.start(symbols=[{BTC!r}])\n"
        "print(practice.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    child.wait(timeout=5)


def test_errors_come_through(market: Any, tmp_path: Path) -> None:
    for options, word in (
        ({"datasets": ["AAPL.XNAS-1-DAY"], "project": market}, "Did you mean"),
        ({}, "nothing to list"),
    ):
        with pytest.raises(InputError, match=word):
            venue.start(**options)
    damaged = tmp_path / "books.jsonl"
    damaged.write_text("something else\nand more\n")
    with pytest.raises(WorkbenchError, match="damaged"):
        venue.start(symbols=[BTC], books=damaged)


def test_a_refused_process_ends_by_itself() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.venue.process"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps({"project": None, "study": None, "symbols": ["btc"]}) + "\n")
    process.stdin.flush()
    assert process.wait(20) == 2  # while its input is still open
    out, err = process.communicate()
    assert (json.loads(out)["kind"], err) == ("InputError", "")


def test_a_replay_in_a_process(market: Any) -> None:
    with venue.start(datasets=[DAILY], project=market, paused=True) as practice:
        assert practice.instruments == {"AAPL.XNAS": "AAPLUSDT-LINEAR.BYBIT"}
        assert practice.step(2, "bars")["markets"]["AAPLUSDT"]["last"] == "101.1"
        practice.resume("max")
        deadline = time.monotonic() + 10
        while practice.status()["state"] != "ended":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_study_in_a_process(project: Any) -> None:
    from workbench import data, study

    path = project.root / "studies" / "ema-cross.yaml"
    data.fetch(study.load(path), project)
    with venue.start(study=path, project=project, speed="max") as practice:
        assert practice.instruments == {"AAPL.XNAS": "AAPLUSDT-LINEAR.BYBIT"}
        assert practice.status()["wallet"] == "500000"


def command(project: Any, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench", "venue", "serve", *arguments],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_the_command_serves_until_told(market: Any, how: signal.Signals, code: int) -> None:
    process = command(market, "--dataset", DAILY, "--speed", "max", "--json")
    assert process.stdout is not None
    document = ""
    while not document.endswith("}\n}\n"):
        document += process.stdout.readline()
    found = json.loads(document)
    names = ("url", "websocket", "port", "key", "secret", "token", "instruments", "books")
    assert set(found) == {*names, "environment"}
    assert found["environment"]["WORKBENCH_URL_BYBIT"] == found["url"]
    ready = venue.Ready(**{name: found[name] for name in names})
    with Bybit(ready) as bybit:
        assert bybit.get("/v5/user/query-api")["retCode"] == 0
    process.send_signal(how)
    out, err = process.communicate(timeout=10)
    assert process.returncode == code, err
    assert out == ""
    assert "Traceback" not in err


def test_the_command_takes_given_credentials_and_says_what_is_wrong(market: Any) -> None:
    keys = {
        "WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY": "practice-mine",
        "WORKBENCH_SECRET_BYBIT_PRACTICE_API_SECRET": "hush",
    }
    process = command(market, "--symbol", BTC, env={**os.environ, **keys})
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    assert "export WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY=practice-mine\n" in lines
    process.terminate()
    process.communicate(timeout=10)
    wrong = {**os.environ, **keys, "WORKBENCH_SECRET_BYBIT_PRACTICE_API_KEY": "AKreal"}
    for arguments, env, word in (
        (("--dataset", "AAPL"), None, "no dataset 'AAPL'"),
        (("--symbol", BTC), wrong, "a real one must never"),
    ):
        process = command(market, *arguments, env=env)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, word in err) == (2, True), err


def test_the_room_is_light_and_holds_no_engine() -> None:
    code = (
        "import sys\n"
        "import workbench.venue\n"
        "assert not {'aiohttp', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "from workbench.venue import serve\n"
        "import workbench.venue.server, workbench.venue.listing\n"
        "assert 'nautilus_trader' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
