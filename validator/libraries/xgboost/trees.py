"""XGBoost: JSON or UBJSON of any release since 1.0, boosters gbtree and dart.

Semantics of XGBoost 1.0 to 3.4, found by comparing bit for bit with the library: x is cast to float32 and goes
left where x < split_condition; what then equals a wrapper's `missing`, itself cast, is missing, as NaN always is; a
category in a node's set goes right; a margin starts from the base score, itself brought to margin space in float32,
and the trees' leaves are added to it one after the other in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.libraries import header as told
from validator.libraries.layout import malformed
from validator.libraries.xgboost.answers import XgboostAnswers, answers_of, base_margin
from validator.libraries.xgboost.model import Model, parse
from validator.libraries.xgboost.nodes import Forest, category_lists
from validator.trees.ensemble import BranchMode, CategoryRule, Floats, TreeEnsemble

_LIBRARY = "XGBoost"
_NO_WRAPPER: Mapping[str, Any] = {}


def read_xgboost(data: bytes, header: told.Header = _NO_WRAPPER) -> TreeEnsemble:
    """The ensemble in a model's JSON or UBJSON.

    `header` is what the exporter said of a live model; without it the model is read as a bare `Booster` predicts.
    Raises ConversionError for gblinear, vector-leaf boosters of unknown layout, objectives and `missing` values that
    cannot be expressed exactly, and damaged files.
    """
    # Numbers that no float32 holds become infinite or NaN, and are refused as such.
    with np.errstate(over="ignore", invalid="ignore"):
        model = parse(data)
        answers = answers_of(model, header)
        forest = Forest.of(model, _tree_range(model, header.get("best_iteration")))
        margin = base_margin(model)
        ensemble = _assemble(model, forest, answers, margin, _leaf_values(model, forest, margin, header))
        _check_category_names(ensemble, header)
        return _with_missing_value(ensemble, header.get("missing"))


def read_export(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    """The ensemble behind an export. Raises ConversionError."""
    return read_xgboost(told.model_bytes(arrays, _LIBRARY), header)


def _assemble(
    model: Model, forest: Forest, answers: XgboostAnswers, margin: Floats, leaf_value: Floats
) -> TreeEnsemble:
    layout, member = forest.layout, forest.is_categorical
    return TreeEnsemble(
        library="xgboost",
        task=answers.task,
        n_features=model.n_features,
        n_targets=model.n_targets,
        feature=forest.feature,
        threshold=np.where(member, 0.0, forest.condition.astype(np.float64)),
        comparison=np.where(member, BranchMode.MEMBER, BranchMode.LT).astype(np.uint8),
        # A category in the set goes right, all else left: the children change places.
        true_child=np.where(member, layout.false_child, layout.true_child),
        false_child=np.where(member, layout.true_child, layout.false_child),
        missing_true=forest.default_left != member,
        zero_is_missing=np.zeros(len(member), dtype=bool),
        category_set=forest.category_set,
        set_indptr=forest.set_indptr,
        set_values=forest.set_values,
        category_rule=CategoryRule.TRUNCATE_NON_NEGATIVE,
        roots=layout.roots,
        leaf_value=leaf_value,
        leaf_target=forest.leaf_target,
        leaf_cover=forest.leaf_cover,
        base_score=margin,
        comparison_dtype="float32",
        accumulation_dtype="float32",
        admits_missing=True,
        admits_infinity=False,
        transform=answers.transform,
        label_rule=answers.label_rule,
        class_labels=answers.class_labels,
        feature_names=told.names({"feature_names": model.feature_names}, model.n_features, _LIBRARY),
        feature_categories=category_lists(model),
    )


def _tree_range(model: Model, best_iteration: Any) -> int:
    """How many trees, from the first, take part: wrappers stop after the best iteration of early stopping."""
    if best_iteration is None:
        return len(model.trees)
    if type(best_iteration) is not int or best_iteration < 0:
        raise malformed(_LIBRARY, f"its best iteration is {str(best_iteration)[:40]!r}")
    bounds = model.iteration_bounds
    return int(bounds[min(best_iteration + 1, len(bounds) - 1)])


def _leaf_values(model: Model, forest: Forest, margin: Floats, header: told.Header) -> Floats:
    """float64 [L, W] of float32 values; dart's weights applied as the library applies them, each step rounded.

    Wrappers predict in place, where dart until 3.3 takes the base score out of each tree's margin again before it
    is weighted.
    """
    if model.tree_weights is None:
        return forest.leaf_value.astype(np.float64)
    value = forest.leaf_value
    weight = model.tree_weights[forest.tree_of_leaf][:, None]
    if header.get("inplace") and not model.weighs_alike:
        base = margin.astype(np.float32)[forest.leaf_target][:, None]
        value = (value + base) - base
    return (value * weight).astype(np.float64)


def _check_category_names(ensemble: TreeEnsemble, header: told.Header) -> None:
    """Raise ConversionError where users give names for categories that the model knows by number alone."""
    nameless = [
        place for place in header.get("category_columns") or () if place not in ensemble.feature_categories
    ]
    if nameless:
        name = ensemble.feature_names[nameless[0]] if ensemble.feature_names else str(nameless[0])
        raise ConversionError(
            f"the XGBoost model keeps no names of the categories of {name!r}: releases before 3.1 number them anew "
            "in every data frame",
            hint="train again with xgboost 3.1 or later, or give the categories' numbers, in the data and the sample",
        )


def _with_missing_value(ensemble: TreeEnsemble, missing: Any) -> TreeEnsemble:
    """A wrapper may read a number as missing. It need not be told where every node sends it that way anyhow."""
    if missing is None:
        return ensemble
    if not isinstance(missing, (int, float)) and missing not in ("inf", "-inf"):
        raise malformed(_LIBRARY, f"its missing value is {str(missing)[:40]!r}")
    value = float(np.float32(missing))
    hint = "replace it by NaN in the data and train with missing=nan"
    if not np.isfinite(value):
        raise ConversionError(f"the XGBoost model reads {missing} as a missing value", hint=hint)
    if any(value in range(len(listed)) for listed in ensemble.feature_categories.values()):
        raise ConversionError(
            f"the XGBoost model reads {missing} as a missing value, and the category of that number in every "
            "data frame too, whichever it is",
            hint=hint,
        )
    member = ensemble.comparison == BranchMode.MEMBER
    goes_true = value < ensemble.threshold
    if not member.any() and (goes_true == ensemble.missing_true).all():
        return ensemble
    return replace(ensemble, missing_value=value)
