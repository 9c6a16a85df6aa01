"""The command line: ``workbench <noun> <verb>``.

Each verb is one function of the rooms below. ``--json`` prints one JSON document on standard
output; progress and messages go to standard error. Exit codes: 0 done, 1 failed, 2 bad input or
usage, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # A stream that was closed before we began (>&-) is None.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    try:
        code = _run(words)
    except KeyboardInterrupt:
        code = 130
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    # Nothing is left to do that matters, and tearing down what was imported takes a while.
    os._exit(code)


def _run(words: list[str]) -> int:
    if words[:2] == ["backtest", "run"] and not {"-h", "--help"} & set(words):
        # Its process imports for half a second: before click and the study are imported here.
        from workbench.backtest.process import prepare

        prepare("notebook" if any(word.startswith("--notebook") for word in words) else "worker")
    from workbench.cli.root import run

    return run(words)


__all__ = ["main"]
