"""Two sets of trees walked side by side, a level at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from validator.trees.proof.canonical import Refs, Walk

Trees = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """References that met on equal paths: `native[i]` and `onnx[i]`, in the pair of trees `tree[i]`."""

    native: Refs
    onnx: Refs
    tree: Trees

    def __len__(self) -> int:
        return len(self.tree)


@dataclass(frozen=True, kw_only=True, eq=False)
class LockstepResult:
    """How far two sets of trees agree."""

    leaves: Pairs
    """leaf met leaf (as leaf numbers, not references)"""
    unequal: Pairs
    """a node met a leaf, or one that does something else: the topmost of each path, as references"""


def walk_together(native: Walk, onnx: Walk, native_roots: Refs, onnx_roots: Refs) -> LockstepResult:
    """Walk pairs of trees from their roots down, as long as their nodes do the same."""
    leaves: list[tuple[Refs, Refs, Trees]] = []
    unequal: list[tuple[Refs, Refs, Trees]] = []
    a, b = native_roots, onnx_roots
    tree = np.arange(len(a), dtype=np.int64)
    while len(a):
        both_leaves = (a < 0) & (b < 0)
        leaves.append((~a[both_leaves], ~b[both_leaves], tree[both_leaves]))
        both_nodes = (a >= 0) & (b >= 0)
        other = ~both_leaves & ~both_nodes
        unequal.append((a[other], b[other], tree[other]))
        a, b, tree = a[both_nodes], b[both_nodes], tree[both_nodes]
        same = _do_the_same(native, a, onnx, b)
        unequal.append((a[~same], b[~same], tree[~same]))
        a, b, tree = a[same], b[same], tree[same]
        a, b, tree = (
            np.concatenate([native.first[a], native.second[a]]),
            np.concatenate([onnx.first[b], onnx.second[b]]),
            np.concatenate([tree, tree]),
        )
    return LockstepResult(leaves=_joined(leaves), unequal=_joined(unequal))


def _do_the_same(native: Walk, a: Refs, onnx: Walk, b: Refs) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = native.feature[a] == onnx.feature[b]
    same &= native.cut[a] == onnx.cut[b]
    same &= native.set_id[a] == onnx.set_id[b]
    if native.zoned or onnx.zoned:
        same &= (native.zone[a] == onnx.zone[b]).all(axis=1)
    same &= native.nan_second[a] == onnx.nan_second[b]
    return same


def _joined(parts: list[tuple[Refs, Refs, Trees]]) -> Pairs:
    if not parts:
        none = np.zeros(0, dtype=np.int32)
        return Pairs(native=none, onnx=none, tree=np.zeros(0, dtype=np.int64))
    native, onnx, tree = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pairs(native=native, onnx=onnx, tree=tree)
