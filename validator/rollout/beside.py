"""What is noticed beside the judge, and only warned of: answers that differ in the shadow, outputs spread otherwise.

A new model answers otherwise than the old one, or there would be no need of it: neither says that it is broken, and
neither keeps it from being promoted. Whoever watches decides.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from validator.prometheus import Series
from validator.report.escape import clean
from validator.rollout.counts import Measured, Measuring, Source, asked_before, counted_among
from validator.rollout.judge.bounds import wilson
from validator.rollout.judge.shapes import least_psi, noise
from validator.rollout.samples import counted
from validator.rollout.settings import JudgeSettings

#: Of either arm, so many requests are wanted before anything is said.
_FEWEST = 300
#: One-sided 99.9 %: it is looked at in every window.
_Z = 3.09
#: As `drift` warns.
_PSI = 0.1


@dataclass(frozen=True, kw_only=True)
class _Output:
    """One output of one version: upper edges of its bins but the last, and rows by bin."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


def noticed(
    source: Source, settings: JudgeSettings, what: Measuring, measured: Measured, now: float
) -> tuple[str, ...]:
    """Warnings of the stage so far, over its complete windows.

    Raises
    ------
    SourceError
        If the source cannot be asked.
    """
    complete = [window for window in measured.windows if window.complete]
    if not complete:
        return ()
    edges = (complete[0].start, complete[-1].end)
    seconds = now - edges[0] + asked_before(measured.interval_s)
    asking = _Asking(source=source, model=what.model, now=now, seconds=seconds, edges=edges)
    if what.shadow:
        return _disagreement(asking, what, settings.margins.shadow_different)
    return _spread(asking, what)


@dataclass(frozen=True, kw_only=True)
class _Asking:
    source: Source
    model: str
    now: float
    seconds: float
    edges: tuple[float, float]

    def series(self, metric: str, **labels: str) -> list[Series]:
        labels = {"model": self.model, **labels}
        return self.source.samples(metric, labels, seconds=self.seconds, at=self.now)


def _disagreement(asking: _Asking, what: Measuring, allowed: float) -> tuple[str, ...]:
    series = [
        Series(labels={**one.labels, "outcome": one.label("result")}, samples=one.samples)
        for one in asking.series("preflight_shadow_total", against=what.candidate.version)
    ]
    (different,) = counted_among(series, asking.edges, frozenset({"different"}))
    (compared,) = counted_among(series, asking.edges, frozenset({"same", "close", "different"}))
    if compared < _FEWEST or float(wilson(different, compared, _Z)[0]) <= allowed:
        return ()
    return (
        f"{different / compared:.1%} of {compared:,} answers in the shadow differ from the champion's, "
        f"more than {allowed:.3g} of them",
    )


def _spread(asking: _Asking, what: Measuring) -> tuple[str, ...]:
    asked = [_requests(asking, arm.version) for arm in (what.candidate, what.champion)]
    if min(asked) < _FEWEST:
        return ()
    ours, theirs = (_outputs(asking, arm.version) for arm in (what.candidate, what.champion))
    found = []
    for name in sorted(ours.keys() & theirs.keys()):
        one, other = ours[name], theirs[name]
        # Rows of one request may be alike: they count as one.
        n, m = (min(a, sum(o.counts)) for a, o in zip(asked, (one, other), strict=True))
        psi = least_psi(one.edges, one.counts, other.edges, other.counts)
        if psi > _PSI and psi > noise(max(len(one.counts), len(other.counts)), n, m):
            found.append(
                f"output {clean(name, limit=80)} is spread otherwise than the champion's at the same time: "
                f"PSI of at least {psi:.2f}"
            )
    return tuple(found)


def _requests(asking: _Asking, version: str) -> int:
    (count,) = counted_among(
        asking.series("preflight_requests_total", version=version), asking.edges, frozenset({"ok"})
    )
    return count


def _outputs(asking: _Asking, version: str) -> Mapping[str, _Output]:
    """Outputs that are numbers, whose edges the servers show."""
    uppers: dict[str, dict[int, float]] = defaultdict(dict)
    for one in asking.series("preflight_profile_edge", version=version):
        place, upper = _number(one.label("bin")), _number(one.label("upper"))
        if place is not None and upper is not None and one.label("output"):
            uppers[one.label("output")][int(place)] = upper
    rows: dict[tuple[str, int], list[Series]] = defaultdict(list)
    for one in asking.series("preflight_output_bin_total", version=version):
        if (place := _number(one.label("bin"))) is not None:
            rows[one.label("output"), int(place)].append(one)
    found = {}
    for name, by_bin in uppers.items():
        edges = tuple(by_bin[place] for place in sorted(by_bin))
        if sorted(by_bin) == list(range(len(edges))) and _rises(edges):
            counts = tuple(sum(counted(rows[name, i], asking.edges)) for i in range(len(edges) + 1))
            found[name] = _Output(edges=edges, counts=counts)
    return found


def _rises(edges: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(edges))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
