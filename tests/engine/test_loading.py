"""The engine's library in a process whose threads come and go."""

import subprocess
import sys

CODE = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.conftest import make_project
from workbench import data, study
from workbench.engine.loading import load

project = make_project(Path({folder!r}) / "project")
document = study.load(project.root / "studies" / "ema-cross.yaml")

def fetch(name):
    load()
    data.fetch(document.with_values({{"data.0.instrument": name}}), project)

for name in ("AAPL.XNAS", "MSFT.XNAS", "GOOG.XNAS"):
    thread = threading.Thread(target=fetch, args=(name,))
    thread.start()
    thread.join()
print("done")
"""


def test_threads_that_end_leave_the_engine_usable(tmp_path) -> None:
    """Without `load` the second of these threads kills the process, five times of six."""
    from tests.conftest import ROOT

    code = CODE.format(root=str(ROOT), folder=str(tmp_path))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "done\n"), found.stderr
