"""Which feature moves the predictions: put its distribution back to the reference's, and see what changes.

Only the feature's own distribution is undone; how it goes along with the others stays as it is in the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile import CategoryColumn, Column, NumericColumn, Profile
from validator.profile.columns import category_text
from validator.profile.thinning import uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from validator.drift.answering import Answerer

MOST_ROWS = 2_000
_POINTS = np.arange(11) / 10


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What a feature's shift does to the predictions.

    `change` is the mean absolute change of the first output when the feature's distribution is put back, `share`
    its part of the sum over all features; `rows` how many rows could be answered both times.
    """

    feature: str
    change: float
    share: float
    rows: int


def contributions(
    profile: Profile, rows: Mapping[str, NDArray[Any]], answerer: Answerer
) -> tuple[Contribution, ...]:
    """Each feature's contribution, largest first; none where the model gives no number.

    Parameters
    ----------
    rows
        An array [N] for each feature; the first 2,000 rows of an even part are used.
    """
    if not profile.outputs:
        return ()
    n = len(next(iter(rows.values())))
    chosen = np.sort(np.argsort(uniform(np.arange(n)), kind="stable")[:MOST_ROWS])
    some = {name: array[chosen] for name, array in rows.items()}
    name = profile.outputs[0].name
    before, valid = answerer.answers(some)
    found = []
    for column in profile.features:
        back = put_back(column, some[column.name], answerer)
        after, still = answerer.answers({**some, column.name: back})
        both = valid & still
        change = np.abs(before[name][both].astype(np.float64) - after[name][both])
        found.append((column.name, float(change.mean()) if both.any() else 0.0, int(both.sum())))
    total = sum(change for _, change, _ in found)
    return tuple(
        Contribution(feature=feature, change=change, share=change / total if total else 0.0, rows=both)
        for feature, change, both in sorted(found, key=lambda one: (-one[1], one[0]))
    )


def put_back(column: Column, values: NDArray[Any], answerer: Answerer | None = None) -> NDArray[Any]:
    """The values [N] with the reference's distribution, each as near to where it was as its rank allows."""
    if isinstance(column, CategoryColumn):
        return _categories_back(column, values, answerer)
    if not column.quantiles:
        return values
    plain = values.astype(np.float64)
    plain = _missing_back(column, plain)
    present = np.flatnonzero(np.isfinite(plain))
    if not len(present):
        return plain
    now = plain[present]
    if len(column.edges) < 9:
        plain[present] = _few_values_back(column, now)
        return plain
    plain[present] = _by_quantiles(column, now)
    return plain


def _by_quantiles(column: NumericColumn, now: NDArray[np.float64]) -> NDArray[np.float64]:
    """From the data's tenths to the reference's, straight between them: the same tenths change nothing."""
    points = np.quantile(now, _POINTS)
    known = np.unique(points)
    quantiles = np.array(column.quantiles)
    reference = np.array([quantiles[points == point].mean() for point in known])
    moved: NDArray[np.float64] = np.interp(now, known, reference)
    return moved


def _missing_back(column: NumericColumn, plain: NDArray[np.float64]) -> NDArray[np.float64]:
    """As many missing values as the reference has: those beyond are filled evenly from its distribution."""
    missing = np.flatnonzero(np.isnan(plain))
    allowed = round(len(plain) * column.special["missing"] / max(column.rows, 1))
    if len(missing) <= allowed:
        return plain.copy()
    filled = missing[np.argsort(uniform(missing), kind="stable")[allowed:]]
    places = (np.argsort(uniform(filled + len(plain)), kind="stable") + 0.5) / len(filled)
    found = plain.copy()
    found[filled] = np.interp(places, _POINTS, np.array(column.quantiles))
    return found


def _few_values_back(column: NumericColumn, now: NDArray[np.float64]) -> NDArray[np.float64]:
    """For a column of few distinct values: rows go to the reference's values in the order of their own."""
    ends = np.array([*column.edges, column.maximum])
    if now.max() <= ends[-1] and np.isin(now, ends).all():
        shares = np.cumsum(column.counts) / max(1, sum(column.counts))
        ranks = (np.argsort(np.lexsort((uniform(np.arange(len(now))), now))) + 0.5) / len(now)
        found: NDArray[np.float64] = ends[np.minimum(np.searchsorted(shares, ranks), len(ends) - 1)]
        return found
    return _by_quantiles(column, now)


def _categories_back(column: CategoryColumn, values: NDArray[Any], answerer: Answerer | None) -> NDArray[Any]:
    """Rows of categories that are too many now become those that are too few; the rest stay as they are."""
    found = values.astype(object)
    if not column.top:
        return found
    texts = np.array([category_text(value) or "" for value in found.tolist()], dtype=object)
    total = max(1, column.rows)
    wanted = {name: round(len(found) * n / total) for name, n in zip(column.top, column.counts, strict=False)}
    others = len(found) - sum(wanted.values())
    spare: list[int] = []
    short: list[str] = []
    in_top = np.isin(texts, list(column.top))
    groups = {name: np.flatnonzero(texts == name) for name in column.top}
    for name, places in groups.items():
        spare += places[np.argsort(uniform(places), kind="stable")[wanted[name] :]].tolist()
        short += [name] * max(0, wanted[name] - len(places))
    rest = np.flatnonzero(~in_top)
    spare += rest[np.argsort(uniform(rest), kind="stable")[max(0, others) :]].tolist()
    for place, name in zip(sorted(spare), short, strict=False):
        found[place] = name if answerer is None else answerer.category(column.name, name)
    return found
