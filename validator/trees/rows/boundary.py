"""Rows at the places where a tree model's answers change: where conversions go wrong, and random rows never look.

For every node, a row that leads there with the node's feature on the last value of one side, and one with it on the
first value of the other: so every branch is taken, on the very edge. Then every feature's special values: NaN,
infinities, zeros of both signs, the edges of LightGBM's zero zone, a number that stands for missing values; and for
categories each one, one that was never seen, a negative and a fractional one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import ZERO_ZONE, BranchMode, TreeEnsemble
from validator.trees.proof.canonical import Domain, SetStore, of_native, zones_before_rounding
from validator.trees.proof.features import missing_in
from validator.trees.proof.keys import LARGEST32, down_to_float32, floats, keys, up_to_float32
from validator.trees.proof.region import parents_of
from validator.trees.rows.boundary_reach import Places, Rows, rows_through, second_of
from validator.trees.rows.breakpoints import covering_rows

__all__ = ["KINDS", "BoundaryRows", "boundary_rows", "covering_rows", "plan_boundary"]

_BATCH = 512
_MAX_CATEGORIES = 2_000
_MAX_WORK = 30_000_000
"""rows times trees that are followed to see which branches a row takes"""

KINDS = ("threshold", "special", "category", "sample")


@dataclass(frozen=True, kw_only=True, eq=False)
class BoundaryRows:
    """Rows to compare two runtimes on."""

    rows: Rows
    """float64 [N, F], each value one of the input type"""
    kind: npt.NDArray[np.uint8]
    """uint8 [N]: index into KINDS"""
    branches: int
    """how many branches (two for each node) the trees have"""
    taken: int
    """how many of them some row was made to take"""
    unreachable: int
    """how many no input can take"""


def boundary_rows(
    ensemble: TreeEnsemble,
    sample: Rows | None = None,
    *,
    input_dtype: str,
    limit: int = 20_000,
    seed: int = 0,
    missing: npt.NDArray[np.bool_] | None = None,
) -> Rows:
    """The rows [N, F] alone: see `plan_boundary`."""
    return plan_boundary(
        ensemble, sample, input_dtype=input_dtype, limit=limit, seed=seed, missing=missing
    ).rows


def plan_boundary(
    ensemble: TreeEnsemble,
    sample: Rows | None = None,
    *,
    input_dtype: str,
    limit: int = 20_000,
    seed: int = 0,
    missing: npt.NDArray[np.bool_] | None = None,
) -> BoundaryRows:
    """Boundary rows of a valid ensemble, at most `limit`; the same for the same arguments.

    `input_dtype` is "float32" or "float64". `sample` [S, F] real rows fill what a place leaves open, and come first.
    Where the limit is too small for all branches, rows are made for those that no earlier row takes. `missing`,
    bool [F], says which features may be NaN where the model is not asked for it in all of them.
    """
    random = np.random.default_rng(seed)
    places = _places(ensemble, input_dtype, missing)
    real = _fitted(
        places.domain, np.zeros((0, ensemble.n_features)) if sample is None else np.asarray(sample)
    )
    real = real[: limit // 4]
    special, kinds = _special(ensemble, places, real, random, max(0, limit - len(real)) // 4)
    room = limit - len(real) - len(special)
    edges, taken, unreachable = _edges(places, real, random, room)
    rows = _coded(ensemble, np.concatenate([real, special, edges]))
    kind = np.concatenate([np.full(len(real), 3), kinds, np.zeros(len(edges))]).astype(np.uint8)
    return BoundaryRows(
        rows=rows, kind=kind, branches=2 * ensemble.n_nodes, taken=taken, unreachable=unreachable
    )


def _places(ensemble: TreeEnsemble, input_dtype: str, missing: npt.NDArray[np.bool_] | None) -> Places:
    domain = Domain(
        float32=np.full(ensemble.n_features, input_dtype == "float32"),
        missing=missing_in(ensemble, missing),
        infinity=ensemble.admits_infinity,
        rounded=ensemble.comparison_dtype == "float32",
    )
    store = SetStore()
    walk = of_native(ensemble, domain, store)
    return Places(walk=walk, store=store, domain=domain, parents=parents_of(walk))


def _fitted(domain: Domain, rows: Rows) -> Rows:
    """Rows whose values are of the input type."""
    rows = rows.astype(np.float64)
    with np.errstate(over="ignore"):
        return np.where(domain.float32, rows.astype(np.float32), rows)


def _edges(places: Places, real: Rows, random: np.random.Generator, room: int) -> tuple[Rows, int, int]:
    """Rows on both sides of nodes' edges; how many branches were taken, and how many cannot be."""
    walk = places.walk
    count = len(walk.feature)
    done, unreachable = np.zeros((2, count), dtype=bool), np.zeros((2, count), dtype=bool)
    follow = 2 * count > room
    work = 0
    parts: list[Rows] = []
    order = random.permutation(count)
    while room > 1 and len(order):
        nodes = order[: min(_BATCH, room // 2)].astype(np.int32)
        order = order[len(nodes) :]
        for side in (0, 1):
            rows, good = rows_through(places, nodes, side, _fill(places, real, len(nodes), random), random)
            unreachable[side, nodes[~good]] = True
            done[side, nodes[good]] = True
            parts.append(rows[good])
            room -= int(good.sum())
            work += len(rows) * len(walk.roots)
            if follow and work < _MAX_WORK:
                _mark(places, rows[good], done)
        if follow:
            order = order[~(done | unreachable)[:, order].all(axis=0)]
    rows = np.concatenate(parts) if parts else np.zeros((0, len(places.domain.float32)))
    return rows, int(done.sum()), int(unreachable.sum())


def _mark(places: Places, rows: Rows, done: npt.NDArray[np.bool_]) -> None:
    """Note the branches that rows take, in all trees."""
    walk = places.walk
    rank, nan = keys(np.where(np.isnan(rows), 0.0, rows)), np.isnan(rows)
    row = np.repeat(np.arange(len(rows)), len(walk.roots))
    at = np.tile(walk.roots, len(rows))
    while True:
        inner = at >= 0
        row, at = row[inner], at[inner]
        if not len(at):
            return
        feature = walk.feature[at]
        second = second_of(places, at, rank[row, feature], nan[row, feature])
        done[second.astype(np.int8), at] = True
        at = np.where(second, walk.second[at], walk.first[at])


def _fill(places: Places, real: Rows, count: int, random: np.random.Generator) -> Rows:
    """Values for what is free: real rows in part, in part values at cuts of other nodes of the same feature."""
    walk, width = places.walk, len(places.domain.float32)
    drawn = real[random.integers(len(real), size=count)] if len(real) else None
    base = random.normal(size=(count, width)) if drawn is None else drawn.copy()
    if len(walk.feature):
        node = random.integers(len(walk.feature), size=(count, 4))
        feature = walk.feature[node]
        value = floats(walk.cut[node] + random.integers(2, size=node.shape))
        usable = (walk.set_id[node] < 0) & np.isfinite(value)
        row = np.repeat(np.arange(count), 4).reshape(node.shape)
        base[row[usable], feature[usable]] = value[usable]
    return _fitted(places.domain, base)


def _special(
    ensemble: TreeEnsemble, places: Places, real: Rows, random: np.random.Generator, room: int
) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Rows with one feature at a special value, the rest on the way to a node that tests the feature."""
    parts: list[Rows] = []
    kinds: list[Rows] = []
    for kind, (features, values) in (
        (1, _special_values(ensemble, places)),
        (2, _category_values(ensemble)),
    ):
        left = room - sum(len(part) for part in parts)
        chosen = _spread(len(features), left // 2 if kind == 1 else left, random)
        feature, value = features[chosen], values[chosen]
        base = _near(places, feature, _fill(places, real, len(feature), random), random)
        base[np.arange(len(feature)), feature] = value
        parts.append(_fitted(places.domain, base))
        kinds.append(np.full(len(feature), float(kind)))
    return np.concatenate(parts), np.concatenate(kinds)


def _near(places: Places, feature: npt.NDArray[np.int32], base: Rows, random: np.random.Generator) -> Rows:
    """Rows that lead to some node that tests the feature, where there is one."""
    order = np.argsort(places.walk.feature, kind="stable")
    sorted_features = places.walk.feature[order]
    start, end = (np.searchsorted(sorted_features, feature, side=side) for side in ("left", "right"))
    tested = np.flatnonzero(end > start)
    if len(tested):
        spans = (end - start)[tested]
        nodes = order[start[tested] + (random.random(len(tested)) * spans).astype(np.int64)].astype(np.int32)
        rows, good = rows_through(places, nodes, 0, base[tested], random)
        base[tested[good]] = rows[good]
    return base


def _special_values(ensemble: TreeEnsemble, places: Places) -> tuple[npt.NDArray[np.int32], Rows]:
    values = [0.0, -0.0]
    if ensemble.zero_is_missing.any() or ensemble.library == "lightgbm":
        edge = int(keys(ZERO_ZONE))
        ranks = [edge - 1, edge, edge + 1]
        if places.domain.float32.any():
            ranks = [int(down_to_float32(edge - 1)), edge, int(up_to_float32(edge + 1))]
        values += [sign * float(floats(np.array(rank))) for rank in ranks for sign in (1.0, -1.0)]
    if ensemble.missing_value is not None:
        values += _around(ensemble.missing_value, ensemble, places.domain)
    if ensemble.admits_infinity:
        values += [np.inf, -np.inf]
    largest = float(floats(np.array(LARGEST32)))
    values += [largest, -largest]
    # Each feature with every value; repeated, so that several nodes of the feature are met.
    features = np.arange(ensemble.n_features, dtype=np.int32)
    nullable = features[places.domain.missing]
    return (
        np.concatenate([np.repeat(features, len(values)), nullable]),
        np.concatenate([np.tile(values, len(features)), np.full(len(nullable), np.nan)]),
    )


def _around(missing: float, ensemble: TreeEnsemble, domain: Domain) -> list[float]:
    """The number that stands for missing values, and the last that the cast brings to it and the first beyond."""
    rank = np.array([[int(keys(missing))] * 2])
    if domain.float32.all():
        low, high = int(down_to_float32(rank[0, 0] - 1)), int(up_to_float32(rank[0, 0] + 1))
        return [missing, *floats(np.array([low, high])).tolist()]
    if ensemble.comparison_dtype == "float32":
        rank = zones_before_rounding(rank)
    low, high = (int(key) for key in rank[0])
    return [missing, *floats(np.array([low - 1, low, high, high + 1])).tolist()]


def _category_values(ensemble: TreeEnsemble) -> tuple[npt.NDArray[np.int32], Rows]:
    features: list[npt.NDArray[np.int32]] = []
    values: list[Rows] = []
    member = ensemble.comparison == BranchMode.MEMBER
    for feature in np.unique(ensemble.feature[member]):
        sets = np.unique(ensemble.category_set[member & (ensemble.feature == feature)])
        spans = [slice(ensemble.set_indptr[s], ensemble.set_indptr[s + 1]) for s in sets]
        known = np.unique(np.concatenate([ensemble.set_values[span] for span in spans]))[:_MAX_CATEGORIES]
        top = known.max(initial=0.0)
        some = [
            *known,
            *(known + 0.5),
            *(known - 0.5),
            top + 1,
            top + 1000,
            -1.0,
            -0.5,
            -1.5,
            2.0**31,
            2.0**33,
        ]
        values.append(np.array(some))
        features.append(np.full(len(some), feature, dtype=np.int32))
    if not features:
        return np.zeros(0, dtype=np.int32), np.zeros(0)
    return np.concatenate(features), np.concatenate(values)


def _spread(count: int, room: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Indices of at most `room` of `count` things; of fewer than that, all, several times over but not too often."""
    if count > room:
        return np.sort(random.permutation(count)[: max(room, 0)])
    return np.tile(np.arange(count), max(1, min(4, room // max(1, count))))


def _coded(ensemble: TreeEnsemble, rows: Rows) -> Rows:
    """The same rows; features whose values are names hold only codes of those, or NaN."""
    for feature, categories in ensemble.feature_categories.items():
        code = np.rint(rows[:, feature])
        known = (code >= 0) & (code < len(categories))
        rows[:, feature] = np.where(known, np.abs(code), np.nan)
    return rows
