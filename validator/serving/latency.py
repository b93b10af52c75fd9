"""Latency of every call in bounded memory: exact count, mean and maximum, percentiles within a stated error.

A logarithmic histogram of nanoseconds: each power of two is cut into 128 equal buckets, and a bucket stands
for its middle, so that a percentile is off by at most 1/256 of its value (below 256 ns it is exact). This is the
scheme of HdrHistogram (http://hdrhistogram.org). Calls above 2**43 ns (about 2.4 hours) count as that long in
the percentiles.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

_BITS = 8
_HALF = 1 << (_BITS - 1)
_TOP = (1 << 43) - 1

#: The largest relative error of a percentile.
RELATIVE_ERROR = 1 / 256


@dataclass(frozen=True, kw_only=True)
class LatencyStats:
    """Milliseconds of the calls that were answered. All figures are NaN while `count` is 0.

    `mean_ms` and `max_ms` are exact, the percentiles within `relative_error` of a call that was measured.
    """

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    relative_error: float = RELATIVE_ERROR


def bucket_of(nanoseconds: int) -> int:
    """The bucket that a duration falls into."""
    shift = nanoseconds.bit_length() - _BITS
    return nanoseconds if shift <= 0 else (shift << (_BITS - 1)) + (nanoseconds >> shift)


def middle_of(bucket: int) -> float:
    """The duration, in nanoseconds, that a bucket stands for."""
    if bucket < 2 * _HALF:
        return float(bucket)
    shift = (bucket >> (_BITS - 1)) - 1
    lowest = (bucket - (shift << (_BITS - 1))) << shift
    return lowest + ((1 << shift) - 1) / 2


class LatencyHistogram:
    """Thread-safe and re-entrant; about 35 KiB, however many calls."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts = [0] * (bucket_of(_TOP) + 1)
        self._count = 0
        self._total = 0
        self._maximum = 0

    def record(self, nanoseconds: int) -> None:
        bucket = bucket_of(nanoseconds if 0 <= nanoseconds <= _TOP else min(max(nanoseconds, 0), _TOP))
        with self._lock:
            self._counts[bucket] += 1
            self._count += 1
            self._total += nanoseconds
            if nanoseconds > self._maximum:
                self._maximum = nanoseconds

    def snapshot(self) -> tuple[list[int], int, int, int]:
        """Counts by bucket, number of calls, their sum and maximum (ns), all of one moment."""
        with self._lock:
            return list(self._counts), self._count, self._total, self._maximum


def summarise(histograms: Sequence[LatencyHistogram]) -> LatencyStats:
    """The statistics of all the calls in these histograms together."""
    taken = [histogram.snapshot() for histogram in histograms]
    count = sum(snapshot[1] for snapshot in taken)
    if not count:
        nan = math.nan
        return LatencyStats(count=0, mean_ms=nan, p50_ms=nan, p95_ms=nan, p99_ms=nan, max_ms=nan)
    counts = [sum(column) for column in zip(*(snapshot[0] for snapshot in taken), strict=True)]
    maximum = max(snapshot[3] for snapshot in taken)
    p50, p95, p99 = (min(percentile(counts, q), maximum) / 1e6 for q in (0.50, 0.95, 0.99))
    total = sum(snapshot[2] for snapshot in taken)
    return LatencyStats(
        count=count, mean_ms=total / count / 1e6, p50_ms=p50, p95_ms=p95, p99_ms=p99, max_ms=maximum / 1e6
    )


def percentile(counts: Sequence[int], quantile: float) -> float:
    """Nanoseconds of the smallest measured call that at least `quantile` of all calls do not exceed."""
    rank = max(1, math.ceil(quantile * sum(counts)))
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if seen >= rank:
            return middle_of(bucket)
    raise ValueError("an empty histogram has no percentile")
