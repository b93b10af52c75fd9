"""The trees of an ONNX file as splits of their features' domains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from validator.trees.onnx_reading.columns import Column, innermost
from validator.trees.onnx_reading.graph import NotUnderstoodError, broken
from validator.trees.onnx_reading.trees import Mode, OnnxTrees
from validator.trees.proof.canonical import NO_ZONE, Domain, Refs, SetStore, Walk, finish, with_zone
from validator.trees.proof.keys import INFINITY, Keys, keys
from validator.trees.proof.steps import Cuts, Step, cuts_before, gives_whole, intervals_before, steps_of

MAX_CATEGORY = 2**31 - 2
_SETS = (Mode.EQ, Mode.NEQ, Mode.MEMBER)


def of_onnx(
    trees: OnnxTrees, columns: Sequence[Column], feature_of: Refs, domain: Domain, store: SetStore
) -> Walk:
    """What ONNX trees do over the domain; `feature_of` maps a column's source to the native model's feature.

    Raises ConversionError where a node looks at a column that does not exist, NotUnderstoodError where a column is
    made in an unknown way.
    """
    if len(trees.column) and trees.column.max() >= len(columns):
        raise broken(f"a node looks at column {trees.column.max()} of {len(columns)}")
    groups, group_of = _grouped(trees, columns)
    _check_categories(trees, columns, groups, group_of)
    source = np.array([column.source for column in columns], dtype=np.int64)
    feature = feature_of[source[trees.column]].astype(np.int32)
    true_first = ~np.isin(trees.mode, (Mode.GTE, Mode.GT, Mode.NEQ))
    strict = np.isin(trees.mode, (Mode.LT, Mode.GTE))
    # NaN is unequal to everything.
    nan_true = trees.missing_true | (trees.mode == Mode.NEQ)
    cuts = Cuts(
        cut=keys(np.where(np.isnan(trees.split), 0.0, trees.split)) - strict,
        zone=np.tile(np.array(NO_ZONE, dtype=np.int64), (len(feature), 1)),
        swapped=~true_first,
    )
    for number, steps in enumerate(groups):
        cuts = _moved(cuts, group_of == number, steps)
    cut, zone, swapped = cuts.cut, cuts.zone.copy(), cuts.swapped.copy()
    set_id = np.full(len(feature), -1, dtype=np.int32)
    for node in np.flatnonzero(np.isin(trees.mode, _SETS)):
        intervals, missing = _set(trees, int(node), groups[group_of[node]])
        swapped[node] = not true_first[node]
        intervals = with_zone(intervals, missing[0], inside=bool(nan_true[node] != swapped[node]))
        complement = len(intervals) and intervals[:, 0].min() <= -INFINITY
        if complement:
            raise broken("a category set without a lower end")
        set_id[node] = store.add(intervals, float32=bool(domain.float32[feature[node]]))
    return finish(
        domain,
        feature=feature,
        cut=cut,
        set_id=set_id,
        zone=zone,
        nan_second=nan_true == swapped,
        first=np.where(swapped, trees.false_child, trees.true_child),
        second=np.where(swapped, trees.true_child, trees.false_child),
        roots=trees.roots,
        leaf_value=trees.leaf_value,
        leaf_target=trees.leaf_target,
    )


def _check_categories(
    trees: OnnxTrees, columns: Sequence[Column], groups: list[tuple[Step, ...]], group_of: Refs
) -> None:
    """ONNX Runtime makes a number an integer of 32 bits before it looks it up, whatever the standard says."""
    member = trees.mode == Mode.MEMBER
    if (np.abs(trees.member_values) > MAX_CATEGORY).any():
        raise NotUnderstoodError("categories beyond 32-bit integers")
    only_sets = [number for number, steps in enumerate(groups) if any(name == "whole" for name, _ in steps)]
    if (np.isin(group_of, only_sets) & ~np.isin(trees.mode, _SETS)).any():
        raise NotUnderstoodError("a threshold over categories")
    for place in np.unique(trees.column[member]):
        steps = groups[group_of[np.flatnonzero(trees.column == place)[0]]]
        if not gives_whole(steps, coded=innermost(columns[place].expression) == "Code"):
            raise NotUnderstoodError("category sets over numbers that may have fractions")


def _grouped(trees: OnnxTrees, columns: Sequence[Column]) -> tuple[list[tuple[Step, ...]], Refs]:
    """The distinct ways in which the columns in use are made, and each node's."""
    number_of: dict[tuple[Step, ...], int] = {}
    group = np.full(len(columns), -1, dtype=np.int32)
    known: dict[object, tuple[Step, ...]] = {}
    for place in np.unique(trees.column):
        expression = columns[place].expression
        if expression not in known:
            known[expression] = steps_of(expression)
        group[place] = number_of.setdefault(known[expression], len(number_of))
    return list(number_of), group[trees.column]


def _moved(cuts: Cuts, where: np.ndarray[tuple[int], np.dtype[np.bool_]], steps: tuple[Step, ...]) -> Cuts:
    if not steps:
        return cuts
    part = Cuts(cut=cuts.cut[where], zone=cuts.zone[where], swapped=cuts.swapped[where])
    for step in steps:
        part = cuts_before(part, step)
    cut, zone, swapped = cuts.cut.copy(), cuts.zone.copy(), cuts.swapped.copy()
    cut[where], zone[where], swapped[where] = part.cut, part.zone, part.swapped
    return Cuts(cut=cut, zone=zone, swapped=swapped)


def _set(trees: OnnxTrees, node: int, steps: tuple[Step, ...]) -> tuple[Keys, Keys]:
    if trees.mode[node] == Mode.MEMBER:
        values = trees.member_values[trees.member_indptr[node] : trees.member_indptr[node + 1]]
    else:
        values = trees.split[node : node + 1]
    point = keys(values)
    intervals, zone = np.stack([point, point], axis=1), np.array([NO_ZONE], dtype=np.int64)
    for step in steps:
        intervals, zone = intervals_before(intervals, zone, step)
    return intervals, zone
