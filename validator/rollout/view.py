"""`rollout status --watch`: the rollout as it goes, on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from validator.errors import UsageError
from validator.rollout.judge import MetricVerdict, Verdict
from validator.rollout.judge.evidence import read_evidence
from validator.rollout.report import lines, mark, moment, progress, why
from validator.rollout.settings import LoopSettings
from validator.rollout.stages import stages
from validator.rollout.state import Rollout, read_state

if TYPE_CHECKING:
    from rich.panel import Panel

_WIDTH = 40


def last_verdict(settings: LoopSettings, state: Rollout) -> Verdict | None:
    """The newest verdict of this rollout, from its evidence; None where nothing was judged yet."""
    files = list((settings.directory / "evidence").glob(f"{state.id}-*.json"))
    if not files:
        return None
    files.sort(key=lambda path: _place(path.name[len(state.id) + 1 :]))
    try:
        return read_evidence(files[-1]).verdict
    except UsageError:
        return None  # just being replaced, or changed: the figures are only shown here, never acted on


def _place(name: str) -> tuple[int, str]:
    """`<entries of the history>-<stage>.json`, by number: 100 is after 99."""
    number = name.partition("-")[0]
    return int(number) if number.isdecimal() else -1, name


def watch_rollout(settings: LoopSettings, state: Rollout, *, pause: Callable[[float], None]) -> Rollout:
    """Show it until it has ended, on a terminal moving, elsewhere as lines when something changed."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        return _as_lines(settings, state, pause)
    with Live(_screen(settings, state, console.width), console=console, auto_refresh=False) as live:
        while not state.is_ended:
            pause(min(settings.interval_s, 2.0))
            state = read_state(settings.directory) or state
            live.update(_screen(settings, state, console.width), refresh=True)
    return state


def _as_lines(settings: LoopSettings, state: Rollout, pause: Callable[[float], None]) -> Rollout:
    shown: tuple[object, ...] | None = None
    while True:
        if (state.stage, state.reason, state.warnings) != shown:
            print("\n".join(lines(state, last_verdict(settings, state))), flush=True)
            shown = (state.stage, state.reason, state.warnings)
        if state.is_ended:
            return state
        pause(min(settings.interval_s, 2.0))
        state = read_state(settings.directory) or state


def _screen(settings: LoopSettings, state: Rollout, screen: int) -> Panel:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    way = Text()
    for stage in stages(settings):
        way.append(f" {stage.name} ", "reverse bold" if stage.name == state.stage else "dim")
        way.append(" ")
    if state.stage not in [stage.name for stage in stages(settings)]:
        way.append(f" {state.stage} ", "reverse bold red" if state.stage != "planned" else "reverse")
    part = min(1.0, screen / 80)
    wide = round(_WIDTH * part)
    filled = round(wide * state.share / 100)
    share = Text("█" * filled, "blue") + Text("█" * (wide - filled), "grey50")
    share.append(
        f"  {state.share} % {state.candidate.version}, {100 - state.share} % {state.champion.version}"
    )
    table = Table(box=None, pad_edge=False)
    for title in ("metric", "-2 … 3 margins", "", "candidate", "champion"):
        table.add_column(title, no_wrap=True)
    verdict = last_verdict(settings, state)
    for metric in verdict.metrics if verdict else ():
        table.add_row(
            Text(metric.name),
            Text(picture(metric, round(_WIDTH * part * 0.75))),
            Text(mark(metric).strip(), {"promote": "green", "rollback": "red"}.get(metric.outcome, "yellow")),
            f"{metric.events:,}/{metric.requests:,}",
            f"{metric.base_events:,}/{metric.base_requests:,}",
        )
    far = Text(progress(verdict) if verdict else "")
    history = [
        Text(f"{moment(event.at)}  {event.after:<12} {why(event)}", "dim") for event in state.history[-6:]
    ]
    warned = [Text(f"warning: {warning}", "yellow") for warning in state.warnings]
    return Panel(
        Group(
            way, Text(), share, Text(state.reason, "italic"), *warned, Text(), table, far, Text(), *history
        ),
        title=Text(f"{state.model}: {state.stage}"),
    )


def picture(metric: MetricVerdict, width: int = 30) -> str:
    """The interval as characters: `┃` the margin, `│` no difference, `●` the estimate."""
    cells = ["·"] * width

    def place(value: float) -> int:
        return max(0, min(width - 1, round((value / metric.margin + 2) / 5 * (width - 1))))

    if metric.lower is not None and metric.upper is not None and metric.difference is not None:
        for index in range(place(metric.lower), place(metric.upper) + 1):
            cells[index] = "━"
    cells[place(0.0)], cells[place(metric.margin)] = "│", "┃"
    if metric.difference is not None:
        cells[place(metric.difference)] = "●"
    return "".join(cells)
