"""Functions of one column in double, for skl2onnx: lines between points, splines, quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.step_nodes import Nodes, number_type
from validator.python39 import pairs

Floats = npt.NDArray[np.float64]
_BOUND = 1e-7
"""how close to an end scikit-learn's QuantileTransformer counts as beyond it, for a normal distribution"""


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of these converters."""
    from sklearn import preprocessing

    update(
        preprocessing.QuantileTransformer, "ExactQuantileTransformer", _same_width, _quantiles, overwrite=True
    )
    spline = getattr(preprocessing, "SplineTransformer", None)  # since scikit-learn 1.0
    if spline is not None:
        update(spline, "ExactSplineTransformer", _spline_shapes, _splines, overwrite=True)


def interval(nodes: Nodes, column: str, starts: Floats) -> str:
    """[N, 1]: the last of the ascending starts that x is not below; 0 where it is below all, or NaN."""
    above = nodes.add("Cast", nodes.add("GreaterOrEqual", column, nodes.constant(starts[None, 1:])), to=6)
    found = nodes.add("ReduceSum", above, nodes.constant(np.array([1])), keepdims=1)
    return nodes.add("Cast", found, to=7)


def interpolated(nodes: Nodes, column: str, x: Floats, y: Floats) -> str:
    """[N, 1]: numpy.interp of a column, by its own formula; NaN for NaN."""
    if len(x) == 1:
        return nodes.add("Add", nodes.add("Sub", column, column), nodes.number(float(y[0])))
    ends = nodes.number(float(x[0])), nodes.number(float(x[-1]))
    inside = nodes.add("Min", nodes.add("Max", column, ends[0]), ends[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.append(np.diff(y) / np.diff(x), 0.0)
    # Between equal points there is nothing to be between.
    slopes[~np.isfinite(slopes)] = 0.0
    place = interval(nodes, inside, x)
    start, level, slope = (nodes.add("Gather", nodes.constant(table), place) for table in (x, y, slopes))
    between = nodes.add("Add", nodes.add("Mul", slope, nodes.add("Sub", inside, start)), level)
    # At a first point that is repeated the last of its levels counts, below it the first.
    return nodes.add("Where", nodes.add("Less", column, ends[0]), nodes.number(float(y[0])), between)


def _same_width(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, int(operator.raw_operator.quantiles_.shape[1])])


def _quantiles(scope: Any, operator: Any, container: Any) -> None:
    """The mean of the two ways to read repeated quantiles, brought into the wanted distribution."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    normal = step.output_distribution == "normal"
    levels = np.asarray(step.references_, dtype=np.float64)
    columns = []
    for place in range(step.quantiles_.shape[1]):
        known = np.asarray(step.quantiles_[:, place], dtype=np.float64)
        if np.isnan(known).any():
            raise ConversionError(
                "QuantileTransformer cannot be converted: one of its columns had no values in training",
                hint="leave that column out",
            )
        x = nodes.add("Gather", nodes.rows, nodes.constant(np.array([place])), axis=1)
        first = interpolated(nodes, x, known, levels)
        last = interpolated(nodes, nodes.add("Neg", x), -known[::-1], -levels[::-1])
        y = nodes.add("Mul", nodes.number(0.5), nodes.add("Sub", first, last))
        for end, level, beyond in ((known[-1], 1.0, "Greater"), (known[0], 0.0, "Less")):
            if normal:
                moved = nodes.add("Add" if level else "Sub", x, nodes.number(_BOUND))
                reached = nodes.add(beyond, moved, nodes.number(float(end)))
            else:
                reached = nodes.add("Equal", x, nodes.number(float(end)))
            y = nodes.add("Where", reached, nodes.number(level), y)
        columns.append(_normal(nodes, y) if normal else y)
    nodes.finish(nodes.add("Concat", *columns, axis=1))


#: Cephes' approximation of the normal distribution's inverse, as scipy.special.ndtri has it: numerators and
#: denominators, the highest power first, around the middle and in the tails.
_MIDDLE = (
    [-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1,
     -1.23916583867381258016e0],
    [1.0, 1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1, -2.25462687854119370527e2,
     2.00260212380060660359e2, -8.20372256168333339912e1, 1.59056225126211695515e1, -1.18331621121330003142e0],
)  # fmt: skip
_TAIL = (
    [4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.40805073893200834700e1,
     1.46849561928858024014e1, 2.18663306850790267539e0, -1.40256079171354495875e-1, -3.50424626827848203418e-2,
     -8.57456785154685413611e-4],
    [1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1,
     2.50464946208309415979e0, -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4],
)  # fmt: skip


