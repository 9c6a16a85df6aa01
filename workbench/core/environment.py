"""The environment that processes running a user's code are started with."""

import os

_KEYS = ("WORKBENCH_SECRET_", "WORKBENCH_PASSPHRASE")


def without_keys() -> dict[str, str]:
    """Return the environment without the workbench's own credentials.

    A strategy needs none of them in a backtest, so it cannot print, log or send one.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_KEYS)}
