"""Support vector machines in double, for skl2onnx, whose own operators compute in float.

Each is a matrix of kernel values between rows and support vectors, times coefficients: libsvm's own formula, so that
answers differ from it by the rounding of sums in double alone.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.pipelines import kernels
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    DOUBLE,
    Nodes,
    label_type,
    number_type,
    register_where,
)

Floats = npt.NDArray[np.float64]
NAMES = ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; machines that they do not cover still take skl2onnx's own."""
    from sklearn import svm

    scored = {**CLASSIFIER_OPTIONS, "raw_scores": [True, False]}
    for name in NAMES:
        register_where(
            _ours, update, getattr(svm, name), _shapes, lambda *given: _Machine(*given).convert(),
            options=scored if name in ("SVC", "NuSVC") else {},
        )  # fmt: skip


def covers(model: Any) -> bool:
    """Whether the machine's answers are kernel values times coefficients and nothing more."""
    if model.kernel not in kernels.NAMES or not isinstance(model.support_vectors_, np.ndarray):
        return False
    classes = getattr(model, "classes_", ())
    # Probabilities come out of an iteration that libsvm stops early.
    without_probabilities = not np.size(getattr(model, "_probA", ()))
    return without_probabilities and (len(classes) <= 2 or model.decision_function_shape == "ovr")


def _ours(operator: Any) -> bool:
    return covers(operator.raw_operator) and len(operator.inputs) == 1


def _shapes(operator: Any) -> None:
    number = number_type(operator)
    classes = getattr(operator.raw_operator, "classes_", None)
    if len(operator.outputs) == 1:
        operator.outputs[0].type = number([None, 1])
        return
    # The label of OneClassSVM, which has no classes, is 1 or -1.
    operator.outputs[0].type = label_type(np.array([1]) if classes is None else classes)
    operator.outputs[1].type = number([None, 1 if classes is None else len(classes)])


class _Machine:
    """One machine being written into a graph."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._nodes = nodes = Nodes(scope, operator, container)
        self._add, self._constant, self._number = nodes.add, nodes.constant, nodes.number
        self._model = operator.raw_operator

    def convert(self) -> None:
        name = type(self._model).__name__
        if name in ("SVC", "NuSVC"):
            self._classify()
            return
        weights = np.asarray(self._model._dual_coef_, dtype=np.float64).T
        score = self._add(
            "Add",
            self._add("MatMul", self._kernel(), self._constant(weights)),
            self._intercept(),
        )
        if name == "OneClassSVM":
            inside = self._add("Greater", score, self._number(0.0))
            label = self._add("Where", inside, self._constant(np.array([1])), self._constant(np.array([-1])))
            self._nodes.finish(label)
            self._nodes.finish(score, 1)
        else:
            self._nodes.finish(score)

    def _kernel(self) -> str:
        """[N, S] kernel values of the rows and the support vectors."""
        model = self._model
        return kernels.kernel_values(
            self._nodes,
            np.asarray(model.support_vectors_, dtype=np.float64),
            kernel=model.kernel,
            gamma=float(model._gamma),
            coef0=float(model.coef0),
            degree=float(model.degree),
            owner=type(model).__name__,
        )

    def _classify(self) -> None:
        """A vote of every pair of classes; ties go to the first class."""
        count = len(self._model.classes_)
        weights = self._constant(_pair_weights(self._model))
        decision = self._add(
            "Add", self._add("MatMul", self._kernel(), weights), self._intercept()
        )  # [N, pairs], above 0 for the first of each pair
        votes = self._votes(decision, count)
        if count == 2:
            score = self._add("Concat", self._add("Neg", decision), decision, axis=1)
        else:
            score = self._add("Add", votes, self._confidence(decision, count))
        ranked = score if count > 2 and self._model.break_ties else votes
        place = self._add("ArgMax", ranked, axis=1, keepdims=0)
        self._nodes.finish(self._add("Gather", self._nodes.classes(self._model.classes_), place))
        self._nodes.finish(score, 1)

    def _votes(self, decision: str, count: int) -> str:
        first, second = _pairs(count)
        won = self._add("Cast", self._add("Greater", decision, self._number(0.0)), to=DOUBLE)
        lost = self._add("Sub", self._number(1.0), won)
        return self._add(
            "Add",
            self._add("MatMul", won, self._constant(first)),
            self._add("MatMul", lost, self._constant(second)),
        )

    def _confidence(self, decision: str, count: int) -> str:
        """scikit-learn's tie-breaker between votes: c / (3 (|c| + 1)) of the summed decisions."""
        first, second = _pairs(count)
        total = self._add("MatMul", decision, self._constant(first - second))
        size = self._add("Add", self._add("Abs", total), self._number(1.0))
        return self._add("Div", total, self._add("Mul", size, self._number(3.0)))

    def _intercept(self) -> str:
        return self._constant(np.asarray(self._model._intercept_, dtype=np.float64).reshape(1, -1))


def _pairs(count: int) -> tuple[Floats, Floats]:
    """[pairs, classes] of 0 and 1 twice: the first and the second class of each pair."""
    pairs = list(combinations(range(count), 2))
    first, second = np.zeros((len(pairs), count)), np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        first[row, i] = second[row, j] = 1.0
    return first, second


def _pair_weights(model: Any) -> Floats:
    """[support vectors, pairs]: libsvm keeps the coefficients of class i's vectors against class j in row j - 1."""
    dual = np.asarray(model._dual_coef_, dtype=np.float64)
    ends = np.cumsum(model._n_support)
    owner = np.searchsorted(ends, np.arange(dual.shape[1]), side="right")
    count = len(model.classes_)
    weights = np.zeros((dual.shape[1], count * (count - 1) // 2))
    for column, (i, j) in enumerate(combinations(range(count), 2)):
        weights[owner == i, column] = dual[j - 1, owner == i]
        weights[owner == j, column] = dual[i, owner == j]
    return weights
