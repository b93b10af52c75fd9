"""Functions of numpy's that work on each number alone, as ONNX operators in double; FunctionTransformers of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validator.pipelines.step_nodes import Nodes, number_type

Step = Callable[[Nodes, str], str]


def nodes_of(function: Any) -> Step | None:
    """What adds the function's operators; None for functions that are not known. Never calls it."""
    import numpy as np

    name = getattr(function, "__name__", None)
    if not isinstance(function, np.ufunc) or name not in _FUNCTIONS:
        return None
    return _FUNCTIONS[name] if function is getattr(np, name) else None


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx how to convert a FunctionTransformer of such a function; of none at all it knows itself."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from sklearn.preprocessing import FunctionTransformer

    alias = sklearn_operator_name_map[FunctionTransformer]
    stock, shapes = get_converter(alias), get_shape_calculator(alias)

    def calculate(operator: Any) -> None:
        if operator.raw_operator.func is None:
            shapes(operator)
            return
        width = sum(int(given.type.shape[1]) for given in operator.inputs)
        operator.outputs[0].type = number_type(operator)([None, width])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        step = nodes_of(operator.raw_operator.func)
        if step is None:
            stock(scope, operator, container)
            return
        nodes = Nodes(scope, operator, container)
        nodes.finish(step(nodes, nodes.rows))

    update(FunctionTransformer, "ExactFunctionTransformer", calculate, convert, overwrite=True)


def _elementwise(op: str) -> Step:
    return lambda nodes, value: nodes.add(op, value)


def expm1(nodes: Nodes, value: str) -> str:
    """exp(x) - 1, accurate for small x too: (u - 1) * x / log(u) with u = exp(x) as rounded.

    W. Kahan's form (see N. Higham, Accuracy and Stability of Numerical Algorithms, section 1.14.1).
    """
    one = nodes.number(1.0)
    u = nodes.add("Exp", value)
    less = nodes.add("Sub", u, one)
    ratio = nodes.add("Div", nodes.add("Mul", less, value), nodes.add("Log", u))
    usual = nodes.add("Where", nodes.add("Equal", u, one), value, ratio)
    # Beyond these, exp(x) and exp(x) - 1 are the same or -1.
    far = nodes.add("Greater", nodes.add("Abs", value), nodes.number(37.5))
    return nodes.add("Where", far, less, usual)


def log1p(nodes: Nodes, value: str) -> str:
    """log(1 + x), accurate for small x too: log(u) * x / (u - 1) with u = 1 + x as rounded (W. Kahan)."""
    one = nodes.number(1.0)
    u = nodes.add("Add", value, one)
    log = nodes.add("Log", u)
    ratio = nodes.add("Div", nodes.add("Mul", log, value), nodes.add("Sub", u, one))
    usual = nodes.add("Where", nodes.add("Equal", u, one), value, ratio)
    return nodes.add("Where", nodes.add("IsInf", u), log, usual)


def _power_of(base: float) -> Step:
    return lambda nodes, value: nodes.add("Pow", nodes.number(base), value)


_FUNCTIONS: dict[str, Step] = {
    "exp": _elementwise("Exp"),
    "exp2": _power_of(2.0),
    "expm1": expm1,
    "log": _elementwise("Log"),
    "log1p": log1p,
    "sqrt": _elementwise("Sqrt"),
    "square": lambda nodes, value: nodes.add("Mul", value, value),
    "negative": _elementwise("Neg"),
    "reciprocal": _elementwise("Reciprocal"),
}

KNOWN = ", ".join(_FUNCTIONS)
"""their names, for messages"""
