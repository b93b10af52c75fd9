"""The trees of an ONNX file as flat arrays, as ONNX Runtime takes them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from validator.python39 import dataclass
from validator.trees.onnx_reading.graph import broken

Ints = npt.NDArray[np.int64]
Refs = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Mode(IntEnum):
    """What a node asks of x, in the numbering of ai.onnx.ml 5 `nodes_modes`."""

    LEQ = 0
    LT = 1
    GTE = 2
    GT = 3
    EQ = 4
    NEQ = 5
    MEMBER = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxTrees:
    """Trees of one TreeEnsemble operator of any version. References: r >= 0 node r, r < 0 leaf ~r."""

    operator: str
    dtype: str
    """what splits, weights and sums are held in: "float32" or "float64" """
    column: Refs
    """int32 [M]: column of the operator's input"""
    mode: npt.NDArray[np.uint8]
    split: Floats
    missing_true: Flags
    true_child: Refs
    false_child: Refs
    member_indptr: Ints
    """int64 [M + 1] into member_values; no members but at MEMBER nodes"""
    member_values: Floats
    roots: Refs
    leaf_value: Floats
    """float64 [L, W]"""
    leaf_target: Refs
    """int32 [L]: the target of the first value; all 0 where W == n_targets"""
    n_targets: int
    average: bool
    """sums are divided by the number of trees"""
    base_values: Floats
    """float64 [n_targets], added last"""


def checked(trees: OnnxTrees) -> OnnxTrees:
    """The same trees. Raises ConversionError unless each node that a root leads to is on one path only."""
    references = np.concatenate([trees.roots, trees.true_child, trees.false_child])
    nodes, leaves = references[references >= 0], ~references[references < 0]
    if len(nodes) and nodes.max() >= len(trees.column):
        raise broken("a tree refers to a node that does not exist")
    if len(leaves) and leaves.max() >= len(trees.leaf_value):
        raise broken("a tree refers to a leaf that does not exist")
    if not len(trees.roots):
        raise broken("there are no trees")
    if (
        len(trees.leaf_target)
        and not 0 <= trees.leaf_target.min() <= trees.leaf_target.max() < trees.n_targets
    ):
        raise broken(f"a leaf's target is not one of {trees.n_targets}")
    if not np.isfinite(trees.leaf_value).all():
        raise broken("a leaf's value is not finite")
    _check_paths(trees)
    return trees


def _check_paths(trees: OnnxTrees) -> None:
    seen, count = np.zeros(len(trees.column), dtype=bool), 0
    frontier = trees.roots[trees.roots >= 0]
    while len(frontier):
        seen[frontier] = True
        count += len(frontier)
        # A node met again, in this level or an earlier one, is on a cycle or shared.
        if np.count_nonzero(seen) != count:
            raise broken("a tree's nodes form a cycle or hang under two parents")
        below = np.concatenate([trees.true_child[frontier], trees.false_child[frontier]])
        frontier = below[below >= 0]
    if np.isnan(trees.split[seen & (trees.mode != Mode.MEMBER)]).any():
        raise broken("a threshold is NaN")
