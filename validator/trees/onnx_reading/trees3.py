"""`ai.onnx.ml` 1 to 3 TreeEnsembleRegressor and TreeEnsembleClassifier.

Where the standard is silent, this follows what ONNX Runtime does: a tree's root is its first node listed; weights of
nodes that are no leaves are ignored; only the value 1 of `nodes_missing_value_tracks_true` counts as true.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from validator.python39 import dataclass
from validator.trees.onnx_reading.graph import Node, NotUnderstoodError, broken, decoded
from validator.trees.onnx_reading.trees import Flags, Floats, Ints, Mode, OnnxTrees, Refs, checked

_MODES = {
    b"BRANCH_LEQ": Mode.LEQ,
    b"BRANCH_LT": Mode.LT,
    b"BRANCH_GTE": Mode.GTE,
    b"BRANCH_GT": Mode.GT,
    b"BRANCH_EQ": Mode.EQ,
    b"BRANCH_NEQ": Mode.NEQ,
}
_LEAF = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """Nodes and leaves mixed, as the operator lists them; `key` names each by its tree and id."""

    key: Ints
    order: Ints
    mode: npt.NDArray[np.uint8]
    is_leaf: Flags
    reference: Refs

    def find(self, tree: Ints, node: Ints) -> Ints:
        """The rows of some nodes of some trees. Raises ConversionError where one does not exist."""
        wanted = _key(tree, node)
        place = np.searchsorted(self.key, wanted, sorter=self.order)
        row = self.order[np.minimum(place, len(self.key) - 1)]
        if (self.key[row] != wanted).any():
            raise broken("a tree refers to a node that does not exist")
        return row


def read(node: Node, input_dtype: str) -> OnnxTrees:
    """The operator's trees, where its input is of `input_dtype`. Raises ConversionError or NotUnderstoodError."""
    # ONNX Runtime holds thresholds and sums in double where the input is double, else in float.
    if input_dtype not in ("float32", "float64"):
        raise NotUnderstoodError(f"trees over {input_dtype} input")
    trees, ids = node.ints("nodes_treeids"), node.ints("nodes_nodeids")
    table = _table(node, trees, ids)
    count = len(trees)
    split = _reals(node, "nodes_values", count)
    column = node.ints("nodes_featureids")
    if len(column) != count or column.min() < 0 or column.max() > 2**31 - 1:
        raise broken("the nodes' features do not fit the nodes")
    tracks = node.ints("nodes_missing_value_tracks_true")
    if len(tracks) not in (0, count):
        raise broken(f"{len(tracks)} directions of missing values for {count} nodes")
    branch = np.flatnonzero(~table.is_leaf)
    children = []
    for side in ("true", "false"):
        to = node.ints(f"nodes_{side}nodeids")
        if len(to) != count:
            raise broken(f"{len(to)} {side} branches for {count} nodes")
        children.append(table.reference[table.find(trees[branch], to[branch])])
    n_targets = n_scores(node)
    leaf_value, leaf_target = _leaves(node, table, n_targets)
    starts = np.flatnonzero(np.concatenate([[True], trees[1:] != trees[:-1]]))
    if len(np.unique(trees[starts])) != len(starts):
        raise broken("the nodes of a tree are not listed together")
    return checked(
        OnnxTrees(
            operator=node.op,
            dtype=input_dtype,
            column=column[branch].astype(np.int32),
            mode=table.mode[branch],
            split=split[branch],
            missing_true=tracks[branch] == 1 if len(tracks) else np.zeros(len(branch), dtype=bool),
            true_child=children[0],
            false_child=children[1],
            member_indptr=np.zeros(len(branch) + 1, dtype=np.int64),
            member_values=np.zeros(0),
            roots=table.reference[starts],
            leaf_value=leaf_value,
            leaf_target=leaf_target,
            n_targets=n_targets,
            average=_average(node),
            base_values=_base_values(node, n_targets),
        )
    )


def n_scores(node: Node) -> int:
    """The targets of a regressor, the classes of a classifier."""
    is_regressor = node.op == "TreeEnsembleRegressor"
    count = node.integer("n_targets", 1) if is_regressor else len(class_labels(node))
    if not 1 <= count <= 1_000_000:
        raise broken(f"{count} targets")
    return count


