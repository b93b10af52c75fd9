"""NearestCentroid in double, for skl2onnx, which does not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_outputs, classifier_shapes


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.neighbors import NearestCentroid

    update(
        NearestCentroid, "ExactNearestCentroid", classifier_shapes, _convert, overwrite=True,
        parser=classifier_outputs, options=dict(CLASSIFIER_OPTIONS),
    )  # fmt: skip


def _has_probabilities(model: Any) -> bool:
    """Since scikit-learn 1.6, for the Euclidean metric."""
    return hasattr(model, "predict_proba")


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """The label is the class of the nearest centre; where priors differ, of the highest discriminant score.

    Its probabilities are those of the scores, which are of features divided by their deviation within the classes.
    """
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    if model.metric not in ("euclidean", "manhattan"):
        raise ConversionError(
            f"NearestCentroid cannot be converted with the metric {str(model.metric)[:40]!r}",
            hint="train it with metric='euclidean'",
        )
    centres = np.asarray(model.centroids_, dtype=np.float64)
    plain = nodes.add("Neg", _distances(nodes, nodes.rows, centres, model.metric))
    scores = plain
    if _has_probabilities(model):
        scores = _scores(nodes, model, centres)
    priors = getattr(model, "class_prior_", None)
    alike = priors is None or np.isclose(priors, 1 / len(model.classes_)).all()
    place = nodes.add("ArgMax", plain if alike else scores, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(nodes.add("Softmax", scores, axis=1), 1)


def _scores(nodes: Nodes, model: Any, centres: Any) -> str:
    """[N, C]: minus the squared distance, plus twice the log of the prior."""
    deviation = np.asarray(model.within_class_std_dev_, dtype=np.float64)
    scale = np.where(deviation != 0, deviation, 1.0)
    rows = nodes.add("Div", nodes.rows, nodes.constant(scale[None, :]))
    distance = _distances(nodes, rows, centres / scale, "euclidean")
    with np.errstate(divide="ignore"):
        prior = 2.0 * np.log(np.asarray(model.class_prior_, dtype=np.float64))
    return nodes.add("Add", nodes.add("Neg", distance), nodes.constant(prior[None, :]))


def _distances(nodes: Nodes, rows: str, centres: Any, metric: str) -> str:
    """[N, C]: the sums over the features of squared or absolute differences."""
    deep = nodes.add("Unsqueeze", rows, nodes.constant(np.array([1])))
    apart = nodes.add("Sub", deep, nodes.constant(centres[None, :, :]))
    size = nodes.add("Mul", apart, apart) if metric == "euclidean" else nodes.add("Abs", apart)
    return nodes.add("ReduceSum", size, nodes.constant(np.array([2])), keepdims=0)
