"""An ONNX file with one tree operator, read."""

from __future__ import annotations

from validator.python39 import dataclass
from validator.trees.onnx_reading import trees3, trees5
from validator.trees.onnx_reading.columns import Column, trace
from validator.trees.onnx_reading.graph import Array, Graph, Node, NotUnderstoodError, parse
from validator.trees.onnx_reading.trees import OnnxTrees

_ML = "ai.onnx.ml"
_TREES = ("TreeEnsemble", "TreeEnsembleRegressor", "TreeEnsembleClassifier")


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxTreeModel:
    """What `read` found."""

    graph: Graph
    node: Node
    """the tree operator"""
    trees: OnnxTrees
    columns: list[Column]
    """what the trees look at"""


def read(onnx_bytes: bytes | Array) -> OnnxTreeModel:
    """The trees of an ONNX file and what they look at.

    Raises ConversionError where the file is damaged, NotUnderstoodError where it may be right but is not a graph
    around one tree operator whose inputs can be followed.
    """
    graph = parse(onnx_bytes)
    nodes = list({id(node): node for node in graph.maker.values() if _is_trees(node)}.values())
    if len(nodes) != 1:
        raise NotUnderstoodError(f"{len(nodes)} tree operators in the graph, not one")
    node = nodes[0]
    columns = trace(graph, node.inputs[0])
    is_new = node.op == "TreeEnsemble"
    trees = trees5.read(node) if is_new else trees3.read(node, _input_dtype(graph, columns))
    return OnnxTreeModel(graph=graph, node=node, trees=trees, columns=columns)


def _is_trees(node: Node) -> bool:
    return node.domain == _ML and node.op in _TREES


def _input_dtype(graph: Graph, columns: list[Column]) -> str:
    """The number type in which the columns reach the trees."""
    dtypes = [given.dtype for given in graph.inputs for _ in range(given.width)]
    found = {_dtype_of(column.expression, dtypes[column.source]) for column in columns}
    if len(found) != 1:
        raise NotUnderstoodError("columns of different number types before the trees")
    return found.pop()


def _dtype_of(expression: tuple[object, ...], at_input: str) -> str:
    while expression[0] != "x":
        if expression[0] == "Cast":
            return str(expression[1])
        inner = [part for part in expression[1:] if isinstance(part, tuple) and part[0] != "Constant"]
        expression = inner[-1]
    return at_input
