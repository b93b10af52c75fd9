"""What is done to an input value before a tree looks at it, as a few known steps, and how each moves a test back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from validator.trees.onnx_reading.columns import Expression, X
from validator.trees.onnx_reading.graph import NotUnderstoodError
from validator.trees.proof.canonical import Flags, zones_before_rounding
from validator.trees.proof.keys import INFINITY, Keys, before_rounding, floats, keys

_INFINITY = np.int64(INFINITY)

Step = tuple[str, int]
"""(name, key): "round" to float32, "negate", "truncate", "floor", "whole", which makes every fraction the whole
number of the key, "hide" |x| <= key as NaN, "blank" x == key as NaN, "at least" key, "at most" key; key is 0 where
there is none"""

_GIVE_WHOLE = frozenset({"truncate", "floor", "whole"})


def steps_of(expression: Expression) -> tuple[Step, ...]:
    """The steps from x to a column, the last one first. Raises NotUnderstoodError."""
    steps: list[Step] = []
    while expression != X and expression[0] != "Code":
        step, expression = _outermost(expression)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _outermost(expression: Expression) -> tuple[Step | None, Expression]:
    op, *operands = expression
    if op == "Cast":
        return (("round", 0) if operands[0] == "float32" else None), operands[1]
    if op == "Neg":
        return ("negate", 0), operands[0]
    if op == "Floor":
        return ("floor", 0), operands[0]
    if op == "Mul":
        return _product(*operands)
    if op in ("Max", "Min"):
        return _clamped(op, *operands)
    if op == "Where":
        found = _hidden(*operands) or _blank(*operands) or _whole(*operands)
        if found is not None:
            return found
    raise NotUnderstoodError(f"{op} of a feature before the trees")


def _product(left: Expression, right: Expression) -> tuple[Step, Expression]:
    for one, other in ((left, right), (right, left)):
        if one == ("Constant", -1.0):
            return ("negate", 0), other
        if one[0] == "Sign" and other == ("Floor", ("Abs", one[1])):
            return ("truncate", 0), one[1]
    raise NotUnderstoodError("a product before the trees")


def _clamped(op: str, *operands: Expression) -> tuple[Step, Expression]:
    # ONNX Runtime's Max and Min give NaN for NaN.
    name = "at least" if op == "Max" else "at most"
    if len(operands) == 2:
        for limit, other in (operands, operands[::-1]):
            if limit[0] == "Constant" and not np.isnan(limit[1]):
                return (name, int(keys(limit[1]))), other
    raise NotUnderstoodError(f"{op} before the trees")


def _hidden(condition: Expression, then: Expression, otherwise: Expression) -> tuple[Step, Expression] | None:
    """NaN where |x| <= a constant, else x."""
    if condition[0] != "LessOrEqual" or condition[1] != ("Abs", otherwise) or then[0] != "Constant":
        return None
    edge = condition[2]
    if edge[0] != "Constant" or not edge[1] >= 0 or not np.isnan(then[1]):
        return None
    return ("hide", int(keys(edge[1]))), otherwise


def _blank(condition: Expression, then: Expression, otherwise: Expression) -> tuple[Step, Expression] | None:
    """NaN where x is a constant, else x."""
    if condition[0] != "Equal" or then[0] != "Constant" or not np.isnan(then[1]):
        return None
    for number, other in (condition[1:], condition[:0:-1]):
        if other == otherwise and number[0] == "Constant" and np.isfinite(number[1]):
            return ("blank", int(keys(number[1]))), otherwise
    return None


def _whole(condition: Expression, then: Expression, otherwise: Expression) -> tuple[Step, Expression] | None:
    """A constant where x has a fraction, else x."""
    if condition != ("Greater", otherwise, ("Floor", otherwise)) or then[0] != "Constant":
        return None
    return (("whole", int(keys(then[1]))), otherwise) if then[1] == np.rint(then[1]) else None


def gives_whole(steps: tuple[Step, ...], *, coded: bool) -> bool:
    """Whether a column made by these steps, the last one first, holds nothing but whole numbers and NaN.

    `coded` where they start from codes. Infinities count as whole.
    """
    for name, _ in steps:
        if name in _GIVE_WHOLE:
            return True
        if name not in ("negate", "hide", "blank", "round"):
            return False
    return coded


@dataclass(frozen=True, kw_only=True, eq=False)
class Cuts:
    """Cut tests of some nodes: see `Walk`. `swapped` where first and second child have changed places."""

    cut: Keys
    zone: Keys
    swapped: Flags


def cuts_before(cuts: Cuts, step: Step) -> Cuts:
    """The same tests, asked of the value before the step; no numeric test is asked after "whole"."""
    name, edge = step
    if name == "negate":
        return replace(cuts, cut=-cuts.cut - 1, zone=_negated(cuts.zone), swapped=~cuts.swapped)
    if name in ("hide", "blank"):
        return replace(cuts, zone=_widened(cuts.zone, name, edge))
    if name == "round":
        return replace(cuts, cut=before_rounding(cuts.cut), zone=zones_before_rounding(cuts.zone))
    _no_zone(cuts.zone, name)
    if name == "at least":
        return replace(cuts, cut=np.where(cuts.cut < edge, -_INFINITY - 1, cuts.cut))
    if name == "at most":
        return replace(cuts, cut=np.where(cuts.cut >= edge, _INFINITY, cuts.cut))
    if name == "whole":
        return cuts
    return replace(cuts, cut=_last_with_whole(cuts.cut, truncate=name == "truncate"))


def intervals_before(intervals: Keys, zone: Keys, step: Step) -> tuple[Keys, Keys]:
    """A set of values as intervals [n, 2], and the zone [1, 2], before the step."""
    name, edge = step
    low, high = intervals[:, 0], intervals[:, 1]
    if name == "negate":
        return np.stack([-high, -low], axis=1), _negated(zone)
    if name in ("hide", "blank"):
        return intervals, _widened(zone, name, edge)
    if name == "round":
        return zones_before_rounding(intervals), zones_before_rounding(zone)
    _no_zone(zone, name)
    if name in ("at least", "at most"):
        return _unclamped(intervals, name, edge), zone
    if name == "whole":
        _only_whole_points(intervals, edge)
        return intervals, zone
    truncate = name == "truncate"
    # {x: whole(x) >= low} is what is left of {x: whole(x) <= the value below low}.
    below = _last_with_whole(low - 1, truncate=truncate)
    return np.stack([below + 1, _last_with_whole(high, truncate=truncate)], axis=1), zone


def _unclamped(intervals: Keys, name: str, edge: int) -> Keys:
    low, high = intervals[:, 0], intervals[:, 1]
    if name == "at least":
        reached = high >= edge
        low = np.where(low <= edge, -_INFINITY, low)
    else:
        reached = low <= edge
        high = np.where(high >= edge, _INFINITY, high)
    return np.stack([low[reached], high[reached]], axis=1)


def _only_whole_points(intervals: Keys, other: int) -> None:
    """Raise NotUnderstoodError unless the set is of whole numbers, and `other` is not among them."""
    low, high = intervals[:, 0], intervals[:, 1]
    values = floats(low)
    if (low != high).any() or (low == other).any() or (values != np.rint(values)).any():
        raise NotUnderstoodError("categories that are not whole, or one that stands for all fractions")


def _last_with_whole(cut: Keys, *, truncate: bool) -> Keys:
    """The key of the largest x whose whole part is not above the cut's value; rounding down, or toward zero."""
    with np.errstate(invalid="ignore"):
        whole = np.floor(floats(np.maximum(cut, -_INFINITY)))
        last = np.maximum(keys(whole), keys(whole + 1.0) - 1)
    if truncate:
        last = np.where(whole < 0, keys(whole), last)
    below_all: npt.NDArray[np.bool_] = cut < -_INFINITY
    return np.where(below_all, cut, last)


def _negated(zone: Keys) -> Keys:
    return np.where(_is_zone(zone)[:, None], -zone[:, ::-1], zone)


def _widened(zone: Keys, name: str, edge: int) -> Keys:
    """Zones with what is made missing before: one of the two must hold the other."""
    low, high = (-edge, edge) if name == "hide" else (edge, edge)
    there = _is_zone(zone)
    within = (low <= zone[:, 0]) & (zone[:, 1] <= high)
    around = (zone[:, 0] <= low) & (high <= zone[:, 1])
    if (there & ~within & ~around).any():
        raise NotUnderstoodError("two ranges of numbers that are made missing")
    return np.where((there & ~within)[:, None], zone, np.array([low, high], dtype=np.int64))


def _is_zone(zone: Keys) -> Flags:
    return np.asarray(zone[:, 0] <= zone[:, 1])


def _no_zone(zone: Keys, name: str) -> None:
    if _is_zone(zone).any():
        raise NotUnderstoodError(f"a {name} step before numbers are made missing")
