"""What an XGBoost objective makes of margins, through a bare booster or a scikit-learn wrapper."""

from __future__ import annotations

import numpy as np

from validator.errors import ConversionError
from validator.libraries import header as told
from validator.libraries.layout import malformed
from validator.libraries.xgboost.model import Model
from validator.python39 import dataclass
from validator.trees.ensemble import Floats, LabelRule, Task, Transform, TransformKind

_LIBRARY = "XGBoost"
_TRANSFORMS = {
    "binary:logistic": TransformKind.SIGMOID,
    "reg:logistic": TransformKind.SIGMOID,
    "binary:hinge": TransformKind.STEP,
    "binary:logitraw": TransformKind.IDENTITY,
    "multi:softprob": TransformKind.SOFTMAX,
    "multi:softmax": TransformKind.SOFTMAX,
    "count:poisson": TransformKind.EXP,
    "reg:gamma": TransformKind.EXP,
    "reg:tweedie": TransformKind.EXP,
    "survival:cox": TransformKind.EXP,
    "survival:aft": TransformKind.EXP,
    "reg:squarederror": TransformKind.IDENTITY,
    "reg:linear": TransformKind.IDENTITY,
    "reg:squaredlogerror": TransformKind.IDENTITY,
    "reg:pseudohubererror": TransformKind.IDENTITY,
    "reg:absoluteerror": TransformKind.IDENTITY,
    "reg:quantileerror": TransformKind.IDENTITY,
    "rank:pairwise": TransformKind.IDENTITY,
    "rank:ndcg": TransformKind.IDENTITY,
    "rank:map": TransformKind.IDENTITY,
}
_CLASSIFYING = ("binary:logistic", "multi:softprob", "multi:softmax")


@dataclass(frozen=True, kw_only=True)
class XgboostAnswers:
    """Task, transform and labels."""

    task: Task
    transform: Transform
    label_rule: LabelRule
    class_labels: tuple[int, ...] | tuple[str, ...]


def answers_of(model: Model, header: told.Header) -> XgboostAnswers:
    """Raises ConversionError for objectives of the user's own, and labels that do not fit the scores."""
    kind = _TRANSFORMS.get(model.objective)
    if kind is None:
        raise ConversionError(
            f"what XGBoost makes of margins under the objective {model.objective[:40]!r} is unknown here",
            hint="use one of XGBoost's documented objectives",
        )
    task = _task(model, header)
    labels = _labels(model, header) if task is Task.CLASSIFICATION else ()
    return XgboostAnswers(
        task=task,
        transform=Transform(kind=kind, dtype="float32"),
        label_rule=_label_rule(model, header),
        class_labels=labels,
    )


def _task(model: Model, header: told.Header) -> Task:
    if model.objective.startswith("rank:"):
        return Task.RANKING
    if header.get("task") is not None:
        return told.task(header, _LIBRARY)
    several = model.objective.startswith("binary:") and model.n_targets > 1
    return Task.CLASSIFICATION if model.objective in _CLASSIFYING and not several else Task.REGRESSION


def _labels(model: Model, header: told.Header) -> tuple[int, ...] | tuple[str, ...]:
    expected = 2 if model.n_targets == 1 else model.n_targets
    found = told.labels(header, _LIBRARY) or tuple(range(expected))
    if model.n_targets > 1 and not model.objective.startswith("multi:"):
        raise ConversionError(
            f"an XGBoost classifier with {model.n_targets} yes-or-no answers for each row has no single label",
            hint="save its booster, `joblib.dump(model.get_booster(), path)`, whose prediction is the probability of "
            "each answer; or train one classifier for each",
        )
    if _TRANSFORMS[model.objective] in (TransformKind.IDENTITY, TransformKind.EXP):
        raise ConversionError(
            f"an XGBoost classifier with the objective {model.objective} gives margins where probabilities belong",
            hint="train it with binary:logistic or multi:softprob, or save it as a regressor",
        )
    if len(found) != expected:
        raise malformed(_LIBRARY, f"{len(found)} class labels for {model.n_targets} scores")
    return found


def _label_rule(model: Model, header: told.Header) -> LabelRule:
    if model.objective == "multi:softmax":
        return LabelRule.ARGMAX_RAW
    if model.n_targets > 1 or header.get("task") is None:
        return LabelRule.ARGMAX_PROBABILITY
    return LabelRule.PROBABILITY_ABOVE_HALF


def base_margin(model: Model) -> Floats:
    """float64 [K] of the float32 margins that the base score, kept as a prediction, stands for.

    Logistic objectives take -log(1 / p - 1), those with a logarithm log(p), in float32 (XGBoost's `ProbToMargin`).
    """
    score = model.base_score
    kind = _TRANSFORMS.get(model.objective)
    with np.errstate(all="ignore"):
        if kind is TransformKind.SIGMOID:
            odds = np.float32(1.0) / score - np.float32(1.0)
            score = (-np.log(odds.astype(np.float64))).astype(np.float32)
        elif kind is TransformKind.EXP:
            score = np.log(score.astype(np.float64)).astype(np.float32)
    if not np.isfinite(score).all():
        raise malformed(_LIBRARY, f"its base score {model.base_score.tolist()} has no margin")
    return np.broadcast_to(score, (model.n_targets,)).astype(np.float64)
