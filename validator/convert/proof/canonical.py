"""Trees in the form in which two can be compared: what each node does to each value of its feature's domain.

A node splits the values of one feature in two, whatever its comparison, direction, casts or mirrored columns. A
*cut* node sends keys <= cut to `first` and the rest to `second`; a *set* node sends the keys in its intervals to
`first`. NaN goes to the second child where `nan_second`, and so do keys in [-zone, zone] where zone >= 0. Two nodes
that do the same have the same numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from validator.convert.ensemble import ZERO_ZONE, CategoryRule, Comparison, TreeEnsemble
from validator.convert.proof.keys import (
    INFINITY,
    LARGEST,
    LARGEST32,
    Floats,
    Keys,
    before_rounding,
    down_to_float32,
    keys,
    up_to_float32,
)

Refs = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

NO_ZONE = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Domain:
    """The values that can come in: what the proof is about."""

    float32: Flags
    """bool [F]: the feature arrives as float32, so that only those values occur"""
    missing: bool = True
    """NaN can occur"""
    infinity: bool = True
    """+-inf can occur"""
    rounded: bool = False
    """the native model casts to float32 first; where it takes no infinity, nor does it take what becomes one"""

    def lowest_highest(self, feature: npt.NDArray[np.int32]) -> tuple[Keys, Keys]:
        """The least and the largest key of some features."""
        if self.infinity:
            highest = np.full(len(feature), INFINITY, dtype=np.int64)
        else:
            largest = int(before_rounding(LARGEST32)) if self.rounded else LARGEST
            highest = np.where(self.float32[feature], LARGEST32, largest)
        return -highest, highest


@dataclass(kw_only=True, eq=False)
class SetStore:
    """Sets of keys, each once: disjoint closed intervals, ascending, no two of which touch."""

    intervals: list[Keys] = field(default_factory=list)
    """int64 [n, 2] each"""
    _index: dict[bytes, int] = field(default_factory=dict)

    def add(self, intervals: Keys, *, float32: bool) -> int:
        """The number of a set, given as intervals in any order."""
        tidy = merged(intervals, float32=float32)
        known = self._index.setdefault(tidy.tobytes(), len(self.intervals))
        if known == len(self.intervals):
            self.intervals.append(tidy)
        return known


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """Trees as splits of domains. References are as in TreeEnsemble: r >= 0 a node, r < 0 leaf ~r."""

    feature: Refs
    cut: Keys
    """int64 [M]; 0 at set nodes"""
    set_id: Refs
    """int32 [M]: number in the SetStore, -1 at cut nodes"""
    zone: Keys
    """int64 [M]: the largest key that is missing together with its negative, or NO_ZONE"""
    nan_second: Flags
    first: Refs
    second: Refs
    roots: Refs
    leaf_value: Floats
    """float64 [L, W]"""
    leaf_target: Refs


def merged(intervals: Keys, *, float32: bool) -> Keys:
    """The same set as ascending disjoint intervals with ends in the domain."""
    low, high = intervals[:, 0], intervals[:, 1]
    if float32:
        low, high = up_to_float32(low), down_to_float32(high)
    some = low <= high
    low, high = low[some], high[some]
    if not len(low):
        return np.zeros((0, 2), dtype=np.int64)
    order = np.argsort(low, kind="stable")
    low, high = low[order], np.maximum.accumulate(high[order])
    follows = up_to_float32(high[:-1] + 1) if float32 else high[:-1] + 1
    starts = np.flatnonzero(np.concatenate([[True], low[1:] > follows]))
    ends = np.concatenate([starts[1:] - 1, [len(low) - 1]])
    return np.stack([low[starts], high[ends]], axis=1)


def of_native(ensemble: TreeEnsemble, domain: Domain, store: SetStore) -> Walk:
    """What a native model's trees do, over the domain."""
    member = ensemble.comparison == Comparison.MEMBER
    strict = ensemble.comparison == Comparison.LT
    cut = keys(ensemble.threshold) - strict
    zone = np.where(ensemble.zero_is_missing, keys(ZERO_ZONE), NO_ZONE)
    rounded = ensemble.comparison_dtype == "float32"
    float32 = domain.float32[ensemble.feature]
    if rounded:
        cut = np.where(float32, cut, before_rounding(cut))
        zone = np.where((zone >= 0) & ~float32, before_rounding(np.maximum(zone, 0)), zone)
    set_id = np.full(ensemble.n_nodes, -1, dtype=np.int32)
    set_id[member] = _native_sets(ensemble, np.flatnonzero(member), rounded, float32, store)
    never = np.isin(set_id, [number for number, inside in enumerate(store.intervals) if not len(inside)])
    cut[never], set_id[never] = -INFINITY - 1, -1
    return finish(
        domain,
        feature=ensemble.feature,
        cut=cut,
        set_id=set_id,
        zone=zone,
        nan_second=~ensemble.missing_true,
        first=ensemble.true_child,
        second=ensemble.false_child,
        roots=ensemble.roots,
        leaf_value=ensemble.leaf_value,
        leaf_target=ensemble.leaf_target,
    )


