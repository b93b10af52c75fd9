"""AdaBoostClassifier in double, for skl2onnx, which knows it in float32 and with some types of classes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.inner_models import labels_and_numbers
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_shapes, register_where


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter; the older algorithm SAMME.R still takes skl2onnx's own."""
    from sklearn.ensemble import AdaBoostClassifier

    register_where(
        lambda operator: _covers(operator.raw_operator), update, AdaBoostClassifier, classifier_shapes, _convert,
        options={**CLASSIFIER_OPTIONS, "raw_scores": [True, False]},
    )  # fmt: skip


def _covers(model: Any) -> bool:
    # scikit-learn 1.6 left SAMME alone, and with 1.8 the setting went.
    by_label = getattr(model, "algorithm", "SAMME") in ("SAMME", "deprecated")
    return by_label and len(model.classes_) > 1


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's `decision_function`: each inner label votes with its weight, and against the other classes."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    count = len(model.classes_)
    places = nodes.constant(np.arange(count)[None, :])
    total = ""
    for place, inner in enumerate(model.estimators_):
        weight = float(model.estimator_weights_[place])
        label, _ = labels_and_numbers(nodes, container, inner, operator.inputs, {})
        won = nodes.add("Equal", _place(nodes, label, model.classes_), places)
        vote = nodes.add("Where", won, nodes.number(weight), nodes.number(-1 / (count - 1) * weight))
        total = nodes.add("Add", total, vote) if total else vote
    score = nodes.add("Div", total, nodes.number(float(model.estimator_weights_.sum())))
    if count == 2:
        first, second = (
            nodes.add("Gather", score, nodes.constant(np.array([place])), axis=1) for place in (0, 1)
        )
        score = nodes.add("Add", nodes.add("Neg", first), second)
        score = nodes.add("Concat", nodes.add("Neg", score), score, axis=1)
    best = nodes.add("ArgMax", score, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), best))
    raw = container.get_options(model, {"raw_scores": False}, fail=False).get("raw_scores")
    share = nodes.add("Div", score, nodes.number(2.0 if count == 2 else count - 1.0))
    nodes.finish(score if raw else nodes.add("Softmax", share, axis=1), 1)


def _place(nodes: Nodes, label: str, classes: Any) -> str:
    """The place [N, 1] of each label [N] among the classes."""
    keys = (
        {"keys_int64s": [int(one) for one in classes]}
        if classes.dtype.kind in "iufb"
        else {"keys_strings": [str(one) for one in classes]}
    )
    place = nodes.add(
        "LabelEncoder",
        label,
        op_domain="ai.onnx.ml",
        op_version=2,
        values_int64s=list(range(len(classes))),
        **keys,
    )
    return nodes.add("Unsqueeze", place, nodes.constant(np.array([1])))
