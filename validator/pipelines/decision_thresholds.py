"""Classifiers that label by a threshold of their own on another one's answer, for skl2onnx.

It knows one of scikit-learn's two, and labels by another threshold and without the class that it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.inner_models import probabilities, responses
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_outputs,
    label_type,
    number_type,
)
from validator.python39 import dataclass


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; scikit-learn has had the classes since 1.5."""
    from sklearn import model_selection

    for name in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        found = getattr(model_selection, name, None)
        if found is not None:
            update(
                found,
                f"Exact{name}",
                _shapes,
                _convert,
                overwrite=True,
                parser=classifier_outputs,
                options=dict(CLASSIFIER_OPTIONS),
            )


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Label class `above` where the response is at least the threshold, else class `below`."""

    method: str
    """predict_proba or decision_function"""
    threshold: float
    positive: int
    """the class whose probability it is, or against whose opponent the decision function speaks"""
    above: int
    below: int


def rule_of(model: Any) -> Rule:
    """How a fitted threshold classifier labels: scikit-learn's `predict`."""
    inner = _inner(model)
    asked = model.response_method
    methods = ("predict_proba", "decision_function") if asked == "auto" else (asked,)
    method = next((name for name in methods if hasattr(inner, name)), methods[0])
    if hasattr(model, "best_threshold_"):
        threshold, label = model.best_threshold_, model._curve_scorer._get_pos_label()
    else:
        threshold, label = model.threshold, model.pos_label
    if isinstance(threshold, str):  # "auto"
        threshold = 0.5 if method == "predict_proba" else 0.0
    positive = 1 if label is None else int(np.flatnonzero(model.classes_ == label)[0])
    return Rule(
        method=method, threshold=float(threshold), positive=positive, above=positive, below=1 - positive
    )


def _inner(model: Any) -> Any:
    return model.estimator_ if hasattr(model, "estimator_") else model.estimator


def _shapes(operator: Any) -> None:
    model = operator.raw_operator
    operator.outputs[0].type = label_type(model.classes_)
    operator.outputs[1].type = number_type(operator)([None, 2 if hasattr(model, "predict_proba") else 1])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    rule, inner = rule_of(model), _inner(model)
    if len(model.classes_) != 2:
        raise ConversionError(
            f"{type(model).__name__} of {len(model.classes_)} classes cannot be converted",
            hint="train it for two classes",
        )
    answer = probabilities if hasattr(model, "predict_proba") else responses
    given = answer(nodes, container, inner, operator.inputs)
    if rule.method == "predict_proba":
        response = nodes.add("Gather", given, nodes.constant(np.array([rule.positive])), axis=1)
    else:
        # A converter answers probabilities or scores of one model: of a copy it gives the other.
        other = hasattr(model, "predict_proba")
        response = responses(nodes, container, deepcopy(inner), operator.inputs) if other else given
        response = response if rule.positive == 1 else nodes.add("Neg", response)
    reached = nodes.add("GreaterOrEqual", response, nodes.number(rule.threshold))
    place = nodes.add(
        "Where", reached, nodes.constant(np.array([rule.above])), nodes.constant(np.array([rule.below]))
    )
    flat = nodes.add("Reshape", place, nodes.constant(np.array([-1])))
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), flat))
    nodes.finish(given, 1)
