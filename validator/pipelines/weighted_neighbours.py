"""K nearest neighbours that weigh by distance, in double, for skl2onnx, whose own answers something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.neighbour_imputer import weights_of
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_shapes,
    number_type,
    register_where,
)

_SPARE = 8
"""candidates beyond the neighbours: distances by matrix product round, and those of candidates are taken anew"""


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; neighbours that weigh alike still take the one before."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    search: dict[str, Any] = {"optim": [None, "cdist"]}
    classifier = {**CLASSIFIER_OPTIONS, "raw_scores": [True, False], **search}
    for kind, shapes, options in (
        (KNeighborsClassifier, classifier_shapes, classifier),
        (KNeighborsRegressor, _targets_wide, search),
    ):
        register_where(
            lambda operator: covers(operator.raw_operator), update, kind, shapes, _convert,
            prefix="ExactWeighted", options=options,
        )  # fmt: skip


def covers(model: Any) -> bool:
    """Whether it weighs Euclidean distances between rows of numbers, for one output where it classifies."""
    metric = getattr(model, "effective_metric_", "")
    several = isinstance(getattr(model, "classes_", None), list)
    return (
        model.weights == "distance"
        and metric == "euclidean"
        and isinstance(model._fit_X, np.ndarray)
        and not several
    )


def _targets_wide(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, _targets(operator.raw_operator).shape[1]])


def _targets(model: Any) -> Any:
    """[M, K] of training: what a regressor learned, or 1 for the class of each row and 0 for the others."""
    values = np.asarray(model._y)
    if hasattr(model, "classes_"):
        return np.eye(len(model.classes_))[values.ravel()]
    return values.reshape(len(values), -1).astype(np.float64)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's `kneighbors`, and the mean of the neighbours' targets by one over their distance."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    weights, who = _neighbours(nodes, model)
    taken = nodes.add("Gather", nodes.constant(_targets(model)), who)  # [N, k, K]
    each = nodes.add("Unsqueeze", weights, nodes.constant(np.array([2])))
    one = nodes.constant(np.array([1]))
    votes = nodes.add("ReduceSum", nodes.add("Mul", taken, each), one, keepdims=0)
    if not hasattr(model, "classes_"):
        nodes.finish(nodes.add("Div", votes, nodes.add("ReduceSum", weights, one, keepdims=1)))
        return
    place = nodes.add("ArgMax", votes, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(nodes.add("Div", votes, nodes.add("ReduceSum", votes, one, keepdims=1)), 1)


def _neighbours(nodes: Nodes, model: Any) -> tuple[str, str]:
    """The weights of the k nearest rows of training, and their places: [N, k] twice, nearest first."""
    known = np.asarray(model._fit_X, dtype=np.float64)
    middle = known.mean(axis=0)
    count = min(int(model.n_neighbors), len(known))
    rows = nodes.add("Sub", nodes.rows, nodes.constant(middle[None, :]))
    product = nodes.add("MatMul", rows, nodes.constant(-2.0 * (known - middle).T))
    # The row's own square is the same for all of them.
    apart = nodes.add("Add", product, nodes.constant(((known - middle) ** 2).sum(axis=1)[None, :]))
    _, candidates = _nearest(nodes, apart, min(count + _SPARE, len(known)))
    wide, last = nodes.constant(np.array([1])), nodes.constant(np.array([2]))
    there = nodes.add("Gather", nodes.constant(known), candidates)
    step = nodes.add("Sub", nodes.add("Unsqueeze", nodes.rows, wide), there)
    distance = nodes.add("Sqrt", nodes.add("ReduceSum", nodes.add("Mul", step, step), last, keepdims=0))
    near, chosen = _nearest(nodes, distance, count)
    return weights_of(nodes, near, "distance"), nodes.add("GatherElements", candidates, chosen, axis=1)


def _nearest(nodes: Nodes, distances: str, count: int) -> tuple[str, str]:
    found = nodes.add_several(
        "TopK", 2, distances, nodes.constant(np.array([count])), axis=1, largest=0, sorted=1
    )
    return found[0], found[1]
