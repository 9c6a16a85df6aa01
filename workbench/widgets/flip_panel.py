"""From a finished run to a live node: the gates, what differs, the confirmation, the launch."""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import panel as pn
import param

from workbench.backtest import Run, RunStore
from workbench.backtest.glossary import written
from workbench.checks.gates import GATES, Gate
from workbench.core.errors import Cancelled, InputError, Issue
from workbench.core.progress import OnProgress, Progress, ShouldStop
from workbench.core.project import Project
from workbench.live import Promotion, flip
from workbench.live.handle import Node
from workbench.study import Change
from workbench.study.source import read_text
from workbench.widgets.base import Widget
from workbench.widgets.live_html import nothing, sheet, table
from workbench.widgets.live_hub import hub
from workbench.widgets.live_page import Board
from workbench.widgets.look import CARD, button, failure, html, notice, resource
from workbench.widgets.rehearse import Rehearse
from workbench.widgets.turns import in_turns
from workbench.widgets.work import Work

WHERE = {
    "As the study says, else a replay in the sandbox": "study",
    "The practice venue of this project": "practice",
    "As written below": "written",
}
_EXAMPLE = """\
environment: sandbox
feeds: [{adapter: replay, speed: 600}]
execution: [{adapter: sandbox}]
"""
_ENVIRONMENTS = {
    "sandbox": "Orders are simulated inside the node. No money is at stake.",
    "practice": "Orders go to the practice venue on this machine. No money is at stake.",
    "testnet": "Orders go to a venue's test network, with keys stored for it.",
    "live": "Orders go to the venue, with real money.",
}
_REFRESHES_A_LOOK = 4
_NO_RUNS = (
    '<div class="empty"><h2>No finished run yet</h2><p>A node trades a study that a backtest '
    "vouches for. Run one first: <code>workbench backtest run studies/NAME.yaml</code>.</p></div>"
)


