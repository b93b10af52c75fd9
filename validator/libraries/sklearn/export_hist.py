"""scikit-learn's histogram gradient boosting as arrays.

Besides the arrays of `sklearn_trees`: `is_categorical` bool [N]; `bitset` int32 [N], the row of `left_bits` with the
categories that go left; `left_bits` uint32 [B, 8]; `known_bits` uint32 [F, 8], the categories seen in training by
feature (none for numeric ones). Bits are category codes. The header's `categories` maps a feature's number, as text,
to the values that have codes 0, 1, ...; where the model takes codes as they are it is empty.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any, List, Optional

from validator.libraries.plain import (
    Export,
    Header,
    NotExpressible,
    class_labels,
    library_version,
    plain,
    version_tuple,
)

NAMES = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def export(model: Any) -> Export:
    """Raises NotExpressible for labels or categories that ONNX has no form for."""
    import numpy as np

    labels = class_labels(model)
    flat = [tree for stage in model._predictors for tree in stage]
    n_targets = int(model.n_trees_per_iteration_)
    base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    order = _column_order(model)
    header: Header = {
        "base_score": np.broadcast_to(base, (n_targets,)).tolist(),
        "divisor": 1.0,
        "classes": labels,
        "task": "regression" if labels is None else "classification",
        "comparison_dtype": "float64",
        "categories": _categories(model),
        "category_rule": _category_rule(order is not None),
        "admits_missing": True,
        "admits_infinity": order is None,  # the encoder in front of categories refuses it
    }
    header.update(_regression_answers(model) if labels is None else _class_answers(model, n_targets))
    arrays = _nodes(flat, order)
    arrays["target"] = np.tile(np.arange(n_targets, dtype=np.int32), len(model._predictors))
    arrays["known_bits"] = _known(model, order)
    return header, arrays


def _nodes(flat: List[Any], order: Optional[Any]) -> Any:
    import numpy as np

    def column(name: str, dtype: Any) -> Any:
        return np.concatenate([tree.nodes[name] for tree in flat] or [np.zeros(0)]).astype(dtype)

    counts = np.array([len(tree.nodes) for tree in flat], dtype=np.int64)
    leaf = column("is_leaf", bool)
    feature = np.where(leaf, 0, column("feature_idx", np.int64))
    bitsets = [np.asarray(tree.raw_left_cat_bitsets, dtype=np.uint32).reshape(-1, 8) for tree in flat]
    starts = np.concatenate([[0], np.cumsum([len(bits) for bits in bitsets])]).astype(np.int64)
    return {
        "node_count": counts,
        "left": np.where(leaf, -1, column("left", np.int64)).astype(np.int32),
        "right": np.where(leaf, -1, column("right", np.int64)).astype(np.int32),
        "feature": (feature if order is None else order[feature]).astype(np.int32),
        "threshold": column("num_threshold", np.float64),
        "missing_left": column("missing_go_to_left", bool),
        "value": column("value", np.float64)[:, np.newaxis],
        "cover": column("count", np.float64),
        "is_categorical": column("is_categorical", bool) & ~leaf,
        "bitset": (column("bitset_idx", np.int64) + np.repeat(starts[:-1], counts)).astype(np.int32),
        "left_bits": np.concatenate(bitsets or [np.zeros((0, 8), dtype=np.uint32)]),
    }


def _column_order(model: Any) -> Optional[Any]:
    """The given column behind each column the trees see: since 1.4 an encoder puts the categorical ones first."""
    import numpy as np

    if getattr(model, "_preprocessor", None) is None:
        return None
    categorical = np.asarray(model.is_categorical_, dtype=bool)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


def _category_rule(encoded: bool) -> str:
    """How a given number is looked up: as it is since 1.4; before, cut to a byte, negative ones unknown since 1.2."""
    if encoded:
        return "exact"
    return "truncate" if version_tuple(library_version("sklearn")) < (1, 2) else "truncate_non_negative"


def _known(model: Any, order: Optional[Any]) -> Any:
    """uint32 [F, 8]: each feature's known categories as bits, zeros for numeric features."""
    import numpy as np

    n_features = int(model.n_features_in_)
    known = np.zeros((n_features, 8), dtype=np.uint32)
    if getattr(model, "is_categorical_", None) is None:
        return known
    bits, index = model._bin_mapper.make_known_categories_bitsets()
    seen = np.asarray(model._bin_mapper.is_categorical_, dtype=bool)
    for column in np.flatnonzero(seen):
        given = column if order is None else int(order[column])
        known[given] = bits[index[column]]
    return known


def _categories(model: Any) -> Header:
    """What the encoder in front of the trees maps to codes, by feature. Raises NotExpressible for mixed values."""
    import numpy as np

    preprocessor = getattr(model, "_preprocessor", None)
    if preprocessor is None:
        return {}
    found: Header = {}
    columns = np.flatnonzero(np.asarray(model.is_categorical_, dtype=bool))
    for column, values in zip(columns, preprocessor.named_transformers_["encoder"].categories_):
        listed = [plain(value) for value in values if not (isinstance(value, float) and value != value)]
        if not all(isinstance(value, str) for value in listed):
            if not all(isinstance(value, (int, float)) for value in listed):
                raise NotExpressible(
                    f"the categories of column {int(column)} are neither all numbers nor all strings",
                    "make the column's values strings, missing ones NaN, before training",
                )
            listed = [float(value) for value in listed]
        found[str(int(column))] = listed
    return found


def _regression_answers(model: Any) -> Header:
    """The inverse link, recognised by what it makes of 1: the losses' class names changed over the versions."""
    import numpy as np

    link = getattr(model._loss, "link", None)
    inverse = link.inverse if link is not None else model._loss.inverse_link_function
    answer = float(np.asarray(inverse(np.ones(1))).reshape(-1)[0])
    if answer == 1.0:
        return {"transform": "identity", "label_rule": "argmax_probability"}
    if abs(answer - np.e) < 1e-12:
        return {"transform": "exp", "label_rule": "argmax_probability"}
    raise NotExpressible(f"a loss with an unknown link ({type(model._loss).__name__})")


def _class_answers(model: Any, n_targets: int) -> Header:
    """Whether labels follow scores or probabilities: asked of a copy without trees whose scores differ by 1e-17,
    too little to make the probabilities differ."""
    import numpy as np

    twin = copy.copy(model)
    twin._predictors, twin._preprocessor = [[]], None
    base = np.asarray(model._baseline_prediction, dtype=np.float64)
    base = np.zeros((1, n_targets)) if base.ndim == 0 else base
    twin._baseline_prediction = ((np.arange(n_targets) + 1) * 1e-17).reshape(base.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        label = twin.predict(np.zeros((1, int(model.n_features_in_))))[0]
    by_score = bool(label == model.classes_[max(1, n_targets - 1)])
    if n_targets == 1:
        return {"transform": "sigmoid", "label_rule": "raw_positive" if by_score else "argmax_probability"}
    return {"transform": "softmax", "label_rule": "argmax_raw" if by_score else "argmax_probability"}
