"""Leaf fingerprints: random whole numbers as leaf values, so that one number a row tells which leaves it met.

The numbers are small enough that every sum of one from each tree is exact in the operator's number type, in any
order: rows of equal fingerprint met the same leaves, but for an accident of about one in 2 ** 40.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.convert.ensemble import TreeEnsemble
from validator.errors import ConversionError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

OUTPUT = "fingerprint"
_FEWEST_BITS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Fingerprinted:
    """An ONNX file whose only output, `fingerprint` [N, 1], is the sum of the met leaves' numbers."""

    data: bytes
    values: Floats
    """float64 [L']: the whole numbers of the file's leaves"""

    def expected(self, ensemble: TreeEnsemble, leaves: npt.NDArray[np.integer[Any]]) -> Floats:
        """The fingerprints [N] of rows that meet `leaves` [N, T] of the native ensemble.

        The file's leaves are the ensemble's, in its order, after those of trees that only hold the base score.
        """
        extra = len(self.values) - ensemble.n_leaves
        if extra < 0:
            raise ConversionError(
                f"the ONNX file has {len(self.values)} leaves, the model {ensemble.n_leaves}",
                hint="fingerprint the file that was converted from this model",
            )
        met = self.values[extra:][leaves].sum(axis=1) + self.values[:extra].sum()
        return np.asarray(met, dtype=np.float64)


def fingerprint_onnx(onnx_bytes: bytes, *, seed: int) -> Fingerprinted:
    """Put whole numbers for leaf values and drop what comes after the trees.

    Raises ConversionError where the file has not one TreeEnsemble operator, or more trees than sums can hold.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_model_from_string(onnx_bytes)
    node = _tree_node(model)
    attributes = {attribute.name: attribute for attribute in node.attribute}
    weights = numpy_helper.to_array(attributes["leaf_weights"].t)
    values = _numbers(len(weights), len(attributes["tree_roots"].ints), seed, weights.dtype)
    attributes["leaf_weights"].t.CopyFrom(numpy_helper.from_array(values.astype(weights.dtype)))
    attributes["leaf_targetids"].CopyFrom(helper.make_attribute("leaf_targetids", [0] * len(weights)))
    attributes["n_targets"].i = 1
    node.output[0] = OUTPUT
    _keep_only(model.graph, node)
    kind = TensorProto.FLOAT if weights.dtype == np.float32 else TensorProto.DOUBLE
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, kind, ["N", 1]))
    return Fingerprinted(data=bytes(model.SerializeToString()), values=values)


def leaves_of_library(ensemble: TreeEnsemble, numbers: npt.NDArray[np.integer[Any]]) -> Ints:
    """The ensemble's leaves [N, T] for the library's own leaf numbers [N, T], as of LightGBM's `pred_leaf`.

    The n-th leaf of a tree, in the order of the ensemble's arrays, is taken for the library's leaf n: so the readers
    lay them out. Raises ConversionError for a number that its tree does not have.
    """
    tree = _tree_of_leaf(ensemble)
    order = np.argsort(tree, kind="stable")
    starts = np.searchsorted(tree[order], np.arange(ensemble.n_trees + 1))
    given = np.asarray(numbers, dtype=np.int64).reshape(-1, ensemble.n_trees)
    if (given < 0).any() or (given >= np.diff(starts)[None, :]).any():
        raise ConversionError(
            "the library met a leaf that its tree does not have",
            hint="the model was changed between reading and predicting",
        )
    return np.asarray(order[starts[:-1][None, :] + given], dtype=np.int64)


def _numbers(leaves: int, trees: int, seed: int, dtype: np.dtype[Any]) -> Floats:
    digits = 24 if dtype == np.float32 else 53
    # T whole numbers below 2 ** bits sum to less than 2 ** digits.
    bits = digits - int(np.ceil(np.log2(trees + 1)))
    if bits < _FEWEST_BITS:
        raise ConversionError(
            f"{trees} trees are too many to fingerprint in {dtype}", hint="convert in float64"
        )
    return np.random.default_rng(seed).integers(0, 1 << bits, size=leaves).astype(np.float64)


def _tree_of_leaf(ensemble: TreeEnsemble) -> Ints:
    tree = np.zeros(ensemble.n_leaves, dtype=np.int64)
    at, of = ensemble.roots, np.arange(ensemble.n_trees, dtype=np.int64)
    while len(at):
        leaf = at < 0
        tree[~at[leaf]] = of[leaf]
        nodes, of = at[~leaf], of[~leaf]
        at = np.concatenate([ensemble.true_child[nodes], ensemble.false_child[nodes]])
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
