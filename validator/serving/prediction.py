"""What a deployment answers, and what it tells about a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that was wrong with some rows, or with the whole call (`rows` empty).

    `error` is the name of the class that `on_invalid="raise"` would have raised; `rows` are the first ten of
    `n_rows`.
    """

    error: str
    message: str
    hint: str
    features: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    n_rows: int = 0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """The answers for N rows; an output that the model does not give is None.

    `label` [N] and `probabilities` [N, C] of classifiers, `prediction` [N] or [N, T] of regressors, `score` [N] of
    rankers and outlier detectors. `valid` [N] is False for rows that were flagged (their numbers are NaN, their
    label is None) or that hold the fallback. `latency_ns` is the whole call's.
    """

    label: NDArray[Any] | None = None
    probabilities: NDArray[Any] | None = None
    prediction: NDArray[Any] | None = None
    score: NDArray[Any] | None = None
    valid: NDArray[Any]
    problems: tuple[Problem, ...] = ()
    version: str
    latency_ns: int

    def __len__(self) -> int:
        return len(self.valid)


@dataclass(frozen=True, slots=True)
class SinglePrediction:
    """The answer for one row, in plain Python values: `label`, `probabilities` [C], `prediction` and `score` (a
    number, or a list where the model has several). What the model does not give is None; so is everything when
    the row was flagged (`valid` is False, `problems` says why).
    """

    label: Any
    probabilities: list[float] | None
    prediction: float | list[float] | None
    score: float | list[float] | None
    valid: bool
    problems: tuple[Problem, ...]
    version: str
    latency_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord:
    """One call, for a metrics hook. `outcome` is `ok`, `flagged`, `fallback` or `refused`; `error` a class's name."""

    method: str
    rows: int
    latency_ns: int
    outcome: str
    error: str
    version: str
