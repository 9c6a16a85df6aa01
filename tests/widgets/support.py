"""Widgets of a real project on pages of a server process."""

import os
import subprocess
import sys
from contextlib import contextmanager

from tests.conftest import ROOT


@contextmanager
def serving_widgets(root, **environment):
    """Serve every widget of a project; yield the address, each widget is a page of its name."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.widgets.serve", str(root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert "Traceback" not in said, said[-4000:]
