"""An ONNX file as nodes, constants and who makes what, checked before anything is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.python39 import dataclass

MAX_NODES = 10_000
"""Graph nodes, not tree nodes."""

Array = npt.NDArray[Any]

_HINT = "make the ONNX file anew from its model; this one is damaged or not from a known converter"


def broken(what: str) -> ConversionError:
    """The error for a file that does not hold together."""
    return ConversionError(f"the ONNX file is not well formed: {what}", hint=_HINT)


class NotUnderstoodError(Exception):
    """The graph may be right, but it is not one that can be read exactly. The message says what is in the way."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """An operator of the graph."""

    op: str
    domain: str
    """ "" for ai.onnx"""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    """name -> AttributeProto; read with `Node.ints` and so on"""

    def integer(self, name: str, default: int) -> int:
        attribute = self.attributes.get(name)
        return default if attribute is None else int(self._of_type(attribute, 2).i)

    def real(self, name: str, default: float) -> float:
        attribute = self.attributes.get(name)
        return default if attribute is None else float(self._of_type(attribute, 1).f)

    def text(self, name: str, default: str) -> str:
        attribute = self.attributes.get(name)
        return default if attribute is None else decoded(self._of_type(attribute, 3).s)

    def ints(self, name: str) -> npt.NDArray[np.int64]:
        """An attribute of integers; empty where it is not there."""
        attribute = self.attributes.get(name)
        if attribute is None:
            return np.zeros(0, dtype=np.int64)
        return np.array(self._of_type(attribute, 7).ints, dtype=np.int64)

    def reals(self, name: str) -> npt.NDArray[np.float32]:
        attribute = self.attributes.get(name)
        if attribute is None:
            return np.zeros(0, dtype=np.float32)
        return np.array(self._of_type(attribute, 6).floats, dtype=np.float32)

    def texts(self, name: str) -> list[bytes]:
        attribute = self.attributes.get(name)
        return [] if attribute is None else list(self._of_type(attribute, 8).strings)

    def tensor(self, name: str) -> Array | None:
        """An attribute that is a tensor; None where it is not there."""
        attribute = self.attributes.get(name)
        return None if attribute is None else tensor_array(self._of_type(attribute, 4).t, name)

    def _of_type(self, attribute: Any, number: int) -> Any:
        if attribute.type != number:
            raise broken(f"attribute {attribute.name!r} of {self.op} has the wrong type")
        return attribute


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """A tensor that the caller gives."""

    name: str
    dtype: str
    """numpy's name, or "str" """
    width: int
    """the second dimension: [N, width]"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """The nodes by what they make."""

    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Array]
    maker: Mapping[str, Node]
    """tensor -> the node that makes it; nodes only use what was made before them, so there are no cycles"""
    opsets: Mapping[str, int]

    def constant(self, name: str) -> Array | None:
        return self.constants.get(name)


def decoded(text: bytes) -> str:
    """Bytes of the file as text."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise broken("a string is not UTF-8") from error


def tensor_array(tensor: Any, what: str) -> Array:
    """A tensor's values. Raises ConversionError for external data and for lengths that do not fit."""
    from onnx import numpy_helper

    if tensor.data_location != 0 or len(tensor.external_data):
        raise broken(f"{what!r} lies outside the file")
    try:
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError, NotImplementedError) as error:
        raise broken(f"the tensor {what!r} cannot be read ({error})") from error
    return array


def parse(onnx_bytes: bytes | Array) -> Graph:
    """The graph of an ONNX file, given as bytes or as an array of them.

    Raises ConversionError where it is damaged; NotUnderstoodError where it has functions, subgraphs or inputs of
    unusual shape.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(bytes(onnx_bytes))
    except DecodeError as error:
        raise broken("it is not an ONNX protocol buffer") from error
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise NotUnderstoodError(f"the graph has {len(graph.node)} operators")
    if len(model.functions) or len(graph.sparse_initializer):
        raise NotUnderstoodError("the graph uses functions or sparse constants")
    opsets = {_domain(entry.domain): int(entry.version) for entry in model.opset_import}
    constants = {tensor.name: tensor_array(tensor, tensor.name) for tensor in graph.initializer}
    inputs = tuple(_graph_input(value) for value in graph.input if value.name not in constants)
    maker = _makers(graph.node, constants, {given.name for given in inputs})
    outputs = tuple(value.name for value in graph.output)
    missing = [name for name in outputs if name not in maker]
    if missing:
        raise broken(f"nothing computes the output {missing[0]!r}")
    return Graph(inputs=inputs, outputs=outputs, constants=constants, maker=maker, opsets=opsets)


def _makers(nodes: Any, constants: dict[str, Array], given: set[str]) -> dict[str, Node]:
    known = set(constants) | given | {""}
    maker: dict[str, Node] = {}
    for proto in nodes:
        node = _node(proto)
        unmade = [name for name in node.inputs if name not in known]
        if unmade:
            raise broken(f"{node.op} uses {unmade[0]!r} before anything makes it")
        for name in node.outputs:
            if name in known and name:
                raise broken(f"{name!r} is made twice")
        known.update(node.outputs)
        if node.op == "Constant" and node.domain == "":
            constants[node.outputs[0]] = _constant(node)
        else:
            maker.update((name, node) for name in node.outputs if name)
    return maker


def _node(proto: Any) -> Node:
    attributes = {attribute.name: attribute for attribute in proto.attribute}
    if len(attributes) != len(proto.attribute):
        raise broken(f"{proto.op_type} has an attribute twice")
    for attribute in proto.attribute:
        if attribute.type in (5, 10):
            raise NotUnderstoodError(f"{proto.op_type} holds a graph of its own")
        if attribute.ref_attr_name:
            raise broken(f"{proto.op_type} refers to an attribute of a function")
    if not proto.output:
        raise broken(f"{proto.op_type} makes nothing")
    return Node(
        op=proto.op_type,
        domain=_domain(proto.domain),
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes=attributes,
    )


def _constant(node: Node) -> Array:
    value = node.tensor("value")
    if value is not None:
        return value
    if "value_float" in node.attributes:
        return np.array(node.real("value_float", 0.0), dtype=np.float32)
    if "value_int" in node.attributes:
        return np.array(node.integer("value_int", 0), dtype=np.int64)
    if "value_ints" in node.attributes:
        return node.ints("value_ints")
    if "value_floats" in node.attributes:
        return node.reals("value_floats")
    raise NotUnderstoodError("a constant of an unusual kind")


def _graph_input(value: Any) -> GraphInput:
    tensor = value.type.tensor_type
    dims = list(tensor.shape.dim)
    if not value.type.HasField("tensor_type") or len(dims) != 2 or not dims[1].HasField("dim_value"):
        raise NotUnderstoodError(f"the input {value.name!r} is not a matrix of known width")
    width = int(dims[1].dim_value)
    if not 1 <= width <= 1_000_000:
        raise broken(f"the input {value.name!r} is {width} wide")
    return GraphInput(name=value.name, dtype=_dtype(tensor.elem_type), width=width)


def _dtype(element_type: int) -> str:
    names = {1: "float32", 6: "int32", 7: "int64", 8: "str", 9: "bool", 11: "float64"}
    return names.get(element_type, f"type {element_type}")


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else str(name)
