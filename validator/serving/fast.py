"""The short way for one row of numbers: the cost of the guard is a few microseconds.

It answers only what is plainly right: exactly the contract's names, plain numbers of the expected types, all
within their bounds, and an answer that keeps the contract. For anything else it returns None, and the thorough way
(which names what is wrong, or accepts it after a closer look) takes over. It may never answer what that would refuse.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import fsum, isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.answers import TOLERANCE, AnswerCheck
from validator.serving.contract import Feature, ServedContract
from validator.serving.numbers import EXACT_IN_DOUBLE
from validator.serving.session import OUTPUTS, OnnxModel, is_interruption

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Answer = tuple[Any, Any, Any, Any]

_WHOLE = frozenset({int, np.int64, np.int32})
_PLAIN = {
    "float": frozenset({float, np.float64, np.float32}) | _WHOLE,
    "integer": _WHOLE,
    "bool": frozenset({bool}),
}
_NUMPY = frozenset({np.float64, np.float32, np.int64, np.int32})
_MAX_SIGNATURES = 256
_MAX_OUTPUTS = 1_000
_NO_LABEL = np.iinfo(np.int64).min


class FastRow:
    """`row(mapping)` is (label, probabilities, prediction, score) in plain Python values, or None."""

    def __init__(
        self,
        model: OnnxModel,
        contract: ServedContract,
        check: AnswerCheck,
        raw: Mapping[str, NDArray[Any]],
        shapes: Mapping[str, NDArray[Any]],
    ) -> None:
        """`raw` and `shapes` are one row of each output, as the runtime gave it and tidied."""
        names = contract.names
        self._n = len(names)
        getter = itemgetter(*names)
        self._get = getter if len(names) > 1 else lambda row: (getter(row),)
        self._plain = [_PLAIN[feature.kind] for feature in contract.features]
        self._ranges = [
            (
                i,
                -np.inf if one.minimum is None else one.minimum,
                np.inf if one.maximum is None else one.maximum,
            )
            for i, one in enumerate(contract.features)
            if one.has_limits
        ]
        self._signatures: dict[tuple[type, ...], tuple[bool, bool]] = {}
        self._nullable = [feature.missing for feature in contract.features]
        self._some_nullable = any(self._nullable)
        dtype = next(iter(model.inputs.values())).dtype
        self._engine = _Engine(model, dtype, raw, self._n)
        self._forms = [(name, OUTPUTS.index(name), array.dtype) for name, array in shapes.items()]
        order = list(shapes)
        self._where = tuple(order.index(name) if name in order else -1 for name in ("label", "probabilities"))
        self._values = [order.index(name) for name in ("prediction", "score") if name in order]
        self._given = [name in order for name in ("prediction", "score")]
        self._classes = check.classes or None
        self._sums = contract.sums_to_one
        self._low = -np.inf if contract.output_minimum is None else contract.output_minimum
        self._high = np.inf if contract.output_maximum is None else contract.output_maximum

    def __call__(self, row: Mapping[str, Any]) -> Answer | None:
        try:
            # Other mappings may answer for names that they do not hold, or be changed by being asked.
            if type(row) is not dict or len(row) != self._n:
                return None
            values = self._get(row)
        except (KeyError, TypeError, IndexError):
            return None
        return self._answer(values)

    def matrix(self, array: NDArray[Any]) -> dict[str, NDArray[Any]] | None:
        """The outputs [1, ...] by name for a numeric array [1, F] in the contract's order, or None."""
        if array.shape != (1, self._n) or array.dtype.kind not in "fiu":
            return None
        answer = self._answer(tuple(array.tolist()[0]))
        if answer is None:
            return None
        return {name: np.array([answer[at]], dtype=dtype) for name, at, dtype in self._forms}

    def _answer(self, values: tuple[Any, ...]) -> Answer | None:
        signature = tuple(map(type, values))
        kinds = self._signatures.get(signature) or self._learn(signature)
        if kinds is None:
            return None
        whole, foreign = kinds
        if foreign:
            values = tuple([value.item() if type(value) in _NUMPY else value for value in values])
        if whole and not (min(values) >= -EXACT_IN_DOUBLE and max(values) <= EXACT_IN_DOUBLE):
            return None
        for i, low, high in self._ranges:
            if not low <= values[i] <= high:  # or missing: the thorough way knows
                return None
        try:
            total = fsum(values)
        except (OverflowError, ValueError):
            return None
        if not isfinite(total) and not self._only_missing(values):
            return None
        answers = self._engine(values)
        return None if answers is None else self._checked(answers)

    def _learn(self, signature: tuple[type, ...]) -> tuple[bool, bool] | None:
        """Whether these types hold whole numbers, whose size matters, and numpy's own, which warn where Python does
        not; None when they are not plainly right.
        """
        if not all(kind in plain for kind, plain in zip(signature, self._plain, strict=True)):
            return None
        kinds = not _WHOLE.isdisjoint(signature), not _NUMPY.isdisjoint(signature)
        if len(self._signatures) < _MAX_SIGNATURES:
            self._signatures[signature] = kinds
        return kinds

    def _only_missing(self, values: tuple[Any, ...]) -> bool:
        """Whether what is not finite is NaN where the contract allows it."""
        if not self._some_nullable:
            return False
        for value, nullable in zip(values, self._nullable, strict=True):
            if not isfinite(value) and not (nullable and value != value):
                return False
        return True

    def _checked(self, answers: list[list[Any]]) -> Answer | None:
        label = probabilities = None
        at_label, at_probabilities = self._where
        if at_label >= 0:
            label = answers[at_label][0]
            if self._classes is not None:
                if label not in self._classes:
                    return None
                label = self._classes[label]
            elif label == _NO_LABEL:
                return None
        if at_probabilities >= 0:
            probabilities = answers[at_probabilities][0]
            if min(probabilities) < -TOLERANCE or max(probabilities) > 1 + TOLERANCE:
                return None
            total = sum(probabilities)
            if total - total != 0.0 or (self._sums and abs(total - 1) > TOLERANCE):
                return None
        if not self._values:
            return label, probabilities, None, None
        numbers = [answers[at][0] for at in self._values]
        for i, number in enumerate(numbers):
            several = number if type(number) is list else (number,)
            for value in several:
                if not (value - value == 0.0 and self._low <= value <= self._high):
                    return None
            if len(several) == 1:
                numbers[i] = several[0]
        prediction = numbers[0] if self._given[0] else None
        return label, probabilities, prediction, numbers[-1] if self._given[1] else None


