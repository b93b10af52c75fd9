"""Rows that lead to chosen places of trees, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validator.trees.proof.canonical import NO_ZONE, Domain, SetStore, Walk
from validator.trees.proof.keys import Keys, down_to_float32, floats, keys, up_to_float32
from validator.trees.proof.region import Parents, Values, path_to

Rows = npt.NDArray[np.float64]
Refs = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Trees and all that is needed to find inputs for their nodes."""

    walk: Walk
    store: SetStore
    domain: Domain
    parents: Parents


@dataclass(frozen=True, kw_only=True, eq=False)
class Box:
    """For B places, which values of F features lead there; all [B, F]."""

    low: Keys
    high: Keys
    nan: npt.NDArray[np.bool_]
    """NaN leads there too"""
    outside: Keys
    """[B, F, 2]: values from the first to the second do not; NO_ZONE for none"""
    hard: npt.NDArray[np.bool_]
    """bool [B]: category sets or several zones on the way, which a box does not hold"""


def rows_through(
    places: Places, nodes: Refs, side: int, fill: Rows, random: np.random.Generator
) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Rows [B, F] that lead through nodes to their first (0) or second (1) child, and whether each does.

    A place may be out of reach. The node's own feature has the last value of its side; others are at ends of their
    possible ranges, where tests of the nodes above change sides; those that are free come from `fill` [B, F].
    """
    references = (places.walk.second if side else places.walk.first)[nodes]
    box = _box(places, references)
    upper = random.random(fill.shape) < 0.5
    upper[np.arange(len(nodes)), places.walk.feature[nodes]] = side == 0
    rows, good = _choose(places.domain, box, fill, upper)
    for index in np.flatnonzero(box.hard | ~good):
        region = path_to(places.walk, places.store, places.domain, int(references[index]), places.parents)
        good[index] = region is not None
        rows[index] = fill[index]
        for feature, values in (region or {}).items():
            rows[index, feature] = _an_end(values, random)
    return rows, good


def _box(places: Places, references: Refs) -> Box:
    walk, domain = places.walk, places.domain
    count, width = len(references), len(domain.float32)
    lowest, highest = domain.lowest_highest(np.arange(width, dtype=np.int32))
    low, high = np.tile(lowest, (count, 1)), np.tile(highest, (count, 1))
    nan = np.tile(domain.missing, (count, 1))
    outside = np.tile(np.array(NO_ZONE, dtype=np.int64), (count, width, 1))
    hard = np.zeros(count, dtype=bool)
    every, at = np.arange(count), references.copy()
    while len(every):
        parent, second = _parents(places.parents, at)
        going = parent >= 0
        every, at, second = every[going], parent[going], second[going]
        feature, cut, zone = walk.feature[at], walk.cut[at], walk.zone[at]
        above = np.where(domain.float32[feature], up_to_float32(cut + 1), cut + 1)
        cell = (every, feature)
        is_set = walk.set_id[at] >= 0
        hard[every[is_set]] = True
        high[cell] = np.where(~second & ~is_set, np.minimum(high[cell], cut), high[cell])
        low[cell] = np.where(second & ~is_set, np.maximum(low[cell], above), low[cell])
        to_nan = second == walk.nan_second[at]
        nan[cell] &= to_nan
        kept_out = ~to_nan & (zone[:, 0] <= zone[:, 1])
        known = outside[cell]
        hard[every[kept_out & (known[:, 0] <= known[:, 1]) & (known != zone).any(axis=1)]] = True
        outside[cell] = np.where(kept_out[:, None], zone, known)
    return Box(low=low, high=high, nan=nan, outside=outside, hard=hard)


def _parents(parents: Parents, at: Refs) -> tuple[Refs, npt.NDArray[np.bool_]]:
    is_node = at >= 0
    node, leaf = np.where(is_node, at, 0), np.where(is_node, 0, ~at)
    if not len(parents.node):
        return np.full(len(at), -1, dtype=np.int32), np.zeros(len(at), dtype=bool)
    return (
        np.where(is_node, parents.node[node], parents.leaf[leaf]),
        np.where(is_node, parents.node_second[node], parents.leaf_second[leaf]),
    )


def _choose(
    domain: Domain, box: Box, fill: Rows, upper: npt.NDArray[np.bool_]
) -> tuple[Rows, npt.NDArray[np.bool_]]:
    lowest, highest = domain.lowest_highest(np.arange(len(domain.float32), dtype=np.int32))
    has_low, has_high = box.low > lowest, box.high < highest
    rank = keys(np.where(np.isnan(fill), 0.0, fill))
    chosen = np.where(has_low & ~(has_high & upper), box.low, np.where(has_high, box.high, rank))
    first, last = box.outside[..., 0], box.outside[..., 1]
    zoned = (first <= chosen) & (chosen <= last)
    if zoned.any():
        beyond, before = last + 1, first - 1
        beyond = np.where(domain.float32, up_to_float32(beyond), beyond)
        before = np.where(domain.float32, down_to_float32(before), before)
        chosen = np.where(zoned, np.where(beyond <= box.high, beyond, before), chosen)
    possible = (box.low <= chosen) & (chosen <= box.high)
    free = ~has_low & ~has_high & (first > last)
    keep_nan = free & np.isnan(fill) & box.nan
    values = np.where(keep_nan | (~possible & box.nan), np.nan, floats(chosen))
    good: npt.NDArray[np.bool_] = np.all(possible | box.nan, axis=1)
    return np.asarray(values, dtype=np.float64), good


def _an_end(values: Values, random: np.random.Generator) -> float:
    """An end of one of the ranges, finite where there is one."""
    if not values.intervals:
        return float("nan")
    ends = floats(np.array(values.intervals[random.integers(len(values.intervals))], dtype=np.int64))
    finite = ends[np.isfinite(ends)]
    if not len(finite):
        return 0.0 if ends[0] < 0 < ends[-1] else float(ends[0])
    return float(random.choice(finite))


def second_of(places: Places, nodes: Refs, rank: Keys, nan: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether values, as keys, go to the second child of nodes; where `nan`, the value is NaN. All of one shape."""
    walk = places.walk
    second = rank > walk.cut[nodes]
    for at in zip(*np.nonzero(walk.set_id[nodes] >= 0), strict=True):
        inside = places.store.intervals[walk.set_id[nodes[at]]]
        position = int(np.searchsorted(inside[:, 0], rank[at], side="right")) - 1
        second[at] = position < 0 or rank[at] > inside[position, 1]
    missing = nan | ((walk.zone[nodes, 0] <= rank) & (rank <= walk.zone[nodes, 1]))
    return np.where(missing, walk.nan_second[nodes], second)
