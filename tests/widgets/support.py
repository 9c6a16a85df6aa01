"""Widgets of a real project on pages of a server process."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

from tests.conftest import ROOT

# What the server's libraries say of a page that is closed while something is being sent to it.
CLOSED_PAGE = re.compile(
    r"Task exception was never retrieved\nfuture: .*WebSocketClosedError.*\n"
    r"(?:.*\n)*?tornado\.websocket\.WebSocketClosedError\n?"
    # ... or before it has been given its session.
    r"|Uncaught exception GET /\w+/ws .*\n(?:.*\n)*?"
    r"    assert self\._session is not None\n(?:.*\n)*?AssertionError\n?"
)


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
        said = CLOSED_PAGE.sub("", said)
        assert "Traceback" not in said, said[-4000:]
