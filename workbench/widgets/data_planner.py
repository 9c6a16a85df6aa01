"""What a study's data need: plan, price, fetch, and what the catalog covers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Any

import panel as pn
import param

from workbench import data
from workbench.backtest.glossary import NONE
from workbench.core.errors import Cancelled, Issue
from workbench.core.project import Project
from workbench.data import FetchResult, Plan
from workbench.data.intervals import BEGINNING, END, Interval, iso
from workbench.data.planner import DatasetPlan
from workbench.study import Study, load
from workbench.widgets.base import Widget
from workbench.widgets.datasets import DataView
from workbench.widgets.escape import Escape
from workbench.widgets.jobs import Job
from workbench.widgets.look import CARD, bar, bound, button, failure, html, notice, resource
from workbench.widgets.studies import NO_STUDIES, study_files

_MOST_SPANS = 3

type Priced = tuple[Plan, Study]

_fetches: dict[tuple[str, str], Job[FetchResult]] = {}
"""Fetches under way in this process, by project and study: a page that is opened finds its own."""


class DataPlanner(Widget):
    """Plan what a study's data need, see the price, fetch them, see what the catalog covers.

    What the catalog has is told at once; remote providers are asked for rows and prices when that
    is wanted, and fetched from only then. A fetch goes on when the page is closed; cancelled, or
    cut off, it keeps what has arrived, and the next one fetches the rest.

    Parameters
    ----------
    project
        Whose studies and catalog; default: the project of the working folder.
    study
        Which is planned, a file's name in ``studies/``; default: the first.
    dark
        See `Widget`.

    """

    study: Any = param.Selector(objects=[], doc="The file that is planned.")
    dataset: Any = param.String(default="", doc="The dataset looked at, ``kind/identity``.")

    def __init__(
        self, project: Project | None = None, *, study: str | None = None, dark: bool | None = None
    ) -> None:
        super().__init__(project, dark=dark)
        self._asking: Job[Priced] | None = None
        self._plan: Priced | None = None
        self._watched: Job[FetchResult] | None = None
        self._priced = self._wants = self._confirmed = False
        self._ended = 0
        self._wishes: list[Callable[[], None]] = []
        style = [resource("controls.css")]
        self._choice = pn.widgets.Select(
            name="Study", options=[], width=240, margin=0, stylesheets=style
        )
        self._most = pn.widgets.TextInput(
            name="Most it may cost (USD)", placeholder="the study's budget", width=180, margin=0,
            stylesheets=style,
        )  # fmt: skip
        self._most.param.watch(lambda _: self._wish(self._show), "value")
        self._again = pn.widgets.Select(
            name="What is cached", options={"stays": False, "is fetched again": True}, width=150,
            margin=0, stylesheets=style,
        )  # fmt: skip
        self._again.param.watch(lambda _: self._wish(self._look), "value")
        self._price = button(
            "Plan and price", "default", lambda _: self._wish(self._ask), align="end", min_width=120
        )
        self._fetch = button(
            "Fetch", "primary", lambda _: self._wish(self._start), align="end", min_width=120
        )
        self._cancel = button(
            "Cancel", "danger", lambda _: self._wish(self._stop), align="end", disabled=True
        )
        self._empty, self._said, self._figures, self._sets = html(), html(), html(), html()
        self._bar, self._escape = html(min_height=34), Escape(lambda: self._wish(self._stop))
        self._view = DataView(self.project, dark=bool(dark))
        self._view.param.watch(lambda event: self.param.update(dataset=event.new), "chosen")
        top = pn.FlexBox(
            self._choice, self._most, self._again, pn.Spacer(styles={"flex": "1"}), self._price,
            self._fetch, self._cancel,
            gap="10px", align_items="flex-end", margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._card = pn.Column(
            self._figures, self._sets, self._bar, self._said,
            sizing_mode="stretch_width", margin=0,
            styles=CARD | {"gap": "12px", "min-height": "230px"},  # room for a plan to come
        )  # fmt: skip
        self._upper = pn.Column(
            top, self._card, sizing_mode="stretch_width", styles={"gap": "12px"}, margin=0
        )
        self.place(
            pn.Column(
                self._escape, self._empty, self._upper,
                html("<h3>What the catalog covers</h3>"), self._view,
                sizing_mode="stretch_width", styles={"gap": "12px"}, margin=0,
            )
        )  # fmt: skip
        bound(self._choice, self, "study")
        self._list()
        if study:
            self.study = study
        self._shade_view()

    async def refresh(self) -> None:
        """Show how far planning and fetching have come, and what the catalog covers since."""
        self._list()
        if self._asking and self._asking.finished:
            self._planned(self._asking)
        self._follow()
        while self._wishes:  # after what has ended: a fetch asked for then is another one
            self._wishes.pop(0)()
        self._view.follow(str(self._ended))

    def _wish(self, act: Callable[[], None]) -> None:
        """Do something in the next refresh: what a click changes is then drawn in its turn."""
        self._wishes.append(act)
        self._tick()

    @property
    def _job(self) -> Job[FetchResult] | None:
        """The fetch under way, whoever of this process's pages began it."""
        return _fetches.get((str(self.project.root), str(self.study)))

    def _list(self) -> None:
        found = study_files(self.project.root / "studies")
        if found != self._choice.options:
            self.param.study.objects = found
            self._choice.options = found
            if found and self.study not in found:
                self.study = found[0]
        self._upper.visible = bool(found)
        folder = escape(str(self.project.root / "studies"))
        self._empty.object = "" if found else NO_STUDIES.format(folder)

    @param.depends("dark", watch=True)
    def _shade_view(self) -> None:
        self._view.shade(bool(self.dark))

    @param.depends("dataset", watch=True)
    def _turned_to(self) -> None:
        self._view.chosen = self.dataset

    @param.depends("study", watch=True)
    def _turned(self) -> None:
        self._plan = None  # of another study
        self._wish(self._turn)

    def _turn(self) -> None:
        self._said.object, self._watched, self._most.value = "", None, ""
        self._view.mark(self.study or "")
        self._look()

    def _look(self) -> None:
        """See what is missing, without asking anybody."""
        self._begin_plan(connect=False)

    def _ask(self) -> None:
        self._said.object = ""
        self._begin_plan(connect=True)

    def _begin_plan(self, *, connect: bool) -> None:
        if not self.study:
            return
        path, replace = self._path(), bool(self._again.value)

        def work(*_: Any) -> Priced:
            study = load(path)
            return data.plan(study, self.project, replace=replace, connect=connect), study

        self._plan, self._priced, self._confirmed = None, connect, False
        doing = "Asking for rows and prices" if connect else "Looking into the catalog"
        self._asking = Job(doing, work, project=self.project)
        self._show()

    def _path(self) -> Any:
        return self.project.root / "studies" / str(self.study)

    def _amount(self) -> Decimal | None:
        text = str(self._most.value or "").strip().removesuffix("USD").strip()
        try:
            amount = Decimal(text) if text else None
        except InvalidOperation:
            return None
        return amount if amount is None or (amount.is_finite() and amount >= 0) else None

    def _too_much(self) -> Issue | None:
        """Return why the plan may not be fetched: it costs more than it may."""
        return (
            data.over_budget(self._plan[1], self._plan[0], self._amount()) if self._plan else None
        )

    def _planned(self, job: Job[Priced]) -> None:
        self._asking = None
        if job.error is not None:
            self._wants = False
            self._said.object = failure(job.error, f"studies/{self.study} cannot be planned")
        elif job.result is not None:
            self._plan = job.result
            self._priced = self._priced or all(one.local for one in job.result[0].datasets)
        self._show()
        if self._wants:
            self._wants = False
            self._start()

    def _start(self) -> None:
        """Fetch; what costs money is asked for once more, with its price."""
        if self._job or not self.study:
            return
        if self._plan is None or not self._priced:
            self._wants = True
            self._begin_plan(connect=True)
            return
        planned, _study = self._plan
        if self._too_much():
            self._show()  # which says so
            return
        if planned.cost and not self._confirmed:
            self._confirmed = True
            self._show()
            return
        path, replace, most = self._path(), bool(self._again.value), self._amount()

        def work(on_progress: Any, should_stop: Any) -> FetchResult:
            return data.fetch(
                load(path), self.project, replace=replace, max_cost=most,
                on_progress=on_progress, should_stop=should_stop,
            )  # fmt: skip

        self._said.object, self._confirmed = "", False
        key = str(self.project.root), str(self.study)
        self._watched = _fetches[key] = Job(f"Fetching {self.study}", work, project=self.project)
        self._show()

    def _stop(self) -> None:
        if self._job:
            self._job.cancel()
            self._cancel.disabled = True
        elif self._confirmed:
            self._confirmed = False
            self._show()
        else:
            self._asking, self._wants = None, False
            self._said.object = notice("hint", "Cancelled: nothing was asked for any more")
            self._show()

    def _follow(self) -> None:
        """Show how far the fetch has come, and its end."""
        # Another page of this process may be the first to see its end.
        self._watched = job = self._job or self._watched
        if job is None:
            return
        if not job.finished:
            self._show()
            return
        self._watched = None
        key = str(self.project.root), str(self.study)
        if _fetches.get(key) is job:
            del _fetches[key]
        self._ended += 1
        if isinstance(job.error, Cancelled):
            words = "Cancelled: what has arrived stays, the next fetch goes on from there"
            self._said.object = notice("hint", words)
        elif job.error is not None:
            self._said.object = failure(job.error, "Not everything was fetched; what came stays")
        elif job.result is not None:
            self._said.object = _result(job.result)
        self._again.value = False
        self._look()

    def _show(self) -> None:
        job, wrong = self._job, _no_amount(self._most.value, self._amount())
        fetching = job is not None and not job.finished
        busy = fetching or self._asking is not None
        planned, too_much = self._plan[0] if self._plan else None, self._too_much()
        if planned is not None:
            self._figures.object = _figures(planned, priced=self._priced)
            self._sets.object = _sets(planned.datasets, priced=self._priced)
        elif self._asking is None:
            self._figures.object = self._sets.object = ""
        notes: Sequence[str] = planned.to_dict()["notes"] if planned else ()
        told = notice("warning", "Worth knowing", notes) if notes else ""
        if wrong:
            told += notice("failure", wrong)
        elif too_much and not busy:
            told += notice("failure", too_much.message)
        elif self._confirmed and planned:
            told += notice("warning", f"This costs {_money(planned)}: fetch it?")
        if job is not None and fetching:
            progress = job.progress
            of = f" of {progress.total:,.0f}" if progress.total else ""
            words = " · ".join(filter(None, [
                "Stopping" if job.stopping else progress.task,
                f"{progress.done:,.0f}{of} {progress.unit}".strip(), progress.detail,
            ]))  # fmt: skip
            self._bar.object = bar(words, progress.fraction)
        elif self._asking is not None:
            self._bar.object = f'<p class="muted">{escape(self._asking.doing)} …</p>'
        else:
            self._bar.object = told or _next(planned, priced=self._priced)
        self._escape.on_now = asks = self._confirmed and planned is not None
        self._fetch.label = f"Yes, for {_money(planned)}" if asks else "Fetch"
        complete = planned is not None and planned.complete and not self._again.value
        self._fetch.disabled = busy or bool(wrong) or bool(too_much) or complete
        self._price.disabled = busy
        self._choice.disabled = self._most.disabled = self._again.disabled = fetching
        self._cancel.disabled = not (busy or self._confirmed) or bool(job and job.stopping)


