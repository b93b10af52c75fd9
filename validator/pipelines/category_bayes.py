"""CategoricalNB in double, for skl2onnx, which knows it in float32 alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.step_nodes import CLASSIFIER_OPTIONS, Nodes, classifier_shapes

_INT64 = 7


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.naive_bayes import CategoricalNB

    update(
        CategoricalNB,
        "ExactCategoricalNB",
        classifier_shapes,
        _convert,
        overwrite=True,
        options=dict(CLASSIFIER_OPTIONS),
    )


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Each class's logarithm and those of the categories, added up; the probabilities are their softmax."""
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    whole = nodes.add("Cast", nodes.rows, to=_INT64)
    total = ""
    for feature, table in enumerate(model.feature_log_prob_):
        column = nodes.add("Gather", whole, nodes.constant(np.array(feature)), axis=1)
        part = nodes.add("Gather", nodes.constant(np.ascontiguousarray(table.T, dtype=np.float64)), column)
        total = nodes.add("Add", total, part) if total else part
    prior = np.asarray(model.class_log_prior_, dtype=np.float64)[None, :]
    likelihood = nodes.add("Add", total, nodes.constant(prior))
    place = nodes.add("ArgMax", likelihood, axis=1, keepdims=0)
    nodes.finish(nodes.add("Gather", nodes.classes(model.classes_), place))
    nodes.finish(nodes.add("Softmax", likelihood, axis=1), 1)
