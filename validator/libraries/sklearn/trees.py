"""scikit-learn: trees, forests, extra-trees, bagged trees, gradient boosting, isolation forests, histogram boosting.

Reads what `validator.libraries.sklearn.export_trees` and `.sklearn_hist` say of a live estimator. All sum in float64.
Trees compare X, cast to float32, with float64 thresholds (sklearn/tree/_tree.pyx); histogram boosting compares in
float64 (sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.libraries import header as told
from validator.libraries.layout import Layout, covers, lay_out, malformed
from validator.libraries.sklearn.categories import CategoryTests, category_tests
from validator.trees.ensemble import BranchMode, CategoryRule, TreeEnsemble

_LIBRARY = "scikit-learn"


def read_sklearn(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    """The ensemble behind a "sklearn-trees" export. Raises ConversionError where the export contradicts itself."""
    n_features = told.count(header, "n_features", _LIBRARY)
    base = told.numbers(header, "base_score", _LIBRARY)
    layout, tree_of_leaf = _layout(arrays)
    tests = _category_tests(header, arrays, n_features, layout)
    # Where a set names the categories that go right, the children change places.
    swap = tests.swapped
    targets = _column(arrays, "target", np.int32, -1)
    if len(targets) != len(layout.roots):
        raise malformed(_LIBRARY, f"{len(targets)} targets for {len(layout.roots)} trees")
    value = told.array(arrays, "value", np.float64, (-1, -1), _LIBRARY)
    missing_left = _column(arrays, "missing_left", np.bool_, len(value))[layout.nodes]
    return TreeEnsemble(
        library="sklearn",
        task=told.task(header, _LIBRARY),
        n_features=n_features,
        n_targets=len(base),
        feature=_column(arrays, "feature", np.int32, len(value))[layout.nodes],
        threshold=np.where(
            tests.is_member, 0.0, _column(arrays, "threshold", np.float64, len(value))[layout.nodes]
        ),
        comparison=np.where(tests.is_member, BranchMode.MEMBER, BranchMode.LE).astype(np.uint8),
        true_child=np.where(swap, layout.false_child, layout.true_child),
        false_child=np.where(swap, layout.true_child, layout.false_child),
        missing_true=missing_left != swap,
        zero_is_missing=np.zeros(len(layout.nodes), dtype=bool),
        category_set=tests.category_set,
        set_indptr=tests.set_indptr,
        set_values=tests.set_values,
        category_rule=tests.rule,
        roots=layout.roots,
        leaf_value=np.ascontiguousarray(value[layout.leaves]),
        leaf_target=targets[tree_of_leaf],
        leaf_cover=covers(_column(arrays, "cover", np.float64, len(value))[layout.leaves]),
        base_score=base,
        divisor=told.number(header, "divisor", 1.0, _LIBRARY),
        comparison_dtype="float64" if header.get("comparison_dtype") == "float64" else "float32",
        accumulation_dtype="float64",
        admits_missing=header.get("admits_missing") is not False,
        admits_infinity=header.get("admits_infinity") is not False,
        transform=told.transform(header, _LIBRARY),
        label_rule=told.label_rule(header, _LIBRARY),
        class_labels=told.labels(header, _LIBRARY),
        feature_names=told.names(header, n_features, _LIBRARY),
        feature_categories=tests.listed,
    )


def _column(arrays: told.Arrays, name: str, dtype: npt.DTypeLike, length: int) -> npt.NDArray[Any]:
    return told.array(arrays, name, dtype, (length,), _LIBRARY)


def _layout(arrays: told.Arrays) -> tuple[Layout, npt.NDArray[np.int64]]:
    """The trees' layout, and the tree that each leaf is in."""
    counts = _column(arrays, "node_count", np.int64, -1)
    left = _column(arrays, "left", np.int64, -1)
    right = _column(arrays, "right", np.int64, len(left))
    if not len(counts) or (counts < 1).any() or int(counts.sum()) != len(left):
        raise malformed(_LIBRARY, f"{len(left)} nodes in {len(counts)} trees that do not add up")
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)[:-1]])
    tree = np.repeat(np.arange(len(counts)), counts)
    is_leaf = left < 0
    offset = starts[tree]
    for child in (left, right):
        if (((child < 0) | (child >= counts[tree])) & ~is_leaf).any():
            raise malformed(_LIBRARY, "a child lies outside its tree")
    layout = lay_out(
        true_child=left + offset, false_child=right + offset, is_leaf=is_leaf, roots=starts, library=_LIBRARY
    )
    return layout, tree[layout.leaves]


def _category_tests(
    header: Mapping[str, Any], arrays: told.Arrays, n_features: int, layout: Layout
) -> CategoryTests:
    if "is_categorical" not in arrays:
        return CategoryTests.none(len(layout.nodes))
    length = len(arrays["is_categorical"])
    return category_tests(
        is_member=_column(arrays, "is_categorical", np.bool_, length)[layout.nodes],
        feature=_column(arrays, "feature", np.int64, length)[layout.nodes],
        missing_left=_column(arrays, "missing_left", np.bool_, length)[layout.nodes],
        bitset=_column(arrays, "bitset", np.int64, length)[layout.nodes],
        left_bits=told.array(arrays, "left_bits", np.uint32, (-1, 8), _LIBRARY),
        known_bits=told.array(arrays, "known_bits", np.uint32, (n_features, 8), _LIBRARY),
        categories=header.get("categories") or {},
        rule=told.choice(header, "category_rule", CategoryRule, _LIBRARY),
    )
