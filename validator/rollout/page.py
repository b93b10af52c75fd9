"""The rollout as one web page: no script, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from validator.report.escape import clean
from validator.report.self_contained import Follow, self_contained
from validator.rollout.judge import MetricVerdict, Verdict
from validator.rollout.report import bound, counted, interval, moment, progress, unmeasured, why
from validator.rollout.state import Rollout

PAGE_FILE, LIVE_FILE = "rollout.html", "rollout-live.html"
#: Seconds after which the second of them, which readers choose to follow, loads itself again.
_REFRESH_S = 5
_BADGES = {"promoted": "ok", "rolled_back": "fail", "aborted": "fail", "rolling_back": "fail", "held": "warn"}
_OUTCOMES = {"promote": ("ok", "ok"), "rollback": ("fail", "fail"), "undecided": ("", "open")}
_LEGENDS = {
    "margin": Markup(
        '<p class="soft">Line: the interval of the difference between candidate and champion. Dot: the estimate. '
        "Upright: no difference. Dashed: the margin that it must stay below.</p>"
    ),
    "limit": Markup(
        '<p class="soft">No champion beside it. Line: the interval of the share itself. Dot: the estimate. Upright: '
        "nothing. Dashed: the limit, where there is one.</p>"
    ),
}


def page(state: Rollout, verdict: Verdict | None, stages: Sequence[str], *, live: bool = False) -> str:
    """`rollout.html`: everything in one file, whose content-security policy allows its own style alone.

    With `live`, `rollout-live.html`: the same, which loads itself again while the rollout is under way. A page that
    changes under its reader is for those who ask for it.

    Parameters
    ----------
    stages : sequence of str
        Names of all stages in their order.

    """
    follow = Follow(live=live, other=PAGE_FILE if live else LIVE_FILE, seconds=_REFRESH_S)
    parts = [
        _header(state),
        _bar(state),
        _way(state, stages),
        _warnings(state),
        _evidence(verdict),
        _history(state),
    ]
    return self_contained(
        f"{_t(state.model)}: {_words(state.stage)}",
        Markup("<main>\n{}\n</main>").format(Markup("\n").join(parts)),
        package="validator.rollout",
        follow=None if state.is_ended else follow,
    )


def _t(text: str) -> str:
    return clean(text, limit=500)


def _words(stage: str) -> str:
    return _t(stage).replace("_", " ")


def _header(state: Rollout) -> Markup:
    return Markup(
        '<h1><span class="badge {}">{}</span> {}</h1>\n<p>{}</p>\n'
        '<p class="soft">Rollout {} of {} against {}. Written {}.</p>'
    ).format(
        _BADGES.get(state.state, "now"),
        _words(state.stage),
        _t(state.model),
        _t(state.reason),
        _t(state.id),
        _t(state.candidate.version),
        _t(state.champion.version),
        moment(state.last_step),
    )


def _bar(state: Rollout) -> Markup:
    """The traffic: widths by classes of five percent, since the policy forbids styles at elements."""
    arms = [("champion", state.champion, 100 - state.share), ("candidate", state.candidate, state.share)]
    parts = [
        Markup('<span class="{} w{}">{} % {} <small>{}</small></span>').format(
            name, max(1, round(share / 5)), share, name, _t(arm.version)
        )
        for name, arm, share in arms
        if share
    ]
    return Markup(
        '<div class="bar" role="img" aria-label="{} % of the traffic goes to the candidate">{}</div>'
    ).format(state.share, Markup("").join(parts))


def _way(state: Rollout, stages: Sequence[str]) -> Markup:
    """The stages: those that were passed, the one where it is or ended, those that did not come."""
    reached = {event.after for event in state.history} | {state.stage}
    last = max((place for place, name in enumerate(stages) if name in reached), default=-1)
    items = []
    for place, name in enumerate(stages):
        if name == state.stage:
            kind, sign = ("done", "✓ ") if state.is_ended else ("now", "")
        elif name in reached:
            kind, sign = ("done", "✓ ") if place < last else ("left", "✗ " if state.is_ended else "")
        else:
            kind, sign = "later", ""
        items.append((kind, sign, name))
    if state.stage not in stages:
        items.append((f"now {_BADGES.get(state.state, '')}".strip(), "", state.stage))
    return Markup('<ul class="steps">{}</ul>').format(
        Markup("").join(
            Markup('<li class="{}">{}{}</li>').format(kind, sign, _words(name)) for kind, sign, name in items
        )
    )


def _warnings(state: Rollout) -> Markup:
    return Markup("").join(
        Markup('<p><span class="badge warn">warning</span> {}</p>').format(_t(warning))
        for warning in state.warnings
    )


def _evidence(verdict: Verdict | None) -> Markup:
    if verdict is None:
        return Markup("")
    cards = Markup("").join(_card(metric) for metric in verdict.metrics)
    far = progress(verdict) if verdict.windows else "no window of counts was whole yet"
    legend = next(
        (_LEGENDS[bound(one)[0]] for one in verdict.metrics if one.difference is not None), Markup("")
    )
    return Markup('<h2>Evidence</h2>\n<p>{}: {}.</p>\n{}<div class="grid">{}</div>').format(
        _words(verdict.stage), far, legend, cards
    )


def _card(metric: MetricVerdict) -> Markup:
    kind, word = _OUTCOMES[metric.outcome]
    told = [unmeasured(metric)] if metric.difference is None else [counted(metric), interval(metric)]
    return Markup(
        '<div class="card"><div class="head"><h3>{}</h3><span class="badge {}">{}</span></div>{}{}</div>'
    ).format(
        _t(metric.name),
        kind,
        word,
        _picture(metric, kind or "open"),
        Markup("").join(Markup("<p>{}</p>").format(_t(line)) for line in told),
    )


def _picture(metric: MetricVerdict, kind: str) -> Markup:
    """The interval against what it is held to: from -2 to 3 of it."""
    held_to = bound(metric)[1]
    if metric.lower is None or metric.upper is None or metric.difference is None or not held_to:
        return Markup("")

    def place(value: float) -> str:
        return f"{max(0.0, min(500.0, (value / held_to + 2) * 100)):.1f}"

    return Markup(
        '<svg viewBox="0 0 500 36" role="img" aria-label="{about}">'
        '<line class="axis" x1="0" x2="500" y1="18" y2="18"/><line class="none" x1="200" x2="200" y1="4" y2="32"/>'
        '<line class="margin" x1="300" x2="300" y1="2" y2="34"/>'
        '<line class="span {kind}" x1="{low}" x2="{high}" y1="18" y2="18"/>'
        '<circle class="{kind}" cx="{middle}" cy="18" r="6"/></svg>'
    ).format(
        about=_t(interval(metric)),
        kind=kind,
        low=place(metric.lower),
        high=place(metric.upper),
        middle=place(metric.difference),
    )


def _history(state: Rollout) -> Markup:
    def rows() -> Iterator[Markup]:
        for event in reversed(state.history):
            yield Markup("<tr><td>{}</td><th>{}</th><td>{}</td><td>{}</td></tr>").format(
                moment(event.at), _words(event.after), _t(why(event)), _t(event.by)
            )

    return Markup(
        '<h2>History</h2>\n<div class="wide" tabindex="0"><table><thead><tr><th>When</th><th>State</th><th>Why</th>'
        "<th>By</th></tr></thead><tbody>{}</tbody></table></div>"
    ).format(Markup("").join(rows()))
