"""Models inside of models, for converters of our own: what an inner one answers, as a value in double."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.places import places_in
from validator.pipelines.step_nodes import DOUBLE, Nodes

_SCORES_ALONE = ("LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "Perceptron")
"""classifiers that skl2onnx lets answer scores where others answer probabilities"""
_SWAPPED = ("SVC", "NuSVC")
"""of whose two columns for two classes the first is the score"""


def predictions(nodes: Nodes, container: Any, model: Any, inputs: Sequence[Any], *, width: int) -> str:
    """What a regressor predicts: [N, width]."""
    _, outputs = _declared(nodes, container, model, inputs, {})
    number = nodes.add("Cast", outputs[0].full_name, to=DOUBLE)
    return nodes.add("Reshape", number, nodes.constant(np.array([-1, width])))


def responses(nodes: Nodes, container: Any, model: Any, inputs: Sequence[Any]) -> str:
    """What calibration is fitted on: decision_function where there is one, else predict_proba.

    [N, C], or [N, 1], of the second class, where there are two. Raises ConversionError for a classifier whose scores
    skl2onnx does not give.
    """
    scores = hasattr(model, "decision_function")
    last, outputs = _declared(nodes, container, model, inputs, {"raw_scores": True} if scores else {})
    number = nodes.add("Cast", outputs[1].full_name, to=DOUBLE)
    if len(model.classes_) > 2:
        return number
    place = 0 if scores and type(last).__name__ in _SWAPPED else 1
    return nodes.add("Gather", number, nodes.constant(np.array([place])), axis=1)


def probabilities(nodes: Nodes, container: Any, model: Any, inputs: Sequence[Any]) -> str:
    """What a classifier's predict_proba gives: [N, C]."""
    _, outputs = _declared(nodes, container, model, inputs, {})
    return nodes.add("Cast", outputs[1].full_name, to=DOUBLE)


def labels_and_numbers(
    nodes: Nodes, container: Any, model: Any, inputs: Sequence[Any], options: dict[str, Any]
) -> tuple[str, str]:
    """Both outputs of a classifier: its labels [N] in their own type, and its numbers [N, C]."""
    _, outputs = _declared(nodes, container, model, inputs, options)
    label = nodes.add("Reshape", outputs[0].full_name, nodes.constant(np.array([-1])))
    return label, nodes.add("Cast", outputs[1].full_name, to=DOUBLE)


def _declared(
    nodes: Nodes, container: Any, model: Any, inputs: Sequence[Any], options: dict[str, Any]
) -> tuple[Any, Sequence[Any]]:
    """The model's last step, and the outputs of all steps put into the graph."""
    from skl2onnx._parse import _parse_sklearn

    scope, given = nodes.scope, list(inputs)
    if len(given) > 1 and not any(True for _ in places_in(model)) and not hasattr(model, "transformers_"):
        # It chooses no columns: it takes them side by side.
        given = [nodes.variable(nodes.rows, sum(int(one.type.shape[1]) for one in given))]
    while hasattr(model, "steps"):
        for _, step in model.steps[:-1]:
            if step is not None and step != "passthrough":
                given = _parse_sklearn(scope, step, given, custom_parsers=None)
        model = model.steps[-1][1]
    name = type(model).__name__
    if options and not container.has_options(model, "raw_scores"):
        if name not in _SCORES_ALONE:
            raise ConversionError(
                f"{name} inside another model cannot be converted: its decision function is not at hand",
                hint="use a classifier that gives probabilities, or a linear one",
            )
        options = {}
    if container.has_options(model, "zipmap"):
        options = {**options, "zipmap": False}
    if options:
        scope.add_options(id(model), options)
        container.add_options(id(model), options)
    return model, _parse_sklearn(scope, model, given, custom_parsers=None)
