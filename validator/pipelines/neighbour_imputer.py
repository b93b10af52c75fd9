"""KNNImputer in double, for skl2onnx, whose own computes distances in another way and takes other neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.step_nodes import DOUBLE, Nodes, number_type

Floats = npt.NDArray[np.float64]


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.impute import KNNImputer

    update(KNNImputer, "ExactKNNImputer", _shapes, _convert, overwrite=True)


def _kept(step: Any) -> npt.NDArray[np.int64]:
    """The columns that come out: without those that training held no value of, unless told to keep them."""
    every = np.arange(step._fit_X.shape[1])
    kept: npt.NDArray[np.int64] = (
        every if getattr(step, "keep_empty_features", False) else every[step._valid_mask]
    )
    return kept


def _shapes(operator: Any) -> None:
    step = operator.raw_operator
    operator.outputs[0].type = number_type(operator)([None, len(_kept(step)) + width_of_marks(step)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    _refuse(step)
    rows = nodes.rows
    missing = nodes.add("IsNaN", rows)
    known = np.array(step._fit_X, dtype=np.float64)
    distances = _Distances(nodes, rows, missing, known)
    columns = [_column(nodes, rows, known, distances, step, int(place)) for place in _kept(step)]
    filled = nodes.add("Concat", *columns, axis=1)
    kept = nodes.constant(_kept(step))
    out = nodes.add(
        "Where", nodes.add("Gather", missing, kept, axis=1), filled, nodes.add("Gather", rows, kept, axis=1)
    )
    empty = ~step._valid_mask[_kept(step)]
    if empty.any():
        out = nodes.add("Where", nodes.constant(empty[None, :]), nodes.number(0.0), out)
    nodes.finish(with_marks(nodes, out, missing, step))


def with_marks(nodes: Nodes, values: str, missing: str, step: Any) -> str:
    """The values [N, K], and beside them 1 where a column that the imputer marks was missing [N, F], 0 elsewhere."""
    if not step.add_indicator:
        return values
    places = nodes.constant(np.asarray(step.indicator_.features_, dtype=np.int64))
    marks = nodes.add("Cast", nodes.add("Gather", missing, places, axis=1), to=DOUBLE)
    return nodes.add("Concat", values, marks, axis=1)


def width_of_marks(step: Any) -> int:
    return len(step.indicator_.features_) if step.add_indicator else 0


def _refuse(step: Any) -> None:
    """Raises ConversionError for what is not converted."""
    for wrong, what, hint in (
        (not is_nan(step.missing_values), "missing values that are not NaN", "missing_values=np.nan"),
        (step.metric != "nan_euclidean", "a metric of your own", "metric='nan_euclidean'"),
        (
            step.weights not in ("uniform", "distance"),
            "weights of your own",
            "weights='uniform' or 'distance'",
        ),
    ):
        if wrong:
            raise ConversionError(f"KNNImputer cannot be converted with {what}", hint=f"train it with {hint}")


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


class _Distances:
    """Of every row to those of training, and the nearest of them, found once for columns with the same donors."""

    def __init__(self, nodes: Nodes, rows: str, missing: str, known: Floats) -> None:
        self._nodes = nodes
        self._all = _nan_euclidean(nodes, rows, missing, known)
        self._nearest: dict[bytes, tuple[str, str]] = {}

    def nearest(self, donors: npt.NDArray[np.bool_], count: int) -> tuple[str, str]:
        """Distances [N, count], infinite where none is known, and places among the donors [N, count]."""
        key = donors.tobytes()
        if key not in self._nearest:
            nodes, found = self._nodes, self._all
            if not donors.all():
                found = nodes.add("Gather", found, nodes.constant(np.flatnonzero(donors)), axis=1)
            distance, place = nodes.add_several(
                "TopK", 2, found, nodes.constant(np.array([count])), axis=1, largest=0, sorted=1
            )
            self._nearest[key] = distance, place
        return self._nearest[key]


def _nan_euclidean(nodes: Nodes, rows: str, missing: str, known: Floats) -> str:
    """[N, M]: scikit-learn's distances between rows that lack values, in its order of operations; infinite where no
    value is known of both.
    """
    absent = np.isnan(known)
    filled = np.where(absent, 0.0, known)
    zero, one = nodes.number(0.0), nodes.number(1.0)
    given = nodes.add("Where", missing, zero, rows)
    squares = nodes.add("Mul", given, given)
    lacking = nodes.add("Cast", missing, to=DOUBLE)
    product = nodes.add(
        "Mul", nodes.number(-2.0), nodes.add("MatMul", given, nodes.constant(filled.T.copy()))
    )
    own = nodes.add("ReduceSum", squares, nodes.constant(np.array([1])), keepdims=1)
    theirs = nodes.constant((filled**2).sum(axis=1)[None, :])
    found = nodes.add("Max", nodes.add("Add", nodes.add("Add", product, own), theirs), zero)
    if absent.any():
        found = nodes.add(
            "Sub", found, nodes.add("MatMul", squares, nodes.constant(absent.T.astype(np.float64)))
        )
    found = nodes.add("Sub", found, nodes.add("MatMul", lacking, nodes.constant((filled**2).T.copy())))
    found = nodes.add("Max", found, zero)
    present = nodes.add("Sub", one, lacking)
    both = nodes.add("MatMul", present, nodes.constant((~absent).T.astype(np.float64)))
    found = nodes.add(
        "Mul", nodes.add("Div", found, nodes.add("Max", both, one)), nodes.number(float(known.shape[1]))
    )
    return nodes.add("Where", nodes.add("Equal", both, zero), nodes.number(np.inf), nodes.add("Sqrt", found))


def _column(nodes: Nodes, rows: str, known: Floats, distances: _Distances, step: Any, place: int) -> str:
    """[N, 1]: what a value that is missing in this column becomes."""
    donors = ~np.isnan(known[:, place])
    if not donors.any():
        return nodes.add("Gather", rows, nodes.constant(np.array([place])), axis=1)
    values = known[donors, place]
    near, who = distances.nearest(donors, min(int(step.n_neighbors), len(values)))
    weights = weights_of(nodes, near, step.weights)
    taken = nodes.add("Gather", nodes.constant(values), who)
    axis = nodes.constant(np.array([1]))
    total = nodes.add("ReduceSum", weights, axis, keepdims=1)
    weighted = nodes.add("ReduceSum", nodes.add("Mul", taken, weights), axis, keepdims=1)
    nothing = nodes.add("Equal", total, nodes.number(0.0))
    mean = nodes.add("Div", weighted, nodes.add("Where", nothing, nodes.number(1.0), total))
    return nodes.add("Where", nothing, nodes.number(float(values.mean())), mean)


def weights_of(nodes: Nodes, near: str, how: str) -> str:
    """[N, K]: one each or one over the distance; where some are at no distance those alone. Unknown ones are 0."""
    unknown, zero, one = nodes.add("IsInf", near), nodes.number(0.0), nodes.number(1.0)
    if how == "uniform":
        return nodes.add("Where", unknown, zero, one)
    same = nodes.add("Equal", near, zero)
    exact = nodes.add("Cast", same, to=DOUBLE)
    inverse = nodes.add("Div", one, nodes.add("Where", same, one, near))
    some = nodes.add(
        "Greater", nodes.add("ReduceMax", exact, nodes.constant(np.array([1])), keepdims=1), zero
    )
    return nodes.add("Where", unknown, zero, nodes.add("Where", some, exact, inverse))
