"""Plans with a price, budgets, requests side by side, and what is left when one fails."""

import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from tests.data.support import SAMPLE, study_of
from workbench import data
from workbench.core.errors import Cancelled, DataError, Issue, StudyError
from workbench.core.progress import Progress
from workbench.core.project import Project
from workbench.data import providers
from workbench.data.catalog import Dataset
from workbench.data.intervals import Interval
from workbench.data.provider import Chunk, Item, Provider, Request
from workbench.data.sample import SampleProvider
from workbench.study.load import build
from workbench.study.places import Places

AAPL = "AAPL.XNAS-1-DAY-LAST-EXTERNAL"
DAY = 86_400 * 10**9


class Remote(SampleProvider):
    """The sample data as a remote provider has them: a request a year, each at a price."""

    parallel: ClassVar[int] = 4
    log: ClassVar[list[str]] = []
    at_once: ClassVar[int] = 0
    under_way: ClassVar[int] = 0
    breaks_at: ClassVar[int | None] = None
    barrier: ClassVar[threading.Barrier | None] = None
    lock: ClassVar[threading.Lock] = threading.Lock()

    def local(self, item: Item) -> bool:
        return False

    def check(self, item: Item) -> list[Issue]:
        return SampleProvider(self.project).check(item)

    def available(self, item: Item) -> Interval:
        self.log.append("available")
        return super().available(item)

    def plan(self, item: Item, missing: Sequence[Interval]) -> Sequence[Request]:
        self.log.append("plan")
        requests = []
        for first, last in missing:
            for start in range(first, last + 1, 365 * DAY):
                span = (start, min(start + 365 * DAY - 1, last))
                rows = super().plan(item, [span])[0].rows
                requests.append(Request(span, rows=rows, bytes=rows, cost=Decimal("0.25")))
        return requests

    def fetch(self, item: Item, request: Request, *rest: Any) -> Iterator[Chunk]:
        with self.lock:
            number = sum(entry == "fetch" for entry in self.log)
            self.log.append("fetch")
            Remote.under_way += 1
            Remote.at_once = max(Remote.at_once, Remote.under_way)
        try:
            if self.barrier and number < self.barrier.parties:
                self.barrier.wait(10)
            if number == self.breaks_at:
                raise DataError("the line dropped")
            for chunk in super().fetch(item, request, *rest):
                yield Chunk(chunk.interval, chunk.rows, chunk.warnings, bytes=10)
        finally:
            with self.lock:
                Remote.under_way -= 1


@pytest.fixture(autouse=True)
def remote(monkeypatch: pytest.MonkeyPatch) -> type[Remote]:
    def provider(name: str, project: Project) -> Provider:
        return Remote(project)

    monkeypatch.setattr(providers, "provider", provider)
    for name in ("log", "at_once", "under_way", "breaks_at", "barrier"):
        monkeypatch.setattr(Remote, name, [] if name == "log" else getattr(Remote, name))
    return Remote


def priced(budget: str | None) -> Any:
    document = study_of(SAMPLE).written()
    if budget:
        document["budget"] = budget
    return build(document, Places(file="study.yaml", lines={("budget",): ("study.yaml", 7)}))


def test_a_plan_tells_requests_rows_and_price(project: Project) -> None:
    plan = data.plan(study_of(SAMPLE), project).to_dict()
    assert (plan["requests"], plan["rows"]) == (7, 1511)
    assert plan["cost"] == {"amount": "1.75", "currency": "USD"}
    (each,) = plan["datasets"]
    assert each == {
        "provider": "sample", "kind": "bars", "identity": AAPL, "requests": 7, "rows": 1511,
        "bytes": 1511, "cost": "1.75",
    }  # fmt: skip


def test_what_costs_more_than_the_budget_is_refused_before_anything_is_fetched(
    project: Project, remote: type[Remote]
) -> None:
    with pytest.raises(StudyError) as refused:
        data.fetch(priced("1.74 USD"), project)
    (issue,) = refused.value.issues
    assert (issue.path, issue.file, issue.line) == ("budget", "study.yaml", 7)
    assert "1.75 USD, more than the 1.74 USD" in issue.message
    with pytest.raises(StudyError, match=r"more than the 1 USD"):
        data.fetch(priced("100 USD"), project, max_cost=Decimal(1))
    with pytest.raises(StudyError, match="more than the 2 EUR"):
        data.fetch(priced("2 EUR"), project)  # nobody changes money here
    assert "fetch" not in remote.log
    assert data.fetch(priced("1 USD"), project, max_cost=Decimal("1.75")).rows == 1511
    # What is there costs nothing any more.
    assert data.fetch(priced("0 USD"), project).status == "cached"


