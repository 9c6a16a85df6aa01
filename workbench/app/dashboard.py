"""The page of the dashboard: ``panel serve workbench/app/dashboard.py``, ``workbench dashboard``.

It holds no state that matters: everything shown is read from the project's files, and what is
selected stands in the page's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import panel as pn
import param

from workbench.app.links import Links
from workbench.app.views import GROUPS, OLD_TABS, VIEWS, named
from workbench.core.project import Project
from workbench.widgets.base import Widget
from workbench.widgets.look import THEME_COOKIE, failure, html, resource

KEYS = tuple(dict.fromkeys(key for view in VIEWS.values() for key in view.keys))


class Dashboard(pn.viewable.Viewer):
    """The dashboard of one project, for one page. A view is made when it is first opened.

    Parameters
    ----------
    project
        Whose studies, data, runs and nodes.
    dark
        Whether it is drawn for a dark page.
    query
        That of the page's address: names and values.

    """

    view: Any = param.Selector(default="overview", objects=list(VIEWS), doc="What is in front.")
    study = param.String(doc="The study shown, a file's name in ``studies/``.")
    dataset = param.String(doc="The dataset looked at, ``kind/identity``.")
    adapter = param.String(doc="The adapter shown.")
    sweep = param.String(doc="Id of the sweep shown.")
    runs = param.String(doc="Ids of the runs shown, with commas between them.")
    run = param.String(doc="Id of the run that goes live.")
    node = param.String(doc="Name of the node shown.")

    def __init__(
        self, project: Project, *, dark: bool, query: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.project, self.dark = project, dark
        self._made: dict[str, Widget] = {}
        # A hidden view would still take its room: only the one in front is there.
        self._fronts = {
            name: pn.Column(sizing_mode="stretch_width", margin=0, visible=False) for name in VIEWS
        }
        self._latest = {group: named(group.lower()) for group in GROUPS}
        self.links = Links(
            "Views", self._to_group, self.follow, css_classes=["views"],
            items=[
                {"name": group, "label": group, "address": f"view={self._latest[group]}"}
                for group in GROUPS
            ],
        )  # fmt: skip
        self._parts = Links(
            "Parts of this view", self.go, css_classes=["parts"], sizing_mode="stretch_width"
        )
        self._open()
        self.follow(urlencode(query or {}))

    def __panel__(self) -> Any:
        return pn.Column(
            self._parts, *self._fronts.values(), sizing_mode="stretch_width", margin=0,
            styles={"gap": "0"},
        )  # fmt: skip

    def go(self, view: str, **shown: str) -> None:
        """Turn to a view and show something in it.

        Parameters
        ----------
        view
            A name of `workbench.app.views.VIEWS`.
        shown
            What is shown there: ``study``, ``dataset``, ``adapter``, ``sweep``, ``runs``, ``run``,
            ``node``.

        """
        # Together: what is chosen is shown by the view that is turned to, not by the one before.
        self.param.update(view=view, **shown)

    def follow(self, query: str) -> None:
        """Show what a query of the page's address asks for."""
        given = dict(parse_qsl(query.removeprefix("?")))
        wanted = {key: given[key] for key in KEYS if key in given}
        name = given.get("view") or OLD_TABS.get(given.get("tab", ""), "")
        self.go(named(name), **wanted)

    def _to_group(self, group: str) -> None:
        if group in self._latest and VIEWS[self.view].group != group:
            self.go(self._latest[group])

    @param.depends("view", *KEYS, watch=True)
    def _open(self) -> None:
        """Bring the view in front, made if it is not; hand it what is to be shown."""
        view = VIEWS[self.view]
        widget = self._made.get(view.name) or self._make(view.name)
        for name, front in self._fronts.items():
            front.visible = name == view.name
            if name in self._made:
                self._made[name].active = name == view.name
        self._latest[view.group] = view.name
        for key, attribute in view.keys.items():
            if widget is not None and getattr(self, key):
                _hand(widget, attribute, getattr(self, key))
        self.links.current = view.group
        self._parts.param.update(
            items=[
                {"name": one.name, "label": one.label, "address": f"view={one.name}"}
                for one in VIEWS.values()
                if one.group == view.group
            ],
            current=view.name,
        )
        self._parts.visible = len(self._parts.items) > 1
        self._write()

    def _make(self, name: str) -> Widget | None:
        view, front = VIEWS[name], self._fronts[name]
        try:
            widget = view.make(self)
        except Exception as error:  # the others can be used all the same
            front.objects = [html(failure(error, f"{view.label} cannot be shown"))]
            return None
        self._made[name] = widget
        for key, attribute in view.keys.items():
            if getattr(self, key):
                _hand(widget, attribute, getattr(self, key))
            widget.param.watch(lambda event, key=key: self._told(name, key, event.new), attribute)
        if name == "flip":
            widget.param.watch(lambda event: self.param.update(node=event.new), "launched")
        front.objects = [widget]
        return widget

    def _told(self, view: str, key: str, value: Any) -> None:
        """Take over what was chosen in the view in front."""
        if view == self.view:
            text = ",".join(value) if isinstance(value, list) else str(value or "")
            self.param.update(**{key: text})

    def _write(self) -> None:
        """Write what is shown into the address."""
        shown = {key: getattr(self, key) for key in VIEWS[self.view].keys}
        parts = {"view": self.view} | {key: value for key, value in shown.items() if value}
        self.links.address = urlencode(parts)


def _hand(widget: Any, attribute: str, text: str) -> None:
    """Have a widget show something, where it knows of it and nothing is lost by that."""
    known = widget.param[attribute]
    value: Any = [one for one in text.split(",") if one] if isinstance(known, param.List) else text
    unsaved = getattr(widget, "changed", False)
    strange = isinstance(known, param.Selector) and value not in known.objects
    if not unsaved and not strange and getattr(widget, attribute) != value:
        setattr(widget, attribute, value)


def page(project: Project | None = None) -> Any:
    """Return the page for one session; of the project of the working folder if none is given."""
    cookies = pn.state.cookies or {}
    dark = cookies.get(THEME_COOKIE) == "dark"
    theme = "dark" if dark else "default"
    pn.extension(theme=theme, design="native")
    query = {
        name: values[-1].decode(errors="replace")
        for name, values in pn.state.session_args.items()
        if values
    }
    where, name, links = "", "", html()
    try:
        project = project or Project.find()
        where, name = str(project.root), project.root.name
        dashboard = Dashboard(project, dark=dark, query=query)
        body: Any = dashboard
        links = dashboard.links
    except Exception as error:  # the page would be a spinner that never ends
        body = html(failure(error, "The dashboard cannot be shown"))
    template = pn.Template(
        (Path(__file__).parent / "page.html").read_text(),
        theme=pn.theme.DarkTheme if dark else pn.theme.DefaultTheme,
        design=pn.theme.Native,
    )
    page_css = (Path(__file__).parent / "page.css").read_text()
    template.add_variable("css", resource("palette.css") + page_css)
    template.add_variable("cookie", THEME_COOKIE)
    template.add_variable("project", where)
    template.add_variable("name", name)
    template.add_panel("links", links)
    template.add_panel("body", pn.panel(body))
    return template


if __name__.startswith("bokeh_app"):
    page().servable(title="NT Workbench")
