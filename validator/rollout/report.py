"""What people look at: lines for a terminal, a log in Markdown, and one page that needs nothing beside itself."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from validator.report.escape import clean, markdown_text
from validator.rollout.judge import MetricVerdict, Verdict
from validator.rollout.state import Rollout
from validator.rollout.step import Step

LOG_FILE = "rollout.md"
PAGE_FILE = "rollout.html"


def moment(seconds: float) -> str:
    """A time for people, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"


def figures(metric: MetricVerdict) -> str:
    """A metric's figures in one line."""
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return f"{metric.name}: {_unmeasured(metric)}"
    counts = (
        f"{metric.events:,} of {metric.requests:,} against {metric.base_events:,} of {metric.base_requests:,}"
    )
    return (
        f"{metric.name}: {counts}; {metric.difference * 100:+.3f} pp "
        f"[{metric.lower * 100:+.3f}, {metric.upper * 100:+.3f}], margin {metric.margin * 100:.3f}"
    )


def _unmeasured(metric: MetricVerdict) -> str:
    """Why there is no interval. What rolls back at once does so before a window is whole."""
    return metric.reason if metric.outcome == "rollback" else "no whole window yet"


def lines(state: Rollout, verdict: Verdict | None) -> list[str]:
    """For a terminal or a log."""
    head = (
        f"{clean(state.model)}: {clean(state.candidate.version)} ({state.share} %) "
        f"against {clean(state.champion.version)} ({100 - state.share} %)"
    )
    told = [f"{state.stage.upper():<13} {head}", f"  {clean(state.reason, limit=500)}"]
    if verdict is not None:
        told += [f"  {_mark(metric)} {figures(metric)}" for metric in verdict.metrics]
        told.append(f"  {progress(verdict)}")
    return told


def progress(verdict: Verdict) -> str:
    """How far a stage is."""
    seen = f"{verdict.requests:,} of {verdict.needed:,} candidate requests, {verdict.windows} windows"
    looks = f", look {verdict.look} of {verdict.looks}" if verdict.looks else ""
    return f"{seen}, {verdict.void} void{looks}"


def _mark(metric: MetricVerdict) -> str:
    return {"promote": "ok  ", "rollback": "BAD ", "undecided": "open"}[metric.outcome]


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
    parts += ["", "| when | from | to | why | by | evidence |", "|---|---|---|---|---|---|"]
    for event in state.history:
        cells = (moment(event.at), event.before, event.after, event.why, event.by, event.evidence)
        parts.append("| " + " | ".join(markdown_text(cell) for cell in cells) + " |")
    return "\n".join(parts) + "\n"


def _row(metric: MetricVerdict) -> str:
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return f"| {markdown_text(metric.name)} | | | | | {metric.margin * 100:.3f} pp | open |"
    return (
        f"| {markdown_text(metric.name)} | {metric.events:,} of {metric.requests:,} "
        f"| {metric.base_events:,} of {metric.base_requests:,} | {metric.difference * 100:+.3f} pp "
        f"| {metric.lower * 100:+.3f} … {metric.upper * 100:+.3f} | {metric.margin * 100:.3f} pp "
        f"| {_mark(metric).strip()} |"
    )


_STYLE = """
:root{color-scheme:light dark;--ok:#1a7f37;--bad:#cf222e;--open:#9a6700;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{white-space:nowrap}
.bar{display:flex;height:2rem;border-radius:.4rem;overflow:hidden;margin:1rem 0;font-size:.85rem}
.bar span{padding:.3rem .5rem;white-space:nowrap;overflow:hidden;color:#fff;min-width:0}
.champion{background:#57606a}.candidate{background:#0969da}
.steps{display:flex;gap:.3rem;flex-wrap:wrap;padding:0;list-style:none}
.steps li{padding:.1rem .6rem;border:1px solid var(--line);border-radius:1rem}
.steps .now{font-weight:700;border-color:currentColor}
.ok{color:var(--ok)}.bad{color:var(--bad)}.open{color:var(--open)}
svg{width:100%;height:2.2rem}small{opacity:.75}
"""


