"""A small ONNX graph as values, and its bytes.

The bytes are written here rather than by `onnx.helper`, which takes a Python object per number: a large ensemble's
attributes go from numpy arrays to packed protobuf fields in one step. The same graph always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from validator.python39 import dataclass

IR_VERSION = 10
OPSET = 21
ML_OPSET = 5
ML_DOMAIN = "ai.onnx.ml"
MOST_BYTES = 2**31 - 1
"""the longest message that protobuf reads, and with it the longest ONNX file that stands alone"""

ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int32": 6,
    "int64": 7,
    "string": 8,
    "bool": 9,
    "float64": 11,
}


@dataclass(frozen=True, eq=False)
class PackedInts:
    """An INTS attribute from an array of non-negative integers, instead of a TENSOR one."""

    values: npt.NDArray[np.integer | np.bool_]


Attribute = Union[int, float, str, tuple[int, ...], npt.NDArray[Any], PackedInts]  # noqa: UP007 - Python 3.9


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operator. Arrays among the attributes are tensors."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    domain: str = ""


@dataclass(frozen=True, kw_only=True)
class Value:
    """An input or output: element type by numpy's name (or "string"); a dimension is a number or a name."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Nodes in topological order and the constants they use."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, npt.NDArray[np.generic]]


def serialise(graph: Graph, *, producer_version: str, metadata: Mapping[str, str]) -> bytes:
    """The bytes of an ONNX model with this graph. `metadata` becomes its metadata_props, in the order of the keys."""
    body = b"".join(
        [
            *(_message(1, _node(node)) for node in graph.nodes),
            _text(2, "model"),
            *(_message(5, tensor(array, name)) for name, array in graph.constants.items()),
            *(_message(11, _value(value)) for value in graph.inputs),
            *(_message(12, _value(value)) for value in graph.outputs),
        ]
    )
    return b"".join(
        [
            _number(1, IR_VERSION),
            _text(2, "model-preflight"),
            _text(3, producer_version),
            _message(7, body),
            *(
                _message(8, _text(1, domain) + _number(2, version))
                for domain, version in (("", OPSET), (ML_DOMAIN, ML_OPSET))
            ),
            *(_message(14, _text(1, key) + _text(2, metadata[key])) for key in sorted(metadata)),
        ]
    )


def varint_sizes(values: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """How many bytes each of these non-negative integers below 2**35 takes."""
    sizes = np.ones(len(values), dtype=np.int64)
    for bits in (7, 14, 21, 28):
        sizes += values >= 1 << bits
    return sizes


def packed_varints(values: npt.NDArray[np.integer | np.bool_]) -> bytes:
    """Non-negative integers below 2**35 as protobuf varints, one after the other."""
    given = np.ascontiguousarray(values, dtype=np.int64).reshape(-1)
    if len(given) and (given.min() < 0 or given.max() >= 1 << 35):
        raise ValueError("a number is negative or too large to be packed")
    sizes = varint_sizes(given)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.zeros(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    for position in range(int(sizes.max(initial=0))):
        chosen = sizes > position
        piece = (given[chosen] >> (7 * position)) & 0x7F
        more = np.where(sizes[chosen] > position + 1, 0x80, 0)
        out[starts[chosen] + position] = (piece | more).astype(np.uint8)
    return out.tobytes()


def tensor(array: npt.NDArray[np.generic], name: str = "") -> bytes:
    """A TensorProto. Text arrays have dtype object or str."""
    dims = b"".join(_number(1, size) for size in array.shape)
    named = _text(8, name) if name else b""
    if array.dtype.kind in "OU":
        strings = b"".join(_message(6, str(item).encode()) for item in array.reshape(-1).tolist())
        return dims + _number(2, ELEMENT_TYPES["string"]) + strings + named
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return dims + _number(2, ELEMENT_TYPES[array.dtype.name]) + named + _message(9, little.tobytes())


def _node(node: Node) -> bytes:
    return b"".join(
        [
            *(_text(1, name) for name in node.inputs),
            *(_text(2, name) for name in node.outputs),
            _text(4, node.op),
            *(_message(5, _attribute(name, value)) for name, value in node.attributes.items()),
            _text(7, node.domain) if node.domain else b"",
        ]
    )


def _attribute(name: str, value: Attribute) -> bytes:
    head = _text(1, name)
    if isinstance(value, PackedInts):
        return head + _message(8, packed_varints(value.values)) + _number(20, 7)
    if isinstance(value, tuple):
        return head + b"".join(_number(8, item) for item in value) + _number(20, 7)
    if isinstance(value, np.ndarray):
        return head + _message(5, tensor(value)) + _number(20, 4)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, 3)
    if isinstance(value, float):
        return head + b"\x15" + np.float32(value).tobytes() + _number(20, 1)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    raise TypeError(f"no attribute can hold a {type(value).__name__}")


def _value(value: Value) -> bytes:
    dims: Iterable[bytes] = (
        _message(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in value.shape
    )
    shape = _message(2, b"".join(dims))
    return _text(1, value.name) + _message(2, _message(1, _number(1, ELEMENT_TYPES[value.dtype]) + shape))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(int(value))


def _message(tag: int, body: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(body)) + body


def _text(tag: int, text: str) -> bytes:
    return _message(tag, text.encode())