def finish(
    domain: Domain,
    *,
    feature: Refs,
    cut: Keys,
    set_id: Refs,
    zone: Keys,
    nan_second: Flags,
    first: Refs,
    second: Refs,
    roots: Refs,
    leaf_value: Floats,
    leaf_target: Refs,
) -> Walk:
    """A Walk whose cuts are values of the domain, and whose zones are only where they matter."""
    is_set = set_id >= 0
    lowest, highest = domain.lowest_highest(feature)
    float32 = domain.float32[feature]
    if float32.any():
        cut = np.where(float32, down_to_float32(cut), cut)
        zone = np.where(float32 & (zone >= 0), down_to_float32(np.maximum(zone, 0)), zone)
    zoned = (zone >= 0) & ~is_set
    if zoned.any():
        # Inside the zone a cut decides nothing: what lies there goes with NaN, so the cut is at one of its edges.
        below_zone = np.where(float32, down_to_float32(-zone - 1), -zone - 1)
        inside = zoned & (cut > below_zone) & (cut < zone)
        cut = np.where(inside, np.where(nan_second, below_zone, zone), cut)
        natural = (cut >= zone) != nan_second
        zone = np.where(zoned & natural, NO_ZONE, zone)
    cut = np.clip(cut, lowest - 1, highest)
    # Where NaN cannot come, a zone alone still needs to know which way it goes.
    nan_second = nan_second & (domain.missing | (zone >= 0))
    return Walk(
        feature=feature,
        cut=np.where(is_set, 0, cut),
        set_id=set_id,
        zone=zone,
        nan_second=nan_second,
        first=first,
        second=second,
        roots=roots,
        leaf_value=leaf_value,
        leaf_target=leaf_target,
    )


def category_intervals(members: Floats, rule: CategoryRule) -> Keys:
    """The keys of the values that become one of the categories."""
    low, high = keys(members), keys(members)
    if rule is CategoryRule.EXACT:
        return np.stack([low, high], axis=1)
    high = np.maximum(high, keys(members + 1.0) - 1)
    if rule is CategoryRule.TRUNCATE:
        low = np.where(members == 0, keys(-1.0) + 1, low)
    return np.stack([low, high], axis=1)


def _native_sets(
    ensemble: TreeEnsemble, nodes: npt.NDArray[np.int64], rounded: bool, float32: Flags, store: SetStore
) -> Refs:
    known: dict[tuple[int, bool], int] = {}
    result = np.empty(len(nodes), dtype=np.int32)
    for position, node in enumerate(nodes):
        key = (int(ensemble.category_set[node]), bool(float32[node]))
        if key not in known:
            intervals = category_intervals(ensemble.category_members(int(node)), ensemble.category_rule)
            if rounded and not key[1]:
                intervals = np.stack(
                    [-before_rounding(-intervals[:, 0]), before_rounding(intervals[:, 1])], axis=1
                )
            known[key] = store.add(intervals, float32=key[1])
        result[position] = known[key]
    return result