def _normal(nodes: Nodes, level: str) -> str:
    """The value below which a standard normal lies so often, cut off where scikit-learn cuts it."""
    from scipy.special import ndtri

    low = _BOUND - float(np.spacing(1.0))
    ends = nodes.number(low), nodes.number(1.0 - low)
    p = nodes.add("Min", nodes.add("Max", level, ends[0]), ends[1])
    one, root = nodes.number(1.0), nodes.number(2.50662827463100050242)
    middle = nodes.add("Sub", p, nodes.number(0.5))
    square = nodes.add("Mul", middle, middle)
    ratio = nodes.add("Mul", square, _ratio(nodes, square, _MIDDLE))
    inner = nodes.add("Mul", nodes.add("Add", middle, nodes.add("Mul", middle, ratio)), root)
    rest = nodes.add("Sub", one, p)
    upper = nodes.add("Less", rest, p)
    tail = nodes.add("Where", upper, rest, p)
    size = nodes.add("Sqrt", nodes.add("Mul", nodes.number(-2.0), nodes.add("Log", tail)))
    first = nodes.add("Sub", size, nodes.add("Div", nodes.add("Log", size), size))
    small = nodes.add("Div", one, size)
    outer = nodes.add("Sub", first, nodes.add("Mul", small, _ratio(nodes, small, _TAIL)))
    outer = nodes.add("Where", upper, outer, nodes.add("Neg", outer))
    found = nodes.add("Where", nodes.add("Greater", tail, nodes.number(0.13533528323661269189)), inner, outer)
    limits = nodes.number(float(ndtri(low))), nodes.number(float(ndtri(1.0 - low)))
    return nodes.add("Min", nodes.add("Max", found, limits[0]), limits[1])


def _ratio(nodes: Nodes, x: str, parts: tuple[list[float], list[float]]) -> str:
    top, bottom = (_polynomial(nodes, x, [nodes.number(value) for value in part]) for part in parts)
    return nodes.add("Div", top, bottom)


def _polynomial(nodes: Nodes, x: str, coefficients: list[str]) -> str:
    """Horner's scheme, the highest power first."""
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = nodes.add("Add", nodes.add("Mul", value, x), coefficient)
    return value


def _spline_shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, int(operator.raw_operator.n_features_out_)])


def _splines(scope: Any, operator: Any, container: Any) -> None:
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    if step.extrapolation == "error":
        raise ConversionError(
            "SplineTransformer cannot be converted: it raises an error for what lies beyond its knots",
            hint="train it with extrapolation='constant' or 'linear'",
        )
    columns = []
    # scikit-learn raises the degree of straight lines while it goes through the features, and keeps it.
    degree = int(step.degree)
    for place, spline in enumerate(step.bsplines_):
        x = nodes.add("Gather", nodes.rows, nodes.constant(np.array([place])), axis=1)
        ends = float(spline.t[degree]), float(spline.t[-degree - 1])
        if step.extrapolation == "linear" and degree <= 1:
            degree += 1
        values = _beyond(nodes, x, _basis(nodes, x, spline, step.extrapolation), step, spline, ends, degree)
        if getattr(step, "handle_missing", "error") == "zeros":
            values = nodes.add("Where", nodes.add("IsNaN", x), nodes.number(0.0), values)
        if not step.include_bias:
            width = spline.c.shape[1] - 1
            values = nodes.add("Gather", values, nodes.constant(np.arange(width)), axis=1)
        columns.append(values)
    nodes.finish(nodes.add("Concat", *columns, axis=1))


def _basis(nodes: Nodes, x: str, spline: Any, extrapolation: str) -> str:
    """[N, S]: every spline of a feature, as the polynomial of the interval between knots that x lies in."""
    knots, degree = np.asarray(spline.t, dtype=np.float64), int(spline.k)
    count = len(knots) - degree - 1
    if extrapolation == "periodic":
        x = _wrapped(nodes, x, knots[degree], knots[count])
    starts = knots[degree:count]
    # The first and the last interval go on beyond the knots; powers are of the distance from an interval's start.
    place = interval(nodes, x, starts)
    distance = nodes.add("Sub", x, nodes.add("Gather", nodes.constant(starts), place))
    flat = nodes.add("Reshape", place, nodes.constant(np.array([-1])))
    powers = [spline(starts, nu=power) / math.factorial(power) for power in range(degree, -1, -1)]
    return _polynomial(
        nodes, distance, [nodes.add("Gather", nodes.constant(table), flat, axis=0) for table in powers]
    )


def _wrapped(nodes: Nodes, x: str, start: float, end: float) -> str:
    if end <= start:
        return nodes.add("Mul", x, nodes.number(0.0))
    period, begin = nodes.number(float(end - start)), nodes.number(float(start))
    moved = nodes.add("Sub", x, begin)
    whole = nodes.add("Floor", nodes.add("Div", moved, period))
    return nodes.add("Add", begin, nodes.add("Sub", moved, nodes.add("Mul", whole, period)))


def _beyond(
    nodes: Nodes, x: str, values: str, step: Any, spline: Any, ends: tuple[float, float], degree: int
) -> str:
    """The values with those beyond the ends replaced: constant, or along the line that leaves the end."""
    if step.extrapolation not in ("constant", "linear"):
        return values
    for end, below in pairs(ends, (True, False)):
        level, slope = spline(end), spline(end, nu=1)
        kept = np.arange(len(level)) < degree
        kept = kept if below else kept[::-1]
        line = nodes.constant(np.where(kept, level, 0.0)[None, :])
        if step.extrapolation == "linear":
            away = nodes.add("Sub", x, nodes.number(end))
            rise = nodes.constant(np.where(kept, slope, 0.0)[None, :])
            line = nodes.add("Add", line, nodes.add("Mul", away, rise))
        outside = nodes.add("Less" if below else "Greater", x, nodes.number(end))
        values = nodes.add("Where", outside, line, values)
    return values
