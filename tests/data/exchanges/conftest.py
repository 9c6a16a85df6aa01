"""The exchanges' limits do not hold up tests that are not about them."""

import pytest

from workbench.data.exchanges import service, session


@pytest.fixture
def paced() -> None:
    """Ask for the real limits."""


@pytest.fixture(autouse=True)
def _unpaced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "paced" not in request.fixturenames:
        monkeypatch.setattr(service.Limit, "book", lambda *_: 0.0)
        monkeypatch.setattr(session, "FIRST_PAUSE", 0.01)
