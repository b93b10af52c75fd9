"""MLPRegressor in double, for skl2onnx, which gives several predictions of a row as several rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.step_nodes import Nodes, number_type
from validator.python39 import pairs

_OPERATORS = {"identity": "", "logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "exp": "Exp"}


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.neural_network import MLPRegressor

    update(MLPRegressor, "ExactMLPRegressor", _shapes, _convert, overwrite=True)


def _shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, int(operator.raw_operator.n_outputs_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    layers = list(pairs(model.coefs_, model.intercepts_))
    values = nodes.rows
    for place, (weights, shift) in enumerate(layers):
        product = nodes.add("MatMul", values, nodes.constant(np.asarray(weights, dtype=np.float64)))
        values = nodes.add("Add", product, nodes.constant(np.asarray(shift, dtype=np.float64)[None, :]))
        name = str(model.out_activation_ if place == len(layers) - 1 else model.activation)
        if name not in _OPERATORS:
            raise ConversionError(
                f"MLPRegressor cannot be converted with the activation {name[:20]!r}",
                hint=f"train it with one of {', '.join(_OPERATORS)}",
            )
        if _OPERATORS[name]:
            values = nodes.add(_OPERATORS[name], values)
    nodes.finish(values)
