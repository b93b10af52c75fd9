"""TreeEnsemble -> ONNX: the whole graph, and its bytes.

Inputs: `features` [N, F], or one input [N, 1] per feature where some hold named categories. Outputs: `label` [N] and
`probabilities` [N, C]; `prediction` [N] or [N, K]; or `score` [N].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from validator.errors import ConversionError
from validator.trees.answer_nodes import add_outputs
from validator.trees.ensemble import TreeEnsemble
from validator.trees.graph import GraphBuilder
from validator.trees.leaf_nodes import add_raw_scores
from validator.trees.onnx_wire import ML_DOMAIN, MOST_BYTES, Attribute, Graph, serialise
from validator.trees.tree_node import columns, foreseen_bytes, tree_dtype, without_empty_sets

INPUT_DTYPES = ("float32", "float64")


def write(ensemble: TreeEnsemble, *, input_dtype: str, metadata: Mapping[str, str] | None = None) -> bytes:
    """The ONNX file of a valid ensemble; always the same bytes for the same arguments.

    `input_dtype` ("float32" or "float64") is the type of the numeric inputs: the answer is exact for every input of
    that type. `metadata` goes into the file's metadata_props. Raises ConversionError for what ONNX cannot express.
    """
    from validator import __version__

    return serialise(
        build(ensemble, input_dtype=input_dtype), producer_version=__version__, metadata=metadata or {}
    )


def build(ensemble: TreeEnsemble, *, input_dtype: str) -> Graph:
    """The graph that `write` serialises. Raises ConversionError."""
    if input_dtype not in INPUT_DTYPES:
        raise ConversionError(
            f"the input type {input_dtype!r} is not possible", hint=f"choose one of {', '.join(INPUT_DTYPES)}"
        )
    if (size := foreseen_bytes(ensemble)) > MOST_BYTES:
        raise ConversionError(
            f"the ONNX file of {ensemble.n_nodes:,} splits and {ensemble.n_leaves:,} leaves of "
            f"{ensemble.leaf_value.shape[1]:,} numbers would take {size / 2**30:.1f} GiB, and ONNX ends at 2 GiB",
            hint="train fewer or smaller trees (max_depth, min_samples_leaf), or split the classes among models",
        )
    ensemble = without_empty_sets(ensemble)
    graph = GraphBuilder()
    features, given = _inputs(graph, ensemble, input_dtype)
    for dtype in (ensemble.comparison_dtype, tree_dtype(ensemble)):
        # To float64 from float32 changes no value; to float32 rounds as the native library does on entry.
        if dtype != given:
            features, given = graph.cast(features, dtype), dtype
    if ensemble.missing_value is not None:
        missing = graph.add("Equal", features, graph.constant(ensemble.missing_value, given))
        features = graph.add("Where", missing, graph.constant(np.nan, given), features)
    raw = add_raw_scores(graph, features, columns(graph, features, ensemble), ensemble)
    if ensemble.divisor != 1:
        raw = graph.add("Div", raw, graph.constant(ensemble.divisor, ensemble.accumulation_dtype))
    if not ensemble.base_first and ensemble.base_score.any():
        raw = graph.add("Add", raw, graph.constant(ensemble.base_score, ensemble.accumulation_dtype))
    return graph.finish(add_outputs(graph, raw, ensemble))


def _inputs(graph: GraphBuilder, ensemble: TreeEnsemble, input_dtype: str) -> tuple[str, str]:
    """The features [N, F] and their dtype."""
    categories = ensemble.feature_categories
    if not categories:
        return graph.input("features", input_dtype, ensemble.n_features), input_dtype
    if not ensemble.feature_names:
        raise ConversionError(
            "the model has named categories but no names for its columns",
            hint="train it on a DataFrame with column names",
        )
    clash = {"label", "probabilities", "prediction", "score"} & set(ensemble.feature_names)
    if clash:
        raise ConversionError(
            f"a column is named {min(clash)!r}, which is the name of an output",
            hint="rename the column and train again",
        )
    parts = []
    for index, name in enumerate(ensemble.feature_names):
        if index not in categories:
            parts.append(graph.input(name, input_dtype, 1))
            continue
        code = _coded(graph, name, categories[index])
        parts.append(code if input_dtype == "float64" else graph.cast(code, input_dtype))
    return graph.add("Concat", *parts, axis=1), input_dtype


def _coded(graph: GraphBuilder, name: str, values: tuple[str | float, ...]) -> str:
    """A column's category values as codes 0, 1, ...; a value that is not listed, and a missing one, as NaN."""
    kind = "string" if all(isinstance(value, str) for value in values) and values else "float64"
    keys = np.array(values, dtype=object if kind == "string" else np.float64)
    attributes: dict[str, Attribute] = {
        "keys_tensor": keys,
        "values_tensor": np.arange(len(values), dtype=np.float64),
        "default_tensor": np.array([np.nan]),
    }
    return graph.add_node("LabelEncoder", (graph.input(name, kind, 1),), attributes, ML_DOMAIN)
