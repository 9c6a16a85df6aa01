"""Loading the engine's library into a process that has threads."""

from __future__ import annotations

import sys
import threading

_guard = threading.Lock()


def load() -> None:
    """Load the engine's library, so that threads that come and go may use it.

    The thread that imports ``nautilus_trader`` 2.0.0rc6 first must not end: any other that then
    uses its catalog dies of SIGSEGV, and the process with it. So one that stays imports it. Nothing
    happens where it is loaded already.
    """
    with _guard:
        if "nautilus_trader" in sys.modules:
            return
        done, failed = threading.Event(), []

        def stay() -> None:
            try:
                import nautilus_trader.persistence  # noqa: F401
            except BaseException as error:
                failed.append(error)
            done.set()
            threading.Event().wait()

        threading.Thread(target=stay, name="engine", daemon=True).start()
        done.wait()
        if failed:
            raise failed[0]
