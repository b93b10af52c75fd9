"""Regressors around regressors, for skl2onnx, which knows neither: transformed targets and chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.curves import Floats, interpolated
from validator.pipelines.inner_models import predictions
from validator.pipelines.numpy_functions import KNOWN, Step, log1p, nodes_of
from validator.pipelines.step_nodes import Nodes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.multioutput import RegressorChain

    update(TransformedTargetRegressor, "ExactTransformedTarget", _target_shapes, _transformed, overwrite=True)
    update(RegressorChain, "ExactRegressorChain", _chain_shapes, _chained, overwrite=True)


def inverse_of(step: Any) -> Step:
    """How a fitted transformer of targets turns predictions [N, T] back. Raises ConversionError, naming it."""
    name = type(step).__name__
    if name == "FunctionTransformer":
        return inverse_function(step.inverse_func)
    if name == "Pipeline":
        return _in_turn(
            [inverse_of(one) for _, one in reversed(step.steps) if one not in (None, "passthrough")]
        )
    if name not in _INVERSES:
        raise ConversionError(
            f"TransformedTargetRegressor cannot be converted: no inverse of {name} is known",
            hint=f"transform targets by one of {', '.join(sorted(_INVERSES))} or by numpy's {KNOWN}",
        )
    return _INVERSES[name](step)


def inverse_function(function: Any) -> Step:
    """A FunctionTransformer's way back. Raises ConversionError for functions that are none of numpy's known ones."""
    if function is None:
        return _affine(None, None)
    known = nodes_of(function)
    if known is None:
        name = str(getattr(function, "__name__", type(function).__name__))[:40]
        raise ConversionError(
            f"TransformedTargetRegressor cannot be converted: its inverse function {name!r} is none of "
            f"numpy's {KNOWN}",
            hint="use one of those functions, or turn predictions back outside of the model",
        )
    return known


def _scaler(step: Any) -> Step:
    """Standard, robust and absolute scalers: predictions times the scale, plus the middle."""
    middle = getattr(step, "mean_", None) if getattr(step, "with_mean", True) else None
    if hasattr(step, "center_") and step.with_centering:
        middle = step.center_
    scaled = getattr(step, "with_std", True) and getattr(step, "with_scaling", True)
    return _affine(step.scale_ if scaled else None, middle)


def _affine(scale: Any, middle: Any) -> Step:
    def turn(nodes: Nodes, value: str) -> str:
        if scale is not None:
            value = nodes.add("Mul", value, nodes.constant(np.asarray(scale, dtype=np.float64)[None, :]))
        if middle is not None:
            value = nodes.add("Add", value, nodes.constant(np.asarray(middle, dtype=np.float64)[None, :]))
        return value

    return turn


def _least_and_largest(step: Any) -> Step:
    def turn(nodes: Nodes, value: str) -> str:
        least, scale = (
            nodes.constant(np.asarray(part, dtype=np.float64)[None, :]) for part in (step.min_, step.scale_)
        )
        return nodes.add("Div", nodes.add("Sub", value, least), scale)

    return turn


def _quantiles(step: Any) -> Step:
    """Uniform quantiles: the line between the levels around a prediction."""
    if step.output_distribution != "uniform":
        raise ConversionError(
            "TransformedTargetRegressor cannot be converted: no inverse of normal quantiles is known",
            hint="train it with output_distribution='uniform', or turn predictions back outside of the model",
        )

    def turn(nodes: Nodes, value: str) -> str:
        levels, columns = np.asarray(step.references_, dtype=np.float64), []
        for place in range(step.quantiles_.shape[1]):
            column = nodes.add("Gather", value, nodes.constant(np.array([place])), axis=1)
            columns.append(interpolated(nodes, column, levels, np.asarray(step.quantiles_[:, place])))
        return nodes.add("Concat", *columns, axis=1)

    return turn


def _in_turn(steps: Sequence[Step]) -> Step:
    def turn(nodes: Nodes, value: str) -> str:
        for step in steps:
            value = step(nodes, value)
        return value

    return turn


def _power(step: Any) -> Step:
    """scikit-learn's own inverse of Yeo and Johnson, scipy's `inv_boxcox`, after the scaler's."""
    power = np.asarray(step.lambdas_, dtype=np.float64)

    def turn(nodes: Nodes, value: str) -> str:
        if step.standardize:
            value = _scaler(step._scaler)(nodes, value)
        if step.method == "box-cox":
            return _box_cox(nodes, value, power)
        one = nodes.number(1.0)
        above = nodes.add("Sub", _yeo_johnson(nodes, value, power), one)
        below = nodes.add("Sub", one, _yeo_johnson(nodes, nodes.add("Neg", value), 2 - power))
        return nodes.add("Where", nodes.add("GreaterOrEqual", value, nodes.number(0.0)), above, below)

    return turn


def _yeo_johnson(nodes: Nodes, x: str, power: Floats) -> str:
    """(x * power + 1) ** (1 / power) of each column; exp(x) where the power is nothing."""
    none = np.abs(power) < np.spacing(1.0)
    row = np.where(none, 1.0, power)[None, :]
    base = nodes.add("Add", nodes.add("Mul", x, nodes.constant(row)), nodes.number(1.0))
    made = nodes.add("Pow", base, nodes.constant(1 / row))
    return (
        nodes.add("Where", nodes.constant(none[None, :]), nodes.add("Exp", x), made) if none.any() else made
    )


def _box_cox(nodes: Nodes, x: str, power: Floats) -> str:
    """exp(log(1 + x * power) / power) of each column; exp(x) where the power is nothing."""
    row = nodes.constant(np.where(power == 0, 1.0, power)[None, :])
    made = nodes.add("Div", log1p(nodes, nodes.add("Mul", x, row)), row)
    none = power == 0
    return nodes.add(
        "Exp", nodes.add("Where", nodes.constant(none[None, :]), x, made) if none.any() else made
    )


_INVERSES: dict[str, Callable[[Any], Step]] = {
    "StandardScaler": _scaler,
    "RobustScaler": _scaler,
    "MaxAbsScaler": _scaler,
    "QuantileTransformer": _quantiles,
    "MinMaxScaler": _least_and_largest,
    "PowerTransformer": _power,
}


def _width(model: Any) -> int:
    """How many targets a transformed regressor predicts."""
    return 1 if model._training_dim == 1 else int(model.transformer_.n_features_in_)


def _target_shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, _width(operator.raw_operator)])


def _transformed(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    back = inverse_of(model.transformer_)
    given = predictions(nodes, container, model.regressor_, operator.inputs, width=_width(model))
    nodes.finish(back(nodes, given))


def _chain_shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, len(operator.raw_operator.estimators_)])


def _chained(scope: Any, operator: Any, container: Any) -> None:
    """Each regressor sees the features and what those before it predicted."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    known = nodes.rows
    width = int(model.n_features_in_)
    answers: list[str] = []
    for estimator in model.estimators_:
        given = nodes.variable(known, width + len(answers))
        answers.append(predictions(nodes, container, estimator, [given], width=1))
        known = nodes.add("Concat", known, answers[-1], axis=1)
    place = np.argsort(np.asarray(model.order_))
    nodes.finish(nodes.add("Gather", nodes.add("Concat", *answers, axis=1), nodes.constant(place), axis=1))
