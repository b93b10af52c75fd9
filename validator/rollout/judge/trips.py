"""What takes a candidate out before any planned look: two e-processes, one quick and coarse, one slow and fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from validator.rollout.judge.bounds import ROLLBACK_CONSTANT, looks_bound, newcombe, students, wilson
from validator.rollout.judge.eprocess import GROSS_PRIOR, log_evidence, log_evidence_above
from validator.rollout.judge.path import Path, single_path, stratified_path
from validator.rollout.judge.windows import LOOKS, MINIMUM_TRIP_WINDOWS, Metric, Rule, Window

#: Chance of a false alarm of all metrics together.
FALSE_ROLLBACK = 0.01
#: The gross trip knows no windows, so it only answers to what bursts do not explain.
GROSS_MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class Trip:
    """What a metric says for rolling back."""

    gross: float
    """largest log e-value of the gross trip, from the first request on"""
    windowed: float
    """largest log e-value over complete windows, on effective counts"""
    reason: str
    """why the candidate goes; empty if it stays"""


def counts_of(metric: str, windows: Sequence[Window]) -> NDArray[np.int64]:
    """Candidate events and requests, champion events and requests: an array of shape (4, windows)."""
    rows = [
        (c.candidate_events, c.candidate_requests, c.champion_events, c.champion_requests)
        for c in (window.counts[metric] for window in windows)
    ]
    return np.array(rows, np.int64).reshape(-1, 4).T


def path_of(rule: Rule, counts: NDArray[np.int64]) -> Path:
    """Against the champion beside it, or alone in a bake."""
    return single_path(*counts[:2]) if rule.kind == "bake" else stratified_path(*counts)


def trip(rule: Rule, metric: Metric, windows: Sequence[Window]) -> Trip:
    """Whether the metric takes the candidate out, judged on all windows that are not void.

    The largest e-value so far counts, not the last: whoever looked then would have rolled back.
    """
    needed = float(np.log(len(rule.metrics) / FALSE_ROLLBACK))
    every = path_of(rule, counts_of(metric.name, windows))
    complete = path_of(rule, counts_of(metric.name, [window for window in windows if window.complete]))
    gross, windowed = _gross(rule, metric, every), _windowed(rule, metric, complete)
    reason = ""
    if gross > needed:
        reason = f"{metric.name}: far worse than {_reference(rule)}, from the first requests on"
    elif windowed > needed:
        reason = (
            f"{metric.name}: worse than {_reference(rule)} by more than the margin in window after window"
        )
    elif _at_a_look(rule, metric, complete):
        reason = f"{metric.name}: the lower bound was above the margin at a planned look"
    return Trip(gross=gross, windowed=windowed, reason=reason)


def _reference(rule: Rule) -> str:
    return "the objective" if rule.kind == "bake" else "the champion"


def _gross(rule: Rule, metric: Metric, path: Path) -> float:
    if rule.kind != "bake":
        margin = max(GROSS_MARGIN, metric.margin)
        values = log_evidence(
            path.events, path.requests, path.base_events, path.base_requests, margin, GROSS_PRIOR
        )
    elif metric.limit is None:
        return 0.0
    else:
        values = log_evidence_above(
            path.events, path.requests, min(metric.limit + GROSS_MARGIN, 0.99), GROSS_PRIOR
        )
    return float(values.max(initial=0.0))


def _windowed(rule: Rule, metric: Metric, path: Path) -> float:
    events, requests, base_events, base_requests = path.effective()
    if rule.kind != "bake":
        values = log_evidence(events, requests, base_events, base_requests, metric.margin)
    elif metric.limit is None:
        return 0.0
    else:
        values = log_evidence_above(events, requests, metric.limit)
    return float(values[path.windows >= MINIMUM_TRIP_WINDOWS].max(initial=0.0))


def _at_a_look(rule: Rule, metric: Metric, path: Path) -> bool:
    if rule.kind == "bake":
        if metric.limit is None:
            return False
        threshold = metric.limit
    else:
        threshold = metric.margin
    return any(
        lower_bound(rule, path, index, look) > threshold
        for look, index in planned_looks(path, rule.planned_requests, MINIMUM_TRIP_WINDOWS)
    )


def lower_bound(rule: Rule, path: Path, index: int, look: int) -> float:
    """Of the difference, or of the share in a bake, at a look; one-sided 1 % over all looks."""
    z = widened(float(looks_bound(look, ROLLBACK_CONSTANT)), path, index)
    a, n, c, d = (float(values[index]) for values in path.effective())
    return float(wilson(a, n, z)[0] if rule.kind == "bake" else newcombe(a, n, c, d, z)[0])


def widened(z: float, path: Path, index: int) -> float:
    """The normal quantile as Student's, for a spread that is estimated from so few windows."""
    return students(z, int(path.windows[index]))


def planned_looks(path: Path, planned: int, minimum_windows: int) -> list[tuple[int, int]]:
    """The planned looks that were reached, with the index of the window that reached each.

    Look k is taken at the first window by which k sixths of the planned requests, and enough windows, were seen.
    Where one window reaches several, only the last of them is taken: fewer looks cost nothing.
    """
    taken: dict[int, int] = {}
    for look in range(1, LOOKS + 1):
        reached = (path.requests >= planned * look / LOOKS) & (path.windows >= minimum_windows)
        if reached.any():
            taken[int(reached.argmax())] = look
    return [(look, index) for index, look in taken.items()]
