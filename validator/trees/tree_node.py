"""The trees themselves as one `ai.onnx.ml` 5 `TreeEnsemble` node, and the columns that it reads.

The node reads blocks of F columns side by side, as many as the trees need and in this order: the features as they
are; for nodes that read zero as missing, the features with NaN put in where |x| <= ZERO_ZONE; for category nodes,
the features made whole numbers by the ensemble's category rule; for nodes that `mirror` turns about, all of
these negated.

ONNX Runtime looks a number up in a category set as a 32-bit integer, so that fractions must be gone before, and it
refuses a set without members.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.python39 import dataclass
from validator.trees.ensemble import ZERO_ZONE, BranchMode, CategoryRule, Floats, Ints, TreeEnsemble
from validator.trees.graph import GraphBuilder
from validator.trees.mirror import mirrored, turned
from validator.trees.onnx_wire import ML_DOMAIN, Attribute, PackedInts, varint_sizes

MAX_CATEGORY = 2**31 - 2
"""what is beyond 32 bits becomes the largest or the least integer of 32 bits, so that these can be no categories"""
MODE_LE, MODE_LT, MODE_MEMBER = 0, 1, 6


@dataclass(frozen=True, kw_only=True)
class OnnxLeaves:
    """What the leaves hold in ONNX: `weight` [L] added to `target` [L] of `n_targets`; the same leaves in the same
    order as the ensemble's, but for `extra` [E] (weight, target) leaves of single-leaf trees put before all others.
    """

    weight: Floats
    target: Ints
    n_targets: int
    extra: tuple[tuple[float, int], ...] = ()


def tree_dtype(ensemble: TreeEnsemble) -> str:
    """What the node computes in: float32 only where both comparison and sums are."""
    both = (ensemble.comparison_dtype, ensemble.accumulation_dtype)
    return "float32" if both == ("float32", "float32") else "float64"


def foreseen_bytes(ensemble: TreeEnsemble) -> int:
    """What the nodes and leaves come to in an ONNX file, without making it: no more than it will take."""
    number = np.dtype(tree_dtype(ensemble)).itemsize
    # A threshold, a mode, at least a byte for the feature, and one each for whether a child is a leaf.
    nodes = ensemble.n_nodes * (number + 4)
    for child in (ensemble.true_child, ensemble.false_child):
        nodes += int(varint_sizes(np.where(child >= 0, child, ~child)).sum())
    leaves = ensemble.n_leaves * (number + 1)
    if ensemble.leaf_value.shape[1] > 1:
        leaves += ensemble.leaf_value.size * np.dtype(ensemble.accumulation_dtype).itemsize
    return nodes + leaves


def without_empty_sets(ensemble: TreeEnsemble) -> TreeEnsemble:
    """The same trees, with tests for membership of an empty set as tests that no number passes."""
    member = np.flatnonzero(ensemble.comparison == BranchMode.MEMBER)
    sets = ensemble.category_set[member]
    never = member[ensemble.set_indptr[sets] == ensemble.set_indptr[sets + 1]]
    if not len(never):
        return ensemble
    comparison, threshold = ensemble.comparison.copy(), ensemble.threshold.copy()
    category_set = ensemble.category_set.copy()
    comparison[never], threshold[never], category_set[never] = BranchMode.LT, -np.inf, -1
    return replace(ensemble, comparison=comparison, threshold=threshold, category_set=category_set)


def columns(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    """Add what makes the node's columns from `features` [N, F] of tree_dtype."""
    dtype = tree_dtype(ensemble)
    if needs_bounds(ensemble):
        limit = float(np.finfo(ensemble.comparison_dtype).max)
        features = graph.add("Max", features, graph.constant(-limit, dtype))
        features = graph.add("Min", features, graph.constant(limit, dtype))
    blocks = [features]
    if ensemble.zero_is_missing.any():
        near = graph.add("LessOrEqual", graph.add("Abs", features), graph.constant(ZERO_ZONE, dtype))
        blocks.append(graph.add("Where", near, graph.constant(np.nan, dtype), features))
    if _needs_whole(ensemble):
        blocks.append(_whole(graph, features, ensemble))
    together = features if len(blocks) == 1 else graph.add("Concat", *blocks, axis=1)
    if not _mirrored(ensemble).any():
        return together
    return graph.add("Concat", together, graph.add("Neg", together), axis=1)


