"""How good the predictions are where the truth is known, with intervals that hold for dependent rows too.

The interval is a jackknife over equal parts of the rows in their order (t with K-1 degrees of freedom): rows that
follow from their neighbours widen it as they should.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from validator.profile.document import Quality
from validator.profile.quantiles import t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIGHER_IS_BETTER = frozenset({"auc", "accuracy"})
_PARTS = 20
_LEAST = 40
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class QualityVerdict:
    """One figure now and in the reference (None where it has none), and what a constant prediction would reach.

    `worse` is how much worse it is than the reference, with its interval; None without one.
    """

    now: Quality
    before: Quality | None
    chance: float
    worse: tuple[float, float, float] | None
    status: Literal["warn", "ok"]
    reason: str


def measure(
    task: str, classes: Sequence[Any], outputs: NDArray[np.float64], truth: NDArray[Any]
) -> tuple[Quality, ...]:
    """The task's metrics on rows with a true answer; none for fewer than 40 of them, or a task without metrics.

    Parameters
    ----------
    outputs
        [N, K]: the second class' probability or all of them, or the prediction.
    truth
        [N]: class labels, or numbers.
    """
    prepared = _prepare(task, classes, outputs, truth)
    if prepared is None or len(prepared[1]) < _LEAST:
        return ()
    metrics, answers, target = prepared
    found = []
    for name, metric in metrics.items():
        value, error = _jackknife(metric, answers, target)
        if np.isfinite(value) and np.isfinite(error):
            reach = _t(min(_PARTS, len(target) // 2)) * error
            found.append(
                Quality(metric=name, value=value, low=value - reach, high=value + reach, rows=len(target))
            )
    return tuple(found)


def chance(metric: str, task: str, classes: Sequence[Any], truth: NDArray[Any]) -> float:
    """What the best constant prediction reaches on these true answers [N]."""
    if metric == "auc":
        return 0.5
    if task in ("binary", "multiclass"):
        shares = np.unique(codes(classes, truth), return_counts=True)[1] / len(truth)
        if metric == "accuracy":
            return float(shares.max())
        if metric == "brier":
            return float(shares[0] * (1 - shares[0]))
        return float(-(shares * np.log(shares)).sum())
    numbers = _numbers(truth)
    if metric == "rmse":
        return float(numbers.std())
    return float(np.abs(numbers - np.median(numbers)).mean())


def compare(now: Quality, before: Quality | None, chance_value: float) -> QualityVerdict:
    """One figure against the reference's and against chance. It warns where it is surely worse, or no better."""
    sign = -1.0 if now.metric in HIGHER_IS_BETTER else 1.0
    near = now.low if sign < 0 else now.high
    reasons = []
    if sign * (near - chance_value) >= 0:
        reasons.append("no better than a constant prediction, as far as these rows can tell")
    worse = None
    if before is not None:
        loss = sign * (now.value - before.value)
        reach = float(np.hypot((now.high - now.low) / 2, (before.high - before.low) / 2))
        worse = (loss, loss - reach, loss + reach)
        if loss - reach > 0:
            reasons.append("worse than on the reference")
    return QualityVerdict(
        now=now,
        before=before,
        chance=chance_value,
        worse=worse,
        status="warn" if reasons else "ok",
        reason="; ".join(reasons),
    )


def understood(task: str, classes: Sequence[Any], truth: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows [N] have a true answer that the model could have given: one of its classes, or a finite number."""
    if task in ("binary", "multiclass"):
        return has_truth(truth) & (codes(classes, truth) >= 0)
    return np.isfinite(_numbers(truth))


def _numbers(truth: NDArray[Any]) -> NDArray[np.float64]:
    """True answers [N] as numbers, NaN for what is none."""
    if truth.dtype.kind in "fiub":
        return truth.astype(np.float64)
    found = np.full(len(truth), np.nan)
    for i, value in enumerate(truth.tolist()):
        if isinstance(value, Decimal | int | float):
            found[i] = float(value)
    return found


def has_truth(truth: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows [N] have a true answer."""
    if truth.dtype == object:
        return np.array([value is not None and value == value for value in truth.tolist()], dtype=bool)
    return np.asarray(truth == truth, dtype=bool)


_Metric = Callable[[Any, Any], float]


def _prepare(
    task: str, classes: Sequence[Any], outputs: NDArray[np.float64], truth: NDArray[Any]
) -> tuple[dict[str, _Metric], NDArray[Any], NDArray[Any]] | None:
    if task == "binary" and len(classes) == 2:
        target = codes(classes, truth)
        known = target >= 0
        return (
            {"auc": _auc, "log_loss": _log_loss, "brier": _brier, "accuracy": _accuracy},
            (np.column_stack([1 - outputs[known, 0], outputs[known, 0]])),
            target[known],
        )
    if task == "multiclass" and len(classes) == outputs.shape[1]:
        target = codes(classes, truth)
        known = target >= 0
        return {"log_loss": _log_loss, "accuracy": _accuracy}, outputs[known], target[known]
    if task == "regression" and outputs.shape[1] == 1:
        return {"rmse": _rmse, "mae": _mae}, outputs[:, 0], _numbers(truth)
    return None


def codes(classes: Sequence[Any], truth: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each true answer among the classes, -1 where it is none of them."""
    places = {_plain(value): i for i, value in enumerate(classes)}
    return np.array([places.get(_plain(value), -1) for value in truth.tolist()], dtype=np.int64)


def _plain(value: Any) -> str:
    from validator.profile.columns import category_text

    if isinstance(value, bool):
        return str(int(value))
    return category_text(value) or ""


def _jackknife(metric: _Metric, answers: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """The metric, and its standard error from leaving out one part after the other."""
    parts = np.array_split(np.arange(len(truth)), min(_PARTS, len(truth) // 2))
    left = []
    for part in parts:
        kept = np.ones(len(truth), dtype=bool)
        kept[part] = False
        left.append(metric(answers[kept], truth[kept]))
    k = len(parts)
    return metric(answers, truth), float(np.sqrt((k - 1) / k * np.sum((np.array(left) - np.mean(left)) ** 2)))


def _t(parts: int) -> float:
    return t_quantile((1 + _CONFIDENCE) / 2, parts - 1)


def _auc(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    """Probability that a row of the second class ranks above one of the first, ties half."""
    scores = answers[:, 1]
    ones = int((truth == 1).sum())
    zeros = len(truth) - ones
    if not ones or not zeros:
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _log_loss(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    given = answers[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(given, 1e-15, 1.0)).mean())


def _brier(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(((answers[:, 1] - truth) ** 2).mean())


def _accuracy(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    return float((answers.argmax(1) == truth).mean())


def _rmse(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.sqrt(((answers - truth) ** 2).mean()))


def _mae(answers: NDArray[Any], truth: NDArray[Any]) -> float:
    return float(np.abs(answers - truth).mean())
