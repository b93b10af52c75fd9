"""From the node tables of tree libraries, leaves and branches mixed, to the references of a TreeEnsemble."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.python39 import dataclass
from validator.trees.ensemble import MAX_DEPTH, Flags, Floats, Refs

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which rows of a node table become nodes and leaves, and the references among them."""

    nodes: Indices
    """int64 [M]: the table's row of each node"""
    leaves: Indices
    """int64 [L]: the table's row of each leaf"""
    true_child: Refs
    """int32 [M]"""
    false_child: Refs
    """int32 [M]"""
    roots: Refs
    """int32 [T]"""


def malformed(library: str, problem: str) -> ConversionError:
    """The error for a model whose own arrays contradict each other."""
    return ConversionError(
        f"the {library} model is damaged: {problem}",
        hint="save the model again with the library that trained it, and check that the file arrived whole",
    )


def covers(counts: npt.ArrayLike) -> Floats | None:
    """How often leaves were met in training; None where the model's figures are no counts. They change no answer."""
    found = np.asarray(counts, dtype=np.float64)
    return found if (np.isfinite(found) & (found >= 0)).all() else None


def lay_out(
    *,
    true_child: npt.ArrayLike,
    false_child: npt.ArrayLike,
    is_leaf: npt.ArrayLike,
    roots: npt.ArrayLike,
    library: str,
) -> Layout:
    """Number the nodes and leaves that the roots lead to, in the table's order; rows out of reach are left out.

    `true_child` and `false_child` [R] are rows of the table (anything at leaves), `roots` [T] too.
    Raises ConversionError for a child out of range, a cycle, a shared node, or trees deeper than MAX_DEPTH.
    """
    first, second = np.asarray(true_child, dtype=np.int64), np.asarray(false_child, dtype=np.int64)
    leaf, start = np.asarray(is_leaf, dtype=bool), np.asarray(roots, dtype=np.int64)
    reached = _reach(first, second, leaf, start, library)
    nodes, leaves = np.flatnonzero(reached & ~leaf), np.flatnonzero(reached & leaf)
    reference = np.zeros(len(leaf), dtype=np.int32)
    reference[nodes] = np.arange(len(nodes), dtype=np.int32)
    reference[leaves] = ~np.arange(len(leaves), dtype=np.int32)
    return Layout(
        nodes=nodes,
        leaves=leaves,
        true_child=reference[first[nodes]],
        false_child=reference[second[nodes]],
        roots=reference[start],
    )


def _reach(first: Indices, second: Indices, leaf: Flags, roots: Indices, library: str) -> Flags:
    rows = len(leaf)
    if not len(first) == len(second) == rows:
        raise malformed(library, f"{len(first)} and {len(second)} children for {rows} nodes")
    seen = np.zeros(rows, dtype=bool)
    frontier, visited = roots, 0
    for _ in range(MAX_DEPTH + 2):
        if not len(frontier):
            break
        if frontier.min() < 0 or frontier.max() >= rows:
            raise malformed(library, "a child or root lies outside the tree")
        visited += len(frontier)
        if visited > rows:
            raise malformed(library, "its nodes form no trees: they run in a circle")
        seen[frontier] = True
        inner = frontier[~leaf[frontier]]
        frontier = np.concatenate([first[inner], second[inner]])
    else:
        raise _too_deep(library)
    if int(seen.sum()) != visited:
        raise malformed(library, "its nodes form no trees: one has two parents")
    return seen


def _too_deep(library: str) -> ConversionError:
    return ConversionError(
        f"a tree of the {library} model is deeper than {MAX_DEPTH} levels, more than ONNX Runtime can load",
        hint="limit the depth in training (max_depth)",
    )
