"""How long requests took, in Prometheus' classic buckets, one of which ends exactly at the promised limit."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

#: Upper bounds in seconds.
BOUNDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class LatencyBuckets:
    """Counts of requests by duration. Not locked: one thread writes, and the same one reads.

    Parameters
    ----------
    slo_s
        The promised limit in seconds: it becomes a bound of its own, so that the share of slower requests is exact.
    """

    def __init__(self, slo_s: float) -> None:
        self.bounds = sorted({*BOUNDS, slo_s})
        self._counts = [0] * (len(self.bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one request. A duration equal to a bound is within it, as Prometheus defines `le`."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self._sum += seconds

    @property
    def total_s(self) -> float:
        """The sum of all durations."""
        return self._sum

    def cumulative(self) -> list[tuple[str, int]]:
        """(`le`, number of requests of at most that duration), the last one `+Inf`."""
        names = [*map(bound_label, self.bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))


def bound_label(seconds: float) -> str:
    """A bound as Prometheus writes it in `le`, so that a rule can name it: 0.05, 1.0, 0.0001."""
    return repr(float(seconds))
