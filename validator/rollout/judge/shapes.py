"""By how much the candidate's outputs are spread otherwise than the champion's, at least: for warnings."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from validator.rollout.judge.bounds import Floats

#: Chance that equal outputs are warned of, for one output at one look.
_ALPHA = 0.001
_STEPS = 33


def least_psi(edges: ArrayLike, counts: ArrayLike, base_edges: ArrayLike, base_counts: ArrayLike) -> float:
    """The smallest population stability index that two histograms with different edges allow.

    Parameters
    ----------
    edges, base_edges : array_like, shape (B-1,) and (C-1,), float
        Upper edges of all bins but the last, rising; a value at an edge lies in the bin below it.
    counts, base_counts : array_like, shape (B,) and (C,), float
        Rows by bin, none of them below zero.

    Returns
    -------
    float
        0 where either has no rows.

    Notes
    -----
    What part of the candidate's rows lies below an edge of the champion is known only to lie between its own
    cumulative shares around it. Of all shares that this allows the cheapest are found, edge by edge, to a 32nd of
    what each may be. The same the other way round, and the larger of the two: both are bounds. Half a row is added to
    each bin.
    """
    a, c = np.asarray(counts, np.float64), np.asarray(base_counts, np.float64)
    if not (a.sum() and c.sum()):
        return 0.0
    e, f = np.asarray(edges, np.float64), np.asarray(base_edges, np.float64)
    return max(_one_way(e, a, f, c), _one_way(f, c, e, a))


def noise(bins: int, requests: float, base_requests: float) -> float:
    """The index that equal outputs exceed by chance once in a thousand looks: χ²(B-1)·(1/n + 1/m)."""
    from scipy import stats

    quantile = float(stats.chi2.isf(_ALPHA, max(1, bins - 1)))
    return quantile * (1 / max(requests, 1.0) + 1 / max(base_requests, 1.0))


def _one_way(edges: Floats, counts: Floats, at: Floats, base: Floats) -> float:
    """Against the bins of `base`, whose edges are `at`: the cheapest way through what may lie below each."""
    below = np.concatenate([[0.0], counts.cumsum()]) / counts.sum()
    low = below[np.searchsorted(edges, at, side="right")]
    high = below[np.minimum(np.searchsorted(edges, at, side="left") + 1, counts.size)]
    total, rows = counts.sum(), base.sum()
    expected = (base + 0.5) / (rows + 0.5 * base.size)
    part, spent = np.zeros(1), np.zeros(1)
    for low_, high_, share in zip(
        np.append(np.minimum(low, high), 1.0), np.append(high, 1.0), expected, strict=True
    ):
        reached = np.linspace(low_, high_, _STEPS if high_ > low_ else 1)
        inside = reached[:, None] - part[None, :]
        p = (np.maximum(inside, 0.0) * total + 0.5) / (total + 0.5 * base.size)
        cost = np.where(inside >= -1e-12, spent[None, :] + (p - share) * np.log(p / share), np.inf)
        part, spent = reached, cost.min(axis=1)
    return float(spent[0])
