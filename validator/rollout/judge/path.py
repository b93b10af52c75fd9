"""Counts of both arms as they grow window by window, made comparable and deflated by what windows differ by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from validator.rollout.judge.bounds import Floats


@dataclass(frozen=True, kw_only=True)
class Path:
    """After each window, along the last axis: counts of both arms up to and including it.

    `events`, `requests`: the candidate's. `base_events`, `base_requests`: the champion's, as if it had been asked in
    the windows in which the candidate was, with the number of requests that this is worth. `design_effect`: by how
    much the difference varies between windows, as a multiple of what independent requests would vary; at least 1.
    `windows`: how many windows that is.
    """

    events: Floats
    requests: Floats
    base_events: Floats
    base_requests: Floats
    design_effect: Floats
    windows: Floats

    def effective(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The four counts divided by the design effect (Rao and Scott 1992, Biometrics 48)."""
        d = self.design_effect
        return self.events / d, self.requests / d, self.base_events / d, self.base_requests / d


def stratified_path(
    events: ArrayLike, requests: ArrayLike, base_events: ArrayLike, base_requests: ArrayLike
) -> Path:
    """Standardise the champion's counts to the candidate's requests, window by window, and accumulate.

    Parameters
    ----------
    events, requests, base_events, base_requests : array_like, shape (..., windows), int
        Counts of one metric in each window: candidate, then champion. A window in which either arm had no request
        compares nothing and adds nothing.

    Returns
    -------
    Path
        Arrays of shape (..., windows).

    Notes
    -----
    With n_i, d_i requests and a_i, c_i events of candidate and champion in window i, weights w_i = n_i/d_i:

    * the champion's share is Σ w_i c_i / Σ n_i (direct standardisation), worth (Σ w_i d_i)² / Σ w_i² d_i requests;
      an outage in which the shares of the traffic move then weighs the same in both arms (Simpson's paradox);
    * the influence of window i on the difference δ is z_i = (a_i - w_i c_i - n_i δ) / Σ n_i, and the design effect
      max(1, k/(k-1) · Σ z_i² / V) where V is the binomial variance of δ with half an event added to each arm.

    References
    ----------
    W. G. Cochran (1977), Sampling Techniques, ch. 5 and 11 (standardisation, linearised variance).
    J. N. K. Rao and A. J. Scott (1992), A simple method for the analysis of clustered binary data, Biometrics 48.
    """
    a, n, c, d = (np.asarray(value, np.float64) for value in (events, requests, base_events, base_requests))
    both = (n > 0) & (d > 0)
    a, n, c, d = (np.where(both, value, 0.0) for value in (a, n, c, d))
    weight = np.divide(n, d, out=np.zeros_like(n), where=both)
    total, count = n.cumsum(-1), both.cumsum(-1).astype(np.float64)
    happened, standard = a.cumsum(-1), (weight * c).cumsum(-1)
    squares = (weight * weight * d).cumsum(-1)
    worth = np.divide(total * total, squares, out=np.zeros_like(total), where=squares > 0)
    safe = np.maximum(total, 1.0)
    share, base = happened / safe, standard / safe
    influence = a - weight * c
    difference = share - base
    spread = (
        (influence**2).cumsum(-1)
        - 2 * difference * (influence * n).cumsum(-1)
        + difference**2 * (n * n).cumsum(-1)
    ) / safe**2
    smooth, smooth_base = (happened + 0.5) / (total + 1), (base * worth + 0.5) / (worth + 1)
    binomial = smooth * (1 - smooth) / safe + smooth_base * (1 - smooth_base) / np.maximum(worth, 1e-9)
    inflation = np.divide(count, count - 1, out=np.ones_like(count), where=count > 1)
    effect = np.where(count > 1, np.maximum(1.0, inflation * spread / binomial), 1.0)
    return Path(
        events=happened,
        requests=total,
        base_events=base * worth,
        base_requests=worth,
        design_effect=effect,
        windows=count,
    )


def single_path(events: ArrayLike, requests: ArrayLike) -> Path:
    """The same for the candidate alone, as in the bake: no champion is beside it (its counts are 0).

    Parameters
    ----------
    events, requests : array_like, shape (..., windows), int

    Returns
    -------
    Path
    """
    a, n = np.asarray(events, np.float64), np.asarray(requests, np.float64)
    total, count, happened = n.cumsum(-1), (n > 0).cumsum(-1).astype(np.float64), a.cumsum(-1)
    safe = np.maximum(total, 1.0)
    share = happened / safe
    spread = (a**2).cumsum(-1) - 2 * share * (a * n).cumsum(-1) + share**2 * (n * n).cumsum(-1)
    smooth = (happened + 0.5) / (total + 1)
    inflation = np.divide(count, count - 1, out=np.ones_like(count), where=count > 1)
    effect = np.maximum(1.0, inflation * spread / (safe * smooth * (1 - smooth)))
    zeros = np.zeros_like(total)
    return Path(
        events=happened,
        requests=total,
        base_events=zeros,
        base_requests=zeros,
        design_effect=np.where(count > 1, effect, 1.0),
        windows=count,
    )