class FlipPanel(Widget):
    """Takes the study of a finished run to a live node.

    Parameters
    ----------
    project
        Whose runs; default: the project of the working folder.
    run
        Id of the run chosen first; default: the newest that finished.
    dark
        Whether it is drawn for a dark page; default: as the page it is shown on.

    """

    run: Any = param.String(default="", doc="Id of the run that is chosen.")
    launched: Any = param.String(default="", doc="Name of the node that was launched last.")

    def __init__(
        self, project: Project | None = None, run: str = "", *, dark: bool | None = None
    ) -> None:
        super().__init__(project, dark=dark)
        self._looks = 0
        self._found: Promotion | None = None
        self._seen: list[Gate] = []
        self._launching: tuple[str, float] | None = None
        style: dict[str, Any] = {"margin": 0, "stylesheets": [resource("controls.css")]}
        self._runs = pn.widgets.Select(name="Run", options=[], styles=_wide(420), **style)
        self._where = pn.widgets.Select(
            name="Where it goes live",
            options=WHERE,
            value="study",
            styles=_wide(380),
            **style,
        )
        self._section = pn.widgets.TextAreaInput(
            name="The study's live section (YAML)", value=_EXAMPLE, rows=5, visible=False,
            sizing_mode="stretch_width", **style,
        )  # fmt: skip
        self._check = button("Check the gates", "primary", self._do_check, align="end")
        self._checking = Work(self.project, on_turn=self._turn)
        self._rehearse = Rehearse(self.project, lambda: self.run, self._turn)
        self._gates, self._differs, self._means = Board(), Board(), Board()
        self._who = pn.widgets.TextInput(name="Who takes it live", value=_me(), width=220, **style)
        self._name = pn.widgets.TextInput(name="Name of the node", width=220, **style)
        self._phrase = pn.widgets.TextInput(name="Confirm", width=280, visible=False, **style)
        self._launch = button("Launch", "primary", self._do_launch, align="end", disabled=True)
        self._launches = Work(self.project, on_turn=self._turn)
        self._steps = Board()
        self._empty = html()
        line: dict[str, Any] = {
            "gap": "10px", "align_items": "flex-end", "margin": 0, "sizing_mode": "stretch_width",
        }  # fmt: skip
        self._form = pn.Column(
            pn.FlexBox(self._who, self._name, self._phrase, self._launch, **line),
            self._means, self._launches, self._steps,
            margin=0, sizing_mode="stretch_width", styles=CARD | {"gap": "12px"}, visible=False,
        )  # fmt: skip
        self._all = pn.Column(
            pn.Column(
                pn.FlexBox(self._runs, self._where, self._check, **line),
                self._section, self._checking, self._rehearse,
                margin=0, sizing_mode="stretch_width", styles=CARD | {"gap": "12px"},
            ),
            pn.FlexBox(
                pn.Column(self._gates, margin=0, styles={"flex": "1 1 480px", "min-width": "0"}),
                pn.Column(self._differs, margin=0, styles={"flex": "1 1 480px", "min-width": "0"}),
                gap="12px", align_items="flex-start", sizing_mode="stretch_width", margin=0,
            ),
            self._form,
            margin=0, sizing_mode="stretch_width", styles={"gap": "12px"},
        )  # fmt: skip
        self.place(self._empty, self._all)
        self._runs.param.watch(self._chosen, "value")
        self._where.param.watch(lambda _: self._forget(), "value")
        self._section.param.watch(lambda _: self._forget(), "value")
        self._phrase.param.watch(lambda _: self._turn(), "value_input")
        self.run = run
        self._forget()

    async def refresh(self) -> None:
        """List the finished runs; show how far a launch has come."""
        if self._looks % _REFRESHES_A_LOOK == 0:
            found = await asyncio.to_thread(RunStore(self.project).list, status="done", limit=200)
            options = {_run_line(run): run.id for run in found}
            if options != self._runs.options:
                known = self.run in options.values()
                chosen = self.run if known else next(iter(options.values()), None)
                # At once: with options alone the first would be chosen.
                self._runs.param.update(options=options, value=chosen)
            self._all.visible = bool(options)
            self._empty.object = "" if options else _NO_RUNS
        self._looks += 1
        if self._launching is not None:
            self._steps.content = _steps(self.project, *self._launching)

    def _chosen(self, event: Any) -> None:
        if event.new:
            self.run = event.new
            self._forget()

    @param.depends("run", watch=True)
    def _turn_run(self) -> None:
        if self.run in (self._runs.options or {}).values():
            self._runs.value = self.run

    def _forget(self) -> None:
        """Forget what was looked at: something else is chosen."""
        self._found, self._seen = None, []
        self._section.visible = self._where.value == "written"
        self._checking.say("")
        self._form.visible = False
        self._differs.content = ""
        self._draw_gates()

    def _turn(self) -> None:
        """Let be pressed what may be pressed."""
        busy = self._checking.busy or self._launches.busy or self._rehearse.busy
        for each in (self._check, self._runs, self._where, self._section):
            each.disabled = busy
        phrase = self._found.phrase if self._found else None
        typed = phrase is None or self._phrase.value_input == phrase
        self._launch.disabled = busy or not (self._found and self._found.open and typed)

    def _do_check(self, _: Any) -> None:
        self._forget()
        try:
            section = self._wanted()
        except InputError as error:
            self._checking.say(failure(error, "This is no live section"))
            return
        run = self.run

        def work(tell: OnProgress, should_stop: ShouldStop) -> Promotion:
            def seen(gate: Gate) -> None:
                if should_stop():
                    raise Cancelled("cancelled")
                self._seen.append(gate)
                tell(Progress(f"Looked at {gate.name}", len(self._seen), len(GATES)))

            tell(Progress("Looking at the gates", 0, len(GATES)))
            return flip(run, section, self.project, on_gate=seen)

        self._checking.begin("Looking at the gates", work, self._checked)
        in_turns(self._follow_gates)

    async def _follow_gates(self) -> None:
        while self._checking.busy:
            self._draw_gates()
            await asyncio.sleep(0.2)
        self._draw_gates()

    def _wanted(self) -> Mapping[str, Any] | str | None:
        if self._where.value != "written":
            return "practice" if self._where.value == "practice" else None
        text = str(self._section.value)
        content, _ = read_text(text, "the live section")
        section: Any = content.get("live", content)
        if not isinstance(section, Mapping):
            raise InputError(Issue("is a group of keys, such as 'environment: sandbox'", "live"))
        return section

    def _checked(self, found: Promotion) -> None:
        self._found = found
        self._differs.content = _differences(found.changes)
        self._means.content = _meaning(found)
        self._phrase.visible = found.phrase is not None
        self._phrase.name = f"Type {found.phrase} to confirm" if found.phrase else ""
        self._phrase.value = self._phrase.value_input = ""
        self._name.placeholder = found.study.name
        self._form.visible = found.open
        self._steps.content = ""
        closed = sum(not gate.passed for gate in found.gates)
        if closed:
            plural = "gate is" if closed == 1 else "gates are"
            self._checking.say(
                notice(
                    "warning", f"{closed} {plural} closed", ["what to do about it is said below"]
                )
            )
        self._turn()

    def _draw_gates(self) -> None:
        self._gates.content = _checklist(self._seen, self._found)

    def _do_launch(self, _: Any) -> None:
        found = self._found
        if found is None or self._launches.busy:
            return
        name = str(self._name.value).strip() or found.study.name
        confirm, who = self._phrase.value_input or None, str(self._who.value).strip() or None
        self._launching = (name, time.time())

        def work(tell: OnProgress, should_stop: ShouldStop) -> Node:
            tell(Progress(f"Launching {name}", 0, 0))
            return found.go(confirm=confirm, who=who, name=name, should_stop=should_stop)

        self._launches.begin(f"Launching {name}", work, self._gone_live)

    def _gone_live(self, node: Node) -> None:
        self._steps.content = _steps(
            self.project, node.id, self._launching[1] if self._launching else 0
        )
        self._launching = None
        self.launched = node.id
        self._launches.say(notice("good", f"{node.id} is running", [_following(node)]))


