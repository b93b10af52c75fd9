"""Trees in the form in which two can be compared: what each node does to each value of its feature's domain.

A node splits the values of one feature in two, whatever its comparison, direction, casts or mirrored columns. A
*cut* node sends keys <= cut to `first` and the rest to `second`; a *set* node sends the keys in its intervals to
`first`. NaN goes to the second child where `nan_second`, and with NaN go the keys of the node's zone. Two nodes that
do the same have the same numbers here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import ZERO_ZONE, BranchMode, CategoryRule, TreeEnsemble
from validator.trees.proof.keys import (
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

NO_ZONE = (0, -1)
"""The ends of a zone without keys. All such zones are written so."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Domain:
    """The values that can come in: what the proof is about."""

    float32: Flags
    """bool [F]: the feature arrives as float32, so that only those values occur"""
    missing: Flags
    """bool [F]: NaN can occur"""
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
    """int64 [M, 2]: the least and the largest key of those that go with NaN, or NO_ZONE; none at set nodes"""
    nan_second: Flags
    first: Refs
    second: Refs
    roots: Refs
    leaf_value: Floats
    """float64 [L, W]"""
    leaf_target: Refs
    zoned: bool
    """whether some node has a zone"""


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
    member = ensemble.comparison == BranchMode.MEMBER
    strict = ensemble.comparison == BranchMode.LT
    cut = keys(ensemble.threshold) - strict
    zone = _native_zones(ensemble)
    rounded = ensemble.comparison_dtype == "float32"
    float32 = domain.float32[ensemble.feature]
    if rounded:
        cut = np.where(float32, cut, before_rounding(cut))
        zone = np.where(float32[:, None], zone, zones_before_rounding(zone))
    set_id = np.full(ensemble.n_nodes, -1, dtype=np.int32)
    set_id[member] = _native_sets(ensemble, np.flatnonzero(member), zone, float32, store)
    never = member & (set_id < 0)
    cut[never] = -INFINITY - 1
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
    zoned = (zone[:, 0] <= zone[:, 1]) & ~is_set
    if zoned.any():
        low = np.where(float32, up_to_float32(zone[:, 0]), zone[:, 0])
        high = np.where(float32, down_to_float32(zone[:, 1]), zone[:, 1])
        low, high = np.maximum(low, lowest), np.minimum(high, highest)
        zoned &= low <= high
        # Inside the zone a cut decides nothing: what lies there goes with NaN, so the cut is at one of its edges.
        below = np.where(float32, down_to_float32(low - 1), low - 1)
        inside = zoned & (cut > below) & (cut < high)
        cut = np.where(inside, np.where(nan_second, below, high), cut)
        natural = (cut >= high) != nan_second
        zoned &= ~natural
        zone = np.where(zoned[:, None], np.stack([low, high], axis=1), NO_ZONE)
    else:
        zone = np.broadcast_to(np.array(NO_ZONE, dtype=np.int64), zone.shape)
    cut = np.clip(cut, lowest - 1, highest)
    # Where NaN cannot come, a zone alone still needs to know which way it goes.
    nan_second = nan_second & (domain.missing[feature] | zoned)
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
        zoned=bool(zoned.any()),
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


def zones_before_rounding(zone: Keys) -> Keys:
    """The keys [M, 2] that a cast to float32 brings into zones."""
    if not (zone[:, 0] <= zone[:, 1]).any():
        return zone
    before = np.stack([-before_rounding(-zone[:, 0]), before_rounding(zone[:, 1])], axis=1)
    return np.where((zone[:, 0] <= zone[:, 1])[:, None], before, zone)


def with_zone(intervals: Keys, zone: Keys, *, inside: bool) -> Keys:
    """A set of keys, as intervals [n, 2], with those of a zone [2] put in or taken out."""
    low, high = int(zone[0]), int(zone[1])
    if low > high:
        return intervals
    if inside:
        return np.concatenate([intervals, zone[None, :]])
    below = np.stack([intervals[:, 0], np.minimum(intervals[:, 1], low - 1)], axis=1)
    above = np.stack([np.maximum(intervals[:, 0], high + 1), intervals[:, 1]], axis=1)
    left = np.concatenate([below, above])
    return left[left[:, 0] <= left[:, 1]]


def _native_zones(ensemble: TreeEnsemble) -> Keys:
    """What each node reads as missing, in the comparison dtype."""
    zone = np.tile(np.array(NO_ZONE, dtype=np.int64), (ensemble.n_nodes, 1))
    if ensemble.missing_value is not None:
        zone[:] = keys(ensemble.missing_value)
    edge = int(keys(ZERO_ZONE))
    zone[ensemble.zero_is_missing] = (-edge, edge)
    return zone


def _native_sets(
    ensemble: TreeEnsemble, nodes: npt.NDArray[np.int64], zone: Keys, float32: Flags, store: SetStore
) -> Refs:
    """The numbers of the nodes' sets; -1 for sets that hold no key."""
    known: dict[tuple[int, bool, bool], int] = {}
    result = np.empty(len(nodes), dtype=np.int32)
    rounded = ensemble.comparison_dtype == "float32"
    for position, node in enumerate(nodes):
        key = (int(ensemble.category_set[node]), bool(float32[node]), bool(ensemble.missing_true[node]))
        if key not in known:
            intervals = category_intervals(ensemble.category_members(int(node)), ensemble.category_rule)
            if rounded and not key[1]:
                intervals = zones_before_rounding(intervals)
            if len(merged(intervals, float32=key[1])):
                known[key] = store.add(with_zone(intervals, zone[node], inside=key[2]), float32=key[1])
            else:
                known[key] = -1
        result[position] = known[key]
    return result
