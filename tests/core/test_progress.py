"""Progress as data."""

import pytest

from workbench.core.progress import Progress, ignore, never


@pytest.mark.parametrize(
    ("done", "total", "share"), [(0, 4, 0), (1, 4, 0.25), (5, 4, 1), (3, 0, 0)]
)
def test_the_share_done(done: float, total: float, share: float) -> None:
    assert Progress("read", done, total, "rows").fraction == share


def test_the_defaults_do_nothing() -> None:
    ignore(Progress("read", 1, 2))
    assert never() is False
