"""What a user's wrapper returns, read as the outputs that every runtime gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Dict, Optional, Sequence

from validator.outputs import Outputs

#: Names under which answers come in a mapping or as attributes, by ours.
_NAMES = {
    "label": ("label", "labels", "predicted_class"),
    "probabilities": ("probabilities", "probability", "proba"),
    "prediction": ("prediction", "predictions"),
    "score": ("score", "scores"),
}
#: How far from [0, 1] a number must lie to be no probability, not even a wrong one.
_FAR = 1.0
_CLASSIFIERS = ("binary", "multiclass")
_HINT = "return an array, or a mapping with label, probabilities, prediction or score"


class AnswerError(TypeError):
    """The wrapper returned something that is no answer."""

    hint = _HINT


class Reader:
    """Reads answers for one task. A classifier's answer may be labels, probabilities [N, C], or those of the second
    of two classes alone [N].
    """

    def __init__(self, task: str, classes: Sequence[Any]) -> None:
        self._task = task
        self._classes = list(classes)
        self._floats_are_scores = False

    def learn(self, answer: Any) -> None:
        """From answers to many rows: whether a classifier's one float a row is a score, since no probability lies so
        far from 0 and 1. Raises AnswerError for what is no answer.
        """
        import numpy as np

        if self._task != "binary" or _named(answer) is not None:
            return
        array = _array(answer, False)
        if array.ndim == 1 and array.dtype.kind == "f" and np.isfinite(array).any():
            low, high = float(np.nanmin(array)), float(np.nanmax(array))
            self._floats_are_scores = low < -_FAR or high > 1 + _FAR

    def read(self, answer: Any, *, single: bool = False) -> Outputs:
        """The outputs; of one row where `single`. Raises AnswerError for what holds none."""
        if answer is None:
            raise AnswerError("the answer is None")
        named = _named(answer)
        if named is None:
            return self._by_shape(_array(answer, single))
        arrays = {ours: _array(value, single) for ours, value in named.items()}
        if set(arrays) == {"prediction"} and self._task != "regression":
            return self._by_shape(arrays["prediction"])
        if "probabilities" in arrays:
            arrays["probabilities"] = self._both(arrays["probabilities"])
        if self._task in _CLASSIFIERS and "prediction" in arrays:
            arrays.setdefault("label", arrays.pop("prediction"))
        return Outputs(**arrays)

    def _by_shape(self, array: Any) -> Outputs:
        import numpy as np

        if self._task in _CLASSIFIERS:
            if array.dtype.kind == "b":
                array = array.astype(np.int64)
            if array.dtype.kind in "iuO" and array.ndim == 1:
                return Outputs(label=array)
            if array.ndim == 1 and self._task == "multiclass":
                return Outputs(label=array)
            if self._floats_are_scores and array.ndim == 1:
                return Outputs(score=array)
            return Outputs(probabilities=self._both(array))
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if self._task == "outlier" and array.dtype.kind in "iu":
            return Outputs(label=array)
        return Outputs(score=array) if self._task in ("ranking", "outlier") else Outputs(prediction=array)

    def _both(self, array: Any) -> Any:
        """Probabilities of both classes [N, 2] where only the second's were given."""
        import numpy as np

        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1 or self._task != "binary":
            return array
        return np.column_stack([1 - array, array])


def labels_of(given: Any) -> Optional[Any]:
    """The labels of a frame's rows; None for what has none."""
    return getattr(given, "index", None) if hasattr(given, "columns") else None


def in_order(answer: Any, labels: Optional[Any] = None) -> bool:
    """Whether an answer's rows come as they were given; a pandas answer says by its index where each belongs.

    `labels` are those of the rows that were given, by default 0, 1, 2, ...
    """
    return _places(answer, labels) is None


def aligned(answer: Any, labels: Optional[Any] = None) -> Any:
    """The answer in the order of the rows that were given, as whoever puts it beside them in pandas has it."""
    places = _places(answer, labels)
    return answer if places is None else answer.iloc[places.argsort()]


def _places(answer: Any, labels: Optional[Any]) -> Optional[Any]:
    """Which of the given rows each of a pandas answer's is for [N]; None where in order, or where nothing tells."""
    index = getattr(answer, "index", None)
    if not hasattr(answer, "iloc") or not hasattr(index, "get_indexer") or not len(answer):
        return None
    import pandas as pd

    own: Any = pd.RangeIndex(len(answer)) if labels is None else labels
    if isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index))):
        return None  # labels that nobody chose: the answers come as they were asked
    if len(own) != len(answer) or own.equals(index) or own.nlevels != getattr(index, "nlevels", 0):
        return None
    if not (own.is_unique and getattr(index, "is_unique", False)):
        return None
    places = own.get_indexer(index)
    return None if (places < 0).any() or (places[1:] > places[:-1]).all() else places


def _named(answer: Any) -> Optional[Dict[str, Any]]:
    """Values by our names, from a mapping, a list of mappings, a DataFrame or an object's attributes."""
    if isinstance(answer, (list, tuple)) and answer and all(isinstance(row, Mapping) for row in answer):
        rows = [_from_mapping(row) for row in answer]
        return {name: [row[name] for row in rows] for name in rows[0] if all(name in row for row in rows)}
    if isinstance(answer, Mapping):
        return _from_mapping(answer)
    if hasattr(answer, "columns") and hasattr(answer, "to_numpy"):
        found = {str(name): answer[name].to_numpy() for name in answer.columns}
        return _known(found) or None
    if isinstance(answer, (list, tuple)) or hasattr(answer, "__array__"):
        return None
    return _known({name: getattr(answer, name, None) for names in _NAMES.values() for name in names}) or None


def _from_mapping(answer: Any) -> Dict[str, Any]:
    found = _known(answer)
    if not found:
        raise AnswerError(f"the answer is a mapping of {', '.join(map(str, list(answer)[:8])) or 'nothing'}")
    return found


def _known(values: Any) -> Dict[str, Any]:
    found = {}
    for ours, names in _NAMES.items():
        value = next((values[name] for name in names if values.get(name) is not None), None)
        if value is not None:
            found[ours] = list(value.values()) if isinstance(value, Mapping) else value
    return found


def _array(value: Any, single: bool) -> Any:
    """Numbers, or text as objects, with the rows first. Raises AnswerError for anything else."""
    import numpy as np

    try:
        array = np.asarray(value)
        if array.dtype == object and not _is_text(array):
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise AnswerError(f"the answer is a {type(value).__name__} that is no array: {error}") from error
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype.kind not in "fiubO":
        raise AnswerError(f"the answer is an array of {array.dtype}")
    if array.ndim == 0 or (single and array.ndim == 1 and len(array) != 1):
        array = array[None]
    return array


def _is_text(array: Any) -> bool:
    return all(isinstance(item, str) for item in array.reshape(-1))
