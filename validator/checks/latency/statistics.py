"""Statistics of times: percentiles with intervals that hold for any distribution, and paired ratios.

Pure functions of numbers. The interval of a percentile holds at every moment of a growing sample at once, so that
sampling may look at it again and again and stop when it is narrow enough; one made for a sample of fixed size would
be wrong more often than it says when looked at repeatedly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from validator.results import Ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of a limit: kept, broken, or not to be told at the set confidence.
Reading = Literal["within", "over", "inconclusive"]

#: Calls that the prior of the mixture weighs: where the interval is tightest. It holds whatever this is.
_PRIOR_CALLS = 50.0
_RESAMPLES = 1_000
_SEED = 20_251_105


def quantile_interval(values: NDArray[Any], quantile: float, confidence: float) -> tuple[float, float]:
    """Bounds of a quantile of what `values` [n] are drawn from; infinite where the sample is too small to tell.

    Robbins' mixture: with x of n values above the true quantile, the likelihood ratio of a Beta mixture of binomials
    against the one with probability 1 - quantile exceeds 1 / (1 - confidence) at some n with probability at most
    1 - confidence (Ville's inequality). The bounds are the order statistics that this leaves.
    """
    import numpy as np

    ordered = np.sort(np.asarray(values, dtype=float))
    calls = len(ordered)
    fewest, most = plausible_exceedances(calls, 1 - quantile, confidence)
    low = -math.inf if most >= calls else float(ordered[calls - 1 - most])
    high = math.inf if fewest <= 0 else float(ordered[calls - fewest])
    return low, high


def plausible_exceedances(calls: int, probability: float, confidence: float) -> tuple[int, int]:
    """The fewest and the most exceedances among `calls` that do not contradict their having this probability.

    A sequence of bounds: all of them hold at the same time with probability `confidence`.
    """
    limit = -math.log(1 - confidence)
    middle = min(calls, round(calls * probability))

    def is_plausible(count: int) -> bool:
        return _log_mixture_ratio(count, calls, probability) < limit

    return _edge(is_plausible, middle, 0), _edge(is_plausible, middle, calls)


def _log_mixture_ratio(count: int, calls: int, probability: float) -> float:
    """Logarithm of the Beta mixture's likelihood over the binomial's, `count` of `calls`."""
    a, b = _PRIOR_CALLS * probability, _PRIOR_CALLS * (1 - probability)
    mixture = _log_beta(a + count, b + calls - count) - _log_beta(a, b)
    return mixture - count * math.log(probability) - (calls - count) * math.log1p(-probability)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _edge(holds: Callable[[int], bool], inside: int, end: int) -> int:
    """The last whole number from `inside` towards `end` for which it holds; it holds up to there and no further."""
    if holds(end):
        return end
    while abs(end - inside) > 1:
        middle = (inside + end) // 2
        inside, end = (middle, end) if holds(middle) else (inside, middle)
    return inside


def read_limit(low: float, high: float, limit: float) -> Reading:
    """How an interval lies to a limit that the true value must stay below."""
    if high < limit:
        return "within"
    return "over" if low >= limit else "inconclusive"


def paired_ratio(slower: NDArray[Any], faster: NDArray[Any], confidence: float) -> Ratio:
    """Median of `slower` / `faster` [blocks], each a block's typical time, with its bootstrap interval over blocks.

    Both were measured in turn, so that a disturbance hits both of a pair, and the median leaves out the pairs that it
    did not.
    """
    import numpy as np

    count = min(len(slower), len(faster))
    ratios = slower[:count] / np.maximum(faster[:count], 1.0)
    draws = np.random.default_rng(_SEED).integers(0, count, size=(_RESAMPLES, count))
    medians = np.median(ratios[draws], axis=1)
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Ratio(value=float(np.median(ratios)), low=float(low), high=float(high), confidence=confidence)