def _mirrored(ensemble: TreeEnsemble) -> npt.NDArray[np.bool_]:
    above, below = _infinite(ensemble)
    plain = np.zeros(ensemble.n_nodes, dtype=bool)
    return mirrored(ensemble, _splits(ensemble, tree_dtype(ensemble), plain), ~above & ~below)


def add_trees(graph: GraphBuilder, inputs: str, ensemble: TreeEnsemble, leaves: OnnxLeaves) -> str:
    """Add the TreeEnsemble node: scores [N, leaves.n_targets] in tree_dtype. Raises ConversionError."""
    dtype = tree_dtype(ensemble)
    return graph.add_node("TreeEnsemble", (inputs,), _attributes(ensemble, leaves, dtype), ML_DOMAIN)


def _needs_whole(ensemble: TreeEnsemble) -> bool:
    return bool((ensemble.comparison == BranchMode.MEMBER).any())


def _whole(graph: GraphBuilder, features: str, ensemble: TreeEnsemble) -> str:
    rule = ensemble.category_rule
    if rule is CategoryRule.EXACT:
        fraction = graph.add("Greater", features, graph.add("Floor", features))
        return graph.add(
            "Where", fraction, graph.constant(_no_member(ensemble), tree_dtype(ensemble)), features
        )
    if rule is CategoryRule.TRUNCATE_NON_NEGATIVE:
        # Rounding down agrees with truncation where x >= 0, and leaves a negative x negative: in no set.
        return graph.add("Floor", features)
    size = graph.add("Floor", graph.add("Abs", features))
    return graph.add("Mul", graph.add("Sign", features), size)


def _no_member(ensemble: TreeEnsemble) -> float:
    """A whole number that is in no category set."""
    return -1.0 if -1.0 not in ensemble.set_values else float(ensemble.set_values.max()) + 1.0


def _attributes(ensemble: TreeEnsemble, leaves: OnnxLeaves, dtype: str) -> dict[str, Attribute]:
    extra = len(leaves.extra)
    single = np.flatnonzero(ensemble.roots < 0)
    alone = np.concatenate([np.arange(extra), ~ensemble.roots[single] + extra])
    # Single-leaf trees become a node with both branches on the leaf; their nodes come after the others.
    node_id = ensemble.n_nodes + extra + np.arange(len(single))
    roots = ensemble.roots.astype(np.int64)
    roots[single] = node_id
    pad = np.zeros(len(alone), dtype=np.int64)
    flip = _mirrored(ensemble)
    true = np.where(flip, ensemble.false_child, ensemble.true_child)
    false = np.where(flip, ensemble.true_child, ensemble.false_child)
    missing = ensemble.missing_true ^ flip
    weights = np.concatenate([[w for w, _ in leaves.extra], leaves.weight]).astype(dtype)
    targets = np.concatenate([np.array([t for _, t in leaves.extra], dtype=np.int64), leaves.target])
    attributes: dict[str, Attribute] = {
        "aggregate_function": 1,
        "n_targets": leaves.n_targets,
        "post_transform": 0,
        "tree_roots": PackedInts(np.concatenate([ensemble.n_nodes + np.arange(extra), roots])),
        "nodes_featureids": PackedInts(np.concatenate([_feature_ids(ensemble, flip), pad])),
        "nodes_splits": np.concatenate([_splits(ensemble, dtype, flip), pad.astype(dtype)]),
        "nodes_modes": np.concatenate([_modes(ensemble), pad.astype(np.uint8)]),
        "nodes_truenodeids": PackedInts(np.concatenate([_target(true, extra), alone])),
        "nodes_trueleafs": PackedInts(np.concatenate([true < 0, pad + 1])),
        "nodes_falsenodeids": PackedInts(np.concatenate([_target(false, extra), alone])),
        "nodes_falseleafs": PackedInts(np.concatenate([false < 0, pad + 1])),
        "leaf_targetids": PackedInts(targets),
        "leaf_weights": weights,
    }
    if missing.any():
        attributes["nodes_missing_value_tracks_true"] = PackedInts(np.concatenate([missing, pad]))
    if (ensemble.comparison == BranchMode.MEMBER).any():
        attributes["membership_values"] = _membership(ensemble, dtype)
    if not np.isfinite(weights).all():
        raise ConversionError(
            "a leaf's value is too large for a 32-bit float", hint="the library's own sums would overflow too"
        )
    return attributes


