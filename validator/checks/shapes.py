"""What answers and data look like, for the reports' pictures: pure functions, and an observer of the sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from validator import shapes
from validator.checks.sample_pass import Answers, Batch
from validator.drift.quality import codes
from validator.outputs import Outputs
from validator.profile import Profile
from validator.profile.columns import NumericColumn
from validator.profile.thinning import Thinned
from validator.runtimes.replies import NativeFacts
from validator.shapes import (
    Band,
    CalibrationBin,
    Confusion,
    Curve,
    FeatureRange,
    Histogram,
    Importance,
    Series,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT_ROWS = 20_000
_SCORE_BINS, _RESIDUAL_BINS, _LATENCY_BINS, _GROUPS = 20, 24, 40, 10
_FEWEST = 40
_Z = 1.959964
"""of a two-sided 95 % interval"""


def score_of(answer: Outputs) -> tuple[str, NDArray[np.float64]] | None:
    """One number a row [N], and what it is: of two probabilities the second, of more the largest; else the first."""
    if not answer.present.keys() - {"label"}:
        return None
    name, values = answer.numeric
    if name == "probabilities" and values.shape[1] > 2:
        return "probability of the answer", values.max(axis=1).astype(np.float64)
    column = 1 if name == "probabilities" and values.shape[1] == 2 else 0
    title = "probability" if name == "probabilities" else name
    return title, values[:, column].astype(np.float64)


@dataclass(kw_only=True)
class ScoreShape:
    """Sees every batch of the sample and keeps the scores of an even part of its rows."""

    alone: bool = False
    name: str = ""
    _kept: Thinned = field(default_factory=lambda: Thinned(_KEPT_ROWS))

    def see(self, batch: Batch, answers: Answers) -> None:
        """Native's, ONNX's and the base version's scores of a batch, NaN where one has none."""
        found = [None if answer is None else score_of(answer) for answer in
                 (answers.native, answers.onnx, answers.base)]  # fmt: skip
        rows = len(batch.rows)
        if found[1] is None or any(one is not None and len(one[1]) != rows for one in found):
            return
        self.name = found[1][0]
        nothing = np.full(rows, np.nan)
        self._kept.add([nothing if one is None else one[1] for one in found])

    def histogram(self) -> Histogram | None:
        """The scores of each version in the same bins; None where there are none."""
        if not len(self._kept):
            return None
        native, onnx, base = (array[np.isfinite(array)] for array in self._kept.joined().arrays)
        named = [("onnx", onnx)] if self.alone else [("native", native), ("onnx", onnx)]
        named += [("base", base)] if len(base) else []
        return histogram(named, _SCORE_BINS, unit="probab" in self.name)


def histogram(
    named: Sequence[tuple[str, NDArray[Any]]], bins: int, *, unit: bool = False, log: bool = False
) -> Histogram | None:
    """Counts of values [N] by name in equal bins: over [0, 1], over their range, or over its logarithm."""
    filled = [values for _, values in named if len(values)]
    if not filled:
        return None
    low, high = (float(end) for end in (min(map(np.min, filled)), max(map(np.max, filled))))
    if unit and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    if log and low > 0 and high > low:
        edges = np.geomspace(low, high, bins + 1)
    else:
        spread = max(high - low, abs(high) * 1e-6, 1e-12)
        edges = np.linspace(low, low + spread, bins + 1)
    if not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
        return None
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    series = tuple(
        Series(name=name, counts=tuple(int(n) for n in np.histogram(values, edges)[0]))
        for name, values in named
    )
    return Histogram(edges=tuple(edges.tolist()), series=series)


def latencies(named: Sequence[tuple[str, NDArray[Any]]]) -> Histogram | None:
    """Milliseconds of single calls of each runtime, in bins of equal ratio."""
    return histogram([(name, spans[spans > 0]) for name, spans in named], _LATENCY_BINS, log=True)


def of_answers(
    task: str, classes: Sequence[Any], outputs: NDArray[np.float64], truth: NDArray[Any]
) -> dict[str, Any]:
    """Calibration, curves, confusion or residuals, by field of `Shapes`; nothing where the rows are fewer than 40.

    Parameters
    ----------
    outputs
        [N, K]: the second class' probability or all of them, or the prediction.
    truth
        [N]: class labels, or numbers.
    """
    if len(truth) < _FEWEST or not np.isfinite(outputs).all():
        return {}
    if task == "regression" and outputs.shape[1] == 1:
        return _of_numbers(outputs[:, 0], truth.astype(np.float64))
    if task == "binary" and len(classes) == 2 and outputs.shape[1] == 1:
        target = codes(classes, truth)
        return _of_two(outputs[target >= 0, 0], target[target >= 0], classes)
    if task == "multiclass" and outputs.shape[1] == len(classes):
        target = codes(classes, truth)
        known = target >= 0
        said = outputs[known].argmax(axis=1)
        return {
            "rows": int(known.sum()),
            "calibration": _calibration(outputs[known].max(axis=1), said == target[known]),
            "confusion": _confusion(target[known], said, classes),
        }
    return {}


