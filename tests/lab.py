"""A real JupyterLab, its notebook in front."""

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_lab(root, cells, folder):
    """Serve a notebook of these cells with JupyterLab; yields its address."""
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {
        "cells": [cell | {"source": text, "id": f"cell{n}"} for n, text in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (root / "live.ipynb").write_text(json.dumps(notebook))
    environ = {f"JUPYTER_{name}_DIR": str(folder) for name in ("CONFIG", "DATA", "RUNTIME")}
    environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the kernel's python
    log = folder / "lab.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--port=0",
             "--ip=127.0.0.1", "--IdentityProvider.token=", "--LabApp.news_url="],
            cwd=root, env={**os.environ, **environ}, stderr=stderr,
        )  # fmt: skip
    try:
        origin = None
        for _ in range(600):
            origin = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
            if origin or process.poll() is not None:
                break
            time.sleep(0.1)
        assert origin, log.read_text()
        yield f"{origin[0]}/lab/tree/live.ipynb"
    finally:
        process.terminate()
        process.wait(30)
