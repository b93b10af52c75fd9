"""The trees of both sides: equal, or different in a place that some input reaches, with that input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from validator.trees.proof.canonical import Domain, Refs, SetStore, Walk
from validator.trees.proof.keys import keys
from validator.trees.proof.leaves import Leaves
from validator.trees.proof.lockstep import LockstepResult, Pairs, Trees, walk_together
from validator.trees.proof.product import Product, Witness
from validator.trees.proof.region import Parents, Region, parents_of, path_to

MAX_WITNESSES = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """All that is compared."""

    native: Walk
    onnx: Walk
    store: SetStore
    domain: Domain
    leaves: Leaves
    base_values: np.ndarray[tuple[int], np.dtype[np.float64]]
    """[K]: what an older tree operator adds to its sums itself"""
    average_of: int
    """how many an older tree operator divides its sums by; 0 for the newer one, which leaves that to the graph"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Unequal:
    """A place that differs, and the inputs on which it shows."""

    pairs: Pairs
    index: int
    """which of the pairs"""
    are_leaves: bool
    witness: Witness


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeComparison:
    """How two sets of trees compare."""

    meeting: LockstepResult
    unequal: tuple[Unequal, ...]
    """at most MAX_WITNESSES"""
    harmless: int
    """places that look different, where no input is answered differently"""


def compare(sides: Sides) -> TreeComparison:
    """Compare pairs of trees in their order. Raises BudgetExceededError where deciding takes too long."""
    meeting = walk_together(sides.native, sides.onnx, sides.native.roots, sides.leaves.onnx_roots)
    bad_leaves = _take(meeting.leaves, ~_equal_leaves(sides, meeting.leaves))
    candidates = [(meeting.unequal, False), (bad_leaves, True)]
    if not any(len(pairs) for pairs, _ in candidates):
        return TreeComparison(meeting=meeting, unequal=(), harmless=0)
    parents = parents_of(sides.native)
    product = Product(native=sides.native, onnx=sides.onnx, store=sides.store, domain=sides.domain)
    unequal: list[Unequal] = []
    harmless = 0
    for pairs, are_leaves in candidates:
        for index in range(len(pairs)):
            if len(unequal) == MAX_WITNESSES:
                break
            witness = _witness(sides, product, parents, pairs, index, are_leaves)
            if witness is None:
                harmless += 1
            else:
                unequal.append(Unequal(pairs=pairs, index=index, are_leaves=are_leaves, witness=witness))
    return TreeComparison(meeting=meeting, unequal=tuple(unequal), harmless=harmless)


def _equal_leaves(sides: Sides, pairs: Pairs) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    equal = np.ones(len(pairs), dtype=bool)
    # A number of each leaf at a time: as fast as whole rows where there are few, and small where there are many.
    for number in range(sides.leaves.native.shape[1]):
        equal &= sides.leaves.native[pairs.native, number] == sides.leaves.onnx[pairs.onnx, number]
    if sides.leaves.per_tree_target:
        equal &= sides.onnx.leaf_target[pairs.onnx] == pairs.tree
    return equal


def _witness(
    sides: Sides, product: Product, parents: Parents, pairs: Pairs, index: int, are_leaves: bool
) -> Witness | None:
    a, b, tree = int(pairs.native[index]), int(pairs.onnx[index]), int(pairs.tree[index])
    if are_leaves:
        a, b = ~a, ~b
    region = path_to(sides.native, sides.store, sides.domain, a, parents)
    if region is None:
        return None

    def differ(native_leaf: int, onnx_leaf: int) -> bool:
        if sides.leaves.per_tree_target and sides.onnx.leaf_target[onnx_leaf] != tree:
            return True
        return bool((sides.leaves.native[native_leaf] != sides.leaves.onnx[onnx_leaf]).any())

    return product.difference(a, b, region, differ)


def row_of(region: Region, domain: Domain, base: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Rows:
    """A row [F] in a region: its values of least magnitude, and those of `base` where the region leaves it free."""
    row = base.copy()
    row[domain.float32] = row[domain.float32].astype(np.float32)
    for feature, values in region.items():
        row[feature] = values.nearest_zero()
    return row


Rows = np.ndarray[tuple[int], np.dtype[np.float64]]


def onnx_leaves(sides: Sides, row: Rows) -> Refs:
    """The ONNX leaf that a row meets in each tree: int32 [T]."""
    walk = sides.onnx
    at = sides.leaves.onnx_roots.copy()
    rank, nan = keys(row), np.isnan(row)
    while True:
        tree = np.flatnonzero(at >= 0)
        if not len(tree):
            return ~at
        node = at[tree]
        feature = walk.feature[node]
        x = rank[feature]
        second = x > walk.cut[node]
        for place in np.flatnonzero(walk.set_id[node] >= 0):
            inside = sides.store.intervals[walk.set_id[node[place]]]
            second[place] = not ((inside[:, 0] <= x[place]) & (x[place] <= inside[:, 1])).any()
        missing = nan[feature] | ((walk.zone[node, 0] <= x) & (x <= walk.zone[node, 1]))
        second = np.where(missing, walk.nan_second[node], second)
        at[tree] = np.where(second, walk.second[node], walk.first[node])


def tree_of_leaf(pairs: Pairs, n_leaves: int) -> Trees:
    """int64 [L]: the tree in which each native leaf was met; each is met once where trees are equal."""
    tree = np.zeros(n_leaves, dtype=np.int64)
    tree[pairs.native] = pairs.tree
    return tree


def _take(pairs: Pairs, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Pairs:
    return Pairs(native=pairs.native[which], onnx=pairs.onnx[which], tree=pairs.tree[which])
