"""Stacked models whose inner ones choose among columns of several types, for skl2onnx, which stacks one matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.inner_models import labels_and_numbers, predictions, probabilities, responses
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_shapes,
    number_type,
    register_where,
)


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; over one matrix its own still stack."""
    from sklearn.ensemble import StackingClassifier, StackingRegressor

    options = {**CLASSIFIER_OPTIONS, "raw_scores": [True, False]}
    register_where(_over_columns, update, StackingClassifier, classifier_shapes, _convert, options=options)
    register_where(_over_columns, update, StackingRegressor, _one_number, _convert)


def _over_columns(operator: Any) -> bool:
    return len(operator.inputs) > 1


def _one_number(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, 1])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """The last model, of what the inner ones answer side by side."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    _refuse(model)
    parts = [
        _part(nodes, container, model, place, operator.inputs) for place in range(len(model.estimators_))
    ]
    width = sum(width for _, width in parts)
    beside = nodes.add("Concat", *(name for name, _ in parts), axis=1)
    given = [nodes.variable(beside, width)]
    if not hasattr(model, "classes_"):
        nodes.finish(predictions(nodes, container, model.final_estimator_, given, width=1))
        return
    # The last one was fitted on the classes' places.
    place, numbers = labels_and_numbers(nodes, container, model.final_estimator_, given, {})
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(numbers, 1)


def _part(nodes: Nodes, container: Any, model: Any, place: int, inputs: Any) -> tuple[str, int]:
    """What an inner model answers, as scikit-learn's `_concatenate_predictions` has it, and in how many columns."""
    inner, method = model.estimators_[place], model.stack_method_[place]
    if not hasattr(model, "classes_"):
        return predictions(nodes, container, inner, inputs, width=1), 1
    count = len(model.classes_)
    if method == "predict_proba" and count > 2:
        return probabilities(nodes, container, inner, inputs), count
    if method == "predict_proba":
        both = probabilities(nodes, container, inner, inputs)
        return nodes.add("Gather", both, nodes.constant(np.array([1])), axis=1), 1
    return responses(nodes, container, inner, inputs), count if count > 2 else 1


def _refuse(model: Any) -> None:
    """Raises ConversionError for what is not stacked here."""
    for wrong, what, hint in (
        (model.passthrough, "passthrough=True", "put the columns' preparation before it, in a Pipeline"),
        ("predict" in getattr(model, "stack_method_", ()) and hasattr(model, "classes_"),
         "labels of inner models", "use inner models that give probabilities"),
        (isinstance(getattr(model, "classes_", None), list), "several outputs", "save a model for each output"),
    ):  # fmt: skip
        if wrong:
            raise ConversionError(
                f"{type(model).__name__} over columns of several types cannot be converted with {what}",
                hint=hint,
            )
