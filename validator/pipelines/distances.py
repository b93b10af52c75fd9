"""EllipticEnvelope and OutputCodeClassifier in double, for skl2onnx, which does not know them: distances decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.inner_models import responses
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_outputs,
    classifier_shapes,
    number_type,
)


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.covariance import EllipticEnvelope
    from sklearn.multiclass import OutputCodeClassifier

    update(
        EllipticEnvelope,
        "ExactEllipticEnvelope",
        _envelope_shapes,
        _envelope,
        overwrite=True,
        parser=classifier_outputs,
    )
    update(
        OutputCodeClassifier, "ExactOutputCodeClassifier", classifier_shapes, _code, overwrite=True,
        parser=classifier_outputs, options=dict(CLASSIFIER_OPTIONS),
    )  # fmt: skip


def _envelope_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType

    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = number_type(operator)([None, 1])


def _envelope(scope: Any, operator: Any, container: Any) -> None:
    """The score is minus the squared Mahalanobis distance, less the offset; 1 where that is not below zero."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    away = nodes.add(
        "Sub", nodes.rows, nodes.constant(np.asarray(model.location_, dtype=np.float64)[None, :])
    )
    precision = nodes.constant(np.asarray(model.get_precision(), dtype=np.float64))
    products = nodes.add("Mul", nodes.add("MatMul", away, precision), away)
    squares = nodes.add("ReduceSum", products, nodes.constant(np.array([1])), keepdims=1)
    score = nodes.add("Sub", nodes.add("Neg", squares), nodes.number(float(model.offset_)))
    inside = nodes.add("GreaterOrEqual", score, nodes.number(0.0))
    one, other = nodes.constant(np.array([1])), nodes.constant(np.array([-1]))
    label = nodes.add("Where", inside, one, other)
    nodes.finish(nodes.add("Reshape", label, nodes.constant(np.array([-1]))))
    nodes.finish(score, 1)


def _bit(nodes: Nodes, container: Any, inner: Any, inputs: Any) -> str:
    """[N, 1]: what an inner model answers. A bit that all codes share has no model, and is always the same."""
    if type(inner).__name__ != "_ConstantPredictor":
        return responses(nodes, container, inner, inputs)
    shape = nodes.add(
        "Concat", nodes.add("Shape", nodes.rows, start=0, end=1), nodes.constant(np.array([1])), axis=0
    )
    return nodes.add("Expand", nodes.constant(np.asarray(inner.y_, dtype=np.float64).reshape(1, 1)), shape)


def _code(scope: Any, operator: Any, container: Any) -> None:
    """The class whose code is nearest to what the inner models answer, each for its own bit."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    bits = [_bit(nodes, container, inner, operator.inputs) for inner in model.estimators_]
    answered = nodes.add("Concat", *bits, axis=1)
    deep = nodes.add("Unsqueeze", answered, nodes.constant(np.array([1])))
    codes = nodes.constant(np.asarray(model.code_book_, dtype=np.float64)[None, :, :])
    away = nodes.add("Sub", deep, codes)
    squares = nodes.add("ReduceSum", nodes.add("Mul", away, away), nodes.constant(np.array([2])), keepdims=0)
    place = nodes.add("ArgMin", squares, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(nodes.add("Neg", squares), 1)
