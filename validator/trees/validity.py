"""Is a TreeEnsemble one? Shapes, ranges, and that its nodes form trees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.trees.ensemble import MAX_DEPTH, BranchMode, CategoryRule, LabelRule, Task, TreeEnsemble


def validate(ensemble: TreeEnsemble) -> None:
    """Raise ConversionError unless the arrays fit together and are trees."""
    found = problem(ensemble)
    if found is not None:
        raise ConversionError(
            f"the {ensemble.library} model's trees are not well formed: {found}",
            hint="the model file is damaged or made by an unknown version; save it again with its own library",
        )


def problem(ensemble: TreeEnsemble) -> str | None:
    """What is wrong with the ensemble, in words, or None."""
    checks: tuple[Callable[[TreeEnsemble], str | None], ...] = (
        _shapes,
        _numbers,
        _missing_value,
        _references,
        _categories,
        _leaves,
        _linear,
        _answers,
        _reachability,
    )
    for check in checks:
        found = check(ensemble)
        if found is not None:
            return found
    return None


def children_of(ensemble: TreeEnsemble, nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The references below some nodes: true children first, then false ones."""
    return np.concatenate([ensemble.true_child[nodes], ensemble.false_child[nodes]])


def depth(ensemble: TreeEnsemble) -> int:
    """The number of nodes on the longest path; 0 where every tree is a leaf."""
    level, frontier = 0, ensemble.roots[ensemble.roots >= 0]
    while len(frontier) and level <= MAX_DEPTH:
        level += 1
        below = children_of(ensemble, frontier)
        frontier = below[below >= 0]
    return level


def _shapes(e: TreeEnsemble) -> str | None:
    expected = {
        "feature": np.int32,
        "threshold": np.float64,
        "comparison": np.uint8,
        "true_child": np.int32,
        "false_child": np.int32,
        "missing_true": np.bool_,
        "zero_is_missing": np.bool_,
        "category_set": np.int32,
    }
    for name, dtype in expected.items():
        array = getattr(e, name)
        if array.dtype != dtype or array.shape != (e.n_nodes,):
            return f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} [{e.n_nodes}]"
    if e.roots.dtype != np.int32 or e.roots.ndim != 1:
        return f"roots is {e.roots.dtype} {e.roots.shape}, not int32 [T]"
    if e.n_features < 1 or e.n_targets < 1:
        return f"{e.n_features} features and {e.n_targets} targets"
    if e.leaf_value.dtype != np.float64 or e.leaf_value.ndim != 2:
        return f"leaf_value is {e.leaf_value.dtype} {e.leaf_value.shape}, not float64 [L, W]"
    if e.leaf_value.shape[1] not in (1, e.n_targets):
        return f"leaves hold {e.leaf_value.shape[1]} values for {e.n_targets} targets"
    if e.leaf_target.dtype != np.int32 or e.leaf_target.shape != (e.n_leaves,):
        return f"leaf_target is {e.leaf_target.dtype} {e.leaf_target.shape}, not int32 [{e.n_leaves}]"
    if e.base_score.dtype != np.float64 or e.base_score.shape != (e.n_targets,):
        return f"base_score is {e.base_score.dtype} {e.base_score.shape}, not float64 [{e.n_targets}]"
    return None


def _numbers(e: TreeEnsemble) -> str | None:
    if np.isnan(e.threshold).any():
        return f"the threshold of node {int(np.isnan(e.threshold).argmax())} is NaN"
    if not np.isfinite(e.leaf_value).all():
        return f"a value of leaf {int((~np.isfinite(e.leaf_value)).any(axis=1).argmax())} is not finite"
    if not np.isfinite(e.base_score).all():
        return "a base score is not finite"
    if not (np.isfinite(e.divisor) and e.divisor > 0):
        return f"the divisor is {e.divisor}"
    for dtype in (e.comparison_dtype, e.accumulation_dtype, e.transform.dtype):
        if dtype not in ("float32", "float64"):
            return f"unknown number type {dtype!r}"
    if not (np.isfinite(e.transform.factor) and np.isfinite(e.transform.offset)):
        return "the transform's parameters are not finite"
    if len(e.comparison) and e.comparison.max() > max(BranchMode):
        return f"unknown comparison {int(e.comparison.max())}"
    return None


def _missing_value(e: TreeEnsemble) -> str | None:
    missing = e.missing_value
    if missing is None:
        return None
    if not np.isfinite(missing) or float(np.dtype(e.comparison_dtype).type(missing)) != missing:
        return f"the number {missing} that stands for missing values is none of {e.comparison_dtype}"
    if not e.admits_missing or e.zero_is_missing.any():
        return "a number stands for missing values where there are none, or beside zero"
    return None


def _references(e: TreeEnsemble) -> str | None:
    if len(e.feature) and (e.feature.min() < 0 or e.feature.max() >= e.n_features):
        node = int(((e.feature < 0) | (e.feature >= e.n_features)).argmax())
        return f"node {node} tests feature {e.feature[node]} of {e.n_features}"
    references = np.concatenate([e.roots, e.true_child, e.false_child])
    if len(references) and (references.max() >= e.n_nodes or (~references).max() >= e.n_leaves):
        return "a child does not exist"
    for what, seen, count in (
        ("node", references[references >= 0], e.n_nodes),
        ("leaf", ~references[references < 0], e.n_leaves),
    ):
        uses = np.bincount(seen, minlength=count)
        if count and (uses != 1).any():
            index = int((uses != 1).argmax())
            return f"{what} {index} is referred to {uses[index]} times"
    return None