def _target(child: npt.NDArray[np.int32], extra: int) -> Ints:
    return np.where(child >= 0, child, ~child + extra).astype(np.int64)


def _feature_ids(ensemble: TreeEnsemble, flip: npt.NDArray[np.bool_]) -> Ints:
    width = ensemble.n_features
    ids = ensemble.feature.astype(np.int64)
    zero, whole = ensemble.zero_is_missing, _needs_whole(ensemble)
    ids[zero] += width
    if whole:
        ids[ensemble.comparison == BranchMode.MEMBER] += width * (2 if zero.any() else 1)
    ids[flip] += width * (1 + int(zero.any()) + int(whole))
    return ids


def _modes(ensemble: TreeEnsemble) -> npt.NDArray[np.uint8]:
    modes = np.array([MODE_LE, MODE_LT, MODE_MEMBER], dtype=np.uint8)[ensemble.comparison]
    above, below = _infinite(ensemble)
    modes[above], modes[below] = MODE_LE, MODE_LT
    return modes


def _splits(ensemble: TreeEnsemble, dtype: str, flip: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating]:
    """Thresholds in the node's dtype that cut its values where the ensemble's thresholds do."""
    limit = float(np.finfo(ensemble.comparison_dtype).max)
    above, below = _infinite(ensemble)
    wanted: npt.NDArray[np.floating] = np.where(above, limit, np.where(below, -limit, ensemble.threshold))
    strict = ensemble.comparison == BranchMode.LT
    if dtype == "float32":
        wanted = float32_cut(wanted, strict=strict)
    wanted[flip] = turned(wanted[flip], strict[flip])
    return wanted


def float32_cut(
    threshold: npt.NDArray[np.floating], *, strict: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """The float32 thresholds that part float32 numbers as the float64 ones do.

    For x <= t that is the largest float32 not above t, for x < t (`strict`) the smallest not below it.
    """
    with np.errstate(over="ignore"):
        rounded = threshold.astype(np.float32)
        down = np.nextafter(rounded, np.float32(-np.inf), dtype=np.float32)
        up = np.nextafter(rounded, np.float32(np.inf), dtype=np.float32)
    too_high = ~strict & (rounded > threshold)
    too_low = strict & (rounded < threshold)
    return np.where(too_high, down, np.where(too_low, up, rounded)).astype(np.float32)


def needs_bounds(ensemble: TreeEnsemble) -> bool:
    """Whether infinite features must become the largest finite number, as infinite thresholds do.

    ONNX Runtime hangs on an infinite threshold, and x <= inf holds for x = inf where x <= limit does not. Raises
    ConversionError where a finite threshold would then be met by what it was not met by before.
    """
    if not (ensemble.admits_infinity and np.isinf(ensemble.threshold).any()):
        return False
    if (np.abs(ensemble.threshold) == np.finfo(ensemble.comparison_dtype).max).any():
        raise ConversionError(
            "the model has infinite thresholds beside one at the largest finite number",
            hint="train again on data whose infinite values were replaced by smaller ones",
        )
    return True


def _infinite(ensemble: TreeEnsemble) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Numeric nodes that every finite number passes, and those that none does."""
    numeric = ensemble.comparison != BranchMode.MEMBER
    limit = float(np.finfo(ensemble.comparison_dtype).max)
    return numeric & (ensemble.threshold > limit), numeric & (ensemble.threshold < -limit)


def _membership(ensemble: TreeEnsemble, dtype: str) -> npt.NDArray[np.floating]:
    """The sets of the category nodes in their order, each ended by NaN."""
    known = ensemble.set_values
    if (known != np.rint(known)).any() or (np.abs(known) > MAX_CATEGORY).any():
        raise ConversionError(
            "the model has categories that are not whole numbers of 31 bits, which ONNX cannot look up",
            hint="number the categories 0, 1, ... in the data and train again",
        )
    sets = ensemble.category_set[ensemble.comparison == BranchMode.MEMBER].astype(np.int64)
    starts, ends = ensemble.set_indptr[sets], ensemble.set_indptr[sets + 1]
    sizes = ends - starts
    stops = np.cumsum(sizes + 1)
    values = np.full(int(stops[-1]), np.nan)
    inner = np.ones(len(values), dtype=bool)
    inner[stops - 1] = False
    offset = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    values[inner] = ensemble.set_values[np.arange(int(sizes.sum())) + offset]
    return values.astype(dtype)
