"""Support vector machines in double, for skl2onnx, whose own operators compute in float.

Each is a matrix of kernel values between rows and support vectors, times coefficients: libsvm's own formula, so that
answers differ from it by the rounding of sums in double alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NAMES = ("SVC", "NuSVC", "SVR", "NuSVR", "OneClassSVM")
_KERNELS = ("linear", "poly", "rbf", "sigmoid")
_DOUBLE, _INT64 = 11, 7


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters; machines that they do not cover still take skl2onnx's own."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn import svm

    for name in NAMES:
        kind = getattr(svm, name)
        alias = sklearn_operator_name_map[kind]
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "raw_scores": [True, False]}
        options["output_class_labels"] = [False, True]
        update(
            kind,
            f"Exact{name}",
            _shapes(get_shape_calculator(alias), alias),
            _either(get_converter(alias), alias),
            overwrite=True,
            options=options if name in ("SVC", "NuSVC") else {},
        )


def covers(model: Any) -> bool:
    """Whether the machine's answers are kernel values times coefficients and nothing more."""
    if model.kernel not in _KERNELS or not isinstance(model.support_vectors_, np.ndarray):
        return False
    classes = getattr(model, "classes_", ())
    # Probabilities come out of an iteration that libsvm stops early.
    without_probabilities = not np.size(getattr(model, "_probA", ()))
    return without_probabilities and (len(classes) <= 2 or model.decision_function_shape == "ovr")


def _ours(operator: Any) -> bool:
    return covers(operator.raw_operator) and len(operator.inputs) == 1


def _either(stock: Callable[..., None], alias: str) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        if _ours(operator):
            _Machine(scope, operator, container).convert()
            return
        with _called(operator, alias):
            stock(scope, operator, container)

    return convert


def _shapes(stock: Callable[[Any], None], alias: str) -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        if not _ours(operator):
            with _called(operator, alias):
                stock(operator)
            return
        from skl2onnx.common.data_types import (
            DoubleTensorType,
            FloatTensorType,
            Int64TensorType,
            StringTensorType,
        )

        double = isinstance(operator.inputs[0].type, DoubleTensorType)
        number = DoubleTensorType if double else FloatTensorType
        classes = getattr(operator.raw_operator, "classes_", None)
        if len(operator.outputs) == 1:
            operator.outputs[0].type = number([None, 1])
            return
        text = classes is not None and classes.dtype.kind not in "iub"
        operator.outputs[0].type = (StringTensorType if text else Int64TensorType)([None])
        operator.outputs[1].type = number([None, 1 if classes is None else len(classes)])

    return calculate


@contextmanager
def _called(operator: Any, alias: str) -> Iterator[None]:
    """skl2onnx's own functions look at the name under which the machine was registered."""
    given = operator.type
    operator.type = alias
    try:
        yield
    finally:
        operator.type = given