def _no_amount(typed: Any, amount: Decimal | None) -> str:
    if str(typed or "").strip() and amount is None:
        return f"'{typed}' is no amount of US dollars, such as 25 or 0.50"
    return ""


def _next(planned: Plan | None, *, priced: bool) -> str:
    """Say what to do next."""
    if planned is None:
        return ""
    if planned.complete:
        words = "The catalog has everything: nothing has to be fetched."
    elif priced:
        words = "Fetch gets what is missing."
    else:
        words = "Plan and price asks the providers for rows and prices, and fetches nothing."
    return f'<p class="muted">{words}</p>'


def _money(planned: Plan | None) -> str:
    cost = planned.cost if planned else {}
    return ", ".join(f"{amount:f} {currency}" for currency, amount in cost.items()) or "nothing"


def _count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _size(number: int | None) -> str:
    if number is None:
        return "unknown"
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:,.0f} {unit}"
        number = round(number / 1000)
    return f"{number:,.0f} GB"


def _figures(planned: Plan, *, priced: bool) -> str:
    missing = sum(bool(one.missing) for one in planned.datasets)
    total = len(planned.datasets)
    asked = priced or planned.complete
    tiles = {
        "Datasets complete": f"{total - missing} of {total}",
        "Requests": f"{planned.requests:,}" if asked else NONE,
        "Rows to come": _count(planned.rows) if asked else NONE,
        "Cost": (_money(planned) if planned.cost else "free") if asked else NONE,
    }
    cells = "".join(
        f'<div class="tile"><span>{name}</span><b>{escape(value)}</b></div>'
        for name, value in tiles.items()
    )
    return f'<div class="tiles">{cells}</div>'


