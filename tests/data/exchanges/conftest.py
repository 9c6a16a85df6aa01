"""What these tests spare: waiting for limits, and a process for each instrument described."""

import re
from collections.abc import Mapping

import pytest

from workbench.data.exchanges import service, session
from workbench.engine import listings
from workbench.engine.instruments import Description

_TIMES = re.compile(r'"(time|serverTime|launchTime|listTime|onboardDate|openingDate)": *"?[^,"}]*')
_DESCRIBED: dict[tuple[str, ...], Description] = {}
_DESCRIBE = listings.describe


@pytest.fixture
def paced() -> None:
    """Ask for the real limits."""


@pytest.fixture(autouse=True)
def _unpaced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "paced" not in request.fixturenames:
        monkeypatch.setattr(service.Limit, "book", lambda *_: 0.0)
        monkeypatch.setattr(session, "FIRST_PAUSE", 0.01)


@pytest.fixture(autouse=True)
def _described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Describe the same listing, but for its times, once for all tests."""

    def describe(
        adapter: str, product: str, answers: Mapping[str, str], instrument: str
    ) -> Description:
        texts = [_TIMES.sub("", text) for text in answers.values()]
        key = (adapter, product, instrument, *texts)
        if key not in _DESCRIBED:
            _DESCRIBED[key] = _DESCRIBE(adapter, product, answers, instrument)
        return _DESCRIBED[key]

    monkeypatch.setattr(listings, "describe", describe)
