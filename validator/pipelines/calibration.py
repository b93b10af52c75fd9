"""Calibrated classifiers and isotonic regression in double, for skl2onnx.

Its own converter takes the nearest point of an isotonic curve for the line between two, and knows one row at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.inner_models import responses
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, DOUBLE, Nodes, classifier_shapes, number_type

_NUMBERS = {"float32": 1, "float64": DOUBLE}


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.isotonic import IsotonicRegression

    update(CalibratedClassifierCV, "ExactCalibratedClassifierCV", classifier_shapes, _calibrated, overwrite=True,
           options=dict(CLASSIFIER_OPTIONS))  # fmt: skip
    update(IsotonicRegression, "ExactIsotonicRegression", _one_column, _isotonic_alone, overwrite=True)


def isotonic(nodes: Nodes, column: str, curve: Any) -> str:
    """What a fitted IsotonicRegression predicts of `column` [N, 1]: the line between the two points around it.

    In the curve's own number type, by numpy.interp's own formula. Raises ConversionError where values beyond its
    ends are an error, which a graph cannot raise.
    """
    if curve.out_of_bounds == "raise":
        raise ConversionError(
            "IsotonicRegression cannot be converted: it raises an error for what lies beyond its ends",
            hint="train it with out_of_bounds='clip'",
        )
    x, y = np.asarray(curve.X_thresholds_), np.asarray(curve.y_thresholds_)
    number = str(x.dtype)
    value = nodes.add("Cast", column, to=_NUMBERS[number])
    one = nodes.constant(np.array([1]))
    if len(y) == 1:
        nothing = nodes.add("Sub", value, value)
        return nodes.add("Cast", nodes.add("Add", nothing, nodes.constant(y)), to=DOUBLE)
    ends = [nodes.constant(np.array([end], dtype=number)) for end in (curve.X_min_, curve.X_max_)]
    beyond = ""
    if curve.out_of_bounds == "clip":
        # Max and Min with a constant give NaN for NaN, as numpy's clip does.
        value = nodes.add("Min", nodes.add("Max", value, ends[0]), ends[1])
    else:
        beyond = nodes.add("Or", nodes.add("Less", value, ends[0]), nodes.add("Greater", value, ends[1]))
    reached = nodes.add("Cast", nodes.add("GreaterOrEqual", value, nodes.constant(x[None, :])), to=DOUBLE)
    place = nodes.add("Cast", nodes.add("ReduceSum", reached, one, keepdims=1), to=7)
    place = nodes.add("Max", nodes.add("Sub", place, one), nodes.constant(np.array([0])))
    start, level, slope = (
        nodes.add("Gather", nodes.constant(table), place) for table in (x, y.astype(number), _slopes(x, y))
    )
    answer = nodes.add("Add", nodes.add("Mul", slope, nodes.add("Sub", value, start)), level)
    answer = nodes.add("Where", nodes.add("Equal", value, start), level, answer)
    if beyond:
        answer = nodes.add("Where", beyond, nodes.constant(np.array([np.nan], dtype=number)), answer)
    return nodes.add("Cast", answer, to=DOUBLE)


def _slopes(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of the lines that begin at each point; none begins at the last."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        between = np.diff(y.astype(x.dtype)) / np.diff(x)
    return np.append(between, x.dtype.type(0))


def _one_column(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, 1])


def _isotonic_alone(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, operator, container)
    nodes.finish(isotonic(nodes, nodes.rows, operator.raw_operator))


def _calibrated(scope: Any, operator: Any, container: Any) -> None:
    """The mean of the calibrated classifiers' probabilities; the label is the first most probable class."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    parts = [_probabilities(nodes, container, one, operator) for one in model.calibrated_classifiers_]
    total = parts[0]
    for part in parts[1:]:
        total = nodes.add("Add", total, part)
    mean = nodes.add("Div", total, nodes.constant(np.array([float(len(parts))])))
    place = nodes.add("ArgMax", mean, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(mean, 1)


def _probabilities(nodes: Nodes, container: Any, one: Any, operator: Any) -> str:
    """Of one calibrated classifier: [N, C]."""
    given = responses(nodes, container, one.estimator, operator.inputs)
    count = len(one.classes)
    if hasattr(one.calibrators[0], "beta_"):
        scores, single = hasattr(one.estimator, "decision_function"), count == 2
        return _by_temperature(nodes, given, one.calibrators[0], scores=scores, single=single)
    if count == 2:
        second = _curve(nodes, given, one.calibrators[0])
        first = nodes.add("Sub", nodes.constant(np.array([1.0])), second)
        return nodes.add("Concat", first, second, axis=1)
    known = np.asarray(one.estimator.classes_).tolist()
    # Of two classes there is one column, which scikit-learn takes for the first of them.
    places = {label: place for place, label in enumerate(known[:1] if len(known) == 2 else known)}
    columns = []
    for label in np.asarray(one.classes).tolist():
        place = places.get(label)
        # A class that this part of the data did not hold has the probability 0.
        column = nodes.add("Gather", given, nodes.constant(np.array([place or 0])), axis=1)
        columns.append(
            nodes.add("Sub", column, column)
            if place is None
            else _curve(nodes, column, one.calibrators[place])
        )
    apart = nodes.add("Concat", *columns, axis=1)
    total = nodes.add("ReduceSum", apart, nodes.constant(np.array([1])), keepdims=1)
    none = nodes.add("Equal", total, nodes.constant(np.array([0.0])))
    return nodes.add("Where", none, nodes.constant(np.array([1 / count])), nodes.add("Div", apart, total))


def _by_temperature(nodes: Nodes, given: str, calibrator: Any, *, scores: bool, single: bool) -> str:
    """[N, C]: the softmax of scores, or of the logarithms of probabilities, times the inverse temperature."""
    if scores:
        logits = nodes.add("Concat", nodes.add("Neg", given), given, axis=1) if single else given
    else:
        both = (
            nodes.add("Concat", nodes.add("Sub", nodes.number(1.0), given), given, axis=1)
            if single
            else given
        )
        logits = nodes.add("Log", nodes.add("Add", both, nodes.number(1e-12)))
    return nodes.add("Softmax", nodes.add("Mul", logits, nodes.number(float(calibrator.beta_))), axis=1)


def _curve(nodes: Nodes, column: str, calibrator: Any) -> str:
    """A fitted calibrator's probability of a score [N, 1]."""
    if hasattr(calibrator, "X_thresholds_"):
        return isotonic(nodes, column, calibrator)
    scaled = nodes.add("Mul", column, nodes.constant(np.array([float(calibrator.a_)])))
    power = nodes.add("Add", scaled, nodes.constant(np.array([float(calibrator.b_)])))
    return nodes.add("Sigmoid", nodes.add("Neg", power))
