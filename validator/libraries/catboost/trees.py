"""CatBoost: its JSON export, of oblivious and of free trees, over numeric features.

x is cast to float32 and takes a split's right side where x > border; NaN takes it where the feature's treatment
is "AsTrue", else the left one. An oblivious tree's leaf number has bit i set where split i was taken. Leaves are
summed in float64, scaled, and the bias comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from validator.documents import DocumentError
from validator.errors import ConversionError
from validator.libraries import header as told
from validator.libraries.catboost.document import load
from validator.libraries.catboost.nodes import NodeTable, tables
from validator.libraries.layout import Layout, covers, lay_out, malformed
from validator.trees.ensemble import BranchMode, LabelRule, Task, Transform, TransformKind, TreeEnsemble

_LIBRARY = "CatBoost"


def read_catboost(data: bytes, header: told.Header) -> TreeEnsemble:
    """The ensemble in a model that was saved with format="json", and what its wrapper answers.

    Raises ConversionError for categorical, text and embedding features, losses whose answers are no function of one
    score each, thresholds other than a half, and damaged files.
    """
    model = _load(data)
    _refuse_other_features(model)
    try:
        scale, bias = _scale_and_bias(model)
        table = tables(model, n_targets=len(bias))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise malformed(_LIBRARY, f"a part is missing or of the wrong kind ({error!r:.80})") from error
    layout = lay_out(
        true_child=table.left,
        false_child=table.right,
        is_leaf=table.is_leaf,
        roots=table.roots,
        library=_LIBRARY,
    )
    return _assemble(header, table, layout, scale=scale, bias=bias)


def read_export(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    """The ensemble behind an export. Raises ConversionError."""
    return read_catboost(told.model_bytes(arrays, _LIBRARY), header)


def _assemble(
    header: told.Header, table: NodeTable, layout: Layout, *, scale: float, bias: list[float]
) -> TreeEnsemble:
    n_features = told.count(header, "n_features", _LIBRARY)
    task = told.task(header, _LIBRARY)
    nodes, value = layout.nodes, table.value[layout.leaves]
    labels = told.labels(header, _LIBRARY) if task is Task.CLASSIFICATION else ()
    return TreeEnsemble(
        library="catboost",
        task=task,
        n_features=n_features,
        n_targets=len(bias),
        feature=table.feature[nodes],
        threshold=table.border[nodes].astype(np.float64),
        comparison=np.full(len(nodes), BranchMode.LE, dtype=np.uint8),
        true_child=layout.true_child,
        false_child=layout.false_child,
        missing_true=table.missing_left[nodes],
        zero_is_missing=np.zeros(len(nodes), dtype=bool),
        category_set=np.full(len(nodes), -1, dtype=np.int32),
        roots=layout.roots,
        leaf_value=value if scale == 1.0 else value * scale,
        leaf_target=np.zeros(len(value), dtype=np.int32),
        leaf_cover=covers(table.cover[layout.leaves]),
        base_score=np.array(bias, dtype=np.float64),
        base_first=False,
        comparison_dtype="float32",
        accumulation_dtype="float64",
        transform=Transform(kind=_transform(header, task, len(bias))),
        label_rule=_label_rule(header, task, len(bias)),
        class_labels=labels,
        feature_names=_names(header, n_features),
    )


def _load(data: bytes) -> Mapping[str, Any]:
    try:
        model = load(data, nodes=len(data))
    except DocumentError as error:
        raise malformed(_LIBRARY, str(error)) from error
    if not isinstance(model, dict) or not isinstance(model.get("features_info"), dict):
        raise malformed(_LIBRARY, "it has no features")
    return model


def _refuse_other_features(model: Mapping[str, Any]) -> None:
    for kind in ("categorical", "text", "embedding"):
        if model["features_info"].get(f"{kind}_features"):
            raise ConversionError(
                f"the CatBoost model has {kind} features, whose statistics ONNX trees cannot compute",
                hint="encode them as numbers before training, for example by an OrdinalEncoder in front",
            )


def _scale_and_bias(model: Mapping[str, Any]) -> tuple[float, list[float]]:
    scale, bias = model["scale_and_bias"]
    found = [float(item) for item in (bias if isinstance(bias, list) else [bias])]
    if not found or not np.isfinite([float(scale), *found]).all():
        raise malformed(_LIBRARY, "its scale and bias are no numbers")
    return float(scale), found


def _transform(header: told.Header, task: Task, n_targets: int) -> TransformKind:
    """By loss and wrapper: classifiers give probabilities; regressors the raw value, or its exponent."""
    loss = str(header.get("loss") or "").partition(":")[0]
    if task is Task.CLASSIFICATION:
        kinds = {
            "Logloss": TransformKind.SIGMOID,
            "CrossEntropy": TransformKind.SIGMOID,
            "MultiClass": TransformKind.SOFTMAX,
            "MultiClassOneVsAll": TransformKind.SIGMOID,
        }
        if loss not in kinds or (n_targets == 1) != (loss in ("Logloss", "CrossEntropy")):
            raise ConversionError(
                f"a CatBoost classifier with the loss {loss[:40]!r} has no single label for each row",
                hint="train with Logloss, MultiClass or MultiClassOneVsAll",
            )
        return kinds[loss]
    answers = header.get("prediction_type") or "RawFormulaVal"
    if answers not in ("RawFormulaVal", "Exponent"):
        raise ConversionError(
            f"the CatBoost model answers {str(answers)[:40]}, a function of several scores",
            hint="train with the loss RMSE, or ask for prediction_type='RawFormulaVal' in a wrapper of your own",
        )
    return TransformKind.EXP if answers == "Exponent" else TransformKind.IDENTITY


def _label_rule(header: told.Header, task: Task, n_targets: int) -> LabelRule:
    if task is not Task.CLASSIFICATION or n_targets > 1:
        return LabelRule.ARGMAX_RAW
    if header.get("threshold") not in (None, 0.5):
        raise ConversionError(
            "the CatBoost classifier's probability threshold is not a half",
            hint="reset it with set_probability_threshold(0.5) and choose labels from the probabilities",
        )
    return LabelRule.RAW_POSITIVE


def _names(header: told.Header, n_features: int) -> tuple[str, ...]:
    """CatBoost numbers the features of an unnamed matrix "0", "1", ...: those are no names."""
    found = told.names(header, n_features, _LIBRARY)
    return () if found == tuple(str(index) for index in range(n_features)) else found
