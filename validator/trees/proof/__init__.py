"""The proof that an ONNX file answers as a native tree model does, for every input; or an input where it does not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import Task, TreeEnsemble
from validator.trees.onnx_reading.graph import NotUnderstoodError
from validator.trees.onnx_reading.model import OnnxTreeModel, read
from validator.trees.proof import bounds as limits
from validator.trees.proof.canonical import SetStore, of_native
from validator.trees.proof.compare import Sides, TreeComparison, compare, tree_of_leaf
from validator.trees.proof.features import domain_of, feature_of_source
from validator.trees.proof.leaves import leaves_of, of_second_class
from validator.trees.proof.of_onnx import of_onnx
from validator.trees.proof.product import BudgetExceededError
from validator.trees.proof.result import Bounds, Counterexample, Proof, Status
from validator.trees.proof.show import Outputs, Run, shown, shown_anywhere
from validator.trees.proof.surroundings import GraphConstants, surroundings

__all__ = ["Bounds", "Counterexample", "Outputs", "Proof", "Run", "Status", "prove"]


def prove(
    native: TreeEnsemble,
    onnx_bytes: bytes | npt.NDArray[Any],
    *,
    native_run: Run | None = None,
    onnx_run: Run | None = None,
    sample: npt.NDArray[np.float64] | None = None,
    missing: npt.NDArray[np.bool_] | None = None,
) -> Proof:
    """Compare a valid native ensemble with an ONNX file, over every input that the native model admits.

    `native_run` and `onnx_run` take rows [N, F] float64 and give outputs by name; where both are there, a
    counter-example is a row on which they were run and seen to differ, if one was found. `sample` [N, F] rows fill
    the features on which a counter-example does not depend. `missing`, bool [F], says which features may hold NaN
    where the model is not asked for it in all of them. Raises ConversionError where the ONNX file is damaged.
    """
    started = time.perf_counter()
    result = _prove(native, onnx_bytes, _Runs(native_run, onnx_run, sample), missing)
    return replace(result, seconds=time.perf_counter() - started)


class _Runs:
    """What a counter-example is shown with."""

    def __init__(self, native: Run | None, onnx: Run | None, sample: npt.NDArray[np.float64] | None) -> None:
        self.pair = (native, onnx) if native is not None and onnx is not None else None
        self.sample = sample


def _prove(
    native: TreeEnsemble,
    onnx_bytes: bytes | npt.NDArray[Any],
    runs: _Runs,
    missing: npt.NDArray[np.bool_] | None,
) -> Proof:
    base = Proof(
        status=Status.UNPROVED,
        reason="",
        trees=native.n_trees,
        nodes=native.n_nodes,
        leaves=native.n_leaves,
    )
    try:
        model = read(onnx_bytes)
        native, left_out = of_second_class(native, model.trees)
        around, form = _surroundings(model, native)
        sides = _sides(native, model, around, missing)
        comparison = compare(sides)
    except NotUnderstoodError as error:
        return replace(base, reason=f"not a graph that can be read exactly: {error}")
    except BudgetExceededError:
        return replace(
            base, reason="the trees differ in form, and telling whether they answer alike takes too long"
        )
    base = replace(base, unreachable=comparison.harmless)
    if comparison.unequal:
        found = shown(native, sides, comparison.unequal, pair=runs.pair, sample=runs.sample)
        return replace(base, status=Status.DIFFERENT, reason=found.what, difference=found)
    if around is None:
        return replace(
            base, reason=f"the trees are equal, but what surrounds them is not the expected graph: {form}"
        )
    differences = list(around.differences)
    if not around.older:
        differences += _sum_differences(native, model, sides)
    if differences:
        found = shown_anywhere(native, sides, "; ".join(differences), pair=runs.pair, sample=runs.sample)
        return replace(base, status=Status.DIFFERENT, reason=found.what, difference=found)
    return _proved(base, native, model, sides, comparison, older=around.older, left_out=left_out)


def _surroundings(model: OnnxTreeModel, native: TreeEnsemble) -> tuple[GraphConstants | None, str]:
    try:
        return surroundings(model, native), ""
    except NotUnderstoodError as error:
        return None, str(error)


def _sides(
    native: TreeEnsemble,
    model: OnnxTreeModel,
    around: GraphConstants | None,
    missing: npt.NDArray[np.bool_] | None,
) -> Sides:
    feature_of = feature_of_source(native, model.graph)
    domain = domain_of(native, model, feature_of, missing)
    store = SetStore()
    known = None if around is None or around.older else around.constants
    leaves = leaves_of(native, model.trees, known)
    if len(leaves.onnx_roots) != native.n_trees:
        raise NotUnderstoodError(f"{len(leaves.onnx_roots)} trees for a model of {native.n_trees}")
    return Sides(
        native=of_native(native, domain, store),
        onnx=of_onnx(model.trees, model.columns, feature_of, domain, store),
        store=store,
        domain=domain,
        leaves=leaves,
        base_values=model.trees.base_values,
        average_of=0
        if model.node.op == "TreeEnsemble"
        else len(model.trees.roots)
        if model.trees.average
        else 1,
    )


def _sum_differences(native: TreeEnsemble, model: OnnxTreeModel, sides: Sides) -> list[str]:
    found = []
    start = native.base_score if native.base_first else np.zeros(native.n_targets)
    start = start.astype(native.accumulation_dtype).astype(np.float64)
    if model.trees.dtype == "float32" and not sides.leaves.per_tree_target:
        start = start.astype(np.float32).astype(np.float64)
    if (sides.leaves.start != start).any():
        found.append(f"sums that start from {sides.leaves.start.tolist()}, not from {start.tolist()}")
    if model.trees.average:
        found.append("an average over the trees in the tree operator, where the model has none")
    if model.trees.base_values.any():
        found.append(f"base values {model.trees.base_values.tolist()} in the tree operator")
    return found


def _proved(
    base: Proof,
    native: TreeEnsemble,
    model: OnnxTreeModel,
    sides: Sides,
    comparison: TreeComparison,
    *,
    older: bool,
    left_out: float,
) -> Proof:
    reason = f"all {native.n_nodes} splits and {native.n_leaves} leaves of {native.n_trees} trees are equal"
    if native.linear is not None:
        endless = Bounds(raw=np.inf, raw_in_order=np.inf, output=np.inf)
        reason += "; sums of linear leaves grow with the inputs, so that no number bounds their rounding"
        return replace(base, status=Status.PROVED, reason=reason, bounds=endless)
    in_leaves = older and native.divisor != 1 and not model.trees.average
    if in_leaves:
        native = replace(native, leaf_value=native.leaf_value / native.divisor, divisor=1.0)
    width = native.leaf_value.shape[1]
    rounded = sides.leaves.native[:, :width]
    tree = tree_of_leaf(comparison.meeting.leaves, native.n_leaves)
    # Tables are summed in the native type, whatever the type of the leaf numbers.
    dtype = native.accumulation_dtype if sides.leaves.per_tree_target else model.trees.dtype
    start = native.base_score if older and native.base_first else sides.leaves.start
    sums = limits.sums_of(native, tree, rounded, start, dtype)
    if older:
        off = np.abs(native.base_score - model.trees.base_values[: native.n_targets]) + left_out
        # Averages in the leaves: a division for each leaf here, one for all there.
        off = off + (4 * limits.unit(native.accumulation_dtype) * sums.size if in_leaves else 0.0)
        sums = replace(sums, rounding=sums.rounding + off)
    raw = limits.raw_bound(native, sums, dtype, in_order=False)
    # Older operators add their base last, so that a base which comes first here is added out of order.
    ordered = not (older and native.base_first and native.base_score.any())
    in_order = limits.raw_bound(native, sums, dtype, in_order=ordered)
    output = limits.output_bound(native, raw, sums)
    if older and native.task is Task.CLASSIFICATION and native.n_targets == 1:
        # ONNX Runtime takes the score from 1 in the type of its sums.
        output += left_out + 2 * limits.unit(dtype)
    return replace(
        base,
        status=Status.PROVED,
        reason=reason,
        bounds=Bounds(raw=raw, raw_in_order=in_order, output=output),
        labels_exact=in_order == 0.0,
    )