def class_labels(node: Node) -> tuple[int, ...] | tuple[str, ...]:
    """A classifier's labels."""
    texts = node.texts("classlabels_strings")
    if texts:
        return tuple(decoded(text) for text in texts)
    return tuple(int(label) for label in node.ints("classlabels_int64s"))


def _table(node: Node, trees: Ints, ids: Ints) -> _Table:
    count = len(trees)
    if not count or len(ids) != count:
        raise broken(f"{len(ids)} node ids for {count} nodes")
    if trees.min() < 0 or trees.max() >= 2**31 or ids.min() < 0 or ids.max() >= 2**31:
        raise broken("a node's id is out of range")
    names, inverse = np.unique(np.array(node.texts("nodes_modes"), dtype="S16"), return_inverse=True)
    if len(inverse) != count:
        raise broken(f"{len(inverse)} modes for {count} nodes")
    codes = {**_MODES, b"LEAF": _LEAF}
    unknown = [name for name in names if name not in codes]
    if unknown:
        raise broken(f"the node mode {unknown[0]!r} is unknown")
    mode = np.array([codes[name] for name in names], dtype=np.uint8)[inverse]
    is_leaf = mode == _LEAF
    key = _key(trees, ids)
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        raise broken("a node's id occurs twice in its tree")
    reference = np.where(is_leaf, ~(np.cumsum(is_leaf) - 1), np.cumsum(~is_leaf) - 1)
    return _Table(key=key, order=order, mode=mode, is_leaf=is_leaf, reference=reference.astype(np.int32))


def _key(tree: Ints, node: Ints) -> Ints:
    if len(node) and (node.min() < 0 or node.max() >= 2**31 or tree.min() < 0 or tree.max() >= 2**31):
        raise broken("a node's id is out of range")
    return (tree << 32) | node


def _leaves(node: Node, table: _Table, n_targets: int) -> tuple[Floats, Refs]:
    """The leaves' values: [L, 1] with targets where each leaf has one weight, else [L, n_targets]."""
    prefix = "target" if node.op == "TreeEnsembleRegressor" else "class"
    trees, ids, target = (node.ints(f"{prefix}_{name}") for name in ("treeids", "nodeids", "ids"))
    weight = _reals(node, f"{prefix}_weights", len(target))
    if not len(trees) == len(ids) == len(target):
        raise broken("the leaves' weights do not fit the leaves")
    if len(target) and (target.min() < 0 or target.max() >= n_targets):
        raise broken(f"a leaf's target is not one of {n_targets}")
    row = table.find(trees, ids)
    of_leaf = table.is_leaf[row]
    leaf, target, weight = ~table.reference[row[of_leaf]], target[of_leaf], weight[of_leaf]
    count = int(table.is_leaf.sum())
    uses = np.bincount(leaf, minlength=count)
    if (uses == 0).any():
        raise broken("a leaf has no weight")
    if (uses == 1).all():
        value, place = np.zeros((count, 1)), np.zeros(count, dtype=np.int32)
        value[leaf, 0], place[leaf] = weight, target
        return value, place
    if count * n_targets > 200_000_000:
        raise NotUnderstoodError("leaves of several weights, too many to compare")
    cell = leaf.astype(np.int64) * n_targets + target
    if len(np.unique(cell)) != len(cell):
        raise NotUnderstoodError("a leaf with two weights for one target")
    dense = np.zeros((count, n_targets))
    dense[leaf, target] = weight
    return dense, np.zeros(count, dtype=np.int32)


def _reals(node: Node, name: str, count: int) -> Floats:
    as_tensor = node.tensor(f"{name}_as_tensor")
    values = node.reals(name) if as_tensor is None else as_tensor.reshape(-1)
    if len(values) != count or values.dtype not in (np.float32, np.float64):
        raise broken(f"{len(values)} {name} where {count} are needed")
    return values.astype(np.float64)


def _average(node: Node) -> bool:
    function = node.text("aggregate_function", "SUM")
    if function not in ("SUM", "AVERAGE"):
        raise NotUnderstoodError("trees combined by their least or largest value")
    return function == "AVERAGE"


def _base_values(node: Node, n_targets: int) -> Floats:
    as_tensor = node.tensor("base_values_as_tensor")
    values = node.reals("base_values") if as_tensor is None else as_tensor.reshape(-1)
    if len(values) not in (0, n_targets):
        raise NotUnderstoodError(f"{len(values)} base values for {n_targets} targets")
    return values.astype(np.float64) if len(values) else np.zeros(n_targets)
