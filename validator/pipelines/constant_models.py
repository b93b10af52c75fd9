"""Models that answer alike for every row, and kernel ridge regression, in double, for skl2onnx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.kernels import kernel_values
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_shapes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.kernel_ridge import KernelRidge

    update(DummyRegressor, "ExactDummyRegressor", _regressor_shapes, _regressor, overwrite=True)
    update(
        DummyClassifier, "ExactDummyClassifier", classifier_shapes, _classifier, overwrite=True,
        options=dict(CLASSIFIER_OPTIONS),
    )  # fmt: skip
    update(KernelRidge, "ExactKernelRidge", _ridge_shapes, _ridge, overwrite=True)


def _every_row(nodes: Nodes, row: npt.NDArray[Any]) -> str:
    """[N, K] of one row [K]."""
    shape = nodes.add("Shape", nodes.rows, start=0, end=1)
    shape = nodes.add("Concat", shape, nodes.constant(np.array([len(row)])), axis=0)
    return nodes.add("Expand", nodes.constant(row[None, :]), shape)


def _regressor_shapes(operator: Any) -> None:
    width = int(np.size(operator.raw_operator.constant_))
    operator.outputs[0].type = number_type(operator)([None, width])


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, operator, container)
    nodes.finish(_every_row(nodes, np.asarray(operator.raw_operator.constant_, dtype=np.float64).reshape(-1)))


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    if model.strategy not in ("prior", "most_frequent", "constant"):
        raise ConversionError(
            f"DummyClassifier cannot be converted: with strategy={str(model.strategy)[:20]!r} it answers at random",
            hint="train it with strategy='prior' or 'most_frequent'",
        )
    prior, classes = np.asarray(model.class_prior_, dtype=np.float64), model.classes_
    best = int(prior.argmax())
    if model.strategy == "constant":
        best = int(np.flatnonzero(classes == np.ravel(model.constant)[0])[0])
    chances = prior if model.strategy == "prior" else (np.arange(len(classes)) == best).astype(np.float64)
    place = _every_row(nodes, np.array([best]))
    nodes.finish(
        nodes.add(
            "Gather", nodes.classes(classes), nodes.add("Reshape", place, nodes.constant(np.array([-1])))
        )
    )
    nodes.finish(_every_row(nodes, chances), 1)


def _ridge_shapes(operator: Any) -> None:
    coefficients = operator.raw_operator.dual_coef_
    operator.outputs[0].type = number_type(operator)(
        [None, 1 if coefficients.ndim == 1 else coefficients.shape[1]]
    )


def _ridge(scope: Any, operator: Any, container: Any) -> None:
    """Kernel values between the row and those of training, times coefficients."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    known = model.X_fit_
    known = np.asarray(known.toarray() if hasattr(known, "toarray") else known, dtype=np.float64)
    values = kernel_values(
        nodes,
        known,
        kernel=model.kernel,
        gamma=1.0 / known.shape[1] if model.gamma is None else float(model.gamma),
        coef0=float(model.coef0),
        degree=float(model.degree),
        owner="KernelRidge",
    )
    weights = np.asarray(model.dual_coef_, dtype=np.float64)
    nodes.finish(nodes.add("MatMul", values, nodes.constant(weights.reshape(len(known), -1))))