def test_requests_run_side_by_side_and_make_the_same_rows(
    project: Project, remote: type[Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "barrier", threading.Barrier(4))
    seen: list[Progress] = []
    result = data.fetch(study_of(SAMPLE), project, on_progress=seen.append)
    assert (result.rows, result.requests, result.bytes) == (1511, 7, 70)
    assert result.to_dict()["cost"] == {"amount": "1.75", "currency": "USD"}
    assert remote.at_once == 4
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert (seen[-1].done, seen[-1].total) == (1511, 1511)
    assert "USD" in seen[-1].detail
    spread = data.digest(study_of(SAMPLE), project)
    monkeypatch.undo()
    data.fetch(study_of(SAMPLE), project, replace=True)
    assert data.digest(study_of(SAMPLE), project) == spread


def test_nothing_is_asked_for_what_is_there(project: Project, remote: type[Remote]) -> None:
    data.fetch(study_of(SAMPLE), project)
    remote.log.clear()
    assert data.fetch(study_of(SAMPLE), project).to_dict()["status"] == "cached"
    assert data.plan(study_of(SAMPLE), project).complete
    assert data.check(study_of(SAMPLE), project) == []
    data.ensure(study_of(SAMPLE), project)
    assert remote.log == []


def test_a_run_asks_no_remote_provider_and_says_what_to_do(
    project: Project, remote: type[Remote]
) -> None:
    with pytest.raises(StudyError, match="Get it: workbench data fetch STUDY"):
        data.ensure(study_of(SAMPLE), project)
    assert data.check(study_of(SAMPLE), project) == []
    assert remote.log == []


def test_one_request_that_fails_ends_the_others_and_what_came_is_kept(
    project: Project, remote: type[Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Remote, "breaks_at", 2)
    with pytest.raises(DataError, match="the line dropped"):
        data.fetch(study_of(SAMPLE), project)
    first = remote.log.count("fetch")
    monkeypatch.setattr(Remote, "breaks_at", None)
    there = len(Dataset(project, "bars", AAPL).good())
    again = data.fetch(study_of(SAMPLE), project)
    assert again.requests == 7 - there
    assert first < 7 or there == 6
    assert sum(file.rows for file in Dataset(project, "bars", AAPL).good()) == 1511


def test_a_fetch_can_be_stopped_and_goes_on_where_it_was(
    project: Project, remote: type[Remote]
) -> None:
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        data.fetch(
            study_of(SAMPLE), project, on_progress=seen.append, should_stop=lambda: len(seen) >= 2
        )
    there = len(Dataset(project, "bars", AAPL).good())
    assert 2 <= there < 7
    assert data.fetch(study_of(SAMPLE), project).requests == 7 - there


def test_replacing_keeps_the_old_rows_until_the_first_new_ones_are_there(
    project: Project, remote: type[Remote], monkeypatch: pytest.MonkeyPatch
) -> None:
    data.fetch(study_of(SAMPLE), project)
    before = data.digest(study_of(SAMPLE), project)
    remote.log.clear()
    monkeypatch.setattr(Remote, "parallel", 1)
    monkeypatch.setattr(Remote, "breaks_at", 0)
    with pytest.raises(DataError, match="the line dropped"):
        data.fetch(study_of(SAMPLE), project, replace=True)
    assert data.digest(study_of(SAMPLE), project) == before


def test_a_remote_range_beyond_the_data_is_refused(project: Project) -> None:
    study = study_of(SAMPLE | {"end": "2014-06-30"})
    with pytest.raises(StudyError, match="not of all of") as refused:
        data.plan(study, project)
    assert refused.value.issues[0].path == "data.0.end"


def test_several_datasets_are_fetched_together(project: Project) -> None:
    both = study_of(SAMPLE, SAMPLE | {"instrument": "MSFT.XNAS"})
    result = data.fetch(both, project)
    assert (result.rows, result.requests) == (3022, 14)
    assert data.plan(both, project).complete
