"""Steps that cut numbers at thresholds, in double, for skl2onnx, whose own operators round to float first.

A number on the edge then falls into the bin that scikit-learn puts it in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_DOUBLE = 11


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.preprocessing import Binarizer, KBinsDiscretizer

    update(Binarizer, "ExactBinarizer", _shapes, _binarize, overwrite=True)
    update(KBinsDiscretizer, "ExactKBinsDiscretizer", _shapes, _discretize, overwrite=True)


def _shapes(operator: Any) -> None:
    step = operator.raw_operator
    width = len(step.n_bins_) if hasattr(step, "n_bins_") else int(step.n_features_in_)
    if getattr(step, "encode", "ordinal") != "ordinal":
        width = int(sum(step.n_bins_))
    operator.outputs[0].type = _number(operator)([None, width])


def _number(operator: Any) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    double = any(isinstance(given.type, DoubleTensorType) for given in operator.inputs)
    return DoubleTensorType if double else FloatTensorType


def _binarize(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    threshold = nodes.constant(np.array([operator.raw_operator.threshold], dtype=np.float64))
    nodes.finish(nodes.add("Greater", nodes.rows, threshold))


def _discretize(scope: Any, operator: Any, container: Any) -> None:
    """Bin j of a column holds what is at or above j of its inner edges."""
    step, nodes = operator.raw_operator, _Nodes(scope, operator, container)
    columns = []
    for place, edges in enumerate(step.bin_edges_):
        column = nodes.add("Gather", nodes.rows, nodes.constant(np.array([place])), axis=1)
        inner = nodes.constant(np.asarray(edges[1:-1], dtype=np.float64)[None, :])
        above = nodes.add("Cast", nodes.add("GreaterOrEqual", column, inner), to=_DOUBLE)
        found = nodes.add("ReduceSum", above, nodes.constant(np.array([1])), keepdims=1)
        if step.encode == "ordinal":
            columns.append(found)
            continue
        bins = nodes.constant(np.arange(step.n_bins_[place], dtype=np.float64)[None, :])
        columns.append(nodes.add("Cast", nodes.add("Equal", found, bins), to=_DOUBLE))
    nodes.finish(nodes.add("Concat", *columns, axis=1))


class _Nodes:
    """One step being written into a graph; `rows` [N, F] are its inputs side by side, in double."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        given = [self.add("Cast", one.full_name, to=_DOUBLE) for one in operator.inputs]
        self.rows = given[0] if len(given) == 1 else self.add("Concat", *given, axis=1)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name: str = self._scope.get_unique_variable_name("step")
        node = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, list(inputs), [name], name=node, **attributes)
        return name

    def constant(self, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("step")
        self._container.initializers.append(numpy_helper.from_array(values, name))
        return name

    def finish(self, name: str) -> None:
        """As the type that the shape calculator promised."""
        from skl2onnx.common.data_types import FloatTensorType

        output = self._operator.outputs[0]
        to = 1 if isinstance(output.type, FloatTensorType) else _DOUBLE
        node = self._scope.get_unique_operator_name("Cast")
        self._container.add_node("Cast", [name], [output.full_name], name=node, to=to)
