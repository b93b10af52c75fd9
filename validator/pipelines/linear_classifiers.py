"""Linear classifiers that label by the highest score, in double, for skl2onnx.

Its own converter labels SGDClassifier by the highest probability, which is another class where all of them round to
nothing; and it knows those that give scores alone in float32 only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.libraries.live import answers_several
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_shapes, register_where


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; what they do not cover still takes skl2onnx's own."""
    from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV, SGDClassifier
    from sklearn.svm import LinearSVC

    for kind in (SGDClassifier, LinearSVC, RidgeClassifier, RidgeClassifierCV):
        register_where(
            lambda operator: covers(operator.raw_operator), update, kind, classifier_shapes, _convert,
            options={**CLASSIFIER_OPTIONS, "raw_scores": [True, False]},
        )  # fmt: skip


def covers(model: Any) -> bool:
    """Whether the label is that of the highest score, and probabilities are of each class apart or none."""
    if hasattr(model, "loss") and hasattr(model, "predict_proba"):
        return bool(model.loss == "log_loss" and len(model.classes_) > 2)
    return not hasattr(model, "predict_proba") and not answers_several(model)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's `decision_function` and `predict`; for two classes both columns of scores."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    start = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), len(weights))
    product = nodes.add("MatMul", nodes.rows, nodes.constant(weights.T))
    score = nodes.add("Add", product, nodes.constant(start[None, :].copy()))
    if len(weights) == 1:
        score = nodes.add("Concat", nodes.add("Neg", score), score, axis=1)
    place = nodes.add("ArgMax", score, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    raw = container.get_options(model, {"raw_scores": False}, fail=False).get("raw_scores")
    if raw or not hasattr(model, "predict_proba"):
        nodes.finish(score, 1)
        return
    apart = nodes.add("Sigmoid", score)
    total = nodes.add("ReduceSum", apart, nodes.constant(np.array([1])), keepdims=1)
    nodes.finish(nodes.add("Div", apart, total), 1)
