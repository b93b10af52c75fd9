"""When harm is expected to take a candidate out: the judge itself, on the counts that are expected. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from validator.rollout.judge import Counts, Rule, Window, judge
from validator.rollout.samples import SILENT_SCRAPES

#: Windows or scrapes that are looked at.
_MOST = 5000


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How requests come and are counted in a stage that lasts so long. `base`: the champion's shares of events."""

    per_second: float
    share: float
    base: Mapping[str, float]
    interval_s: float
    window_s: float
    step_s: float
    lasts_s: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """When harm is seen, and how many candidate requests met it by then."""

    seconds: float
    requests: int


def seen_after(rule: Rule, share: float, pace: Pace) -> Seen | None:
    """When the stage's first metric, at this share of events, is expected to roll the candidate back.

    Whichever comes first: the gross trip at a scrape, or the others at the end of a window. Chance moves it to both
    sides. None if the stage has ended by then, or more windows than are worth looking at.

    Parameters
    ----------
    rule : Rule
        The stage's.
    share : float
        The candidate's share of events; no metric is worse than the champion's but the first.
    pace : Pace
    """
    found = [
        one for one in (_at_scrapes(rule, share, pace), _at_windows(rule, share, pace)) if one is not None
    ]
    if not found:
        return None
    seconds = min(found)
    return Seen(seconds=seconds, requests=round(pace.per_second * pace.share * seconds))


def _at_scrapes(rule: Rule, share: float, pace: Pace) -> float | None:
    def out(scrapes: int) -> bool:
        counts = _expected(rule, share, pace, 0.0, scrapes * pace.interval_s)
        window = Window(start=0.0, end=scrapes * pace.interval_s, counts=counts, complete=False)
        return judge(rule, [window]).outcome == "rollback"

    scrapes = _first(out, min(math.ceil(pace.lasts_s / pace.interval_s), _MOST))
    return None if scrapes is None else scrapes * pace.interval_s + pace.step_s


def _at_windows(rule: Rule, share: float, pace: Pace) -> float | None:
    most = min(math.ceil(pace.lasts_s / pace.window_s), _MOST)
    windows = [
        Window(
            start=i * pace.window_s,
            end=(i + 1) * pace.window_s,
            counts=_expected(rule, share, pace, i * pace.window_s, (i + 1) * pace.window_s),
        )
        for i in range(most)
    ]
    count = _first(lambda n: judge(rule, windows[:n]).outcome == "rollback", most)
    if count is None:
        return None
    return count * pace.window_s + SILENT_SCRAPES * pace.interval_s + pace.step_s


def _first(holds: Callable[[int], bool], most: int) -> int | None:
    """The smallest number up to `most` for which something holds that holds for all larger ones."""
    if not holds(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _expected(rule: Rule, share: float, pace: Pace, start: float, end: float) -> dict[str, Counts]:
    """Expected counts between two moments, rounded so that windows add up."""
    alone = rule.kind == "bake"

    def between(rate: float) -> int:
        return round(rate * end) - round(rate * start)

    candidate = pace.per_second * (1.0 if alone else pace.share)
    champion = 0.0 if alone else pace.per_second * (1 - pace.share)
    found = {}
    for index, metric in enumerate(rule.metrics):
        base = pace.base.get(metric.name, 0.0)
        worse = max(base, share) if index == 0 else base
        found[metric.name] = Counts(
            candidate_events=min(between(candidate * worse), between(candidate)),
            candidate_requests=between(candidate),
            champion_events=min(between(champion * base), between(champion)),
            champion_requests=between(champion),
        )
    return found
