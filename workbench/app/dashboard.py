"""The page of the dashboard: ``panel serve workbench/app/dashboard.py``, ``workbench dashboard``.

It holds no state that matters: everything shown is read from the project's files, and what is
selected stands in the page's address.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import panel as pn
import param

from workbench.core.project import Project
from workbench.widgets.backtest_runner import BacktestRunner
from workbench.widgets.datasets import DataView
from workbench.widgets.look import THEME_COOKIE, failure, html, resource
from workbench.widgets.run_explorer import RunExplorer

TICK_MS = 1_000

TABS = ("runs", "run", "data")


class Dashboard(pn.viewable.Viewer):
    """The dashboard of one project, for one page.

    Parameters
    ----------
    project
        Whose studies, runs and data.
    dark
        Whether charts are drawn for a dark page.

    """

    tab: Any = param.Selector(default=TABS[0], objects=list(TABS), doc="Which view is in front.")
    selected = param.String(default="", doc="Ids of the runs shown, with commas between them.")

    def __init__(self, project: Project, *, dark: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.runs = RunExplorer(project, dark=dark, on_new=self._to_launch)
        self.launch = BacktestRunner(project, dark=dark, on_open=self._open)
        self.data = DataView(project, dark=dark, on_new=self._to_launch)
        views = (self.runs, self.launch, self.data)
        # A hidden view would still take its room: only the one in front is there.
        self._fronts = [
            pn.Column(view, sizing_mode="stretch_width", margin=0, visible=not at)
            for at, view in enumerate(views)
        ]
        self._tabs = pn.Tabs(
            *zip(("Runs", "Run a study", "Data"), self._fronts, strict=True),
            sizing_mode="stretch_width",
            stylesheets=[resource("controls.css")],
        )
        self._tabs.param.watch(self._turned, "active")
        self.runs.param.watch(self._chosen, "chosen")
        self._follow()

    def __panel__(self) -> Any:
        return pn.Column(self._tabs, sizing_mode="stretch_width", margin=0)

    def tick(self) -> None:
        """Bring the view of data up to date; the others see to themselves."""
        if self.tab == "data":
            self.data.follow(self.runs.newest)

    @param.depends("tab", "selected", watch=True)
    def _follow(self) -> None:
        """Show what the page's address asks for."""
        self._tabs.active = TABS.index(self.tab)
        for name, front in zip(TABS, self._fronts, strict=True):
            front.visible = name == self.tab
        self.runs.chosen = [one for one in self.selected.split(",") if one]

    def _turned(self, event: Any) -> None:
        self.tab = TABS[event.new]

    def _chosen(self, event: Any) -> None:
        self.selected = ",".join(event.new)

    def _to_launch(self) -> None:
        self.tab = "run"

    def _open(self, run_id: str) -> None:
        """Show a run in front."""
        self.selected, self.tab = run_id, "runs"


def page(project: Project | None = None) -> Any:
    """Return the page for one session; of the project of the working folder if none is given."""
    cookies = pn.state.cookies or {}
    dark = cookies.get(THEME_COOKIE) == "dark"
    theme = "dark" if dark else "default"
    pn.extension("tabulator", theme=theme, design="native")
    where = ""
    try:
        project = project or Project.find()
        where = str(project.root)
        dashboard = Dashboard(project, dark=dark)
        body: Any = dashboard
        pn.state.add_periodic_callback(dashboard.tick, TICK_MS)
        pn.state.onload(dashboard.tick)
        if pn.state.location:
            pn.state.location.sync(dashboard, {"tab": "tab", "selected": "runs"})
            pn.state.location.sync(dashboard.data, {"chosen": "dataset"})
    except Exception as error:  # the page would be a spinner that never ends
        body = html(failure(error, "The dashboard cannot be shown"))
    template = pn.Template(
        (Path(__file__).parent / "page.html").read_text(),
        theme=pn.theme.DarkTheme if dark else pn.theme.DefaultTheme,
        design=pn.theme.Native,
        location=True,
    )
    page_css = (Path(__file__).parent / "page.css").read_text()
    template.add_variable("css", resource("palette.css") + page_css)
    template.add_variable("cookie", THEME_COOKIE)
    template.add_variable("project", where)
    template.add_panel("body", pn.panel(body))
    return template


if __name__.startswith("bokeh_app"):
    page().servable(title="NT Workbench")
