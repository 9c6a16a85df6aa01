"""Files are seen whole or not at all, and one lock has one holder."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from workbench.core.errors import WorkbenchError
from workbench.core.files import locked, replacing, write_bytes, write_text


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.txt"
    write_text(path, "first \u00e9")
    write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half of the n")
        assert path.read_text() == "old"
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from workbench.core.files import write_bytes

path = Path(sys.argv[1])
write_bytes(path, b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_bytes(path, bytes(2000))
except OSError as error:
    print(error.strerror)
assert path.read_bytes() == b"old"
assert list(path.parent.iterdir()) == [path]
"""
    process = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "file")], capture_output=True, text=True
    )
    assert (process.returncode, process.stdout) == (0, "File too large\n"), process.stderr


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    sizes = (10, 200_000)
    write_bytes(path, b"x" * sizes[0])
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            write_bytes(path, b"x" * sizes[turn % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {len(path.read_bytes()) for _ in range(2_000)}
    finally:
        stop.set()
        writer.join()
    assert seen <= set(sizes)


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    holding = 0
    most = 0

    def work() -> None:
        nonlocal holding, most
        for _ in range(20):
            with locked(tmp_path / "locks" / "a.lock"):
                holding += 1
                most = max(most, holding)
                holding -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (holding, most) == (0, 1)


def test_a_lock_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    script = (
        "import sys, time; from pathlib import Path; from workbench.core.files import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        message = r"the catalog is in use by another process \(waited 0.1 s\)"
        with (
            pytest.raises(WorkbenchError, match=message),
            locked(lock, timeout=0.1, what="the catalog"),
        ):
            raise AssertionError("two holders")
        holder.kill()
        with locked(lock, timeout=10):
            pass
    finally:
        holder.kill()
        holder.communicate()
