"""What the columns that trees look at hold: an input's column, or something made of one, value by value.

A column is written as an expression of x: nested tuples, the innermost ("x",), or ("Code", keys) for the position
of x in a list of keys, NaN where it is not listed. Columns are followed through the
operators that work on each value alone or only move columns about; anything else is not understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from validator.trees.onnx_reading.graph import Graph, Node, NotUnderstoodError

Expression = tuple[Any, ...]
X: Expression = ("x",)

_CASTS = {1: "float32", 11: "float64"}
_UNARY = frozenset({"Abs", "Neg", "Sign", "Floor", "Ceil", "IsNaN", "Not"})
_BINARY = frozenset(
    {"Mul", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Max", "Min"}
)
MAX_COLUMNS = 2_000_000


@dataclass(frozen=True)
class Column:
    """One column: `source` counts the columns of all inputs, in their order; -1 for a constant."""

    source: int
    expression: Expression


def trace(graph: Graph, name: str) -> list[Column]:
    """The columns of a tensor [N, W]. Raises NotUnderstoodError."""
    known: dict[str, list[Column]] = {}
    start = 0
    for given in graph.inputs:
        known[given.name] = [Column(start + place, X) for place in range(given.width)]
        start += given.width
    # Nodes use only what was made before them, so a stack reaches the inputs.
    stack = [name]
    while stack:
        wanted = stack[-1]
        if wanted in known:
            stack.pop()
            continue
        node = graph.maker.get(wanted)
        if node is None:
            raise NotUnderstoodError(f"trees that look at the constant {wanted!r}")
        missing = [used for used in node.inputs if used not in known and used not in graph.constants]
        if missing:
            stack.extend(missing)
            continue
        known[wanted] = _apply(graph, node, known)
        if sum(map(len, known.values())) > MAX_COLUMNS:
            raise NotUnderstoodError("too many columns before the trees")
    return known[name]


def innermost(expression: Expression) -> str:
    """What a column is made of at last: "x", "Code" or, of constants alone, "Constant"."""
    while expression[0] not in ("x", "Code", "Constant"):
        inner = [part for part in expression[1:] if isinstance(part, tuple) and part[0] != "Constant"]
        if not inner:
            return "Constant"
        expression = inner[-1]
    return str(expression[0])


def _apply(graph: Graph, node: Node, known: dict[str, list[Column]]) -> list[Column]:
    if node.op == "LabelEncoder" and node.domain == "ai.onnx.ml":
        return _coded(node, known)
    if node.domain:
        raise NotUnderstoodError(f"{node.op} before the trees")
    if node.op == "Identity":
        return known[node.inputs[0]]
    if node.op == "Concat" and node.integer("axis", 0) in (1, -1):
        parts = [known.get(name) for name in node.inputs]
        if any(part is None for part in parts):
            raise NotUnderstoodError("a constant column before the trees")
        return [column for part in parts if part is not None for column in part]
    if node.op == "Gather" and node.integer("axis", 0) in (1, -1):
        return _gather(graph, node, known)
    if node.op == "Cast":
        target = _CASTS.get(node.integer("to", 0))
        if target is None:
            raise NotUnderstoodError("a cast to something other than float or double before the trees")
        return [Column(c.source, ("Cast", target, c.expression)) for c in known[node.inputs[0]]]
    if node.op in _UNARY | _BINARY | {"Where"}:
        return _elementwise(graph, node, known)
    raise NotUnderstoodError(f"{node.op} before the trees")


def _gather(graph: Graph, node: Node, known: dict[str, list[Column]]) -> list[Column]:
    index = graph.constant(node.inputs[1])
    columns = known.get(node.inputs[0])
    if index is None or columns is None or index.ndim != 1 or index.dtype not in (np.int32, np.int64):
        raise NotUnderstoodError("Gather by something other than a list of columns")
    if len(index) and (index.min() < -len(columns) or index.max() >= len(columns)):
        raise NotUnderstoodError("Gather of columns that do not exist")
    return [columns[int(place)] for place in index]


def _coded(node: Node, known: dict[str, list[Column]]) -> list[Column]:
    tables = [node.tensor(name) for name in ("keys_tensor", "values_tensor", "default_tensor")]
    columns = known.get(node.inputs[0])
    if (
        columns is None
        or len(columns) != 1
        or columns[0].expression != X
        or len(node.attributes) != len(tables)
    ):
        raise NotUnderstoodError("a LabelEncoder of several columns, or of an unusual kind")
    keys, values, default = tables
    if keys is None or values is None or default is None or not np.isnan(default).all():
        raise NotUnderstoodError("a LabelEncoder that does not make unknown values NaN")
    if values.tolist() != list(range(keys.size)):
        raise NotUnderstoodError("a LabelEncoder whose values are not 0, 1, ...")
    listed = [key.decode() if isinstance(key, bytes) else key for key in keys.reshape(-1).tolist()]
    return [Column(columns[0].source, ("Code", tuple(listed)))]


def _elementwise(graph: Graph, node: Node, known: dict[str, list[Column]]) -> list[Column]:
    widths = {len(known[name]) for name in node.inputs if name in known}
    if len(widths) != 1:
        raise NotUnderstoodError(f"{node.op} of columns that do not fit each other")
    width = widths.pop()
    operands = [known[name] if name in known else _spread(graph, name, width) for name in node.inputs]
    result = []
    for row in zip(*operands, strict=True):
        sources = {column.source for column in row if column.source >= 0}
        if len(sources) != 1:
            raise NotUnderstoodError(f"{node.op} of two different features before the trees")
        result.append(Column(sources.pop(), (node.op, *(column.expression for column in row))))
    return result


def _spread(graph: Graph, name: str, width: int) -> list[Column]:
    """A constant, repeated for each column."""
    array = graph.constants[name]
    flat = array.reshape(-1)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1) or len(flat) not in (1, width):
        raise NotUnderstoodError(f"the constant {name!r} does not fit the columns")
    if flat.dtype not in (np.float32, np.float64):
        raise NotUnderstoodError(f"the constant {name!r} is {flat.dtype}")
    values = np.broadcast_to(flat, (width,))
    return [Column(-1, ("Constant", float(value))) for value in values]
