"""What the leaves of both sides add, laid out alike so that equal leaves are equal rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from validator.trees.ensemble import TransformKind, TreeEnsemble
from validator.trees.onnx_reading.graph import Array, NotUnderstoodError
from validator.trees.onnx_reading.trees import OnnxTrees
from validator.trees.proof.canonical import Refs
from validator.trees.proof.keys import Floats

MAX_CELLS = 400_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaves:
    """Rows of numbers that say all that a leaf does."""

    native: Floats
    """float64 [L, P]"""
    onnx: Floats
    """float64 [L', P]"""
    onnx_roots: Refs
    """int32 [T']: the ONNX trees without those that only hold the base score"""
    start: Floats
    """float64 [K]: what the ONNX sums start from"""
    per_tree_target: bool
    """leaf l of ONNX tree t must have target t: leaves are numbers into tables"""


def leaves_of(native: TreeEnsemble, trees: OnnxTrees, constants: dict[str, Array] | None) -> Leaves:
    """The leaves of both; `constants` are those of the surroundings, None where these are unknown.

    Raises NotUnderstoodError where the ONNX leaves are of another kind.
    """
    if native.linear is not None or (native.leaf_value.shape[1] > 1 and constants is not None):
        if constants is None:
            raise NotUnderstoodError("linear leaves in a graph of another form")
        return _numbered(native, trees, constants)
    trees = _one_score(native, trees)
    extra = len(trees.roots) - native.n_trees
    start = np.zeros(native.n_targets)
    if trees.n_targets != native.n_targets:
        raise NotUnderstoodError(f"trees of {trees.n_targets} scores for a model of {native.n_targets}")
    if extra > 0 and (trees.roots[:extra] < 0).all() and trees.leaf_value.shape[1] == 1:
        base = ~trees.roots[:extra]
        if len(np.unique(trees.leaf_target[base])) != extra:
            raise NotUnderstoodError("two trees that add to the base score")
        start[trees.leaf_target[base]] = trees.leaf_value[base, 0]
        roots = trees.roots[extra:]
    else:
        roots = trees.roots
    value = native.leaf_value.astype(native.accumulation_dtype).astype(np.float64)
    if trees.operator != "TreeEnsemble" and not trees.average:
        # Older operators' averages are taken in the leaves.
        value = value / native.divisor
    if trees.dtype == "float32":
        value = value.astype(np.float32).astype(np.float64)
    sides = [(value, native.leaf_target), (trees.leaf_value, trees.leaf_target)]
    if all(values.shape[1] == 1 for values, _ in sides):
        rows = [np.concatenate([values, target[:, None]], axis=1) for values, target in sides]
    else:
        rows = [_dense(values, target, native.n_targets) for values, target in sides]
    return Leaves(native=rows[0], onnx=rows[1], onnx_roots=roots, start=start, per_tree_target=False)


def is_one_score(trees: OnnxTrees) -> bool:
    """Whether this is an older classifier of two classes whose leaves all add to the first."""
    two = trees.operator == "TreeEnsembleClassifier" and trees.n_targets == 2
    return two and trees.leaf_value.shape[1] == 1 and not trees.leaf_target.any()


def of_second_class(native: TreeEnsemble, trees: OnnxTrees) -> tuple[TreeEnsemble, float]:
    """The native model as its probability of class 1, where the trees add that alone; and what that may leave out.

    Raises NotUnderstoodError where the two probabilities of a leaf do not make one.
    """
    pair = native.n_targets == native.leaf_value.shape[1] == 2 and native.linear is None
    if not (pair and native.transform.kind is TransformKind.IDENTITY and is_one_score(trees)):
        return native, 0.0
    off = float(np.abs(native.leaf_value.sum(axis=1) - 1).max(initial=0.0))
    if off > 1e-12 or native.base_score.any():
        raise NotUnderstoodError("one score for leaves whose two probabilities do not make one")
    one = replace(native, n_targets=1, leaf_value=native.leaf_value[:, 1:], base_score=np.zeros(1))
    return one, off


def _one_score(native: TreeEnsemble, trees: OnnxTrees) -> OnnxTrees:
    """An older classifier of two classes whose leaves all add to one: ONNX Runtime takes it for one score."""
    if native.n_targets != 1 or not is_one_score(trees):
        return trees
    return replace(trees, n_targets=1, leaf_target=np.zeros_like(trees.leaf_target), base_values=np.zeros(1))


def _dense(values: Floats, target: Refs, n_targets: int) -> Floats:
    if values.shape[1] == n_targets:
        return values
    if len(values) * n_targets > MAX_CELLS:
        raise NotUnderstoodError("leaves of several values, too many to compare")
    dense = np.zeros((len(values), n_targets))
    dense[np.arange(len(values)), target] = values[:, 0]
    return dense


def _numbered(native: TreeEnsemble, trees: OnnxTrees, constants: dict[str, Array]) -> Leaves:
    number = trees.leaf_value[:, 0]
    table = _native_table(native) if native.linear is not None else native.leaf_value
    given = _linear_table(constants) if native.linear is not None else _matrix(constants, "values")
    if trees.n_targets != native.n_trees or trees.leaf_value.shape[1] != 1:
        raise NotUnderstoodError("leaf numbers that are not one for each tree")
    if given.shape[1] != table.shape[1] or (number != np.trunc(number)).any():
        raise NotUnderstoodError("leaf numbers that do not fit their table")
    if len(number) and not 0 <= number.min() <= number.max() < len(given):
        raise NotUnderstoodError("a leaf number outside its table")
    start = np.zeros(native.n_targets)
    if "start" in constants:
        row = constants["start"].reshape(-1)
        if row.size != 1 or not 0 <= int(row[0]) < len(given):
            raise NotUnderstoodError("a base score outside its table")
        start = given[int(row[0])]
    dtype = native.accumulation_dtype
    return Leaves(
        native=table.astype(dtype).astype(np.float64),
        onnx=given[number.astype(np.int64)],
        onnx_roots=trees.roots,
        start=start,
        per_tree_target=True,
    )


def _matrix(constants: dict[str, Array], name: str) -> Floats:
    array = constants[name]
    if array.ndim != 2 or array.dtype not in (np.float32, np.float64):
        raise NotUnderstoodError(f"a table of {name} that is no matrix of numbers")
    return array.astype(np.float64)


def _native_table(native: TreeEnsemble) -> Floats:
    """Per leaf: its constant, its value where something is missing, its coefficients and their features, padded."""
    linear = native.linear
    if linear is None:
        raise NotUnderstoodError("a model without linear leaves")
    counts = np.diff(linear.indptr)
    width = int(counts.max(initial=0))
    coef, feature = np.zeros((len(counts), width)), np.full((len(counts), width), float(native.n_features))
    if not width:
        return linear.const[:, None]
    leaf = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(linear.coef)) - linear.indptr[leaf]
    coef[leaf, place], feature[leaf, place] = linear.coef, linear.feature
    return np.concatenate([linear.const[:, None], native.leaf_value, coef, feature], axis=1)


def _linear_table(constants: dict[str, Array]) -> Floats:
    const = constants["const"].astype(np.float64).reshape(-1, 1)
    if "coef" not in constants:
        return const
    own = constants["own"].astype(np.float64).reshape(-1, 1)
    coef, feature = constants["coef"].astype(np.float64), constants["feature"].astype(np.float64)
    if (
        not len(const) == len(own) == len(coef) == len(feature)
        or coef.ndim != 2
        or coef.shape != feature.shape
    ):
        raise NotUnderstoodError("tables of linear leaves that do not fit each other")
    return np.concatenate([const, own, coef, feature], axis=1)
