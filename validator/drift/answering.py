"""The model's answers to rows, from its judged artifact and through the checks that production has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile.making import output_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from validator.serving import Deployment

_BATCH = 4_096


class Answerer:
    """Asks a deployment for rows given as arrays; rows that break the contract have no answer.

    `kinds` are the contract's by feature: "float", "integer", "bool", "string" or "category".
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        contract = deployment.metadata()["contract"]
        self.kinds = {feature["name"]: _kind(feature["dtype"]) for feature in contract["features"]}
        self.task: str = contract["task"]
        self.classes: tuple[Any, ...] = tuple(contract["classes"])
        self._categories = {
            feature["name"]: {str(value): value for value in feature.get("categories") or ()}
            for feature in contract["features"]
        }

    def category(self, feature: str, text: str) -> Any:
        """The category as the model knows it, from its text."""
        return self._categories[feature].get(text, text)

    def answers(self, rows: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
        """Outputs by name, [N] each as the profile names them, and which rows [N] have one (others hold NaN)."""
        n = len(next(iter(rows.values()), ()))
        parts, valid = [], []
        for start in range(0, n, _BATCH):
            some = {name: self._fit(name, array[start : start + _BATCH]) for name, array in rows.items()}
            found = self._deployment.predict(some)
            valid.append(found.valid)
            parts.append(
                output_columns(
                    {
                        "probabilities": found.probabilities,
                        "prediction": found.prediction,
                        "score": found.score,
                    }
                )
            )
        names = list(parts[0]) if parts else []
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in names}
        known = np.concatenate(valid) if valid else np.zeros(0, dtype=bool)
        return {name: _only(array, known) for name, array in outputs.items()}, known

    def _fit(self, name: str, array: NDArray[Any]) -> Any:
        """The array in the type that the contract wants, where nothing is lost by it."""
        kind = self.kinds.get(name)
        if kind == "bool" and array.dtype.kind in "iuf" and bool(np.isin(array, (0, 1)).all()):
            return array.astype(bool)
        if kind == "integer" and array.dtype.kind == "f" and bool((array == np.floor(array)).all()):
            return array.astype(np.int64)
        if kind in ("string", "category") and array.dtype == object:
            return [value if value == value else None for value in array.tolist()]
        return array


def _only(answers: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Answers [N] with NaN where there is none."""
    if known.all():
        return answers
    found = answers.astype(np.result_type(answers, np.float32))
    found[~known] = np.nan
    return found


def _kind(dtype: str) -> str:
    if dtype in ("bool", "string", "category"):
        return dtype
    return "float" if dtype.startswith("float") else "integer"


def matrix(outputs: Mapping[str, NDArray[Any]], names: Sequence[str]) -> NDArray[np.float64]:
    """Those outputs side by side [N, outputs]."""
    return np.column_stack([np.asarray(outputs[name], dtype=np.float64) for name in names])
