"""Building a graph step by step: each call adds a node and gives the name of what it makes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from validator.trees.onnx_wire import ELEMENT_TYPES, Attribute, Graph, Node, Value


class GraphBuilder:
    """Collects nodes and constants. Names count up, so that the same steps give the same graph."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._constants: dict[str, npt.NDArray[np.generic]] = {}
        self._inputs: list[Value] = []

    def input(self, name: str, dtype: str, width: int) -> str:
        """A tensor [N, width] that the caller gives."""
        self._inputs.append(Value(name=name, dtype=dtype, shape=("N", width)))
        return name

    def constant(self, value: npt.ArrayLike, dtype: str) -> str:
        """A constant; dtype "string" makes text."""
        array = np.array(value, dtype=object if dtype == "string" else dtype)
        for name, known in self._constants.items():
            if known is array or (
                known.dtype == array.dtype
                and known.shape == array.shape
                and known.tobytes() == array.tobytes()
            ):
                return name
        name = f"c{len(self._constants)}"
        self._constants[name] = array
        return name

    def add(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """A standard operator with one output, whose name is given back."""
        return self.add_node(op, inputs, attributes)

    def add_node(
        self, op: str, inputs: tuple[str, ...], attributes: Mapping[str, Attribute], domain: str = ""
    ) -> str:
        """As `add`, for any domain."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(Node(op=op, inputs=inputs, outputs=(name,), attributes=attributes, domain=domain))
        return name

    def cast(self, value: str, dtype: str) -> str:
        return self.add("Cast", value, to=ELEMENT_TYPES[dtype])

    def finish(self, outputs: list[tuple[str, Value]]) -> Graph:
        """The graph; each output is the name of a value and what it is called outside."""
        for inner, outer in outputs:
            self._rename(inner, outer.name)
        return Graph(
            inputs=tuple(self._inputs),
            outputs=tuple(outer for _, outer in outputs),
            nodes=tuple(self._nodes),
            constants=self._constants,
        )

    def _rename(self, old: str, new: str) -> None:
        # A value that is an input, or serves as two outputs, needs a node of its own to bear the new name.
        makers = [i for i, node in enumerate(self._nodes) if old in node.outputs]
        if not makers:
            self._nodes.append(Node(op="Identity", inputs=(old,), outputs=(new,)))
            return
        for index, node in enumerate(self._nodes):
            self._nodes[index] = Node(
                op=node.op,
                inputs=tuple(new if name == old else name for name in node.inputs),
                outputs=tuple(new if name == old else name for name in node.outputs),
                attributes=node.attributes,
                domain=node.domain,
            )