def _sets(datasets: Sequence[DatasetPlan], *, priced: bool) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("Dataset", "Provider", "Cached", "Missing", "Requests", "Rows", "Size", "USD")
    )
    rows = []
    for one in datasets:
        numbers = one.to_dict()
        asked = priced or not one.missing or one.local
        cells = [
            one.spec.provider, _spans(one.cached), _spans(one.missing),
            *((
                f"{numbers['requests']:,}", _count(numbers["rows"]), _size(numbers["bytes"]),
                numbers["cost"],
            ) if asked else (NONE,) * 4),
        ]  # fmt: skip
        rows.append(
            f'<tr><th scope="row">{escape(one.spec.identity)}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _spans(spans: Sequence[Interval]) -> str:
    told = ", ".join(map(_span, spans[:_MOST_SPANS]))
    more = len(spans) - _MOST_SPANS
    return (told + (f" and {more} more" if more > 0 else "")) or NONE


def _span(span: Interval) -> str:
    """Write a span to the minute, whole days as days."""
    start = "its beginning" if span[0] == BEGINNING else iso(span[0])
    end = "its end" if span[1] == END else iso(span[1])
    if start.endswith("T00:00:00Z"):
        start = start[:10]
    if "T23:59:59.9" in end:
        end = end[:10]
    return " to ".join(one[:16].replace("T", " ") if "T" in one else one for one in (start, end))


def _result(result: FetchResult) -> str:
    if result.status == "cached":
        return notice("good", "The catalog had everything: nothing was fetched", result.warnings)
    paid = ", ".join(f"{amount:f} {currency}" for currency, amount in result.cost.items())
    times = f"{result.requests:,} request{'s' * (result.requests != 1)}"
    title = f"Fetched {result.rows:,} rows in {times}"
    return notice("good", f"{title}, for {paid}" if paid else title, result.warnings)
