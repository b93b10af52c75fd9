"""SelfTrainingClassifier for skl2onnx, which does not know it: it answers what its inner classifier answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validator.pipelines.inner_models import labels_and_numbers
from validator.pipelines.step_nodes import (
    CLASSIFIER_OPTIONS,
    Nodes,
    classifier_outputs,
    classifier_shapes,
)


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of this converter."""
    from sklearn.semi_supervised import SelfTrainingClassifier

    update(
        SelfTrainingClassifier, "ExactSelfTrainingClassifier", classifier_shapes, _convert, overwrite=True,
        parser=classifier_outputs, options=dict(CLASSIFIER_OPTIONS),
    )  # fmt: skip


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, operator, container)
    # Until scikit-learn 1.6 the fitted one had the other name.
    inner = model.estimator_ if hasattr(model, "estimator_") else model.base_estimator_
    label, numbers = labels_and_numbers(nodes, container, inner, operator.inputs, {})
    nodes.finish(label)
    nodes.finish(numbers, 1)