class _Machine:
    """One machine being written into a graph."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        self._model = operator.raw_operator

    def convert(self) -> None:
        rows = self._node("Cast", self._operator.inputs[0].full_name, to=_DOUBLE)
        name = type(self._model).__name__
        if name in ("SVC", "NuSVC"):
            self._classify(rows)
            return
        weights = np.asarray(self._model._dual_coef_, dtype=np.float64).T
        score = self._node(
            "Add", self._node("MatMul", self._kernel(rows), self._constant(weights)), self._intercept()
        )
        if name == "OneClassSVM":
            inside = self._node("Greater", score, self._constant(np.zeros(1)))
            label = self._node("Where", inside, self._whole([1]), self._whole([-1]))
            self._output(0, label)
            self._output(1, score)
        else:
            self._output(0, score)

    def _kernel(self, rows: str) -> str:
        """[N, S] kernel values of the rows and the support vectors."""
        model = self._model
        vectors = np.asarray(model.support_vectors_, dtype=np.float64)
        if model.kernel == "rbf":
            return self._gaussian(rows, vectors)
        product = self._node("MatMul", rows, self._constant(vectors.T))
        if model.kernel == "linear":
            return product
        scaled = self._node("Mul", product, self._constant(np.array([model._gamma])))
        moved = self._node("Add", scaled, self._constant(np.array([model.coef0], dtype=np.float64)))
        if model.kernel == "sigmoid":
            return self._node("Tanh", moved)
        return self._node("Pow", moved, self._constant(np.array([model.degree], dtype=np.float64)))

    def _gaussian(self, rows: str, vectors: Floats) -> str:
        """exp(-gamma |x - s|^2), with both taken from the vectors' middle: squares of small numbers lose less."""
        middle = vectors.mean(axis=0, keepdims=True)
        near = vectors - middle
        moved = self._node("Sub", rows, self._constant(middle))
        own = self._node("ReduceSumSquare", moved, self._whole([1]), keepdims=1)
        cross = self._node("MatMul", moved, self._constant(-2.0 * near.T))
        squares = self._constant((near**2).sum(axis=1)[None, :])
        distance = self._node("Add", self._node("Add", cross, squares), own)
        distance = self._node("Max", distance, self._constant(np.zeros(1)))
        return self._node("Exp", self._node("Mul", distance, self._constant(np.array([-self._model._gamma]))))

    def _classify(self, rows: str) -> None:
        """A vote of every pair of classes; ties go to the first class."""
        count = len(self._model.classes_)
        weights = self._constant(_pair_weights(self._model))
        decision = self._node(
            "Add", self._node("MatMul", self._kernel(rows), weights), self._intercept()
        )  # [N, pairs], above 0 for the first of each pair
        votes = self._votes(decision, count)
        if count == 2:
            score = self._node("Concat", self._node("Neg", decision), decision, axis=1)
        else:
            score = self._node("Add", votes, self._confidence(decision, count))
        ranked = score if count > 2 and self._model.break_ties else votes
        place = self._node("ArgMax", ranked, axis=1, keepdims=0)
        self._output(0, self._node("Gather", self._labels(), place))
        self._output(1, score)

    def _votes(self, decision: str, count: int) -> str:
        first, second = _pairs(count)
        won = self._node("Cast", self._node("Greater", decision, self._constant(np.zeros(1))), to=_DOUBLE)
        lost = self._node("Sub", self._constant(np.ones(1)), won)
        return self._node(
            "Add",
            self._node("MatMul", won, self._constant(first)),
            self._node("MatMul", lost, self._constant(second)),
        )

    def _confidence(self, decision: str, count: int) -> str:
        """scikit-learn's tie-breaker between votes: c / (3 (|c| + 1)) of the summed decisions."""
        first, second = _pairs(count)
        total = self._node("MatMul", decision, self._constant(first - second))
        size = self._node("Add", self._node("Abs", total), self._constant(np.ones(1)))
        return self._node("Div", total, self._node("Mul", size, self._constant(np.array([3.0]))))

    def _labels(self) -> str:
        classes = self._model.classes_
        if classes.dtype.kind in "iub":
            return self._whole(classes.astype(np.int64).tolist())
        return self._constant(classes.astype(object))

    def _intercept(self) -> str:
        return self._constant(np.asarray(self._model._intercept_, dtype=np.float64).reshape(1, -1))

    def _output(self, index: int, name: str) -> None:
        """As the type that the shape calculator promised."""
        from skl2onnx.common.data_types import FloatTensorType

        variable = self._operator.outputs[index]
        if isinstance(variable.type, FloatTensorType):
            self._add("Cast", [name], variable.full_name, to=1)
        else:
            self._add("Identity", [name], variable.full_name)

    def _whole(self, values: list[int]) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def _constant(self, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("machine")
        self._container.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name: str = self._scope.get_unique_variable_name("machine")
        self._add(op, list(inputs), name, **attributes)
        return name

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        name = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, inputs, [output], name=name, **attributes)


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
