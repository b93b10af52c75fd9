"""Leaf fingerprints: random whole numbers as leaf values, so that one number a row tells which leaves it met.

The numbers are small enough that every sum of one from each tree is exact in the operator's number type, in any
order: rows of equal fingerprint met the same leaves, but for an accident of about one in 2 ** 40.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.trees.ensemble import TreeEnsemble
from validator.trees.onnx_reading import trees5
from validator.trees.onnx_reading.graph import parse
from validator.trees.onnx_reading.model import read
from validator.trees.onnx_reading.trees import OnnxTrees
from validator.trees.proof.surroundings import raw_tensor

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OUTPUT = "score"
_FEWEST_BITS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprinted:
    """An ONNX file whose only output, `score` [N, 1], is the sum of the met leaves' numbers."""

    data: bytes
    values: Floats
    """float64 [L]: the whole numbers of the file's leaves, tree by tree, in each tree in the order of the leaves"""
    starts: Ints
    """int64 [T + 1]: the leaves of tree t are values[starts[t]:starts[t + 1]]"""


def fingerprint_onnx(onnx_bytes: bytes, *, seed: int) -> Fingerprinted:
    """Put whole numbers for leaf values and drop what comes after the trees.

    Raises ConversionError where the file has not one TreeEnsemble operator, or more trees than sums can hold;
    NotUnderstoodError where its graph cannot be read.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(onnx_bytes)
    node = _tree_node(model)
    tree = _tree_of_leaf(trees5.read(parse(onnx_bytes).maker[node.output[0]]))
    attributes = {attribute.name: attribute for attribute in node.attribute}
    weights = numpy_helper.to_array(attributes["leaf_weights"].t)
    values = _numbers(len(weights), int(tree.max(initial=-1)) + 1, seed, weights.dtype)
    attributes["leaf_weights"].t.CopyFrom(numpy_helper.from_array(values.astype(weights.dtype)))
    attributes["leaf_targetids"].CopyFrom(helper.make_attribute("leaf_targetids", [0] * len(weights)))
    attributes["n_targets"].i = 1
    kind = TensorProto.FLOAT if weights.dtype == np.float32 else TensorProto.DOUBLE
    _keep_only(model.graph, node)
    _put_output(model.graph, node.output[0], kind, ["N", 1])
    order = np.argsort(tree, kind="stable")
    starts = np.searchsorted(tree[order], np.arange(int(tree.max(initial=-1)) + 2))
    return Fingerprinted(data=bytes(model.SerializeToString()), values=values[order], starts=starts)


def raw_scores_onnx(onnx_bytes: bytes, native: TreeEnsemble) -> bytes:
    """The same model up to its raw scores: its only output is `score` [N, K].

    Raises NotUnderstoodError where the graph is not of the form that the native model asks for.
    """
    import onnx
    from onnx import TensorProto

    model = onnx.load_model_from_string(onnx_bytes)
    name = raw_tensor(read(onnx_bytes), native)
    node = next(node for node in model.graph.node if name in node.output)
    kind = TensorProto.FLOAT if native.transform.dtype == "float32" else TensorProto.DOUBLE
    _keep_only(model.graph, node)
    _put_output(model.graph, name, kind, ["N", native.n_targets])
    return bytes(model.SerializeToString())


def _numbers(leaves: int, trees: int, seed: int, dtype: np.dtype[Any]) -> Floats:
    digits = 24 if dtype == np.float32 else 53
    # T whole numbers below 2 ** bits sum to less than 2 ** digits.
    bits = digits - int(np.ceil(np.log2(trees + 1)))
    if bits < _FEWEST_BITS:
        raise ConversionError(
            f"{trees} trees are too many to fingerprint in {dtype}", hint="convert in float64"
        )
    return np.random.default_rng(seed).integers(0, 1 << bits, size=leaves).astype(np.float64)


def _tree_of_leaf(trees: OnnxTrees) -> Ints:
    tree = np.zeros(len(trees.leaf_value), dtype=np.int64)
    at, of = trees.roots, np.arange(len(trees.roots), dtype=np.int64)
    while len(at):
        leaf = at < 0
        tree[~at[leaf]] = of[leaf]
        nodes, of = at[~leaf], of[~leaf]
        at = np.concatenate([trees.true_child[nodes], trees.false_child[nodes]])
        of = np.concatenate([of, of])
    return tree


def _tree_node(model: Any) -> Any:
    nodes = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    if len(nodes) != 1:
        raise ConversionError(
            f"the ONNX file has {len(nodes)} TreeEnsemble operators, not one",
            hint="only files of exact conversions can be fingerprinted",
        )
    return nodes[0]


def _put_output(graph: Any, name: str, kind: int, shape: list[Any]) -> None:
    """Make one tensor the graph's only output, under the name OUTPUT."""
    from onnx import helper

    graph.node.append(helper.make_node("Identity", [name], [OUTPUT]))
    for node in graph.node[:-1]:
        if OUTPUT in (*node.output, *node.input):
            for names in (node.input, node.output):
                names[:] = [f"{OUTPUT}_before" if used == OUTPUT else used for used in names]
    if name == OUTPUT:
        graph.node[-1].input[0] = f"{OUTPUT}_before"
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, kind, shape))


def _keep_only(graph: Any, last: Any) -> None:
    """Drop the nodes and constants that `last` does not need."""
    needed, kept = set(last.input), [last]
    for node in reversed(list(graph.node)):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    kept = [type(last).FromString(node.SerializeToString()) for node in reversed(kept)]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    constants = [type(tensor).FromString(tensor.SerializeToString()) for tensor in constants]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    graph.initializer.extend(constants)
