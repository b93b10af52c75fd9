"""Filling in missing text: an ONNX tensor of text has no other missing value than the empty one."""

from __future__ import annotations

from typing import Any

import numpy as np

from validator.pipelines.step_nodes import Nodes


def fills_text(operator: Any) -> bool:
    """Whether this imputer puts words in the place of NaN, None or pandas' NA, in text columns alone."""
    from skl2onnx.common.data_types import StringTensorType

    step = operator.raw_operator
    return (
        all(isinstance(given.type, StringTensorType) for given in operator.inputs)
        and all(isinstance(word, str) for word in step.statistics_)
        and not isinstance(step.missing_values, str)
        and not step.add_indicator
    )


def impute_text(scope: Any, operator: Any, container: Any) -> None:
    """The columns' words side by side, those that are empty replaced by their column's."""
    nodes = Nodes(scope, operator, container)
    texts = [given.full_name for given in operator.inputs]
    whole = texts[0] if len(texts) == 1 else nodes.add("Concat", *texts, axis=1)
    empty = nodes.add("Equal", whole, nodes.constant(np.array([""], dtype=object)))
    words = nodes.constant(np.array([list(operator.raw_operator.statistics_)], dtype=object))
    nodes.finish(nodes.add("Where", empty, words, whole))
