"""The part of the graph that makes outputs of raw scores."""

from __future__ import annotations

import math

import numpy as np

from validator.trees.ensemble import LabelRule, Task, Transform, TransformKind, TreeEnsemble
from validator.trees.graph import GraphBuilder
from validator.trees.onnx_wire import Value


def add_outputs(graph: GraphBuilder, raw: str, ensemble: TreeEnsemble) -> list[tuple[str, Value]]:
    """Add the transform and the label to raw scores [N, K] of the accumulation dtype; the outputs by inner name."""
    dtype = ensemble.transform.dtype
    if dtype != ensemble.accumulation_dtype:
        raw = graph.cast(raw, dtype)
    answer = _transformed(graph, raw, ensemble.transform)
    if ensemble.task is Task.CLASSIFICATION:
        return _classified(graph, raw, answer, ensemble)
    name = "prediction" if ensemble.task is Task.REGRESSION else "score"
    if ensemble.n_targets > 1:
        return [(answer, Value(name=name, dtype=dtype, shape=("N", ensemble.n_targets)))]
    return [(_flat(graph, answer), Value(name=name, dtype=dtype, shape=("N",)))]


def binary_cut(transform: Transform, rule: LabelRule) -> float:
    """The largest raw score, as a number of the transform's dtype, at which a one-score classifier answers class 0.

    The label depends on the rounding of the native library's probability, which is monotone in the raw score; so the
    place where it changes is found by bisection over all floating-point numbers, with the C library's own `exp`.
    """
    if rule in (LabelRule.RAW_POSITIVE, LabelRule.ARGMAX_RAW):
        return 0.0
    if rule is LabelRule.RAW_NOT_NEGATIVE:
        return float(np.nextafter(np.dtype(transform.dtype).type(0), -np.inf, dtype=transform.dtype))
    high = _rank(float(np.finfo(transform.dtype).max), transform.dtype)
    low = -high
    while high - low > 1:
        middle = (low + high) // 2
        if _is_one(_unrank(middle, transform.dtype), transform, rule):
            high = middle
        else:
            low = middle
    return _unrank(low, transform.dtype)


def _is_one(score: float, transform: Transform, rule: LabelRule) -> bool:
    number = np.dtype(transform.dtype).type
    if transform.kind is TransformKind.SIGMOID:
        exponent = float(number(-transform.factor * score))
        power = number(math.inf if exponent > 709 else math.exp(exponent))
        probability = number(1) / (number(1) + power)
    elif transform.kind is TransformKind.STEP:
        probability = number(score > 0)
    else:
        probability = number(score)
    if rule is LabelRule.PROBABILITY_ABOVE_HALF:
        return bool(probability > 0.5)
    return bool(probability > number(1) - probability)


def _rank(value: float, dtype: str) -> int:
    """The position of a non-negative number among the floating-point numbers."""
    kind = np.int64 if dtype == "float64" else np.int32
    return int(np.array(value, dtype=dtype).view(kind))


def _unrank(rank: int, dtype: str) -> float:
    kind = np.int64 if dtype == "float64" else np.int32
    return math.copysign(float(np.array(abs(rank), dtype=kind).view(dtype)), rank)


def _flat(graph: GraphBuilder, value: str) -> str:
    return graph.add("Reshape", value, graph.constant([-1], "int64"))


def _transformed(graph: GraphBuilder, raw: str, transform: Transform) -> str:
    dtype = transform.dtype
    one, factor = graph.constant(1, dtype) if transform.kind in _NEED_ONE else "", transform.factor
    kind = transform.kind
    if kind == TransformKind.IDENTITY:
        return raw
    if kind == TransformKind.SIGMOID:
        scaled = raw if factor == 1 else graph.add("Mul", raw, graph.constant(factor, dtype))
        power = graph.add("Exp", graph.add("Neg", scaled))
        return graph.add("Div", one, graph.add("Add", power, one))
    if kind == TransformKind.SOFTMAX:
        return graph.add("Softmax", raw, axis=1)
    if kind == TransformKind.NORMALISED:
        total = graph.add("ReduceSum", raw, graph.constant([1], "int64"), keepdims=1)
        empty = graph.add("Equal", total, graph.constant(0, dtype))
        return graph.add("Div", raw, graph.add("Where", empty, graph.constant(1, dtype), total))
    if kind == TransformKind.EXP:
        return graph.add("Exp", raw)
    if kind == TransformKind.SIGNED_SQUARE:
        return graph.add("Mul", graph.add("Abs", raw), raw)
    if kind == TransformKind.LOG1P_EXP:
        return _log1p_exp(graph, raw, one)
    if kind == TransformKind.STEP:
        positive = graph.add("Greater", raw, graph.constant(0, dtype))
        return graph.cast(positive, dtype)
    # What is left is TransformKind.ISOLATION.
    depth = graph.add("Div", graph.add("Neg", raw), graph.constant(factor, dtype))
    power = graph.add("Pow", graph.constant(2, dtype), depth)
    return graph.add("Sub", graph.add("Neg", power), graph.constant(transform.offset, dtype))


_NEED_ONE = (TransformKind.SIGMOID, TransformKind.LOG1P_EXP)


def _log1p_exp(graph: GraphBuilder, raw: str, one: str) -> str:
    """log(1 + e) with e = exp(raw), accurate for small e too: log(u) * e / (u - 1) with u = 1 + e as rounded.

    W. Kahan's form (see N. Higham, Accuracy and Stability of Numerical Algorithms, problem 1.5).
    """
    e = graph.add("Exp", raw)
    u = graph.add("Add", e, one)
    ratio = graph.add("Div", e, graph.add("Sub", u, one))
    ratio = graph.add("Where", graph.add("Equal", u, e), one, ratio)
    large = graph.add("Mul", graph.add("Log", u), ratio)
    return graph.add("Where", graph.add("Equal", u, one), e, large)


def _classified(
    graph: GraphBuilder, raw: str, answer: str, ensemble: TreeEnsemble
) -> list[tuple[str, Value]]:
    dtype, labels = ensemble.transform.dtype, ensemble.class_labels
    kind = "string" if isinstance(labels[0], str) else "int64"
    if ensemble.n_targets == 1:
        cut = graph.constant(binary_cut(ensemble.transform, ensemble.label_rule), dtype)
        above = graph.add("Greater", raw, cut)
        chosen = graph.add("Where", above, graph.constant(labels[1], kind), graph.constant(labels[0], kind))
        label = _flat(graph, chosen)
        answer = graph.add("Concat", graph.add("Sub", graph.constant(1, dtype), answer), answer, axis=1)
    else:
        source = raw if ensemble.label_rule is LabelRule.ARGMAX_RAW else answer
        if ensemble.linear is not None:
            # Infinite features can make a score NaN, and numpy's argmax takes the first NaN for the largest.
            nan = graph.add("IsNaN", source)
            source = graph.add("Where", nan, graph.constant(np.inf, dtype), source)
        label = graph.add("ArgMax", source, axis=1, keepdims=0)
        if labels != tuple(range(len(labels))):
            label = graph.add("Gather", graph.constant(labels, kind), label, axis=0)
    return [
        (label, Value(name="label", dtype=kind, shape=("N",))),
        (answer, Value(name="probabilities", dtype=dtype, shape=("N", len(labels)))),
    ]
