"""A TreeEnsemble evaluated by numpy: slow, plain, and independent of any runtime."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import ZERO_ZONE, BranchMode, CategoryRule, Floats, Refs, TreeEnsemble


def leaf_indices(ensemble: TreeEnsemble, rows: npt.ArrayLike) -> Refs:
    """The leaf that each row [N, F] meets in each tree: int32 [N, T]."""
    values = cast_rows(ensemble, rows)
    at = np.repeat(ensemble.roots[None, :], len(values), axis=0)
    while True:
        row, tree = np.nonzero(at >= 0)
        if not len(row):
            return ~at
        node = at[row, tree]
        x = values[row, ensemble.feature[node]]
        at[row, tree] = np.where(
            goes_true(ensemble, node, x), ensemble.true_child[node], ensemble.false_child[node]
        )


def raw_scores(ensemble: TreeEnsemble, rows: npt.ArrayLike) -> npt.NDArray[np.floating]:
    """Raw scores [N, K] in the accumulation dtype, summed in the order that the ensemble defines."""
    leaves = leaf_indices(ensemble, rows)
    dtype = np.dtype(ensemble.accumulation_dtype)
    width = ensemble.leaf_value.shape[1]
    start = ensemble.base_score if ensemble.base_first else np.zeros(ensemble.n_targets)
    total = np.repeat(start.astype(dtype)[None, :], len(leaves), axis=0)
    every_row = np.arange(len(leaves))[:, None]
    # Linear leaves make infinities and NaN of infinite features, as the native library does.
    with np.errstate(invalid="ignore", over="ignore"):
        for tree in range(ensemble.n_trees):
            leaf = leaves[:, tree]
            targets = ensemble.leaf_target[leaf][:, None] + np.arange(width)
            total[every_row, targets] += _leaf_values(ensemble, leaf, rows).astype(dtype)
    total /= dtype.type(ensemble.divisor)
    return total if ensemble.base_first else total + ensemble.base_score.astype(dtype)


def cast_rows(ensemble: TreeEnsemble, rows: npt.ArrayLike) -> Floats:
    """Rows as the tests see them: rounded to the comparison dtype, held as float64, NaN where missing."""
    with np.errstate(over="ignore"):
        values = np.asarray(rows).astype(ensemble.comparison_dtype).astype(np.float64)
    if ensemble.missing_value is not None:
        values[values == ensemble.missing_value] = np.nan
    return values


def goes_true(ensemble: TreeEnsemble, node: Refs, x: Floats) -> npt.NDArray[np.bool_]:
    """Whether value x[i] goes to the true child of node[i]."""
    comparison, threshold = ensemble.comparison[node], ensemble.threshold[node]
    true = np.where(comparison == BranchMode.LE, x <= threshold, x < threshold)
    for index in np.flatnonzero(comparison == BranchMode.MEMBER):
        true[index] = _is_member(ensemble, int(node[index]), x[index])
    missing = np.isnan(x) | (ensemble.zero_is_missing[node] & (np.abs(x) <= ZERO_ZONE))
    return np.where(missing, ensemble.missing_true[node], true)


def _is_member(ensemble: TreeEnsemble, node: int, x: float) -> bool:
    if ensemble.category_rule is not CategoryRule.EXACT:
        if x < 0 and ensemble.category_rule is CategoryRule.TRUNCATE_NON_NEGATIVE:
            return False
        x = np.trunc(x)
    members = ensemble.category_members(node)
    position = np.searchsorted(members, x)
    return bool(position < len(members) and members[position] == x)


def _leaf_values(ensemble: TreeEnsemble, leaf: Refs, rows: npt.ArrayLike) -> Floats:
    if ensemble.linear is None:
        return ensemble.leaf_value[leaf]
    linear = ensemble.linear
    values = cast_rows(ensemble, rows)
    values = np.where(np.abs(values) <= ZERO_ZONE, 0.0, values)
    answer = linear.const[leaf].copy()
    start, count = linear.indptr[leaf], np.diff(linear.indptr)[leaf]
    missing = np.zeros(len(leaf), dtype=bool)
    for k in range(int(count.max(initial=0))):
        row = np.flatnonzero(count > k)
        entry = start[row] + k
        x = values[row, linear.feature[entry]]
        missing[row] |= np.isnan(x)
        answer[row] += linear.coef[entry] * x
    return np.where(missing, ensemble.leaf_value[leaf, 0], answer)[:, None]
