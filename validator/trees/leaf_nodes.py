"""Leaves that ONNX's own cannot hold: vectors, and linear models.

The TreeEnsemble node then gives, for each tree, the leaf's number, and the values are gathered from tables. The sums
run over the trees in their order: ONNX Runtime adds along a middle axis one after the other.
"""

from __future__ import annotations

import numpy as np

from validator.errors import ConversionError
from validator.trees.ensemble import ZERO_ZONE, Floats, Ints, LinearLeaves, TreeEnsemble
from validator.trees.graph import GraphBuilder
from validator.trees.tree_node import OnnxLeaves, add_trees, tree_dtype


def add_raw_scores(graph: GraphBuilder, features: str, inputs: str, ensemble: TreeEnsemble) -> str:
    """Add what makes raw scores [N, K], but for the divisor and a base that comes last.

    `features` [N, F] are the features themselves, `inputs` the columns that the trees read, both of tree_dtype.
    """
    if ensemble.linear is not None:
        return _linear_scores(graph, features, inputs, ensemble, ensemble.linear)
    if ensemble.leaf_value.shape[1] > 1:
        return _vector_scores(graph, inputs, ensemble)
    start = ensemble.base_score if ensemble.base_first else np.zeros(ensemble.n_targets)
    leaves = OnnxLeaves(
        weight=ensemble.leaf_value[:, 0],
        target=ensemble.leaf_target.astype(np.int64),
        n_targets=ensemble.n_targets,
        extra=tuple((float(start[k]), int(k)) for k in np.flatnonzero(start)),
    )
    return add_trees(graph, inputs, ensemble, leaves)


def tree_of_leaf(ensemble: TreeEnsemble) -> Ints:
    """The tree that each leaf belongs to: int64 [L]."""
    owner = np.zeros(ensemble.n_leaves, dtype=np.int64)
    reference, tree = ensemble.roots, np.arange(ensemble.n_trees)
    while len(reference):
        leaf = reference < 0
        owner[~reference[leaf]] = tree[leaf]
        node, tree = reference[~leaf], tree[~leaf]
        reference = np.concatenate([ensemble.true_child[node], ensemble.false_child[node]])
        tree = np.concatenate([tree, tree])
    return owner


def _leaf_numbers(graph: GraphBuilder, inputs: str, ensemble: TreeEnsemble) -> str:
    """int64 [N, T]: the leaf that each row meets in each tree."""
    dtype = tree_dtype(ensemble)
    if ensemble.n_leaves > 1 << (24 if dtype == "float32" else 53):
        raise ConversionError(
            f"{ensemble.n_leaves} leaves cannot be numbered in {dtype}",
            hint="train fewer or smaller trees, or one output at a time",
        )
    leaves = OnnxLeaves(
        weight=np.arange(ensemble.n_leaves, dtype=np.float64),
        target=tree_of_leaf(ensemble),
        n_targets=ensemble.n_trees,
    )
    return graph.cast(add_trees(graph, inputs, ensemble, leaves), "int64")


def _vector_scores(graph: GraphBuilder, inputs: str, ensemble: TreeEnsemble) -> str:
    number = _leaf_numbers(graph, inputs, ensemble)
    values, dtype = ensemble.leaf_value, ensemble.accumulation_dtype
    # A base that comes first is one more leaf, met by every row before all trees.
    if ensemble.base_first and ensemble.base_score.any():
        values = np.concatenate([values, ensemble.base_score[None, :]])
        number = graph.add(
            "Pad",
            number,
            graph.constant([0, 1, 0, 0], "int64"),
            graph.constant(ensemble.n_leaves, "int64"),
        )
    gathered = graph.add("Gather", graph.constant(values, dtype), number, axis=0)
    return graph.add("ReduceSum", gathered, graph.constant([1], "int64"), keepdims=0)


def _linear_scores(
    graph: GraphBuilder, features: str, inputs: str, ensemble: TreeEnsemble, linear: LinearLeaves
) -> str:
    dtype, k = ensemble.accumulation_dtype, ensemble.n_targets
    expected = np.arange(ensemble.n_trees) % k
    if ensemble.base_score.any() or (ensemble.leaf_target != expected[tree_of_leaf(ensemble)]).any():
        raise ConversionError(
            "linear leaves with a base score, or with targets out of turn, cannot be expressed",
            hint="save the model with LightGBM itself, which writes neither",
        )
    number = _leaf_numbers(graph, inputs, ensemble)
    coef, feature = _padded(linear, ensemble.n_features)
    terms = graph.add("Gather", graph.constant(linear.const, dtype), number, axis=0)
    if coef.shape[1]:
        terms = _with_terms(graph, features, number, terms, ensemble, coef, feature)
    if k > 1:
        terms = graph.add("Reshape", terms, graph.constant([0, ensemble.n_trees // k, k], "int64"))
        return graph.add("ReduceSum", terms, graph.constant([1], "int64"), keepdims=0)
    wide = graph.add("Reshape", terms, graph.constant([0, ensemble.n_trees, 1], "int64"))
    return graph.add("ReduceSum", wide, graph.constant([1], "int64"), keepdims=0)


def _with_terms(
    graph: GraphBuilder,
    features: str,
    number: str,
    const: str,
    ensemble: TreeEnsemble,
    coef: Floats,
    feature: Ints,
) -> str:
    """[N, T]: const + the sum of coef * x over the leaf's features; the leaf's own value where one of them is NaN."""
    dtype, width = ensemble.accumulation_dtype, coef.shape[1]
    near = graph.add("LessOrEqual", graph.add("Abs", features), graph.constant(ZERO_ZONE, dtype))
    clean = graph.add("Where", near, graph.constant(0, dtype), features)
    # Column F is 0: leaves with fewer features than the widest read it, with coefficient 0.
    clean = graph.add("Pad", clean, graph.constant([0, 0, 0, 1], "int64"))
    flat = graph.constant([0, ensemble.n_trees * width], "int64")
    deep = graph.constant([0, ensemble.n_trees, width], "int64")
    chosen = graph.add("Gather", graph.constant(feature, "int64"), number, axis=0)
    x = graph.add("GatherElements", clean, graph.add("Reshape", chosen, flat), axis=1)
    x = graph.add("Reshape", x, deep)
    products = graph.add("Mul", graph.add("Gather", graph.constant(coef, dtype), number, axis=0), x)
    products = graph.add("Transpose", products, perm=(0, 2, 1))
    first = graph.add("Unsqueeze", const, graph.constant([1], "int64"))
    terms = graph.add("Concat", first, products, axis=1)
    total = graph.add("ReduceSum", terms, graph.constant([1], "int64"), keepdims=0)
    nan = graph.cast(graph.add("IsNaN", x), "float32")
    missing = graph.add("ReduceMax", nan, graph.constant([2], "int64"), keepdims=0)
    own = graph.add("Gather", graph.constant(ensemble.leaf_value[:, 0], dtype), number, axis=0)
    return graph.add("Where", graph.cast(missing, "bool"), own, total)


def _padded(linear: LinearLeaves, n_features: int) -> tuple[Floats, Ints]:
    """Coefficients and features as tables [L, E], short leaves filled up with coefficient 0 of the zero column."""
    counts = np.diff(linear.indptr)
    width = int(counts.max(initial=0))
    coef = np.zeros((len(counts), width))
    feature = np.full((len(counts), width), n_features, dtype=np.int64)
    row = np.repeat(np.arange(len(counts)), counts)
    column = np.arange(len(linear.coef)) - np.repeat(linear.indptr[:-1], counts)
    coef[row, column] = linear.coef
    feature[row, column] = linear.feature
    return coef, feature
