"""What a TreeEnsemble makes of its raw scores, by numpy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.python39 import dataclass
from validator.trees.ensemble import LabelRule, Task, TransformKind, TreeEnsemble

Scores = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class EnsembleAnswers:
    """The answers to some rows."""

    raw: Scores
    """[N, K] in the accumulation dtype"""
    output: Scores
    """probabilities [N, C]; predictions or scores [N], [N, K] where K > 1; in the transform's dtype"""
    label: npt.NDArray[np.int64] | None
    """[N]: index into class_labels; None but for classifiers"""


def answers(ensemble: TreeEnsemble, raw: Scores) -> EnsembleAnswers:
    """Outputs and labels of raw scores [N, K]."""
    scores = raw.astype(ensemble.transform.dtype)
    output = transformed(ensemble, scores)
    if ensemble.task is not Task.CLASSIFICATION:
        return EnsembleAnswers(raw=raw, output=output[:, 0] if output.shape[1] == 1 else output, label=None)
    if output.shape[1] == 1:
        output = np.concatenate([1 - output, output], axis=1)
    return EnsembleAnswers(raw=raw, output=output, label=_labels(ensemble, scores, output))


def transformed(ensemble: TreeEnsemble, scores: Scores) -> Scores:
    """The transform alone: [N, K] to [N, K], in the dtype of the scores."""
    kind = ensemble.transform.kind
    number = scores.dtype.type
    result: Scores = scores
    factor, offset = number(ensemble.transform.factor), number(ensemble.transform.offset)
    with np.errstate(over="ignore", under="ignore"):
        if kind is TransformKind.SIGMOID:
            result = 1 / (1 + _exp(-factor * scores))
        elif kind is TransformKind.SOFTMAX:
            power = np.exp(scores - scores.max(axis=1, keepdims=True))
            result = power / power.sum(axis=1, keepdims=True)
        elif kind is TransformKind.NORMALISED:
            total = scores.sum(axis=1, keepdims=True)
            result = scores / np.where(total == 0, 1, total)
        elif kind is TransformKind.EXP:
            result = np.exp(scores)
        elif kind is TransformKind.SIGNED_SQUARE:
            result = np.sign(scores) * scores * scores
        elif kind is TransformKind.LOG1P_EXP:
            result = np.log1p(np.exp(scores))
        elif kind is TransformKind.STEP:
            result = np.where(scores > 0, number(1), number(0))
        elif kind is TransformKind.ISOLATION:
            result = -(number(2) ** (-scores / factor)) - offset
    return np.asarray(result, dtype=scores.dtype)


def _exp(values: Scores) -> Scores:
    """exp of the C library, as native libraries use it: at ties a label depends on its last bit."""
    finite = np.minimum(values.astype(np.float64), 709.0).reshape(-1)
    power = np.fromiter(map(math.exp, finite.tolist()), dtype=np.float64, count=len(finite))
    power = np.where(values.reshape(-1) > 709.0, np.exp(values.astype(np.float64)).reshape(-1), power)
    return power.reshape(values.shape).astype(values.dtype)


def _labels(ensemble: TreeEnsemble, scores: Scores, output: Scores) -> npt.NDArray[np.int64]:
    rule = ensemble.label_rule
    if rule is LabelRule.PROBABILITY_ABOVE_HALF:
        return (output[:, 1] > 0.5).astype(np.int64)
    if rule is LabelRule.RAW_POSITIVE or (rule is LabelRule.ARGMAX_RAW and scores.shape[1] == 1):
        return (scores[:, 0] > 0).astype(np.int64)
    if rule is LabelRule.RAW_NOT_NEGATIVE:
        return (scores[:, 0] >= 0).astype(np.int64)
    source = scores if rule is LabelRule.ARGMAX_RAW else output
    first_largest: npt.NDArray[np.int64] = np.argmax(source, axis=1).astype(np.int64)
    return first_largest
