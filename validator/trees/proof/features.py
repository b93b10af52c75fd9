"""Which feature of the model each input column of an ONNX file is, and which values it brings."""

from __future__ import annotations

import numpy as np

from validator.trees.ensemble import TreeEnsemble
from validator.trees.onnx_reading.columns import Column, Expression
from validator.trees.onnx_reading.graph import Graph, GraphInput, NotUnderstoodError
from validator.trees.onnx_reading.model import OnnxTreeModel
from validator.trees.proof.canonical import Domain, Flags, Refs


def feature_of_source(native: TreeEnsemble, graph: Graph) -> Refs:
    """int32 [columns of all inputs]: the model's features. Raises NotUnderstoodError where they do not fit."""
    width = sum(given.width for given in graph.inputs)
    if width != native.n_features:
        raise NotUnderstoodError(f"inputs of {width} columns for a model of {native.n_features} features")
    if len(graph.inputs) == 1 or not native.feature_names:
        return np.arange(width, dtype=np.int32)
    place = {name: index for index, name in enumerate(native.feature_names)}
    unknown = [given.name for given in graph.inputs if given.width != 1 or given.name not in place]
    if unknown:
        raise NotUnderstoodError(f"the input {unknown[0]!r} is no feature of the model")
    return np.array([place[given.name] for given in graph.inputs], dtype=np.int32)


def missing_in(native: TreeEnsemble, missing: Flags | None) -> Flags:
    """bool [F]: where NaN can come in, of a model that is asked for NaN in the features `missing` alone (None: all).

    A category that is not known becomes NaN on its way in, so that every feature of named categories may hold it.
    """
    found = np.ones(native.n_features, dtype=bool) if missing is None else missing.copy()
    found[list(native.feature_categories)] = True
    return found & native.admits_missing


def domain_of(
    native: TreeEnsemble, model: OnnxTreeModel, feature_of: Refs, missing: Flags | None = None
) -> Domain:
    """The values that can come in. Raises NotUnderstoodError for inputs of other types, or wrong category codes."""
    float32 = np.zeros(native.n_features, dtype=bool)
    source = 0
    for given in model.graph.inputs:
        for _ in range(given.width):
            feature = int(feature_of[source])
            float32[feature] = _is_float32(given, feature in native.feature_categories)
            source += 1
    for place in np.unique(model.trees.column):
        if place < len(model.columns):
            _check_code(native, model.columns[place], int(feature_of[model.columns[place].source]))
    return Domain(
        float32=float32,
        missing=missing_in(native, missing),
        infinity=native.admits_infinity,
        rounded=native.comparison_dtype == "float32",
    )


def _is_float32(given: GraphInput, coded: bool) -> bool:
    if coded:
        # Codes are small whole numbers: float32 holds each of them.
        return True
    if given.dtype not in ("float32", "float64"):
        raise NotUnderstoodError(f"the input {given.name!r} is {given.dtype}")
    return given.dtype == "float32"


def _check_code(native: TreeEnsemble, column: Column, feature: int) -> None:
    keys = _keys(column.expression)
    expected = native.feature_categories.get(feature)
    if keys is None and expected is None:
        return
    if keys is None or expected is None or keys != tuple(expected):
        raise NotUnderstoodError(f"the categories of feature {feature} are not coded as the model's are")


def _keys(expression: Expression) -> tuple[object, ...] | None:
    """The keys of the code that a column is made of; None where it is made of x itself."""
    while expression[0] != "x":
        if expression[0] == "Code":
            return tuple(expression[1])
        inner = [part for part in expression[1:] if isinstance(part, tuple) and part[0] != "Constant"]
        expression = inner[-1]
    return None