def _categories(e: TreeEnsemble) -> str | None:
    member = e.comparison == BranchMode.MEMBER
    if (e.category_set[~member] != -1).any():
        return "a numeric node has a category set"
    if (e.zero_is_missing & member).any():
        return "a category node reads zero as missing"
    if (
        e.set_indptr.ndim != 1
        or len(e.set_indptr) < 1
        or e.set_indptr[0] != 0
        or e.set_indptr[-1] != len(e.set_values)
    ):
        return "the category sets' offsets do not fit their values"
    if (np.diff(e.set_indptr) < 0).any():
        return "the category sets' offsets descend"
    used = e.category_set[member]
    if len(used) and (used.min() < 0 or used.max() >= len(e.set_indptr) - 1):
        return "a category set does not exist"
    if not np.isfinite(e.set_values).all():
        return "a category is not finite"
    if e.category_rule is not CategoryRule.EXACT and (
        (e.set_values < 0).any() or (e.set_values != np.trunc(e.set_values)).any()
    ):
        return "a category is negative or fractional"
    if len(e.set_values) > 1:
        starts = np.zeros(len(e.set_values) + 1, dtype=bool)
        starts[e.set_indptr] = True
        if ((np.diff(e.set_values) <= 0) & ~starts[1:-1]).any():
            return "a category set is not strictly ascending"
    return None


def _leaves(e: TreeEnsemble) -> str | None:
    width = e.leaf_value.shape[1]
    if e.n_leaves and (e.leaf_target.min() < 0 or e.leaf_target.max() + width > e.n_targets):
        return f"a leaf's target lies outside the {e.n_targets} targets"
    if e.leaf_cover is not None and (
        e.leaf_cover.shape != (e.n_leaves,) or not (np.isfinite(e.leaf_cover) & (e.leaf_cover >= 0)).all()
    ):
        return "the leaves' covers are not one finite number each"
    return None


def _linear(e: TreeEnsemble) -> str | None:
    linear = e.linear
    if linear is None:
        return None
    if e.leaf_value.shape[1] != 1:
        return "linear leaves with more than one value"
    if linear.indptr.shape != (e.n_leaves + 1,) or linear.const.shape != (e.n_leaves,):
        return f"linear leaves for {len(linear.const)} leaves of {e.n_leaves}"
    if linear.indptr[0] != 0 or linear.indptr[-1] != len(linear.coef) or (np.diff(linear.indptr) < 0).any():
        return "the linear leaves' offsets do not fit their coefficients"
    if linear.feature.shape != linear.coef.shape:
        return "the linear leaves' features do not fit their coefficients"
    if len(linear.feature) and (linear.feature.min() < 0 or linear.feature.max() >= e.n_features):
        return f"a linear leaf uses a feature outside the {e.n_features}"
    if not (np.isfinite(linear.coef).all() and np.isfinite(linear.const).all()):
        return "a linear leaf's coefficient is not finite"
    return None


def _answers(e: TreeEnsemble) -> str | None:
    classes = len(e.class_labels)
    if e.task is Task.CLASSIFICATION:
        if not (classes == e.n_targets >= 2 or (classes == 2 and e.n_targets == 1)):
            return f"{classes} class labels for {e.n_targets} scores"
        if len({type(label) for label in e.class_labels}) > 1 or len(set(e.class_labels)) != classes:
            return "class labels of mixed kinds, or one twice"
        single = (LabelRule.PROBABILITY_ABOVE_HALF, LabelRule.RAW_POSITIVE, LabelRule.RAW_NOT_NEGATIVE)
        if e.n_targets > 1 and e.label_rule in single:
            return f"the label rule {e.label_rule} for {e.n_targets} scores"
    elif classes:
        return f"class labels for a {e.task} model"
    if e.task in (Task.RANKING, Task.OUTLIER) and e.n_targets != 1:
        return f"{e.n_targets} scores for a {e.task} model"
    if e.feature_names and (
        len(e.feature_names) != e.n_features or len(set(e.feature_names)) != e.n_features
    ):
        return f"{len(e.feature_names)} feature names, or one twice, for {e.n_features} features"
    if any(not 0 <= index < e.n_features for index in e.feature_categories):
        return "categories of a feature that does not exist"
    return None


def _reachability(e: TreeEnsemble) -> str | None:
    # Each node is referred to once, so a node that no root leads to lies on a cycle.
    seen, level, frontier = 0, 0, e.roots[e.roots >= 0]
    while len(frontier):
        if level == MAX_DEPTH:
            return f"a tree is deeper than {MAX_DEPTH} levels"
        level += 1
        seen += len(frontier)
        below = children_of(e, frontier)
        frontier = below[below >= 0]
    return None if seen == e.n_nodes else f"{e.n_nodes - seen} nodes lie on cycles"
