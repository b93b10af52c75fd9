"""The judge: windows of counts and a rule in, a verdict with its evidence out. No clock, no disk, no network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validator.rollout.judge.bounds import PROMOTE_CONSTANT, looks_bound, newcombe, wilson
from validator.rollout.judge.path import Path
from validator.rollout.judge.trips import Trip, counts_of, path_of, planned_looks, trip, widened
from validator.rollout.judge.windows import LOOKS, Metric, Outcome, Rule, Window

#: How sure it must be that the champion broke its own objective for a window to be void: three standard errors.
_CHAMPION_Z = 3.0
#: Of the one-sided 95 % bounds that a guard and a bake show; they decide by their estimates.
_SHOWN_Z = 1.6448536269514722


@dataclass(frozen=True, kw_only=True)
class MetricVerdict:
    """What one metric says, with the figures that make it say so. Shares and differences, not percent.

    `events` … `base_requests` are plain totals over the windows that count for promotion. `difference`, `lower` and
    `upper` are of the standardised shares, None where nothing was measured; in a bake of the candidate's own
    share. In a confirming stage `lower` and `upper` use the bound of the last planned look that was reached (or of
    the first), elsewhere they are one-sided 95 % bounds.
    """

    name: str
    outcome: Outcome
    reason: str
    margin: float
    limit: float | None
    events: int
    requests: int
    base_events: int
    base_requests: int
    difference: float | None
    lower: float | None
    upper: float | None
    design_effect: float
    log_evidence: float
    log_evidence_gross: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be done with the candidate in this stage, and why.

    `exhausted` says that the last planned look has passed: no more data will promote. `look` is the last planned
    look reached of `looks`; `requests` of `needed` candidate requests were seen in the `windows` that count, and
    `void` windows do not.
    """

    stage: str
    outcome: Outcome
    reason: str
    exhausted: bool
    look: int
    looks: int
    requests: int
    needed: int
    windows: int
    void: int
    metrics: tuple[MetricVerdict, ...]


def judge(rule: Rule, windows: Sequence[Window]) -> Verdict:
    """Judge one stage.

    1. Windows that are void, or lack a metric, count for nothing.
    2. **Roll back** when any metric trips (see `trips`): the gross e-process from the first request on, that over
       complete windows on counts divided by their design effect, or a lower bound above the margin at a planned
       look. Rolling back goes before promoting.
    3. **Promote**, on the windows in which the champion kept its own objective: a *guard* after enough requests when
       no point estimate exceeds its margin; a *confirming* stage when at the last planned look reached the upper
       bounds of all metrics lie below their margins; a *bake* after enough windows when no share exceeds its limit.
       Since all metrics must pass, no level is split between them (intersection-union test, Berger 1982).
    4. Else **undecided**. No data, and a last window that is void, are undecided too.

    Parameters
    ----------
    rule : Rule
    windows : sequence of Window
        In order of time, from the start of the stage on; the last may be incomplete.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If the windows overlap or are out of order.

    Examples
    --------
    >>> from validator.rollout.judge import Counts, Metric, Rule, Window, judge
    >>> rule = Rule(stage="guard 5", kind="guard", planned_requests=300, minimum_windows=5,
    ...             metrics=(Metric(name="error", margin=0.01, limit=0.005),))
    >>> good = Counts(candidate_events=0, candidate_requests=60, champion_events=2, champion_requests=1140)
    >>> minutes = [Window(start=60.0 * i, end=60.0 * i + 60, counts={"error": good}) for i in range(6)]
    >>> judge(rule, minutes).outcome
    'promote'
    >>> judge(rule, []).outcome
    'undecided'
    """
    _check_order(windows)
    usable = [window for window in windows if not _void(rule, window)]
    trips = {metric.name: trip(rule, metric, usable) for metric in rule.metrics}
    complete = [window for window in windows if window.complete]
    calm = _calm(rule, [window for window in usable if window.complete])
    paths = {metric.name: path_of(rule, counts_of(metric.name, calm)) for metric in rule.metrics}
    slowest = min(paths.values(), key=lambda path: float(path.requests[-1]) if path.requests.size else 0.0)
    reached = planned_looks(slowest, rule.planned_requests, rule.minimum_windows)
    metrics = tuple(
        _metric(rule, metric, paths[metric.name], calm, trips[metric.name], reached)
        for metric in rule.metrics
    )
    outcome, reason = _overall(rule, metrics, slowest, reached)
    if outcome == "promote" and (why := _last_window(rule, complete)):
        outcome, reason = "undecided", why
    look = reached[-1][0] if reached and rule.kind == "confirm" else 0
    return Verdict(
        stage=rule.stage,
        outcome=outcome,
        reason=reason or _last_window(rule, complete) or "nothing was measured yet",
        exhausted=look == LOOKS and outcome == "undecided",
        look=look,
        looks=LOOKS if rule.kind == "confirm" else 0,
        requests=int(slowest.requests[-1]) if slowest.requests.size else 0,
        needed=rule.planned_requests,
        windows=len(calm),
        void=len(complete) - len(calm),
        metrics=metrics,
    )


def _check_order(windows: Sequence[Window]) -> None:
    for window in windows:
        if not window.start < window.end:
            raise ValueError(f"a window ends at {window.end}, before it starts at {window.start}")
    for first, second in itertools.pairwise(windows):
        if second.start < first.end or not first.complete:
            raise ValueError(f"the window at {second.start} overlaps the one before it")


def _void(rule: Rule, window: Window) -> str:
    """Why a window cannot be used at all; empty if it can."""
    if window.void:
        return window.void
    for metric in rule.metrics:
        counts = window.counts.get(metric.name)
        if counts is None:
            return f"no counts of {metric.name}"
        if window.complete and counts.candidate_requests == 0:
            return "the candidate had no requests"
        if window.complete and rule.kind != "bake" and counts.champion_requests == 0:
            return "the champion had no requests: nothing to compare with"
    return ""


