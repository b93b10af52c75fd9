"""The graph that must surround the trees, as patterns made from the native model.

These are written from the definitions in `ensemble.py`, apart from the writer: a graph that computes something else
does not fit, whoever made it.
"""

from __future__ import annotations

import numpy as np

from validator.trees.ensemble import LabelRule, Task, Transform, TransformKind, TreeEnsemble
from validator.trees.onnx_reading.patterns import Constant, Operator, Pattern, Tensor, exactly, op

FLOAT32, INT64, BOOL, FLOAT64 = 1, 7, 9, 11

RAW, ANSWER, SCORES = Tensor("raw"), Tensor("answer"), Tensor("scores")


def outputs(native: TreeEnsemble) -> dict[str, Pattern]:
    """The outputs by name, in their order, made of RAW and ANSWER."""
    if native.task is not Task.CLASSIFICATION:
        name = "prediction" if native.task is Task.REGRESSION else "score"
        return {name: ANSWER if native.n_targets > 1 else op("Reshape", ANSWER, exactly(-1))}
    if native.n_targets == 1:
        above = op("Greater", RAW, Constant("cut"))
        chosen = op("Where", above, Constant("label 1"), Constant("label 0"))
        first = op("Sub", exactly(1), ANSWER)
        return {
            "label": op("Reshape", chosen, exactly(-1)),
            "probabilities": op("Concat", first, ANSWER, axis=1),
        }
    source: Pattern = RAW if native.label_rule is LabelRule.ARGMAX_RAW else ANSWER
    if native.linear is not None:
        # Infinite inputs can make a score NaN, and the native argmax takes the first NaN for the largest.
        source = op("Where", op("IsNaN", source), exactly(np.inf), source)
    label = op("ArgMax", source, axis=1, keepdims=0)
    if native.class_labels != tuple(range(len(native.class_labels))):
        label = op("Gather", Constant("labels"), label, axis=0)
    return {"label": label, "probabilities": ANSWER}


def answer(transform: Transform) -> Pattern:
    """ANSWER made of RAW; its constants are "factor" and "offset"."""
    one = exactly(1)
    factor = Constant("factor")
    match transform.kind:
        case TransformKind.IDENTITY:
            return RAW
        case TransformKind.SIGMOID:
            scaled: Pattern = RAW if transform.factor == 1 else op("Mul", RAW, factor)
            return op("Div", one, op("Add", op("Exp", op("Neg", scaled)), one))
        case TransformKind.SOFTMAX:
            return op("Softmax", RAW, axis=1)
        case TransformKind.NORMALISED:
            total = op("ReduceSum", RAW, exactly(1), keepdims=1)
            return op("Div", RAW, op("Where", op("Equal", total, exactly(0)), one, total))
        case TransformKind.EXP:
            return op("Exp", RAW)
        case TransformKind.SIGNED_SQUARE:
            return op("Mul", op("Abs", RAW), RAW)
        case TransformKind.LOG1P_EXP:
            return _log1p_exp()
        case TransformKind.STEP:
            number = FLOAT32 if transform.dtype == "float32" else FLOAT64
            return op("Cast", op("Greater", RAW, exactly(0)), to=number)
        case TransformKind.ISOLATION:
            power = op("Pow", exactly(2), op("Div", op("Neg", RAW), factor))
            return op("Sub", op("Neg", power), Constant("offset"))


def raw(native: TreeEnsemble, core: Pattern) -> Pattern:
    """RAW made of the sums over the trees; its constants are "divisor" and "base"."""
    result = core
    if native.divisor != 1:
        result = op("Div", result, Constant("divisor"))
    if not native.base_first and native.base_score.any():
        result = op("Add", result, Constant("base"))
    if native.transform.dtype != native.accumulation_dtype:
        result = op("Cast", result, to=FLOAT32 if native.transform.dtype == "float32" else FLOAT64)
    return result


def sums(native: TreeEnsemble) -> Pattern:
    """The sums over the trees, made of SCORES, what the tree operator gives."""
    number: Operator = op("Cast", SCORES, to=INT64)
    if native.linear is not None:
        return _linear_sums(native, number)
    if native.leaf_value.shape[1] == 1:
        return SCORES
    if native.base_first and native.base_score.any():
        number = op("Pad", number, exactly(0, 1, 0, 0), Constant("start"))
    gathered = op("Gather", Constant("values"), number, axis=0)
    return op("ReduceSum", gathered, exactly(1), keepdims=0)


def _log1p_exp() -> Pattern:
    one, e = exactly(1), op("Exp", RAW)
    u = op("Add", e, one)
    ratio = op("Where", op("Equal", u, e), one, op("Div", e, op("Sub", u, one)))
    return op("Where", op("Equal", u, one), e, op("Mul", op("Log", u), ratio))


def _linear_sums(native: TreeEnsemble, number: Operator) -> Pattern:
    assert native.linear is not None  # noqa: S101 (the caller asked)
    terms: Pattern = op("Gather", Constant("const"), number, axis=0)
    width = int(np.diff(native.linear.indptr).max(initial=0))
    if width:
        terms = _linear_terms(native.n_trees, width, number, terms)
    k = native.n_targets
    deep = op("Reshape", terms, exactly(0, native.n_trees // k, k))
    return op("ReduceSum", deep, exactly(1), keepdims=0)


def _linear_terms(n_trees: int, width: int, number: Operator, const: Pattern) -> Pattern:
    features = Tensor("features")
    near = op("LessOrEqual", op("Abs", features), Constant("zone"))
    clean = op("Pad", op("Where", near, exactly(0), features), exactly(0, 0, 0, 1))
    chosen = op("Gather", Constant("feature"), number, axis=0)
    flat = op("GatherElements", clean, op("Reshape", chosen, exactly(0, n_trees * width)), axis=1)
    x = op("Reshape", flat, exactly(0, n_trees, width))
    products = op("Mul", op("Gather", Constant("coef"), number, axis=0), x)
    first = op("Unsqueeze", const, exactly(1))
    every = op("Concat", first, op("Transpose", products, perm=(0, 2, 1)), axis=1)
    total = op("ReduceSum", every, exactly(1), keepdims=0)
    nan = op("ReduceMax", op("Cast", op("IsNaN", x), to=FLOAT32), exactly(2), keepdims=0)
    own = op("Gather", Constant("own"), number, axis=0)
    return op("Where", op("Cast", nan, to=BOOL), own, total)