def _wide(most: int) -> dict[str, str]:
    return {"flex": "1 1 260px", "max-width": f"{most}px"}


def _following(node: Node) -> str:
    return f"watch it in the node monitor, or with: workbench node status {node.id}"


def _run_line(run: Run) -> str:
    gain = written(run.statistics.get("total_return"), "percent", sign=True)
    return f"{run.name}, {run.created[:16].replace('T', ' ')}, {gain} ({run.id})"


def _checklist(seen: Sequence[Gate], found: Promotion | None) -> str:
    """Return the gates: those looked at with what was found, the others waiting."""
    rows = []
    for gate in seen:
        kind, mark, said = ("open", "✓", "open") if gate.passed else ("shut", "✕", "closed")
        remedy = f'<span class="remedy">{escape(gate.remedy)}</span>' if gate.remedy else ""
        rows.append(
            f'<li class="{kind}" data-key="{escape(gate.name)}"><span class="mark" role="img" '
            f'aria-label="{said}">{mark}</span><span class="name">{escape(gate.name)}</span>'
            f'<span class="found">{escape(gate.found)}</span>{remedy}</li>'
        )
    if found is None:
        known = {gate.name for gate in seen}
        rows += [
            f'<li class="waiting" data-key="{name}"><span class="mark" role="img" '
            f'aria-label="not looked at">·</span><span class="name">{name}</span>'
            f'<span class="found">not looked at yet</span></li>'
            for name in GATES
            if name not in known
        ]
    return sheet("Gates", f'<ul class="checks">{"".join(rows)}</ul>')


def _differences(changes: Sequence[Change]) -> str:
    """Return what differs between the study of the run and what goes live."""
    title = "What differs from the backtest"
    if not changes:
        return sheet(title, nothing("Nothing: it goes live exactly as it was tested."))
    rows = [
        f'<tr data-key="{escape(each.path)}"><th scope="row" class="left">{escape(each.path)}</th>'
        f'<td class="minus">{_value(each.old)}</td><td class="plus">{_value(each.new)}</td></tr>'
        for each in changes
    ]
    return sheet(title, table(("<Where", "<Backtest", "<Live"), rows, "diff", title))


def _value(value: Any) -> str:
    return '<span class="muted">not there</span>' if value is None else escape(str(value))


def _meaning(found: Promotion) -> str:
    kind = "chip money" if found.environment in ("testnet", "live") else "chip"
    return (
        f'<div class="head"><span class="{kind}">{escape(found.environment)}</span>'
        f"<span>{escape(_ENVIRONMENTS[found.environment])}</span></div>"
    )


def _steps(project: Project, name: str, since: float) -> str:
    """Return what a node that is being launched has done so far."""
    view = hub(project).look(name)
    kinds = ("lifecycle.", "feed.", "memory.", "node.error")
    rows = [
        f'<li class="open" data-key="{event["seq"]}"><span class="mark">✓</span><span class="name">'
        f"{escape(event['type'].replace('lifecycle.', '').replace('.', ' '))}</span>"
        f'<span class="found">{escape(str(event.get("reason") or ""))}</span></li>'
        for event in view.events
        if event["ts"] / 1e9 >= since and event["type"].startswith(kinds)
    ]
    return f'<ul class="checks">{"".join(rows)}</ul>' if rows else ""


def _me() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return ""
