"""LightGBM model text -> TreeEnsemble, exactly.

The rules of evaluation are those of LightGBM 4's `Tree::NumericalDecision` and `Tree::CategoricalDecision`;
rows reach them with every |x| <= 1e-35f replaced by 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from validator.libraries.lightgbm import text as text_format
from validator.libraries.lightgbm.answers import LightGbmAnswers, feature_categories
from validator.libraries.lightgbm.text import ModelText, refusal
from validator.trees.ensemble import (
    ZERO_ZONE,
    BranchMode,
    CategoryRule,
    Floats,
    Ints,
    LinearLeaves,
    Refs,
    TreeEnsemble,
)

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2


def read(
    text: str | bytes,
    *,
    class_labels: Sequence[int] | Sequence[str] | None = None,
    categorical_columns: Sequence[int] | None = None,
    feature_names: Sequence[str] | None = None,
    start_iteration: int = 0,
    num_iteration: int | None = None,
) -> TreeEnsemble:
    """Read a model text (`booster.model_to_string()` or a saved file).

    `class_labels` are a scikit-learn wrapper's `classes_`; without them classes are 0, 1, ... `categorical_columns`
    are the indices of the pandas columns of category type, ordered or not, that the model was trained on (see
    `feature_categories`). `start_iteration` and `num_iteration` mean what they mean to `Booster.predict`; None is
    all.
    Raises ConversionError for what is damaged or cannot be expressed.
    """
    model = text_format.parse(text)
    per_iteration = model.integer(b"num_tree_per_iteration")
    n_features = model.integer(b"max_feature_idx") + 1
    if per_iteration < 1 or n_features < 1 or len(model.trees) % per_iteration:
        raise refusal(f"{len(model.trees)} trees, {per_iteration} an iteration, {n_features} features")
    trees = _chosen(model, per_iteration, start_iteration, num_iteration)
    answers = LightGbmAnswers.of(model, per_iteration, class_labels)
    forest = _Forest(trees)
    numeric = forest.numeric_nodes()
    set_indptr, set_values = forest.sets()
    averaged = b"average_output" in model.header
    ensemble = TreeEnsemble(
        library="lightgbm",
        task=answers.task,
        n_features=n_features,
        n_targets=per_iteration,
        feature=forest.integers(b"split_feature", forest.splits),
        threshold=numeric.threshold,
        comparison=numeric.comparison,
        true_child=forest.children(b"left_child"),
        false_child=forest.children(b"right_child"),
        missing_true=numeric.missing_true,
        zero_is_missing=numeric.zero_is_missing,
        category_set=numeric.category_set,
        set_indptr=set_indptr,
        set_values=set_values,
        category_rule=CategoryRule.TRUNCATE,
        roots=forest.roots(),
        leaf_value=forest.floats(b"leaf_value", forest.leaves)[:, None],
        leaf_target=np.repeat(np.arange(len(trees)) % per_iteration, forest.leaves).astype(np.int32),
        linear=forest.linear(),
        leaf_cover=forest.cover(),
        base_score=np.zeros(per_iteration),
        divisor=float(max(1, len(trees) // per_iteration)) if averaged else 1.0,
        transform=answers.transform,
        label_rule=answers.label_rule,
        class_labels=answers.class_labels,
        feature_names=_names(model, n_features, feature_names),
        feature_categories=feature_categories(model, n_features, categorical_columns),
    )
    ensemble.validate()
    return ensemble


def _chosen(model: ModelText, per_iteration: int, start: int, count: int | None) -> list[dict[bytes, bytes]]:
    total = len(model.trees) // per_iteration
    first = min(max(start, 0), total)
    last = total if count is None or count <= 0 else min(first + count, total)
    chosen = model.trees[first * per_iteration : last * per_iteration]
    if not chosen:
        raise refusal(
            f"iterations {first} to {last} of {total} hold no tree",
            hint="train the model for at least one iteration, and choose a range inside it",
        )
    return chosen


def _names(model: ModelText, n_features: int, given: Sequence[str] | None) -> tuple[str, ...]:
    if given is not None:
        return tuple(given)
    names = model.header.get(b"feature_names", b"").decode(errors="replace").split(" ")
    if len(names) != n_features:
        raise refusal(f"{len(names)} feature names for {n_features} features")
    return () if names == [f"Column_{i}" for i in range(n_features)] else tuple(names)


class _Nodes:
    """The per-node arrays that decision_type and threshold give together."""

    def __init__(self, decision: Ints, threshold: Floats, *, first_set: Ints, n_sets: Ints) -> None:
        if ((decision < 0) | (decision > 11)).any():
            raise refusal(
                f"decision_type {int(decision[((decision < 0) | (decision > 11)).argmax()])} is unknown"
            )
        categorical = (decision & _CATEGORICAL) != 0
        missing = (decision >> 2) & 3
        left = (decision & _DEFAULT_LEFT) != 0
        if np.isnan(threshold).any():
            raise refusal("a threshold is NaN")
        if (missing > _MISSING_NAN).any():
            raise refusal("a missing type is unknown")
        self.comparison = np.where(categorical, BranchMode.MEMBER, BranchMode.LE).astype(np.uint8)
        self.threshold: Floats = np.where(categorical, 0.0, _outside_zone(threshold))
        # Without a missing type NaN is read as 0; at category nodes it is never a member.
        self.missing_true = np.where(missing == _MISSING_NONE, threshold >= 0.0, left) & ~categorical
        self.zero_is_missing = (missing == _MISSING_ZERO) & ~categorical
        if (
            categorical & ((threshold < 0) | (threshold >= n_sets) | (threshold != np.trunc(threshold)))
        ).any():
            raise refusal("a category node names no category set of its tree")
        self.category_set: Refs = np.where(categorical, first_set + threshold, -1).astype(np.int32)


def _outside_zone(threshold: Floats) -> Floats:
    """Thresholds moved to the edge of the zone in which every x is read as 0."""
    moved = np.where((threshold >= 0) & (threshold < ZERO_ZONE), ZERO_ZONE, threshold)
    below = np.nextafter(-ZERO_ZONE, -np.inf)
    return np.where((threshold < 0) & (threshold >= -ZERO_ZONE), below, moved)


class _Forest:
    """The trees' arrays, concatenated: nodes and leaves of tree t follow those of tree t - 1."""

    def __init__(self, trees: list[dict[bytes, bytes]]) -> None:
        self.trees = trees
        self.leaves = np.array(
            [text_format.whole(tree, b"num_leaves", i) for i, tree in enumerate(trees)], dtype=np.int64
        )
        # A text never has more leaves than characters, so a lying count is caught before anything is allocated.
        if (self.leaves < 1).any() or (
            self.leaves > 1 + np.array([len(t.get(b"leaf_value", b"")) for t in trees])
        ).any():
            raise refusal("a tree's num_leaves does not fit its leaves")
        self.splits = self.leaves - 1
        self.categorical = np.array(
            [text_format.whole(tree, b"num_cat", i, 0) for i, tree in enumerate(trees)], dtype=np.int64
        )
        if (self.categorical < 0).any():
            raise refusal("num_cat is negative")
        self.first_node = np.concatenate([[0], np.cumsum(self.splits)])
        self.first_leaf = np.concatenate([[0], np.cumsum(self.leaves)])
        if self.first_leaf[-1] >= np.iinfo(np.int32).max:
            raise refusal("it has more leaves than 32 bits can count")

    def _lines(self, key: bytes) -> list[bytes]:
        return [tree.get(key, b"") for tree in self.trees]

    def floats(self, key: bytes, counts: Ints) -> Floats:
        return text_format.numbers(self._lines(key), counts, key.decode(), np.float64)

    def integers(self, key: bytes, counts: Ints) -> Refs:
        values = text_format.numbers(self._lines(key), counts, key.decode(), np.int64)
        if len(values) and (values.min() < np.iinfo(np.int32).min or values.max() > np.iinfo(np.int32).max):
            raise refusal(f"{key.decode()} holds a number beyond 32 bits")
        narrowed: Refs = values.astype(np.int32)
        return narrowed

    def children(self, key: bytes) -> Refs:
        local = self.integers(key, self.splits).astype(np.int64)
        nodes, leaves = np.repeat(self.splits, self.splits), np.repeat(self.leaves, self.splits)
        if ((local >= nodes) | (~local >= leaves)).any():
            raise refusal(f"{key.decode()} points outside its tree")
        node_offset = np.repeat(self.first_node[:-1], self.splits)
        leaf_offset = np.repeat(self.first_leaf[:-1], self.splits)
        absolute: Refs = np.where(local >= 0, local + node_offset, local - leaf_offset).astype(np.int32)
        return absolute

    def roots(self) -> Refs:
        return np.where(self.splits > 0, self.first_node[:-1], ~self.first_leaf[:-1]).astype(np.int32)

    def numeric_nodes(self) -> _Nodes:
        return _Nodes(
            self.integers(b"decision_type", self.splits).astype(np.int64),
            self.floats(b"threshold", self.splits),
            first_set=np.repeat(np.cumsum(self.categorical) - self.categorical, self.splits),
            n_sets=np.repeat(self.categorical, self.splits),
        )

    def sets(self) -> tuple[Ints, Floats]:
        """Category sets as offsets and values, from bitsets of 32-bit words."""
        with_sets = self.categorical > 0
        bounds = self.integers(b"cat_boundaries", np.where(with_sets, self.categorical + 1, 0)).astype(
            np.int64
        )
        if not len(bounds):
            return np.zeros(1, dtype=np.int64), np.zeros(0)
        ends = np.cumsum(self.categorical[with_sets] + 1)
        starts = ends - self.categorical[with_sets] - 1
        words = np.zeros(len(self.trees), dtype=np.int64)
        words[with_sets] = bounds[ends - 1]
        widths = np.delete(np.diff(bounds), ends[:-1] - 1)
        if (bounds[starts] != 0).any() or (widths < 0).any():
            raise refusal("cat_boundaries do not ascend from 0")
        bits = text_format.numbers(self._lines(b"cat_threshold"), words, "cat_threshold", np.int64)
        if len(bits) and (bits.min() < 0 or bits.max() > np.iinfo(np.uint32).max):
            raise refusal("cat_threshold holds a number beyond 32 bits")
        word, bit = np.nonzero(
            np.unpackbits(bits.astype("<u4").view(np.uint8), bitorder="little").reshape(-1, 32)
        )
        first_word = np.concatenate([[0], np.cumsum(widths)])
        owner = np.repeat(np.arange(len(widths)), widths)[word]
        values = (word - first_word[owner]) * 32 + bit
        indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(widths)))])
        return indptr.astype(np.int64), values.astype(np.float64)

    def cover(self) -> Floats | None:
        """Training rows per leaf, where every tree says so; models merged or edited by others may not."""
        lines = self._lines(b"leaf_count")
        if not all(lines):
            return None
        return np.maximum(0.0, self.floats(b"leaf_count", self.leaves))

    def linear(self) -> LinearLeaves | None:
        flags = np.array([text_format.whole(t, b"is_linear", i, 0) for i, t in enumerate(self.trees)])
        if ((flags != 0) & (flags != 1)).any():
            raise refusal("is_linear is neither 0 nor 1")
        if not flags.any():
            return None
        const_counts = np.where(flags, self.leaves, 0)
        const = self.floats(b"leaf_value", self.leaves).copy()
        const[np.repeat(flags == 1, self.leaves)] = self.floats(b"leaf_const", const_counts)
        entries = np.zeros(len(const), dtype=np.int64)
        entries[np.repeat(flags == 1, self.leaves)] = self.integers(b"num_features", const_counts)
        if (entries < 0).any():
            raise refusal("num_features is negative")
        totals = np.add.reduceat(entries, self.first_leaf[:-1])
        return LinearLeaves(
            indptr=np.concatenate([[0], np.cumsum(entries)]),
            feature=self.integers(b"leaf_features", totals),
            coef=self.floats(b"leaf_coeff", totals),
            const=const,
        )
