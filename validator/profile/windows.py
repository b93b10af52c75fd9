"""How much the reference differs from itself: its windows in order, and what counting alone would explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile import quantiles
from validator.profile.columns import Column, Floor

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Fewer rows of reference are too few to say how much its windows differ.
ENOUGH_ROWS = 400
#: Windows are equal parts of the reference; shorter data is compared with more of them.
LEVELS = (40, 80, 200, 400)
#: The probability of a false alarm over all columns of a profile.
ALPHA = 0.01
_ROWS_A_WINDOW = 10
#: 99 % point of the Tracy-Widom distribution of order 1 (Bejan 2005, table 2).
_TRACY_WIDOM_99 = 2.0234
_DIGITS = 6


def floors_of(blocks: NDArray[np.int64], column: Column, n_columns: int) -> tuple[Floor, ...]:
    """The floors of a column at each length of window that its rows allow; none for fewer than 400 rows.

    Parameters
    ----------
    blocks
        Counts [400, cells] of equal parts of the reference, in its order. Parts may be empty.
    n_columns
        How many columns share the probability of a false alarm.
    """
    rows = int(blocks.sum())
    slots = blocks @ column.membership.T
    bins = slots[:, : len(column.bins)]
    if rows < ENOUGH_ROWS:
        return ()
    found = []
    for k in (k for k in LEVELS if k == LEVELS[0] or rows / k >= _ROWS_A_WINDOW):
        floor = floor_of(grouped(bins, k), n_columns)
        if floor is not None:
            special = _clustering(
                grouped(slots[:, len(column.bins) :], k), grouped(blocks, k).sum(1), column.specials
            )
            found.append(replace(floor, special=special))
    return tuple(found)


def _clustering(counts: NDArray[np.int64], rows: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """How alike rows of one window are in having each special value: 0 by chance, 1 all or none of a window."""
    held = rows > 0
    counts, rows = counts[held], rows[held]
    n_w = 1 / float(np.mean(1 / rows))
    found = {}
    for name, special in zip(names, counts.T, strict=True):
        share = special.sum() / rows.sum()
        if 0 < share < 1:
            above = float(np.var(special / rows, ddof=1)) - share * (1 - share) / n_w
            found[name] = _rounded(min(1.0, max(0.0, above / (share * (1 - share)))))
    return found


def grouped(blocks: NDArray[np.int64], windows: int) -> NDArray[np.int64]:
    """Neighbouring blocks added up to so many windows [windows, bins]; `windows` divides their number."""
    found: NDArray[np.int64] = blocks.reshape(windows, -1, blocks.shape[1]).sum(1)
    return found


def floor_of(windows: NDArray[np.int64], n_columns: int) -> Floor | None:
    """The floor from counts [K, bins] of windows; None where hardly any window holds a row.

    With y the windows' bin shares, centred on the whole's and divided by their root, and l the eigenvalues of
    the covariance of y: τ² = max(Σl - (B-1)/n_w, 0), with n_w the (harmonic) mean of rows a window, and
    nu = (Σl*)²/Σl*² over those l* above what the largest one reaches in one of a hundred cases by counting alone
    (Johnstone, Ann. Statist. 29, 2001), B-1 where none does.
    """
    held = windows[windows.sum(1) > 0]
    bins = int((held.sum(0) > 0).sum())
    if len(held) < LEVELS[0] // 2:
        return None
    k, rows = len(held), held.sum(1, keepdims=True)
    n_w = 1 / float(np.mean(1 / rows))
    share = held.sum(0)[held.sum(0) > 0] / held.sum()
    y = (held[:, held.sum(0) > 0] / rows - share) / np.sqrt(share)
    eigenvalues = np.linalg.eigvalsh(y.T @ y / (k - 1))
    between = max(float(eigenvalues.sum()) - (bins - 1) / n_w, 0.0)
    large = eigenvalues[eigenvalues > _noise(max(1, bins - 1), k, n_w)]
    directions = float(large.sum() ** 2 / (large**2).sum()) if len(large) else float(bins - 1)
    directions = max(1.0, directions)
    return Floor(
        windows=k,
        rows=_rounded(n_w),
        between=_rounded(between),
        directions=_rounded(directions),
        quantile=_rounded(f_quantile(ALPHA / n_columns, directions, k)),
    )


def f_quantile(alpha: float, directions: float, windows: int) -> float:
    """F₁₋alpha(nu, K-1), the quantile by which the floor exceeds what is expected."""
    return quantiles.f_quantile(1 - alpha, directions, windows - 1)


def _noise(dimensions: int, windows: int, rows: float) -> float:
    """99 % point of the largest eigenvalue of windows that differ by counting alone."""
    a, b = math.sqrt(windows - 2), math.sqrt(dimensions)
    centre, spread = (a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)
    return float(centre + _TRACY_WIDOM_99 * spread) / ((windows - 1) * rows)


def lag_correlation(bins: NDArray[Any]) -> float:
    """Correlation of each row's bin [N] with the next one's, missing ones (-1) left out; 0 where nothing varies."""
    first, second = bins[:-1].astype(float), bins[1:].astype(float)
    both = (first >= 0) & (second >= 0)
    first, second = first[both], second[both]
    if len(first) < 3 or first.std() == 0 or second.std() == 0:
        return 0.0
    return _rounded(max(-1.0, min(1.0, float(np.corrcoef(first, second)[0, 1]))))


def _rounded(value: float) -> float:
    """Six digits: what the last bits of a linear algebra library do is no part of a profile."""
    return float(f"{value:.{_DIGITS}g}")
