"""The command line: ``workbench <noun> <verb>``.

Each verb is one function of the rooms below. ``--json`` prints one JSON document on standard
output; progress and messages go to standard error. Exit codes: 0 done, 1 failed, 2 bad input or
usage, 130 interrupted.
"""

from workbench.cli.root import main

__all__ = ["main"]
