"""Counts of words and their weights, in double, for skl2onnx.

Its own converters compute them in float32 as soon as a column is text, and a whole pipeline with them; of sublinear
counts they take another logarithm than scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from validator.pipelines.step_nodes import DOUBLE, Nodes, number_type


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer

    count = sklearn_operator_name_map[CountVectorizer]
    options = {"tokenexp": None, "separators": None, "nan": [True, False], "keep_empty_string": [True, False],
               "locale": None}  # fmt: skip

    def counted(scope: Any, operator: Any, container: Any) -> None:
        nodes = Nodes(scope, operator, container)
        nodes.finish(_counts(nodes, count))

    def weighed(scope: Any, operator: Any, container: Any) -> None:
        nodes = Nodes(scope, operator, container)
        nodes.finish(_weights(nodes, _counts(nodes, count), operator.raw_operator))

    update(CountVectorizer, "ExactCountVectorizer", _shapes, counted, overwrite=True, options=options)
    update(TfidfVectorizer, "ExactTfidfVectorizer", _shapes, weighed, overwrite=True, options=options)
    update(TfidfTransformer, "ExactTfidfTransformer", _same_width, _weigh_counts, overwrite=True,
           options={"nan": [True, False]})  # fmt: skip


def _shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, len(operator.raw_operator.vocabulary_)])


def _same_width(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, operator.inputs[0].type.shape[1]])


def _weigh_counts(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, operator, container)
    nodes.finish(_weights(nodes, nodes.rows, operator.raw_operator))


def _counts(nodes: Nodes, alias: str) -> str:
    """How often each word occurs [N, W]: whole numbers, which the operator's float32 holds."""
    from skl2onnx.common.data_types import FloatTensorType

    operator = nodes.operator
    inner = nodes.scope.declare_local_operator(alias, operator.raw_operator)
    inner.inputs.extend(operator.inputs)
    found = nodes.scope.declare_local_variable("counts", FloatTensorType([None, None]))
    inner.outputs.append(found)
    return nodes.add("Cast", found.full_name, to=DOUBLE)


def _weights(nodes: Nodes, counts: str, step: Any) -> str:
    """scikit-learn's `TfidfTransformer`, of counts in double."""
    nothing, one = nodes.number(0.0), nodes.number(1.0)
    values = counts
    if step.sublinear_tf:
        some = nodes.add("Greater", values, nothing)
        logarithm = nodes.add("Log", nodes.add("Where", some, values, one))
        values = nodes.add("Where", some, nodes.add("Add", logarithm, one), nothing)
    if step.use_idf:
        values = nodes.add("Mul", values, nodes.constant(np.asarray(step.idf_, dtype=np.float64)[None, :]))
    if step.norm is None:
        return values
    columns = nodes.constant(np.array([1]))
    if step.norm == "l1":
        size = nodes.add("ReduceSum", nodes.add("Abs", values), columns, keepdims=1)
    else:
        size = nodes.add(
            "Sqrt", nodes.add("ReduceSum", nodes.add("Mul", values, values), columns, keepdims=1)
        )
    return nodes.add("Div", values, nodes.add("Where", nodes.add("Equal", size, nothing), one, size))