def page(state: Rollout, verdict: Verdict | None, stages: Sequence[str]) -> str:
    """`rollout.html`: everything in one file, without scripts; reloads itself while the rollout is under way."""
    again = "" if state.is_ended else '<meta http-equiv="refresh" content="5">'
    return (
        "<!doctype html>\n"
        f'<html lang="en"><meta charset="utf-8">{again}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_e(state.model)}: {_e(state.stage)}</title><style>{_STYLE}</style>\n"
        f"<h1>{_e(state.model)}: {_e(state.stage.replace('_', ' '))}</h1>\n<p>{_e(state.reason)}</p>\n"
        f"{_bar(state)}\n{_steps(state, stages)}\n{_intervals(verdict)}\n{_history(state)}\n"
        f"<p><small>Rollout {_e(state.id)}, written {moment(state.last_step)}.</small></p></html>\n"
    )


def _e(text: str) -> str:
    return html.escape(clean(text, limit=500))


def _bar(state: Rollout) -> str:
    parts = []
    for name, arm, share in (
        ("champion", state.champion, 100 - state.share),
        ("candidate", state.candidate, state.share),
    ):
        if share:
            parts.append(
                f'<span class="{name}" style="flex:{share}">{share} % {name} {_e(arm.version)}</span>'
            )
    return f'<div class="bar" role="img" aria-label="{state.share} % candidate">{"".join(parts)}</div>'


def _steps(state: Rollout, stages: Sequence[str]) -> str:
    items = [f"<li{' class=now' if name == state.stage else ''}>{_e(name)}</li>" for name in stages]
    if state.stage not in stages:
        items.append(f"<li class=now>{_e(state.stage)}</li>")
    return f'<ul class="steps">{"".join(items)}</ul>'


def _intervals(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    marks = {metric.name: _mark(metric).strip() for metric in verdict.metrics}
    rows = "".join(
        f"<tr><td>{_e(metric.name)}</td><td>{_picture(metric)}</td>"
        f'<td class="{marks[metric.name].lower()}">{marks[metric.name]}</td>'
        f"<td><small>{_e(figures(metric))}</small></td></tr>"
        for metric in verdict.metrics
    )
    return (
        f"<p>{progress(verdict)}</p><table><tr><th>metric</th><th>difference to the champion, and the margin</th>"
        f"<th></th><th></th></tr>{rows}</table>"
    )


def _picture(metric: MetricVerdict) -> str:
    """The interval against the margin: from -2 to 3 margins."""
    if metric.lower is None or metric.upper is None or metric.difference is None:
        return f"<small>{_e(_unmeasured(metric))}</small>"

    def place(value: float) -> float:
        return max(0.0, min(500.0, (value / metric.margin + 2) * 100))

    low, high, middle = place(metric.lower), place(metric.upper), place(metric.difference)
    colour = {"promote": "var(--ok)", "rollback": "var(--bad)", "undecided": "var(--open)"}[metric.outcome]
    return (
        f'<svg viewBox="0 0 500 36" role="img" aria-label="{_e(figures(metric))}">'
        '<line x1="0" x2="500" y1="18" y2="18" stroke="currentColor" opacity=".2"/>'
        '<line x1="200" x2="200" y1="4" y2="32" stroke="currentColor" opacity=".5"/>'
        '<line x1="300" x2="300" y1="2" y2="34" stroke="var(--bad)" stroke-dasharray="4 3"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="18" y2="18" stroke="{colour}" stroke-width="6"/>'
        f'<circle cx="{middle:.1f}" cy="18" r="6" fill="{colour}"/></svg>'
    )


def _history(state: Rollout) -> str:
    rows = "".join(
        f"<tr><td>{moment(event.at)}</td><td>{_e(event.after)}</td><td>{_e(event.why)}</td><td>{_e(event.by)}</td></tr>"
        for event in reversed(state.history)
    )
    return f"<table><tr><th>when</th><th>state</th><th>why</th><th>by</th></tr>{rows}</table>"


def of_step(done: Step) -> list[str]:
    """What a step came to, with what could not be done."""
    return lines(done.state, done.verdict) + [
        f"  ! {clean(error.message, limit=500)}" for error in done.trouble
    ]
