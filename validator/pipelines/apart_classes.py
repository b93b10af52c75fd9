"""Linear classifiers that train each class apart and label by the highest score, for skl2onnx.

Its own converter labels by the highest probability, which is another class where all of them round to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.step_nodes import Nodes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter; what it does not cover still takes skl2onnx's own."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.linear_model import SGDClassifier

    alias = sklearn_operator_name_map[SGDClassifier]
    stock, shapes = get_converter(alias), get_shape_calculator(alias)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        if covers(operator.raw_operator):
            _convert(scope, operator, container)
        else:
            stock(scope, operator, container)

    def calculate(operator: Any) -> None:
        shapes(operator)
        if covers(operator.raw_operator):
            operator.outputs[1].type = number_type(operator)([None, len(operator.raw_operator.classes_)])

    options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}
    update(SGDClassifier, "ExactSGDClassifier", calculate, convert, overwrite=True,
           options={**options, "output_class_labels": [False, True]})  # fmt: skip


def covers(model: Any) -> bool:
    """Whether probabilities are those of each class apart, divided by their sum."""
    return bool(model.loss == "log_loss" and len(model.classes_) > 2)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    product = nodes.add("MatMul", nodes.rows, nodes.constant(np.asarray(model.coef_, dtype=np.float64).T))
    score = nodes.add("Add", product, nodes.constant(np.asarray(model.intercept_, dtype=np.float64)[None, :]))
    apart = nodes.add("Sigmoid", score)
    total = nodes.add("ReduceSum", apart, nodes.constant(np.array([1])), keepdims=1)
    classes = model.classes_
    labels = classes.astype(np.int64) if classes.dtype.kind in "iub" else classes.astype(object)
    place = nodes.add("ArgMax", score, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.constant(labels), place))
    raw = container.get_options(model, {"raw_scores": False}, fail=False).get("raw_scores")
    nodes.finish(score if raw else nodes.add("Div", apart, total), 1)
