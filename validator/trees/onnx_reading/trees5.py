"""`ai.onnx.ml` 5 TreeEnsemble.

Where the standard is silent, this follows what ONNX Runtime does: a root both of whose branches are the same leaf
is a tree of one leaf; only the value 1 of `nodes_missing_value_tracks_true` counts as true.
"""

from __future__ import annotations

import numpy as np

from validator.trees.onnx_reading.graph import Node, NotUnderstoodError, broken
from validator.trees.onnx_reading.trees import Flags, Floats, Ints, Mode, OnnxTrees, Refs, checked

_SUM, _AVERAGE = 1, 0


def read(node: Node) -> OnnxTrees:
    """The operator's trees. Raises ConversionError or NotUnderstoodError."""
    splits, weights, modes = (_tensor(node, name) for name in ("nodes_splits", "leaf_weights", "nodes_modes"))
    if splits.dtype != weights.dtype or splits.dtype not in (np.float32, np.float64):
        raise NotUnderstoodError(f"trees with {splits.dtype} splits and {weights.dtype} weights")
    count = len(splits)
    if modes.dtype != np.uint8 or (count and modes.max() > Mode.MEMBER):
        raise broken("a node's mode is unknown")
    aggregate = node.integer("aggregate_function", _SUM)
    if aggregate not in (_SUM, _AVERAGE):
        raise NotUnderstoodError("trees combined by their least or largest value")
    # ONNX Runtime ignores some of the transforms of this operator, so none is relied on.
    if node.integer("post_transform", 0) != 0:
        raise NotUnderstoodError("a transform inside the tree operator")
    targets = node.ints("leaf_targetids")
    if len(targets) != len(weights):
        raise broken(f"{len(targets)} leaf targets for {len(weights)} leaves")
    n_targets = node.integer("n_targets", 0)
    if not 1 <= n_targets <= 1_000_000 or (
        len(targets) and not 0 <= targets.min() <= targets.max() < n_targets
    ):
        raise broken(f"a leaf's target is not one of {n_targets}")
    true_child = _children(node, "true", count, len(weights))
    false_child = _children(node, "false", count, len(weights))
    indptr, members = _members(node, modes)
    return checked(
        OnnxTrees(
            operator="TreeEnsemble",
            dtype=str(splits.dtype),
            column=_column(node, count),
            mode=modes.astype(np.uint8),
            split=splits.astype(np.float64),
            missing_true=_missing(node, count),
            true_child=true_child,
            false_child=false_child,
            member_indptr=indptr,
            member_values=members,
            roots=_roots(node, true_child, false_child),
            leaf_value=weights.astype(np.float64)[:, None],
            leaf_target=targets.astype(np.int32),
            n_targets=n_targets,
            average=aggregate == _AVERAGE,
            base_values=np.zeros(n_targets),
        )
    )


def _tensor(node: Node, name: str) -> np.ndarray[tuple[int], np.dtype[np.generic]]:
    array = node.tensor(name)
    if array is None or array.ndim != 1:
        raise broken(f"TreeEnsemble has no list {name!r}")
    return array


def _children(node: Node, side: str, count: int, leaves: int) -> Refs:
    ids, is_leaf = node.ints(f"nodes_{side}nodeids"), node.ints(f"nodes_{side}leafs") != 0
    if len(ids) != count or len(is_leaf) != count:
        raise broken(f"{len(ids)} {side} branches for {count} nodes")
    if count and (
        ids.min() < 0 or ids[is_leaf].max(initial=-1) >= leaves or ids[~is_leaf].max(initial=-1) >= count
    ):
        raise broken(f"a {side} branch leads out of the tree")
    return np.where(is_leaf, ~ids, ids).astype(np.int32)


def _roots(node: Node, true_child: Refs, false_child: Refs) -> Refs:
    roots = node.ints("tree_roots")
    if len(roots) and (roots.min() < 0 or roots.max() >= len(true_child)):
        raise broken("a root is not a node")
    single = (true_child[roots] < 0) & (true_child[roots] == false_child[roots])
    return np.where(single, true_child[roots], roots).astype(np.int32)


def _column(node: Node, count: int) -> Refs:
    column = node.ints("nodes_featureids")
    if len(column) != count or (count and (column.min() < 0 or column.max() > 2**31 - 1)):
        raise broken("the nodes' features do not fit the nodes")
    return column.astype(np.int32)


def _missing(node: Node, count: int) -> Flags:
    tracks = node.ints("nodes_missing_value_tracks_true")
    if len(tracks) not in (0, count):
        raise broken(f"{len(tracks)} directions of missing values for {count} nodes")
    return tracks == 1 if len(tracks) else np.zeros(count, dtype=bool)


def _members(node: Node, modes: np.ndarray[tuple[int], np.dtype[np.generic]]) -> tuple[Ints, Floats]:
    """CSR of the member sets: NaN ends each one, in the order of the MEMBER nodes."""
    array = node.tensor("membership_values")
    values = np.zeros(0) if array is None else array.astype(np.float64).reshape(-1)
    is_member = modes == Mode.MEMBER
    ends = np.flatnonzero(np.isnan(values))
    sets = int(is_member.sum())
    if len(ends) == sets - 1:
        ends = np.append(ends, len(values))
    if len(ends) != sets or (sets and ends[-1] < len(values) - 1):
        raise broken(f"{len(ends)} category sets for {sets} nodes that test one")
    sizes = np.zeros(len(modes), dtype=np.int64)
    sizes[is_member] = np.diff(ends, prepend=-1) - 1
    if (sizes[is_member] < 1).any():
        raise NotUnderstoodError("an empty category set, which ONNX Runtime does not define")
    return np.concatenate([[0], np.cumsum(sizes)]), values[~np.isnan(values)]
