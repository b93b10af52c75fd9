"""A difference shown on a row: the two are run, and their answers are put side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.trees.ensemble import TreeEnsemble
from validator.trees.proof.compare import Rows, Sides, Unequal, onnx_leaves, row_of
from validator.trees.proof.describe import places
from validator.trees.proof.result import Counterexample
from validator.trees.walk import raw_scores

Outputs = Mapping[str, npt.NDArray[Any]]
Run = Callable[[npt.NDArray[np.float64]], Outputs]
"""From rows [N, F] to outputs by name."""

_TRIES = 16


def shown(
    native: TreeEnsemble,
    sides: Sides,
    unequal: Sequence[Unequal],
    *,
    pair: tuple[Run, Run] | None,
    sample: npt.NDArray[np.float64] | None,
) -> Counterexample:
    """The first difference of trees that shows in the runs' outputs, else the one that shows most in raw scores."""
    best: Counterexample | None = None
    for place in unequal:
        what = _what(native, sides, place)
        for base in _bases(native, sample):
            row = row_of(place.witness.region, sides.domain, base)
            found = _example(native, sides, what, row, pair)
            found = _of_node(found, place)
            if found.seen:
                return found
            best = found if best is None or _apart(found) > _apart(best) else best
    if best is None:
        raise ValueError("no difference to show")
    return best


def shown_anywhere(
    native: TreeEnsemble,
    sides: Sides,
    what: str,
    *,
    pair: tuple[Run, Run] | None,
    sample: npt.NDArray[np.float64] | None,
) -> Counterexample:
    """A difference of what comes after the trees, on a row where it shows."""
    examples = []
    for base in _bases(native, sample):
        row = row_of({}, sides.domain, base)
        found = _example(native, sides, what, row, pair)
        if found.seen:
            return found
        examples.append(found)
    return examples[0]


def _bases(native: TreeEnsemble, sample: npt.NDArray[np.float64] | None) -> list[Rows]:
    rows = [np.zeros(native.n_features)]
    if sample is not None:
        rows += [np.asarray(row, dtype=np.float64) for row in sample[: _TRIES - 1]]
    random = np.random.default_rng(0)
    while len(rows) < _TRIES:
        rows.append(random.normal(scale=3.0, size=native.n_features))
    return rows


def _example(
    native: TreeEnsemble, sides: Sides, what: str, row: Rows, pair: tuple[Run, Run] | None
) -> Counterexample:
    mine, theirs = None, None
    if native.linear is None:
        mine = raw_scores(native, row[None, :])[0].astype(np.float64)
        theirs = _onnx_scores(native, sides, row)
    seen = pair is not None and _outputs_differ(pair[0](row[None, :]), pair[1](row[None, :]))
    return Counterexample(what=what, row=row, native_scores=mine, onnx_scores=theirs, seen=seen)


def _onnx_scores(native: TreeEnsemble, sides: Sides, row: Rows) -> npt.NDArray[np.float64]:
    leaf = onnx_leaves(sides, row)
    number = np.dtype(native.accumulation_dtype).type
    total = sides.leaves.start.astype(number)
    width = native.leaf_value.shape[1]
    for one in leaf:
        values = sides.leaves.onnx[one]
        if sides.leaves.onnx.shape[1] == native.n_targets and width == native.n_targets > 1:
            total += values.astype(number)
        elif width == 1 and sides.leaves.onnx.shape[1] == 2:
            total[int(values[1])] += number(values[0])
        else:
            total += values[: native.n_targets].astype(number)
    if sides.average_of:
        older: npt.NDArray[np.float64] = total.astype(np.float64) / sides.average_of
        return older + sides.base_values if len(sides.base_values) == len(older) else older
    total = total / number(native.divisor)
    if not native.base_first:
        total = total + native.base_score.astype(number)
    return np.asarray(total, dtype=np.float64)


def _outputs_differ(native: Outputs, onnx: Outputs) -> bool:
    for name, mine in native.items():
        theirs = onnx.get(name)
        if theirs is None:
            return True
        if mine.dtype.kind in "fc":
            if not np.array_equal(mine.reshape(-1), theirs.reshape(-1), equal_nan=True):
                return True
        elif mine.reshape(-1).tolist() != theirs.reshape(-1).tolist():
            return True
    return False


def _apart(found: Counterexample) -> float:
    """How far apart the raw scores are, to choose the row that shows most."""
    mine, theirs = found.native_scores, found.onnx_scores
    if mine is None or theirs is None or mine.shape != theirs.shape:
        return 0.0
    return float(np.nan_to_num(np.abs(mine - theirs), nan=np.inf).max(initial=0.0))


def _what(native: TreeEnsemble, sides: Sides, place: Unequal) -> str:
    if not place.are_leaves:
        return places(native, (sides.native, sides.onnx), sides.store, place.pairs, place.index)
    mine, theirs = place.witness.native_leaf, place.witness.onnx_leaf
    return (
        f"tree {int(place.pairs.tree[place.index])}, leaf {mine}: the model adds "
        f"{_shown_leaf(sides.leaves.native[mine])}, the ONNX file {_shown_leaf(sides.leaves.onnx[theirs])}"
    )


def _shown_leaf(row: npt.NDArray[np.float64]) -> str:
    return str([float(value) for value in row[:8]])


def _of_node(found: Counterexample, place: Unequal) -> Counterexample:
    a = int(place.pairs.native[place.index])
    node = a if not place.are_leaves and a >= 0 else None
    return replace(found, tree=int(place.pairs.tree[place.index]), native_node=node)