def _of_two(score: NDArray[np.float64], target: NDArray[Any], classes: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"rows": len(target), "confusion": _confusion(target, score > 0.5, classes)}
    if score.min(initial=0) >= 0 and score.max(initial=0) <= 1:
        found["calibration"] = _calibration(score, target == 1)
    if 0 < target.sum() < len(target):
        found |= _curves(score, target == 1)
    return found


def _curves(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> dict[str, Curve]:
    """ROC (false against true positives, as shares) and precision against recall, at every threshold."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(positive[order])[ends]
    alarms = ends + 1 - hits
    recall, fallout = hits / hits[-1], alarms / alarms[-1]
    return {
        "roc": _curve(np.append(0.0, fallout), np.append(0.0, recall)),
        "precision_recall": _curve(recall, hits / (hits + alarms)),
    }


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """At most 101 of the points, evenly by their number, both ends kept."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), shapes.MOST_POINTS)).round().astype(int))
    return Curve(x=tuple(x[kept].tolist()), y=tuple(y[kept].tolist()))


def _groups(values: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Places of rows of similar value, in ascending order; equal values are never parted."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _GROUPS + 1)[1:-1]))
    group = np.searchsorted(edges, values, side="right")
    places = (np.flatnonzero(group == i) for i in range(len(edges) + 1))
    return [place for place in places if len(place)]


def _calibration(score: NDArray[np.float64], hit: NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    return tuple(
        CalibrationBin(
            predicted=float(score[place].mean()),
            observed=float(hit[place].mean()),
            low=wilson(int(hit[place].sum()), len(place))[0],
            high=wilson(int(hit[place].sum()), len(place))[1],
            rows=len(place),
        )
        for place in _groups(score)
    )


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927)."""
    share, square = hits / rows, _Z * _Z / rows
    middle = (share + square / 2) / (1 + square)
    reach = _Z * math.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _confusion(target: NDArray[Any], said: NDArray[Any], classes: Sequence[Any]) -> Confusion | None:
    number = len(classes)
    if number > shapes.MOST_CLASSES:
        return None
    table = np.bincount(target * number + said, minlength=number * number).reshape(number, number)
    return Confusion(
        labels=tuple(str(one)[:100] for one in classes), counts=tuple(map(tuple, table.tolist()))
    )


def _of_numbers(prediction: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, Any]:
    """Residuals, truth minus prediction: how they are spread, and how that depends on the prediction."""
    residual = truth - prediction
    bands = []
    for place in _groups(prediction):
        low, middle, high = np.quantile(residual[place], [0.1, 0.5, 0.9]).tolist()
        centre = float(prediction[place].mean())
        bands.append(Band(predicted=centre, low=low, middle=middle, high=high, rows=len(place)))
    return {
        "rows": len(truth),
        "residuals": histogram([("onnx", residual)], _RESIDUAL_BINS),
        "bands": tuple(bands),
    }


def ranges_of(profile: Profile) -> tuple[FeatureRange, ...]:
    """The points of each numeric feature, of the first thousand."""
    return tuple(
        FeatureRange(
            name=column.name[:1_000],
            points=column.quantiles,
            missing=column.special.get("missing", 0) / max(1, column.rows),
        )
        for column in profile.features
        if isinstance(column, NumericColumn) and len(column.quantiles) == 11
    )[: shapes.MOST_FEATURES]


def importance_of(facts: NativeFacts, names: Sequence[str]) -> Importance | None:
    """The features that the model says it uses most, as shares of all; None where it tells nothing that fits them."""
    told = facts.importance
    if told is None or len(told.values) != len(names):
        return None
    values = np.abs(np.array(told.values, dtype=np.float64))
    total = float(values.sum())
    if not total > 0 or not math.isfinite(total):
        return None
    order = np.argsort(-values, kind="stable")[: shapes.MOST_IMPORTANCES]
    return Importance(
        kind=told.kind[:200],
        total=len(values),
        names=tuple(names[i][:1_000] for i in order),
        shares=tuple((values[order] / total).tolist()),
    )
