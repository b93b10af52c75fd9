"""Boxes of inputs: which values of each feature still lead to a node, exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validator.trees.proof.canonical import Domain, SetStore, Walk
from validator.trees.proof.keys import down_to_float32, floats, up_to_float32

Intervals = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Values:
    """Some values of one feature: disjoint ascending closed intervals of keys, and perhaps NaN."""

    intervals: Intervals
    nan: bool

    def __bool__(self) -> bool:
        return self.nan or bool(self.intervals)

    def nearest_zero(self) -> float:
        """The value of least magnitude, or NaN where there is no other."""
        if not self.intervals:
            return float("nan")
        ends = [0 if low <= 0 <= high else min(low, high, key=abs) for low, high in self.intervals]
        return float(floats(np.array(min(ends, key=abs))))


Region = dict[int, Values]
"""Feature -> values; a feature that is not there is free."""


def whole(domain: Domain, feature: int) -> Values:
    """All values that a feature can take."""
    low, high = domain.lowest_highest(np.array([feature], dtype=np.int32))
    return Values(intervals=((int(low[0]), int(high[0])),), nan=bool(domain.missing[feature]))


def split(walk: Walk, store: SetStore, node: int, values: Values, *, float32: bool) -> tuple[Values, Values]:
    """What of `values` goes to a node's first child and what to its second."""
    number = int(walk.set_id[node])
    if number >= 0:
        inside: Intervals = tuple((int(low), int(high)) for low, high in store.intervals[number])
    else:
        inside = ((-(2**63), int(walk.cut[node])),)
    first, second = _cut_out(values.intervals, inside)
    low, high = (int(key) for key in walk.zone[node])
    nan_second = bool(walk.nan_second[node])
    if low <= high:
        blanket = ((low, high),)
        zoned, _ = _cut_out(values.intervals, blanket)
        first, second = _cut_out(first, blanket)[1], _cut_out(second, blanket)[1]
        if nan_second:
            second = tuple(sorted(second + zoned))
        else:
            first = tuple(sorted(first + zoned))
    if float32:
        first, second = _in_float32(first), _in_float32(second)
    return (
        Values(intervals=first, nan=values.nan and not nan_second),
        Values(intervals=second, nan=values.nan and nan_second),
    )


def path_to(walk: Walk, store: SetStore, domain: Domain, reference: int, parents: Parents) -> Region | None:
    """The inputs that lead to a node or leaf of its tree; None where no input does."""
    steps: list[tuple[int, bool]] = []
    at = reference
    while True:
        parent, is_second = parents.of(at)
        if parent < 0:
            break
        steps.append((parent, is_second))
        at = parent
    region: Region = {}
    for node, is_second in reversed(steps):
        feature = int(walk.feature[node])
        values = region[feature] if feature in region else whole(domain, feature)
        left = split(walk, store, node, values, float32=bool(domain.float32[feature]))[is_second]
        if not left:
            return None
        region[feature] = left
    return region


@dataclass(frozen=True, kw_only=True, eq=False)
class Parents:
    """Where each node and leaf hangs."""

    node: npt.NDArray[np.int32]
    node_second: npt.NDArray[np.bool_]
    leaf: npt.NDArray[np.int32]
    leaf_second: npt.NDArray[np.bool_]

    def of(self, reference: int) -> tuple[int, bool]:
        """The parent of a reference, or -1, and whether it is the parent's second child."""
        if reference >= 0:
            return int(self.node[reference]), bool(self.node_second[reference])
        return int(self.leaf[~reference]), bool(self.leaf_second[~reference])


def parents_of(walk: Walk) -> Parents:
    """The parents in trees whose nodes and leaves are each referred to once."""
    count, leaves = len(walk.feature), len(walk.leaf_value)
    node = np.full(count, -1, dtype=np.int32)
    leaf = np.full(leaves, -1, dtype=np.int32)
    node_second, leaf_second = np.zeros(count, dtype=bool), np.zeros(leaves, dtype=bool)
    every = np.arange(count, dtype=np.int32)
    for children, is_second in ((walk.first, False), (walk.second, True)):
        to_leaf = children < 0
        node[children[~to_leaf]] = every[~to_leaf]
        node_second[children[~to_leaf]] = is_second
        leaf[~children[to_leaf]] = every[to_leaf]
        leaf_second[~children[to_leaf]] = is_second
    return Parents(node=node, node_second=node_second, leaf=leaf, leaf_second=leaf_second)


def _cut_out(of: Intervals, by: Intervals) -> tuple[Intervals, Intervals]:
    """The parts of `of` inside and outside `by`; both ascending and disjoint."""
    inside: list[tuple[int, int]] = []
    outside: list[tuple[int, int]] = []
    position = 0
    for low, high in of:
        while position < len(by) and by[position][1] < low:
            position += 1
        at, here = low, position
        while here < len(by) and by[here][0] <= high:
            start, end = max(by[here][0], at), min(by[here][1], high)
            if at < start:
                outside.append((at, start - 1))
            inside.append((start, end))
            at = end + 1
            here += 1
        if at <= high:
            outside.append((at, high))
    return tuple(inside), tuple(outside)


def _in_float32(intervals: Intervals) -> Intervals:
    if not intervals:
        return intervals
    array = np.array(intervals, dtype=np.int64)
    low, high = up_to_float32(array[:, 0]), down_to_float32(array[:, 1])
    return tuple((int(a), int(b)) for a, b in zip(low, high, strict=True) if a <= b)
