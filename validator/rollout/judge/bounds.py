"""Intervals for a difference of shares, and the bounds of planned looks. Arrays in, arrays out."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from validator.rollout.judge.windows import LOOKS

Floats = NDArray[np.float64]

#: O'Brien and Fleming's constants for six equally spaced looks, one-sided 5 % and 1 %: the bound at look k is
#: C·√(6/k). Computed by recursive integration (Armitage, McPherson and Rowe 1969); a test integrates them again.
PROMOTE_CONSTANT = 1.7649
ROLLBACK_CONSTANT = 2.3948


def wilson(events: ArrayLike, requests: ArrayLike, z: ArrayLike) -> tuple[Floats, Floats]:
    """Wilson's score interval for a share.

    Parameters
    ----------
    events, requests, z : array_like, float
        Broadcast together; `events` and `requests` may be fractions of counts (an effective sample size).

    Returns
    -------
    lower, upper : ndarray of float64

    References
    ----------
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    e, n, q = (np.asarray(value, np.float64) for value in (events, requests, z))
    share, square = e / n, q * q
    scale = 1 + square / n
    centre = (share + square / (2 * n)) / scale
    half = q * np.sqrt(share * (1 - share) / n + square / (4 * n * n)) / scale
    # At no events and at nothing but events the bound is exact; arithmetic alone leaves it a rounding error off.
    return np.where(e <= 0, 0.0, centre - half), np.where(e >= n, 1.0, centre + half)


def newcombe(
    events: ArrayLike, requests: ArrayLike, base_events: ArrayLike, base_requests: ArrayLike, z: ArrayLike
) -> tuple[Floats, Floats]:
    """Newcombe's hybrid score interval for a difference of two independent shares (his method 10).

    Returns
    -------
    lower, upper : ndarray of float64
        Bounds of ``events/requests - base_events/base_requests``.

    References
    ----------
    R. G. Newcombe (1998), Interval estimation for the difference between independent proportions: comparison of
    eleven methods, Statistics in Medicine 17.
    """
    share = np.asarray(events, np.float64) / np.asarray(requests, np.float64)
    base = np.asarray(base_events, np.float64) / np.asarray(base_requests, np.float64)
    low, high = wilson(events, requests, z)
    base_low, base_high = wilson(base_events, base_requests, z)
    difference = share - base
    return (
        difference - np.hypot(share - low, base_high - base),
        difference + np.hypot(high - share, base - base_low),
    )


def looks_bound(look: ArrayLike, constant: float) -> Floats:
    """The bound on z at planned look 1 … 6: C·√(6/k), so strict early that the last look loses next to nothing.

    References
    ----------
    P. C. O'Brien and T. R. Fleming (1979), A multiple testing procedure for clinical trials, Biometrics 35.
    """
    return np.asarray(constant * np.sqrt(LOOKS / np.asarray(look, np.float64)), np.float64)


@functools.cache
def students(z: float, windows: int) -> float:
    """The quantile of Student's t with ``windows - 1`` degrees of freedom at the level of the normal quantile `z`.

    The spread between windows is estimated from these windows, so the bound is a little wider than the normal one.
    """
    from scipy import stats

    quantile: Any = stats.t.isf(stats.norm.sf(z), windows - 1)
    return float(quantile)