def _calm(rule: Rule, windows: Sequence[Window]) -> list[Window]:
    """Those in which the champion kept its own objective, or at least did not clearly break it."""
    limits = [metric for metric in rule.metrics if metric.limit is not None]
    if rule.kind == "bake" or not windows or not limits:
        return list(windows)
    broke = np.zeros(len(windows), bool)
    for metric in limits:
        _, _, events, requests = counts_of(metric.name, windows)
        broke |= wilson(events, requests, _CHAMPION_Z)[0] > (metric.limit or 1.0)
    return [window for window, bad in zip(windows, broke, strict=True) if not bad]


def _last_window(rule: Rule, complete: Sequence[Window]) -> str:
    """Why the newest complete window does not allow promotion; empty if it does."""
    if not complete:
        return ""
    if why := _void(rule, complete[-1]):
        return f"the last window is void: {why}"
    if _calm(rule, complete[-1:]):
        return ""
    return "the champion itself breaks its objective: wait until it does not"


def _metric(
    rule: Rule,
    metric: Metric,
    path: Path,
    calm: Sequence[Window],
    tripped: Trip,
    reached: Sequence[tuple[int, int]],
) -> MetricVerdict:
    totals = counts_of(metric.name, calm).sum(axis=1)
    difference = lower = upper = None
    if path.requests.size and path.requests[-1] > 0:
        difference, lower, upper = _interval(rule, path, len(calm) - 1, reached[-1][0] if reached else 1)
    if tripped.reason:
        outcome: Outcome = "rollback"
    else:
        outcome = (
            "promote" if difference is not None and _passes(rule, metric, path, reached) else "undecided"
        )
    return MetricVerdict(
        name=metric.name,
        outcome=outcome,
        reason=tripped.reason,
        margin=metric.margin,
        limit=metric.limit,
        events=int(totals[0]),
        requests=int(totals[1]),
        base_events=int(totals[2]),
        base_requests=int(totals[3]),
        difference=difference,
        lower=lower,
        upper=upper,
        design_effect=float(path.design_effect[-1]) if path.requests.size else 1.0,
        log_evidence=tripped.windowed,
        log_evidence_gross=tripped.gross,
    )


def _passes(rule: Rule, metric: Metric, path: Path, reached: Sequence[tuple[int, int]]) -> bool:
    """Whether this metric alone would let the candidate pass now (a confirming stage: at the last look reached)."""
    if rule.kind == "confirm":
        return bool(reached) and _confirmed(rule, metric, path, *reached[-1])
    return _estimate(rule, path) <= _allowed(rule, metric)


def _confirmed(rule: Rule, metric: Metric, path: Path, look: int, index: int) -> bool:
    return _interval(rule, path, index, look)[2] < metric.margin


def _allowed(rule: Rule, metric: Metric) -> float:
    if rule.kind != "bake":
        return metric.margin
    return 1.0 if metric.limit is None else metric.limit


def _estimate(rule: Rule, path: Path) -> float:
    share = float(path.events[-1] / path.requests[-1])
    return share if rule.kind == "bake" else share - float(path.base_events[-1] / path.base_requests[-1])


def _interval(rule: Rule, path: Path, index: int, look: int) -> tuple[float, float, float]:
    """Estimate, lower and upper bound after a window, with the bound of a look; effective counts."""
    z = float(looks_bound(look, PROMOTE_CONSTANT)) if rule.kind == "confirm" else _SHOWN_Z
    if path.windows[index] >= 2:
        z = widened(z, path, index)
    a, n, c, d = (float(values[index]) for values in path.effective())
    if rule.kind == "bake":
        low, high = wilson(a, n, z)
        return a / n, float(low), float(high)
    low, high = newcombe(a, n, c, d, z)
    return a / n - c / d, float(low), float(high)


def _overall(
    rule: Rule, metrics: Sequence[MetricVerdict], path: Path, reached: Sequence[tuple[int, int]]
) -> tuple[Outcome, str]:
    for metric in metrics:
        if metric.outcome == "rollback":
            return "rollback", metric.reason
    if not path.requests.size:
        return "undecided", ""
    windows, requests = int(path.windows[-1]), int(path.requests[-1])
    if windows < rule.minimum_windows:
        return "undecided", f"{windows} of at least {rule.minimum_windows} windows"
    if rule.kind == "confirm":
        return _confirm(rule, metrics, requests, reached)
    if requests < rule.planned_requests:
        return "undecided", f"{requests:,} of {rule.planned_requests:,} candidate requests"
    for metric in metrics:
        if metric.outcome != "promote":
            worse = "its limit" if rule.kind == "bake" else "the champion's by more than the margin"
            return "undecided", f"{metric.name}: the share is above {worse}, though not yet proved to be"
    bound = "limit" if rule.kind == "bake" else "margin"
    return "promote", f"{requests:,} candidate requests in {windows} windows, no metric above its {bound}"


def _confirm(
    rule: Rule, metrics: Sequence[MetricVerdict], requests: int, reached: Sequence[tuple[int, int]]
) -> tuple[Outcome, str]:
    if not reached:
        first = -(-rule.planned_requests // LOOKS)
        return "undecided", f"{requests:,} of {first:,} candidate requests until the first look"
    look = reached[-1][0]
    undecided = [metric for metric in metrics if metric.outcome != "promote"]
    if not undecided:
        return "promote", f"all metrics shown to be within their margins at look {look} of {LOOKS}"
    names = ", ".join(metric.name for metric in undecided)
    return "undecided", f"look {look} of {LOOKS} left open: {names}"
