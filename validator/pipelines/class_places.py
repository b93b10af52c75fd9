"""Classifiers whose converters in skl2onnx know some classes alone: with booleans, small integers, text or numbers
that do not count from 0, they fail or answer another label.

Such a model is converted as if its classes were 0 to C - 1, and the label is looked up by that place.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from validator.pipelines.inner_models import labels_and_numbers
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_shapes, register_where


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; classes from 0 to C - 1 still take its own."""
    from sklearn.multiclass import OneVsOneClassifier
    from sklearn.neighbors import KNeighborsClassifier

    for kind in (OneVsOneClassifier, KNeighborsClassifier):
        register_where(
            _covers, update, kind, classifier_shapes, _convert,
            options={**CLASSIFIER_OPTIONS, "raw_scores": [True, False], "optim": [None, "cdist"]},
        )  # fmt: skip


def _covers(operator: Any) -> bool:
    """Whether the classes are of one output, and other than their places in int64."""
    classes = operator.raw_operator.classes_
    places = np.arange(len(classes))
    return isinstance(classes, np.ndarray) and not (
        classes.dtype == places.dtype and (classes == places).all()
    )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    by_place = copy(model)
    by_place.classes_ = np.arange(len(model.classes_))
    raw = container.get_options(model, {"raw_scores": False}, fail=False).get("raw_scores")
    place, numbers = labels_and_numbers(
        nodes, container, by_place, operator.inputs, {"raw_scores": True} if raw else {}
    )
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(numbers, 1)
