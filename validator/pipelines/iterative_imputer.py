"""IterativeImputer in double, for skl2onnx, which does not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.inner_models import predictions
from validator.pipelines.neighbour_imputer import is_nan, width_of_marks, with_marks
from validator.pipelines.step_nodes import DOUBLE, Nodes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.impute._iterative import IterativeImputer  # the public name wants a switch thrown first

    update(IterativeImputer, "ExactIterativeImputer", _shapes, _convert, overwrite=True)


def _shapes(operator: Any) -> None:
    step = operator.raw_operator
    width = len(step.initial_imputer_.statistics_) + width_of_marks(step)
    operator.outputs[0].type = number_type(operator)([None, width])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's `transform`: a first filling, then, column by column, what a model predicts of the others."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    _refuse(step)
    missing = nodes.add("IsNaN", nodes.rows)
    start = np.asarray(step.initial_imputer_.statistics_, dtype=np.float64)
    filled = nodes.add("Where", missing, nodes.constant(start[None, :]), nodes.rows)
    places = [nodes.constant(np.array([place])) for place in range(len(start))]
    columns, gaps = ([nodes.add("Gather", of, place, axis=1) for place in places] for of in (filled, missing))
    for feature, others, model in step.imputation_sequence_:
        beside = nodes.add("Concat", *(columns[int(one)] for one in others), axis=1)
        found = predictions(nodes, container, model, [nodes.variable(beside, len(others))], width=1)
        found = nodes.add("Max", found, nodes.number(float(step._min_value[feature])))
        found = nodes.add("Min", found, nodes.number(float(step._max_value[feature])))
        columns[feature] = nodes.add("Where", gaps[feature], found, columns[feature])
    # Of rows that lack everything scikit-learn gives the first filling, unless others are asked for in the same call.
    known = nodes.add("Cast", nodes.add("Not", missing), to=DOUBLE)
    some = nodes.add(
        "Greater", nodes.add("ReduceMax", known, nodes.constant(np.array([1])), keepdims=1), nodes.number(0.0)
    )
    out = nodes.add("Where", some, nodes.add("Concat", *columns, axis=1), filled)
    nodes.finish(with_marks(nodes, out, missing, step))


def _refuse(step: Any) -> None:
    """Raises ConversionError for what is not converted."""
    for wrong, what, hint in (
        (not is_nan(step.missing_values), "missing values that are not NaN", "missing_values=np.nan"),
        (step.sample_posterior, "values drawn at random", "sample_posterior=False"),
        (np.isnan(step.initial_imputer_.statistics_).any(), "a column that held no value in training",
         "columns that hold some"),
    ):  # fmt: skip
        if wrong:
            raise ConversionError(
                f"IterativeImputer cannot be converted with {what}", hint=f"train it with {hint}"
            )
