"""Evidence against "the candidate is no worse than the margin" that may be looked at as often as one likes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from validator.rollout.judge.bounds import Floats

#: Parameters of the Beta distribution that both shares are mixed over: small shares are likely, large ones possible.
PRIOR = (0.5, 20.0)
#: The same for seeing a breakdown within a few requests: large shares are likelier.
GROSS_PRIOR = (0.5, 5.0)
#: Halvings of an interval of at most 1: the base share is known to 1e-13.
_HALVINGS = 43


def log_evidence(
    events: ArrayLike,
    requests: ArrayLike,
    base_events: ArrayLike,
    base_requests: ArrayLike,
    margin: float,
    prior: tuple[float, float] = PRIOR,
) -> Floats:
    """Logarithm of the e-value against "candidate's share - champion's share ≤ margin".

    The likelihood of the counts, mixed over independent Beta distributions of both shares, over the largest
    likelihood that the hypothesis allows. Whatever the champion's share, the mixture is a martingale under each
    single hypothesis and the divisor is at least its likelihood, so that by Ville's inequality the probability of
    ever exceeding 1/q is at most q, at however many looks, for independent requests.

    Parameters
    ----------
    events, requests, base_events, base_requests : array_like, float
        Counts so far, candidate then champion; fractions are allowed. Where an arm has no request the value is 0.
    margin : float
        Allowed difference of the shares, in (0, 1).
    prior : tuple of float
        Parameters of the Beta distributions. Any keeps the guarantee; it only decides what is seen soonest.

    Returns
    -------
    ndarray of float64

    References
    ----------
    L. Wasserman, A. Ramdas and S. Balakrishnan (2020), Universal inference, PNAS 117.
    A. Ramdas, P. Grünwald, V. Vovk and G. Shafer (2023), Game-theoretic statistics and safe anytime-valid inference,
    Statistical Science 38.
    """
    a, n, c, d = np.broadcast_arrays(
        *(np.asarray(value, np.float64) for value in (events, requests, base_events, base_requests))
    )
    asked = (n > 0) & (d > 0)
    a, n, c, d = (np.where(asked, value, fill) for value, fill in ((a, 0.0), (n, 1.0), (c, 0.0), (d, 1.0)))
    mixture = _beta_likelihood(a, n, prior) + _beta_likelihood(c, d, prior)
    allowed = np.array(_likelihood(a, n, a / n) + _likelihood(c, d, c / d))
    beyond = a / n - c / d > margin
    allowed[beyond] = _best_at_margin(a[beyond], n[beyond], c[beyond], d[beyond], margin)
    return np.where(asked, mixture - allowed, 0.0)


def log_evidence_above(
    events: ArrayLike, requests: ArrayLike, limit: float, prior: tuple[float, float] = PRIOR
) -> Floats:
    """Logarithm of the e-value against "the share is at most `limit`", for one arm; anytime-valid as above."""
    a, n = np.broadcast_arrays(np.asarray(events, np.float64), np.asarray(requests, np.float64))
    asked = n > 0
    a, n = np.where(asked, a, 0.0), np.where(asked, n, 1.0)
    allowed = _likelihood(a, n, np.minimum(a / n, limit))
    return np.where(asked, _beta_likelihood(a, n, prior) - allowed, 0.0)


def _beta_likelihood(events: Floats, requests: Floats, prior: tuple[float, float]) -> Floats:
    from scipy.special import betaln

    first, second = prior
    value = betaln(first + events, second + requests - events) - betaln(first, second)
    return np.asarray(value, np.float64)


def _likelihood(events: Floats, requests: Floats, share: Floats) -> Floats:
    from scipy.special import xlog1py, xlogy

    value = xlogy(events, share) + xlog1py(requests - events, -share)
    return np.asarray(value, np.float64)


def _best_at_margin(a: Floats, n: Floats, c: Floats, d: Floats, margin: float) -> Floats:
    """The largest likelihood with the shares exactly `margin` apart; it is concave, so its slope is bisected."""
    low, high = np.full(a.shape, 1e-12), np.full(a.shape, 1 - margin - 1e-12)
    for _ in range(_HALVINGS):
        base = (low + high) / 2
        share = base + margin
        slope = a / share - (n - a) / (1 - share) + c / base - (d - c) / (1 - base)
        low, high = np.where(slope > 0, base, low), np.where(slope > 0, high, base)
    base = (low + high) / 2
    return _likelihood(a, n, base + margin) + _likelihood(c, d, base)