class _Engine:
    """Runs one row of numbers. Buffers that the session is bound to are pooled: one set for each call under way."""

    def __init__(
        self, model: OnnxModel, dtype: np.dtype[Any], shapes: Mapping[str, NDArray[Any]], n_features: int
    ) -> None:
        self._session = model.session
        self._input = next(iter(model.inputs))
        self._dtype = dtype
        self._n = n_features
        self._outputs = [(model.outputs[name], shapes[name]) for name in shapes]
        self._pack = struct.Struct(f"={n_features}{'f' if dtype == np.float32 else 'd'}").pack_into
        # list.pop and list.append are atomic, so the pool needs no lock and survives re-entrance.
        self._pool: list[tuple[Any, memoryview, list[tuple[NDArray[Any], Any]]]] = []

    def __call__(self, values: tuple[Any, ...]) -> list[list[Any]] | None:
        """One list [1, ...] an output; None where the runtime refuses or a number does not fit."""
        try:
            slot = self._pool.pop()
        except IndexError:
            slot = None
        try:
            slot = slot or self._make_slot()
            binding, memory, outputs = slot
            # What is left from the call before must not pass for an answer.
            for array, blank in outputs:
                array.fill(blank)
            self._pack(memory, 0, *values)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # the thorough way meets it again, and names it
            if is_interruption(error, self._session):
                raise
            return None
        answers = [array.tolist() for array, _ in outputs]
        self._pool.append(slot)
        return answers

    def _make_slot(self) -> tuple[Any, memoryview, list[tuple[NDArray[Any], Any]]]:
        binding = self._session.io_binding()
        given = np.zeros((1, self._n), dtype=self._dtype)
        binding.bind_input(self._input, "cpu", 0, self._dtype.type, given.shape, given.ctypes.data)
        outputs = []
        for name, like in self._outputs:
            array = np.zeros(like.shape, dtype=like.dtype)
            binding.bind_output(name, "cpu", 0, like.dtype.type, like.shape, array.ctypes.data)
            outputs.append((array, np.nan if like.dtype.kind == "f" else _NO_LABEL))
        return binding, memoryview(given.data).cast("B"), outputs


def make_fast_row(
    model: OnnxModel,
    contract: ServedContract,
    check: AnswerCheck,
    shapes: Mapping[str, NDArray[Any]],
    raw: Mapping[str, Any],
) -> FastRow | None:
    """The short way for this model, None where it has none: text or categories in, text or several parts out.

    `shapes` and `raw` are one row of each output, checked and as the runtime gave it.
    """
    dtypes = {item.dtype for item in model.inputs.values()}
    numeric = all(_is_plain(feature) for feature in contract.features)
    if not model.is_matrix or not numeric or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        return None
    for name, array in raw.items():
        if not isinstance(array, np.ndarray) or array.size > _MAX_OUTPUTS:
            return None
        wanted = "i" if name == "label" else "f"
        rank = (1,) if name == "label" else (2,) if name == "probabilities" else (1, 2)
        if array.dtype.kind != wanted or array.dtype.itemsize < 4 or array.ndim not in rank:
            return None
        if name == "label" and array.dtype != np.int64:
            return None
    return FastRow(model, contract, check, {name: raw[name] for name in shapes}, shapes)


def _is_plain(feature: Feature) -> bool:
    return feature.kind in _PLAIN and not feature.infinite
