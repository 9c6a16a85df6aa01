"""The shipped notebooks run as a user would run them, checked by nbval."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "01-quickstart.ipynb",
        "02-data.ipynb",
        "04-go-live.ipynb",
        "05-workbench.ipynb",
        "backtest.ipynb",
    ],
)
def test_a_shipped_notebook_passes_nbval(project, name) -> None:
    process = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider",
            "-p", "no:xdist", "--rootdir", str(project.root), "--nbval-current-env",
            str(project.root / "notebooks" / name),
        ],
        cwd=project.root, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stdout[-4000:] + process.stderr[-2000:]
    assert " passed" in process.stdout


def test_a_changed_result_fails_nbval(project) -> None:
    """The regression test can fail: another strategy parameter changes the checked output."""
    path = project.root / "notebooks" / "01-quickstart.ipynb"
    text = path.read_text()
    assert "again = workbench.backtest.run(study)" in text
    path.write_text(
        text.replace(
            "again = workbench.backtest.run(study)",
            "run = again = workbench.backtest.run(study, {'fast': 12})",
        )
    )
    process = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", "-x",
            "-p", "no:xdist", "--rootdir", str(project.root), "--nbval-current-env", str(path),
        ],
        cwd=project.root, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 1, process.stdout[-4000:]
    assert "again = workbench.backtest.run" in process.stdout
