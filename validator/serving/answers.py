"""The model's answer against its contract: shape, finiteness, range, known classes, probabilities that sum to 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.breach import Breach, shown
from validator.serving.contract import ServedContract
from validator.serving.errors import OutputShapeError, OutputValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How far probabilities may lie outside [0, 1], and their sum from one: the rounding of float32 over many classes.
TOLERANCE = 1e-5
_HINT = "do not use this answer; validate the model again with rows like this one in its sample"


class AnswerCheck:
    """Holds answers to a contract. `classes` maps the ONNX file's labels to the contract's (True is 1 in ONNX)."""

    def __init__(self, contract: ServedContract) -> None:
        self._contract = contract
        self._width = len(contract.classes) if contract.is_classifier and contract.classes else None
        self.classes: dict[Any, Any] = _labels(contract.classes) if contract.is_classifier else {}
        kinds = {type(value) for value in contract.classes}
        self._as_given = kinds == {int}
        self._label_dtype: Any = kinds.pop() if kinds in ({int}, {bool}, {float}) else object

    def check(self, answers: Mapping[str, Any], n_rows: int) -> tuple[dict[str, NDArray[Any]], list[Breach]]:
        """The outputs as arrays whose first axis is [N], and the breaches. Without them, all is as promised."""
        tidy: dict[str, NDArray[Any]] = {}
        breaches: list[Breach] = []
        for name, answer in answers.items():
            array = _tidy(name, answer)
            shape = self._shape_problem(name, array, n_rows)
            if shape:
                breaches.append(Breach(kind=OutputShapeError, message=f"output {name} {shape}", hint=_HINT))
                continue
            if name == "label":
                array, found = self._check_labels(array)
            else:
                found = self._check_numbers(name, array)
            tidy[name] = array
            breaches += found
        return tidy, breaches

    def _shape_problem(self, name: str, array: NDArray[Any], n_rows: int) -> str:
        if array.ndim == 0 or array.ndim > 3 or len(array) != n_rows or array.size == 0:
            return f"is {list(array.shape)} for {n_rows} rows"
        if name == "label":
            return "" if array.dtype.kind in "iubfO" else f"is {array.dtype}"
        if array.dtype.kind != "f" and name != "prediction":
            return f"is {array.dtype}, not a floating number"
        if array.dtype.kind not in "fiub":
            return f"is {array.dtype}, not a number"
        if name == "probabilities" and self._width is not None and array.shape != (n_rows, self._width):
            return f"is {list(array.shape)}, not [{n_rows}, {self._width}]"
        outputs = self._contract.n_outputs
        if name == "prediction" and array.shape != ((n_rows,) if outputs == 1 else (n_rows, outputs)):
            return f"is {list(array.shape)} for {outputs} outputs"
        return ""

    def _check_labels(self, array: NDArray[Any]) -> tuple[NDArray[Any], list[Breach]]:
        if not self.classes or array.ndim != 1:
            return array, []
        labels = array.tolist()
        if self.classes.keys() >= set(labels):
            if self._as_given and array.dtype == np.int64:
                return array, []
            found = [self.classes[label] for label in labels]
            return np.array(found, dtype=self._label_dtype), []
        unknown = np.array([label not in self.classes for label in labels], dtype=bool)
        what = f"is {shown(labels[int(np.argmax(unknown))])}, no class of the contract"
        return array, [_breach("label", what, unknown)]

    def _check_numbers(self, name: str, array: NDArray[Any]) -> list[Breach]:
        """The whole array at once; row by row only when something is wrong, to say where."""
        low, high = self._range(name)
        least, most = array.min(), array.max()
        bounded = low <= least and most <= high and -np.inf < least and most < np.inf
        sums = name == "probabilities" and self._contract.sums_to_one and array.ndim == 2
        if bounded and not (sums and (np.abs(array.sum(axis=1) - 1) > TOLERANCE).any()):
            return []
        rows = array.reshape(len(array), -1)
        broken: NDArray[Any] = np.any(~np.isfinite(rows.astype(np.float64)), axis=1)
        if broken.any():
            return [_breach(name, "is NaN or infinite", broken)]
        outside: NDArray[Any] = np.any((rows < low) | (rows > high), axis=1)
        if outside.any():
            row = rows[int(np.argmax(outside))]
            worst = row.min() if row.min() < low else row.max()
            limits = "[0, 1]" if name == "probabilities" else f"[{low}, {high}]"
            return [_breach(name, f"is {worst}, outside {limits}", outside)]
        totals = rows.sum(axis=1)
        off = np.abs(totals - 1) > TOLERANCE
        return [_breach(name, f"sum to {totals[int(np.argmax(off))]}, not to one", off)]

    def _range(self, name: str) -> tuple[float, float]:
        """Least and greatest value that the output may have; infinite where there is no limit."""
        if name == "probabilities":
            return -TOLERANCE, 1 + TOLERANCE
        low, high = self._contract.output_minimum, self._contract.output_maximum
        return -np.inf if low is None else low, np.inf if high is None else high


def _labels(classes: tuple[Any, ...]) -> dict[Any, Any]:
    """Contract class by what ONNX may call it: itself (True and 1, 1.0 and 1 are equal keys), or its text."""
    texts = {str(value): value for value in classes}
    return texts | {value: value for value in classes}


def _tidy(name: str, answer: Any) -> NDArray[Any]:
    """One array: [N, 1] becomes [N] but for probabilities; text becomes objects; ZipMap's dictionaries a matrix."""
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        answer = np.array([list(row.values()) for row in answer], dtype=np.float32)  # as ZipMap gives them
    array = np.asarray(answer)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.ndim == 2 and array.shape[1] == 1 and name != "probabilities":
        return array[:, 0]
    return array


def _breach(name: str, what: str, mask: NDArray[Any]) -> Breach:
    return Breach(kind=OutputValueError, message=f"output {name} {what}", hint=_HINT, mask=mask)
