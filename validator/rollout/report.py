"""What people read: lines for a terminal, and a log in Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

from validator.report.escape import clean, markdown_text
from validator.rollout.judge import MetricVerdict, Verdict
from validator.rollout.state import Event, Rollout
from validator.rollout.step import Step

LOG_FILE = "rollout.md"


def moment(seconds: float) -> str:
    """A time for people, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


def figures(metric: MetricVerdict) -> str:
    """A metric's figures in one line."""
    if metric.difference is None:
        return f"{metric.name}: {unmeasured(metric)}"
    return f"{metric.name}: {counted(metric)}; {interval(metric)}"


def counted(metric: MetricVerdict) -> str:
    """Events of the candidate against the champion's, where there is one beside it."""
    base = f" against {metric.base_events:,} of {metric.base_requests:,}" if metric.base_requests else ""
    return f"{metric.events:,} of {metric.requests:,}{base}"


def bound(metric: MetricVerdict) -> tuple[str, float | None]:
    """What the figure is held to: the margin beside the champion, alone the limit, which may be none."""
    return ("margin", metric.margin) if metric.base_requests else ("limit", metric.limit)


def interval(metric: MetricVerdict) -> str:
    """The difference, or alone the share, with interval and bound, in percent; empty where nothing was measured."""
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return ""
    word, held_to = bound(metric)
    told = f"{word} {held_to * 100:.3f}" if held_to is not None else f"no {word}"
    values = [value * 100 for value in (metric.difference, metric.lower, metric.upper)]
    if not metric.base_requests:
        return "{:.3f} % [{:.3f}, {:.3f}], ".format(*values) + told
    return "{:+.3f} pp [{:+.3f}, {:+.3f}], ".format(*values) + told


def unmeasured(metric: MetricVerdict) -> str:
    """Why there is no interval. What rolls back at once does so before a window is whole."""
    at_once = metric.reason.removeprefix(f"{metric.name}: ")
    return at_once if metric.outcome == "rollback" else "no whole window yet"


def lines(state: Rollout, verdict: Verdict | None) -> list[str]:
    """For a terminal or a log."""
    head = (
        f"{clean(state.model)}: {clean(state.candidate.version)} ({state.share} %) "
        f"against {clean(state.champion.version)} ({100 - state.share} %)"
    )
    told = [f"{state.stage.upper():<13} {head}", f"  {clean(state.reason, limit=500)}"]
    if verdict is not None:
        told += [f"  {mark(metric)} {figures(metric)}" for metric in verdict.metrics]
        told.append(f"  {progress(verdict)}")
    return told + [f"  warning: {clean(warning, limit=500)}" for warning in state.warnings]


def why(event: Event) -> str:
    """Why a stage ended, with what had been noticed in it."""
    return "; ".join((event.why, *(f"warning: {warning}" for warning in event.warnings)))


def progress(verdict: Verdict) -> str:
    """How far a stage is."""
    needed = f" of {verdict.needed:,}" if verdict.requests < verdict.needed else ""
    seen = f"{verdict.requests:,}{needed} candidate requests, {verdict.windows} windows"
    looks = f", look {verdict.look} of {verdict.looks}" if verdict.looks else ""
    return f"{seen}, {verdict.void} void{looks}"


def mark(metric: MetricVerdict) -> str:
    """What a metric says, in four letters: a guard's `ok` is that of the counts so far."""
    return {"promote": "ok  ", "rollback": "FAIL", "undecided": "open"}[metric.outcome]


def log(state: Rollout, verdict: Verdict | None) -> str:
    """`rollout.md`: state, figures, history."""
    parts = [
        f"## Rollout of {markdown_text(state.model)}: {markdown_text(state.stage.replace('_', ' '))}",
        "",
        markdown_text(state.reason),
        "",
        "| | version | digest | slot | traffic |",
        "|---|---|---|---|--:|",
    ]
    for name, arm, share in (
        ("candidate", state.candidate, state.share),
        ("champion", state.champion, 100 - state.share),
    ):
        parts.append(
            f"| {name} | {markdown_text(arm.version)} | {markdown_text(arm.digest)} | {arm.slot} | {share} % |"
        )
    if verdict is not None:
        parts += [
            "",
            "| metric | candidate | champion | difference | interval | margin | |",
            "|---|--:|--:|--:|---|--:|---|",
        ]
        parts += [_row(metric) for metric in verdict.metrics]
    parts += ["", *(f"- Warning: {markdown_text(warning)}" for warning in state.warnings)]
    parts += ["", "| when | from | to | why | by | evidence |", "|---|---|---|---|---|---|"]
    for event in state.history:
        cells = (moment(event.at), event.before, event.after, why(event), event.by, event.evidence)
        parts.append("| " + " | ".join(markdown_text(cell) for cell in cells) + " |")
    return "\n".join(parts) + "\n"


def _row(metric: MetricVerdict) -> str:
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return f"| {markdown_text(metric.name)} | | | | | {metric.margin * 100:.3f} pp | {mark(metric).strip()} |"
    word, held_to = bound(metric)
    told = f"no {word}" if held_to is None else f"{held_to * 100:.3f} pp"
    return (
        f"| {markdown_text(metric.name)} | {metric.events:,} of {metric.requests:,} "
        f"| {metric.base_events:,} of {metric.base_requests:,} | {metric.difference * 100:+.3f} pp "
        f"| {metric.lower * 100:+.3f} … {metric.upper * 100:+.3f} | {told} "
        f"| {mark(metric).strip()} |"
    )


def of_step(done: Step) -> list[str]:
    """What a step came to, with what could not be done."""
    return lines(done.state, done.verdict) + [
        f"  ! {clean(error.message, limit=500)}" for error in done.trouble
    ]
