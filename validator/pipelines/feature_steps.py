"""Steps that make new features, in double, for skl2onnx, which knows some in float32 and some not at all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.pipelines.kernels import kernel_values
from validator.pipelines.numpy_functions import expm1, log1p
from validator.pipelines.step_nodes import Nodes, number_type

_EPS = np.finfo(np.float64).eps
_LEAST_POWER = 1e-19
"""below it scipy.special.boxcox takes the logarithm"""


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.decomposition import FactorAnalysis, FastICA
    from sklearn.kernel_approximation import Nystroem, RBFSampler
    from sklearn.preprocessing import PolynomialFeatures, PowerTransformer

    for kind, width, convert in (
        (PowerTransformer, lambda step: len(step.lambdas_), _powers),
        (PolynomialFeatures, lambda step: step.n_output_features_, _products),
        (FastICA, lambda step: len(step.components_), _sources),
        (FactorAnalysis, lambda step: len(step.components_), _factors),
        (RBFSampler, lambda step: step.random_weights_.shape[1], _waves),
        (Nystroem, lambda step: len(step.normalization_), _nystroem),
    ):
        update(kind, f"Exact{kind.__name__}", _shapes(width), convert, overwrite=True)


def _shapes(width: Callable[[Any], int]) -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        operator.outputs[0].type = number_type(operator)([None, int(width(operator.raw_operator))])

    return calculate


def _powers(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's PowerTransformer: scipy's `yeojohnson` or `boxcox` of each column, and its scaler."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    power = np.asarray(step.lambdas_, dtype=np.float64)
    if step.method == "box-cox":
        made = _boxcox(nodes, nodes.add("Log", nodes.rows), power, _LEAST_POWER)
    else:
        nothing = nodes.number(0.0)
        above = _boxcox(nodes, log1p(nodes, nodes.add("Max", nodes.rows, nothing)), power, _EPS)
        turned = nodes.add("Neg", nodes.add("Min", nodes.rows, nothing))
        below = nodes.add("Neg", _boxcox(nodes, log1p(nodes, turned), 2 - power, _EPS))
        made = nodes.add("Where", nodes.add("GreaterOrEqual", nodes.rows, nothing), above, below)
    if step.standardize:
        scaler = step._scaler
        made = nodes.add("Sub", made, nodes.constant(np.asarray(scaler.mean_, dtype=np.float64)[None, :]))
        made = nodes.add("Div", made, nodes.constant(np.asarray(scaler.scale_, dtype=np.float64)[None, :]))
    nodes.finish(made)


def _boxcox(nodes: Nodes, logarithm: str, power: npt.NDArray[np.float64], least: float) -> str:
    """(exp(power x) - 1) / power of each column x; x itself where the power is next to nothing."""
    none = np.abs(power) < least
    row = nodes.constant(np.where(none, 1.0, power)[None, :])
    made = nodes.add("Div", expm1(nodes, nodes.add("Mul", logarithm, row)), row)
    return nodes.add("Where", nodes.constant(none[None, :]), logarithm, made) if none.any() else made


def _products(scope: Any, operator: Any, container: Any) -> None:
    """scikit-learn's PolynomialFeatures, in its order: each term is one of a degree less times a column."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    count, choose = (
        int(step.n_features_in_),
        combinations if step.interaction_only else combinations_with_replacement,
    )
    least, most = (
        (step._min_degree, step._max_degree) if hasattr(step, "_max_degree") else (0, int(step.degree))
    )  # before scikit-learn 1.0 the degree was one number
    parts = []
    if step.include_bias:
        shape = nodes.add(
            "Concat", nodes.add("Shape", nodes.rows, start=0, end=1), nodes.constant(np.array([1])), axis=0
        )
        parts.append(nodes.add("Expand", nodes.constant(np.ones((1, 1))), shape))
    terms: dict[tuple[int, ...], int] = {(place,): place for place in range(count)}
    values = nodes.rows
    for degree in range(1, most + 1):
        if degree > 1:
            chosen = list(choose(range(count), degree))
            if not chosen:
                break
            rest = nodes.constant(np.array([terms[one[1:]] for one in chosen]))
            first = nodes.constant(np.array([one[0] for one in chosen]))
            values = nodes.add(
                "Mul",
                nodes.add("Gather", values, rest, axis=1),
                nodes.add("Gather", nodes.rows, first, axis=1),
            )
            terms = {one: place for place, one in enumerate(chosen)}
        if degree >= least:
            parts.append(values)
    nodes.finish(parts[0] if len(parts) == 1 else nodes.add("Concat", *parts, axis=1))


def _sources(scope: Any, operator: Any, container: Any) -> None:
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    rows = nodes.rows
    if step.whiten:
        rows = nodes.add("Sub", rows, nodes.constant(np.asarray(step.mean_, dtype=np.float64)[None, :]))
    nodes.finish(_projected(nodes, rows, step.components_.T))


def _factors(scope: Any, operator: Any, container: Any) -> None:
    """The factors' posterior mean, as in D. Barber, Bayesian Reasoning and Machine Learning, 21.1."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    weights = step.components_ / step.noise_variance_
    spread = np.linalg.inv(np.eye(len(step.components_)) + weights @ step.components_.T)
    rows = nodes.add("Sub", nodes.rows, nodes.constant(np.asarray(step.mean_, dtype=np.float64)[None, :]))
    nodes.finish(_projected(nodes, _projected(nodes, rows, weights.T), spread))


def _waves(scope: Any, operator: Any, container: Any) -> None:
    """Random Fourier features: the cosine of a projection, times sqrt(2 / features)."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    moved = nodes.add(
        "Add", _projected(nodes, nodes.rows, step.random_weights_),
        nodes.constant(np.asarray(step.random_offset_, dtype=np.float64)[None, :]),
    )  # fmt: skip
    nodes.finish(nodes.add("Mul", nodes.add("Cos", moved), nodes.number((2.0 / step.n_components) ** 0.5)))


def _nystroem(scope: Any, operator: Any, container: Any) -> None:
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    known = np.asarray(step.components_, dtype=np.float64)
    # What is not set is what scikit-learn's kernels take then.
    values = kernel_values(
        nodes,
        known,
        kernel=step.kernel,
        gamma=1.0 / known.shape[1] if step.gamma is None else float(step.gamma),
        coef0=1.0 if step.coef0 is None else float(step.coef0),
        degree=3.0 if step.degree is None else float(step.degree),
        owner="Nystroem",
    )
    nodes.finish(_projected(nodes, values, step.normalization_.T))


def _projected(nodes: Nodes, rows: str, weights: npt.NDArray[Any]) -> str:
    return nodes.add("MatMul", rows, nodes.constant(np.ascontiguousarray(weights, dtype=np.float64)))
