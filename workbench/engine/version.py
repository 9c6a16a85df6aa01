"""The one NautilusTrader version the workbench is made for."""

from importlib import metadata

from workbench.core.errors import DependencyError

REQUIRED = "2.0.0rc6"


def found() -> str | None:
    """Return the installed version of NautilusTrader, None if there is none."""
    try:
        return metadata.version("nautilus_trader")
    except metadata.PackageNotFoundError:
        return None


def require() -> str:
    """Return the installed version, or say which is needed.

    Raises
    ------
    DependencyError
        If it is missing or another: a release candidate's behaviour changes between releases, and
        what was measured of one need not hold for the next.

    """
    version = found()
    if version != REQUIRED:
        message = (
            f"nautilus_trader {version or 'is missing'}{' is installed' if version else ''}, "
            f"this workbench needs {REQUIRED}. Install it: pip install nautilus_trader=={REQUIRED}"
        )
        raise DependencyError(message)
    return version
