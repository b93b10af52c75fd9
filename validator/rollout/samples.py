"""Raw samples of counters, and what was counted between two moments. No `increase()`: it guesses at the edges."""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from validator.prometheus import Series

#: An instance that was silent for more than so many scrapes was not scraped.
SILENT_SCRAPES = 2.5


@dataclass(frozen=True, kw_only=True)
class Scrapes:
    """The moments at which one instance was scraped."""

    times: Sequence[float]
    interval: float

    def silent(self, start: float, end: float) -> bool:
        """Whether it was not scraped for too long, anywhere between the two moments."""
        allowed = SILENT_SCRAPES * self.interval
        first = bisect.bisect_right(self.times, start) - 1
        last = bisect.bisect_left(self.times, end)
        inner = self.times[max(first, 0) : last + 1]
        edges = [start if first < 0 else inner[0], *inner, max(end, inner[-1]) if inner else end]
        return any(later - earlier > allowed for earlier, later in itertools.pairwise(edges)) or first < 0


def increments(samples: Sequence[tuple[float, float]], *, from_zero: bool) -> list[tuple[float, float]]:
    """What was counted since the sample before, at the time of each sample.

    A value below the one before it is a restart: all of it was counted since. `from_zero` says that the instance was
    scraped before this series was born, so that its first value was counted since then, too.
    """
    found = []
    before = 0.0 if from_zero else None
    for at, value in samples:
        if before is not None:
            found.append((at, value - before if value >= before else value))
        before = value
    return found


def counted(series: Iterable[Series], edges: Sequence[float]) -> list[int]:
    """What these series counted together between each two edges; the first edge excluded, the last included."""
    series = list(series)
    born: dict[tuple[str, str], float] = {}
    for one in series:
        if one.samples:
            first = one.samples[0][0]
            born[one.instance] = min(first, born.get(one.instance, first))
    totals = [0.0] * (len(edges) - 1)
    for one in series:
        if not one.samples:
            continue
        late = one.samples[0][0] > born[one.instance]
        for at, count in increments(one.samples, from_zero=late):
            index = bisect.bisect_left(edges, at) - 1
            if 0 <= index < len(totals):
                totals[index] += count
    return [round(total) for total in totals]


def scrapes(series: Iterable[Series], interval: float | None = None) -> dict[tuple[str, str], Scrapes]:
    """When each instance was scraped; the interval is the median distance where it is not known."""
    times: dict[tuple[str, str], set[float]] = {}
    for one in series:
        times.setdefault(one.instance, set()).update(at for at, _ in one.samples)
    found = {}
    for instance, moments in times.items():
        ordered = sorted(moments)
        gaps = [later - earlier for earlier, later in itertools.pairwise(ordered)]
        usual = interval or (statistics.median(gaps) if gaps else 60.0)
        found[instance] = Scrapes(times=ordered, interval=usual)
    return found
