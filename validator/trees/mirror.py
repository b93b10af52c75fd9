"""Which nodes are written turned about, so that trees are walked faster.

ONNX Runtime lays a node's false child next to it in memory, so a walk is faster where the false child is the more
travelled one. A numeric node for which it is not is mirrored: instead of x <= t it tests -x <= -t', with t' the
number after t, and its children change places. The answer is the same for every x.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import BranchMode, Floats, TreeEnsemble

Floating = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]

# Measured, in nanoseconds for one row: what the negated columns cost, and what a walk gains by each child that it
# finds next to its parent, the more where the nodes are too many for the processor's nearer caches.
COLUMNS_NS, _COLUMN_NS = 600.0, 1.0
_NEAR_NS, _FAR_NS = 5.0, 14.0
_MANY_NODES = 10_000


def mirrored(ensemble: TreeEnsemble, splits: Floating, allowed: Flags) -> Flags:
    """Which of the `allowed` nodes are mirrored: bool [M]; `splits` are their thresholds as they would be written.

    None are where the columns would cost more than the walks gain, or where the leaves' covers are not known.
    """
    none = np.zeros(ensemble.n_nodes, dtype=bool)
    cover = ensemble.leaf_cover
    if cover is None or not ensemble.n_nodes:
        return none
    after = turned(splits, ensemble.comparison == BranchMode.LT)
    # A subnormal threshold would be read as zero in a process that flushes subnormal numbers.
    usable = np.isfinite(after) & ((np.abs(after) >= np.finfo(splits.dtype).tiny) | (after == 0))
    usable &= allowed & (ensemble.comparison != BranchMode.MEMBER)
    met = _met(ensemble, cover)
    gain = met[ensemble.true_child] - met[ensemble.false_child]
    chosen = np.asarray(usable & (gain > 0))
    if not chosen.any():
        return none
    saved = float(gain[chosen].sum()) / float(met[ensemble.roots[ensemble.roots >= 0]].mean())
    each = _FAR_NS if ensemble.n_nodes >= _MANY_NODES else _NEAR_NS
    worth = saved * each >= COLUMNS_NS + _COLUMN_NS * ensemble.n_features
    return chosen if worth else none


def turned(splits: Floating, strict: Flags) -> Floating:
    """The thresholds of the mirrored tests: x <= t is not(-x <= -t'), and x < t (`strict`) not(-x < -t'').

    t' is the number after t, t'' the one before it, in the splits' own dtype.
    """
    towards = np.where(strict, -np.inf, np.inf).astype(splits.dtype)
    with np.errstate(over="ignore", under="ignore"):
        return np.negative(np.nextafter(splits, towards))


def _met(ensemble: TreeEnsemble, cover: Floats) -> Floats:
    """How many training rows met each node, then, from the end, each leaf: as references count."""
    levels = []
    reference = ensemble.roots
    while len(reference):
        nodes = reference[reference >= 0]
        levels.append(nodes)
        reference = np.concatenate([ensemble.true_child[nodes], ensemble.false_child[nodes]])
    met = np.concatenate([np.zeros(ensemble.n_nodes), cover[::-1]])
    for nodes in reversed(levels):
        met[nodes] = met[ensemble.true_child[nodes]] + met[ensemble.false_child[nodes]]
    return met
