"""Quantiles of Student's t and of F, without the half second that importing a library of statistics takes.

Both are quantiles of the beta distribution. Its distribution function is the continued fraction of Numerical Recipes
(3rd edition, section 6.4) by Lentz's method, its inverse found by bisection down to the last bit.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_ENOUGH = 1e-16
_MOST_TERMS = 100_000


def t_quantile(probability: float, freedom: float) -> float:
    """The value that Student's t with `freedom` > 0 degrees falls below with `probability`, in (0, 1)."""
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    square = f_quantile(2 * probability - 1, 1, freedom) if probability > 0.5 else 0.0
    return math.sqrt(square)


@lru_cache(maxsize=4_096)
def f_quantile(probability: float, above: float, below: float) -> float:
    """The value that F with `above` and `below` > 0 degrees of freedom falls below with `probability`, in (0, 1)."""
    low, high = 0.0, 1.0
    while _distribution(high, above, below) < probability:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if _distribution(middle, above, below) < probability:
            low = middle
        else:
            high = middle
    return middle


def _distribution(value: float, above: float, below: float) -> float:
    share = above * value / (above * value + below)
    rest = below / (above * value + below)
    a, b = above / 2, below / 2
    # The fraction converges fast on one side of the mean; on the other it is asked for the complement.
    if share < (a + 1) / (a + b + 2):
        return _incomplete_beta(share, rest, a, b)
    return 1 - _incomplete_beta(rest, share, b, a)


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """I_x(a, b), with `rest` = 1 - x."""
    if x <= 0:
        return 0.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    return math.exp(logarithm) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _apart(1 - (a + b) * x / (a + 1))
    product = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            product *= d * c
        if abs(d * c - 1) < _ENOUGH:
            break
    return product


def _apart(value: float) -> float:
    """Away from zero, by which is divided."""
    return value if abs(value) > _TINY else _TINY
