"""The engine: the only room that imports ``nautilus_trader``. Studies in, engine objects out.

A process hosts one engine in its life: a second one makes the first silently wrong, and a panic
aborts the process. So engines run in worker processes (`workbench.backtest.worker`), never in a
notebook kernel, a web server or a test runner.
"""

from workbench.engine.version import REQUIRED, found, require

__all__ = ["REQUIRED", "found", "require"]
