"""The journal: numbers without holes, torn tails, damage, one writer, a full disk."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench.core.errors import DataError, WorkbenchError
from workbench.core.journal import Journal, Reader, last, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node" / "journal.jsonl"


def written(path: Path, count: int) -> None:
    with Journal(path) as journal:
        for number in range(count):
            journal.append("tick", {"number": number, "text": "é" * (number % 7)})


def test_entries_are_numbered_and_read_back(path: Path) -> None:
    written(path, 5)
    written(path, 3)
    entries = list(read(path))
    assert [entry["seq"] for entry in entries] == list(range(1, 9))
    assert [entry["number"] for entry in entries] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert [entry["seq"] for entry in read(path, since=6)] == [7, 8]
    assert all(entry["type"] == "tick" and entry["ts"] <= time.time_ns() for entry in entries)
    assert list(read(path.with_name("none"))) == []


def test_a_torn_tail_is_passed_over_and_cut_off(path: Path) -> None:
    written(path, 4)
    whole = path.read_bytes()
    cut_at = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(cut_at + 1, len(whole)):
        path.write_bytes(whole[:length])
        assert [entry["seq"] for entry in read(path)] == [1, 2, 3]
    with Journal(path) as journal:
        assert journal.append("tock", {})["seq"] == 4
    assert [entry["type"] for entry in read(path)] == ["tick"] * 3 + ["tock"]


def test_any_changed_byte_is_found(path: Path) -> None:
    written(path, 3)
    whole = path.read_bytes()
    # Any but the very last: without its end a line is taken for torn.
    for place in range(len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(DataError, match="damaged"):
            list(read(path))


def test_a_lost_line_is_damage(path: Path) -> None:
    written(path, 6)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(DataError, match=r"journal.jsonl:3: the journal is damaged"):
        list(read(path))


def test_a_follower_sees_each_entry_once(path: Path) -> None:
    follower = Reader(path, since=1)
    assert list(follower.new()) == []
    with Journal(path) as journal:
        journal.append("a", {})
        journal.append("b", {})
        assert [entry["type"] for entry in follower.new()] == ["b"]
        whole = path.read_bytes()
        journal.append("c", {"long": "x" * 1000})
        longer = path.read_bytes()
        path.write_bytes(longer[: len(whole) + 50])  # in the middle of being written
        assert list(follower.new()) == []
        path.write_bytes(longer)
        assert [entry["type"] for entry in follower.new()] == ["c"]
        assert list(follower.new()) == []


def test_one_writer_at_a_time(path: Path) -> None:
    with Journal(path), pytest.raises(WorkbenchError, match="another process writes"):
        Journal(path)
    with Journal(path) as journal:
        journal.append("free", {})


def test_its_own_keys_are_refused(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(ValueError, match="the journal's own keys"):
        journal.append("x", {"seq": 1})


def test_a_long_journal_is_opened_at_its_end(path: Path) -> None:
    with Journal(path) as journal:
        for _ in range(3):
            journal.append("big", {"text": "y" * 200_000})
    began = time.perf_counter()
    with Journal(path) as journal:
        assert journal.append("small", {})["seq"] == 4
    assert time.perf_counter() - began < 1


def test_a_full_disk_is_an_error_and_the_journal_as_it_was(path: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from workbench.core.errors import DataError
from workbench.core.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    while True:
        journal.append("tick", {"text": "z" * 100}, durable=True)
except DataError as error:
    print(journal.last, error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "could not be written" in told
    assert [entry["seq"] for entry in read(path)] == list(range(1, int(told.split()[0]) + 1))
    with Journal(path) as journal:
        journal.append("after", {})


def test_what_was_told_durable_outlasts_a_kill(path: Path) -> None:
    code = """
import sys
from pathlib import Path
from workbench.core.journal import Journal
journal = Journal(Path(sys.argv[1]), timeout=5)
while True:
    print(journal.append("tick", {"text": "w" * 300}, durable=True)["seq"], flush=True)
"""
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.random() / 20)
        os.kill(process.pid, signal.SIGKILL)
        told = [line for line in process.stdout.read().splitlines() if line]
        process.wait()
        process.stdout.close()
        last = int(told[-1]) if told else 1
        numbers = [entry["seq"] for entry in read(path)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= last


@pytest.mark.parametrize("count", [0, 1, 7, 1000, 5000])
def test_the_newest_entries_are_read_from_the_end(tmp_path: Path, count: int) -> None:
    path = tmp_path / "journal.jsonl"
    assert list(Reader.newest(path, count).new()) == []
    with Journal(path) as journal:
        for number in range(1, 1001):
            journal.append("tick", {"text": "x" * (number % 300)})
        with path.open("ab") as file:
            file.write(b'{"seq": 1001, "torn')
        reader = Reader.newest(path, count)
        kept = [entry["seq"] for entry in reader.new()]
        assert kept == list(range(max(1001 - count, 1), 1001))
        assert reader.number == last(path) == 1000
    with Journal(path) as journal:  # cuts the torn tail off
        journal.append("tock", {})
    assert [entry["type"] for entry in reader.new()] == ["tock"]
