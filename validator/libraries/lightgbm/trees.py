"""LightGBM model text -> TreeEnsemble, exactly.

The rules of evaluation are those of LightGBM 4's `Tree::NumericalDecision` and `Tree::CategoricalDecision`;
rows reach them with every |x| <= 1e-35f replaced by 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from validator.documents import DocumentError
from validator.errors import ConversionError
from validator.libraries import header as told
from validator.libraries.lightgbm.answers import LightGbmAnswers, feature_categories
from validator.libraries.lightgbm.forest import Forest, refusal
from validator.libraries.lightgbm.text import Lines, ModelText, take_apart
from validator.trees.ensemble import CategoryRule, TransformKind, TreeEnsemble
from validator.trees.validity import validate

_LIBRARY = "LightGBM"
_VERSIONS = (b"v2", b"v3", b"v4")
_TREE_KEYS = frozenset(
    b"num_leaves num_cat split_feature split_gain threshold decision_type left_child right_child leaf_value "
    b"leaf_weight leaf_count internal_value internal_weight internal_count cat_boundaries cat_threshold is_linear "
    b"leaf_const num_features leaf_features leaf_coeff shrinkage".split()
)
_HEADER_KEYS = frozenset(
    b"version num_class num_tree_per_iteration label_index max_feature_idx objective average_output feature_names "
    b"monotone_constraints feature_infos tree_sizes".split()
)


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
    model = _parse(text.encode() if isinstance(text, str) else text)
    per_iteration = _integer(model, b"num_tree_per_iteration")
    n_features = _integer(model, b"max_feature_idx") + 1
    if per_iteration < 1 or n_features < 1 or len(model.trees) % per_iteration:
        raise refusal(f"{len(model.trees)} trees, {per_iteration} an iteration, {n_features} features")
    trees = _chosen(model, per_iteration, start_iteration, num_iteration)
    answers = LightGbmAnswers.of(model, per_iteration, class_labels)
    _refuse_either_average(model, answers)
    forest = Forest(trees)
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
    validate(ensemble)
    return ensemble


def read_export(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    """The ensemble behind a "lightgbm-text" export. Raises ConversionError."""
    classes: Any = told.labels(header, _LIBRARY) if header.get("classes") is not None else None
    iterations, n_features = header.get("num_iteration"), told.count(header, "n_features", _LIBRARY)
    named = told.names(header, n_features, _LIBRARY) or None
    # Without a sample no column is known to hold categories: then the text itself has to tell.
    categorical: Any = header.get("category_columns") or None
    return read(
        told.model_bytes(arrays, _LIBRARY),
        class_labels=classes,
        feature_names=named if categorical else None,
        categorical_columns=categorical,
        start_iteration=int(told.number(header, "start_iteration", 0, _LIBRARY)),
        num_iteration=iterations if type(iterations) is int and iterations > 0 else None,
    )


def _refuse_either_average(model: ModelText, answers: LightGbmAnswers) -> None:
    """Raises ConversionError for a forest whose answer depends on which release wrote it, which it does not say."""
    if model.header.get(b"version") != b"v2" or b"average_output" not in model.header:
        return
    if answers.transform.kind is TransformKind.IDENTITY:
        return
    raise ConversionError(
        "the LightGBM text of version 2 holds averaged trees (boosting=rf), whose meaning changed: LightGBM 2.2.1 "
        "and before answer the average itself, 2.2.3 and later its sigmoid, and the file does not say which release "
        "wrote it",
        hint="if it was trained with lightgbm 2.2.3, load it with lightgbm==3.3.5 and save it again; if with an "
        "earlier one, train it again with a release of today",
    )


def _parse(data: bytes) -> ModelText:
    """Raises ConversionError for a text of an unknown version, or one with lines whose meaning is not known."""
    try:
        model = take_apart(data)
    except DocumentError as error:
        raise refusal(str(error)) from error
    if model.header.get(b"version") not in _VERSIONS:
        shown = model.header.get(b"version", b"missing").decode(errors="replace")
        raise refusal(f"its version is {shown[:20]!r}")
    for known, lines in ((_HEADER_KEYS, model.header), *((_TREE_KEYS, tree) for tree in model.trees)):
        unknown = lines.keys() - known
        if unknown:
            raise refusal(f"it has an unknown line {min(unknown).decode(errors='replace')[:40]!r}")
    return model


def _integer(model: ModelText, key: bytes) -> int:
    try:
        return int(model.header[key])
    except (KeyError, ValueError):
        raise refusal(f"its header has no readable {key.decode()}") from None


def _chosen(model: ModelText, per_iteration: int, start: int, count: int | None) -> list[Lines]:
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
