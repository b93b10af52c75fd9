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
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, called, label_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; classes from 0 to C - 1 still take its own."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.multiclass import OneVsOneClassifier
    from sklearn.neighbors import KNeighborsClassifier

    for kind in (OneVsOneClassifier, KNeighborsClassifier):
        alias = sklearn_operator_name_map[kind]
        update(
            kind,
            f"Exact{kind.__name__}",
            _shapes(get_shape_calculator(alias), alias),
            _converter(get_converter(alias), alias),
            overwrite=True,
            options={**CLASSIFIER_OPTIONS, "raw_scores": [True, False], "optim": [None, "cdist"]},
        )


def _covered(model: Any) -> bool:
    """Whether the classes are of one output, and other than their places in int64."""
    classes = model.classes_
    places = np.arange(len(classes))
    return isinstance(classes, np.ndarray) and not (
        classes.dtype == places.dtype and (classes == places).all()
    )


def _shapes(stock: Callable[[Any], None], alias: str) -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        with called(operator, alias):
            stock(operator)
        if _covered(operator.raw_operator):
            operator.outputs[0].type = label_type(operator.raw_operator.classes_)

    return calculate


def _converter(stock: Callable[..., None], alias: str) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        model = operator.raw_operator
        if not _covered(model):
            with called(operator, alias):
                stock(scope, operator, container)
            return
        nodes, by_place = Nodes(scope, operator, container), copy(model)
        by_place.classes_ = np.arange(len(model.classes_))
        raw = container.get_options(model, {"raw_scores": False}, fail=False).get("raw_scores")
        place, numbers = labels_and_numbers(
            nodes, container, by_place, operator.inputs, {"raw_scores": True} if raw else {}
        )
        nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
        nodes.finish(numbers, 1)

    return convert
