"""Writing a step of our own into the graph that skl2onnx makes, in double whatever its inputs are."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

DOUBLE = 11


def number_type(operator: Any) -> Any:
    """The type of the step's numeric outputs: double where an input is."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    double = any(isinstance(given.type, DoubleTensorType) for given in operator.inputs)
    return DoubleTensorType if double else FloatTensorType


class Nodes:
    """One step being written into a graph; `rows` [N, F] are its inputs side by side, in double."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        given = [self.add("Cast", one.full_name, to=DOUBLE) for one in operator.inputs]
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

    def finish(self, name: str, index: int = 0) -> None:
        """The step's output number `index`, as the type that its shape calculator promised."""
        from skl2onnx.common.data_types import FloatTensorType

        output = self._operator.outputs[index]
        if isinstance(output.type, FloatTensorType):
            node = self._scope.get_unique_operator_name("Cast")
            self._container.add_node("Cast", [name], [output.full_name], name=node, to=1)
            return
        node = self._scope.get_unique_operator_name("Identity")
        self._container.add_node("Identity", [name], [output.full_name], name=node)
