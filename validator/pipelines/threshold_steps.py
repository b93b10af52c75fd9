"""Steps that cut numbers at thresholds, in double, for skl2onnx, whose own operators round to float first.

A number on the edge then falls into the bin that scikit-learn puts it in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.step_nodes import DOUBLE, Nodes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn.preprocessing import Binarizer, KBinsDiscretizer

    update(Binarizer, "ExactBinarizer", _shapes, _binarize, overwrite=True)
    update(KBinsDiscretizer, "ExactKBinsDiscretizer", _shapes, _discretize, overwrite=True)


def _shapes(operator: Any) -> None:
    step = operator.raw_operator
    width = len(step.n_bins_) if hasattr(step, "n_bins_") else int(step.n_features_in_)
    if getattr(step, "encode", "ordinal") != "ordinal":
        width = int(sum(step.n_bins_))
    operator.outputs[0].type = number_type(operator)([None, width])


def _binarize(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, operator, container)
    threshold = nodes.constant(np.array([operator.raw_operator.threshold], dtype=np.float64))
    nodes.finish(nodes.add("Cast", nodes.add("Greater", nodes.rows, threshold), to=DOUBLE))


def _discretize(scope: Any, operator: Any, container: Any) -> None:
    """Bin j of a column holds what is at or above j of its inner edges."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    columns = []
    for place, edges in enumerate(step.bin_edges_):
        column = nodes.add("Gather", nodes.rows, nodes.constant(np.array([place])), axis=1)
        inner = nodes.constant(np.asarray(edges[1:-1], dtype=np.float64)[None, :])
        above = nodes.add("Cast", nodes.add("GreaterOrEqual", column, inner), to=DOUBLE)
        found = nodes.add("ReduceSum", above, nodes.constant(np.array([1])), keepdims=1)
        if step.encode == "ordinal":
            columns.append(found)
            continue
        bins = nodes.constant(np.arange(step.n_bins_[place], dtype=np.float64)[None, :])
        columns.append(nodes.add("Cast", nodes.add("Equal", found, bins), to=DOUBLE))
    nodes.finish(nodes.add("Concat", *columns, axis=1))
