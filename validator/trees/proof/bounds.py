"""How far apart two evaluations of the same trees can be, from the rules of floating-point arithmetic.

With u the unit roundoff, a sum of n numbers taken in any order differs from the exact sum by at most
gamma(n - 1) * sum of |x|, gamma(m) = m * u / (1 - m * u) (N. Higham, Accuracy and Stability of Numerical Algorithms,
section 4.2). Two orders therefore differ by at most twice that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from validator.trees.ensemble import TransformKind, TreeEnsemble
from validator.trees.proof.keys import Floats
from validator.trees.proof.lockstep import Trees

FUNCTION_ULPS = 4
"""exp, log and pow of any math library here are taken to be within this many ulps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sums:
    """What the sums over the trees can be, per target k; arrays float64 [K]."""

    size: Floats
    """sum over the trees, and the base, of the largest |value| each can add"""
    terms: Floats
    """how many numbers are added"""
    exact: bool
    """all numbers are multiples of one power of two, and too few for any rounding"""
    rounding: Floats
    """what rounding the leaves themselves to the ONNX file's number type can make up"""


def unit(dtype: str) -> float:
    """The unit roundoff."""
    return float(np.finfo(dtype).eps) / 2


def gamma(m: float, u: float) -> float:
    """Higham's gamma; infinite where the bound does not hold."""
    return m * u / (1 - m * u) if m * u < 1 else math.inf


def sums_of(
    native: TreeEnsemble, tree_of_leaf: Trees, rounded: Floats, start: Floats, onnx_dtype: str
) -> Sums:
    """Bounds of the sums; `rounded` are the leaves' values [L, W] as the ONNX file has them."""
    k, width = native.n_targets, native.leaf_value.shape[1]
    size, rounding, terms = np.abs(start).copy(), np.zeros(k), (start != 0).astype(np.float64)
    exact_values = native.leaf_value.astype(native.accumulation_dtype).astype(np.float64)
    error = np.abs(exact_values - rounded)
    for j in range(width):
        # A leaf's target may differ from leaf to leaf of a tree; each tree counts for each target it can add to.
        cell = tree_of_leaf * k + native.leaf_target + j
        cells, place = np.unique(cell, return_inverse=True)
        for total, values in ((size, np.abs(rounded[:, j])), (rounding, error[:, j])):
            largest = np.zeros(len(cells))
            np.maximum.at(largest, place, values)
            np.add.at(total, cells % k, largest)
        np.add.at(terms, cells % k, 1.0)
    values = np.concatenate([rounded.reshape(-1), start])
    digits = 24 if "float32" in (native.accumulation_dtype, onnx_dtype) else 53
    return Sums(
        size=size,
        terms=terms,
        exact=_is_exact(values, float(size.max(initial=0.0)), digits),
        rounding=rounding,
    )


def raw_bound(native: TreeEnsemble, sums: Sums, onnx_dtype: str, *, in_order: bool) -> float:
    """The largest difference of raw scores, over all inputs and targets."""
    same_type = onnx_dtype == native.accumulation_dtype
    rounds = not sums.exact and not (in_order and same_type)
    here, there = unit(native.accumulation_dtype), unit(onnx_dtype)
    largest = 0.0
    for size, terms, rounding in zip(sums.size, sums.terms, sums.rounding, strict=True):
        bound = float(rounding)
        # One addition has no order.
        if rounds and (terms > 2 or not same_type):
            bound += float(size * (gamma(terms - 1, here) + gamma(terms - 1, there)))
        largest = max(largest, bound)
    if largest == 0.0 and same_type:
        # Equal sums, and what follows is the same operations on equal numbers.
        return 0.0
    base = 0.0 if native.base_first else float(np.abs(native.base_score).max(initial=0.0))
    if native.divisor == 1 and base == 0.0:
        return largest
    after = 2 * (here + there) * (float(sums.size.max(initial=0.0)) / native.divisor + base)
    return float(largest / native.divisor + after)


def output_bound(native: TreeEnsemble, raw: float, sums: Sums) -> float:
    """The largest difference of outputs where raw scores differ by at most `raw`. Infinite where there is none."""
    u = unit(native.transform.dtype)
    size = float(sums.size.max(initial=0.0)) / native.divisor + float(
        np.abs(native.base_score).max(initial=0.0)
    )
    function = 2 * FUNCTION_ULPS * 2 * u
    factor = native.transform.factor
    kind = native.transform.kind
    if native.transform.dtype != native.accumulation_dtype and raw > 0:
        raw += 2 * u * size
    match kind:
        case TransformKind.IDENTITY:
            return raw
        case TransformKind.SIGMOID:
            # The derivative is at most factor / 4; exp, two roundings and 1 - p follow. The argument of exp is the
            # rounded product, whose relative error moves p by at most |z| * exp(-|z|) * u < u.
            return abs(factor) / 4 * raw + function + 8 * u
        case TransformKind.SOFTMAX:
            # Each p moves by at most p * (1 - p) * 2 * raw <= raw / 2.
            return raw / 2 + function + 2 * (native.n_targets + 4) * u + 4 * u * size
        case TransformKind.NORMALISED:
            return _normalised(native, raw, u)
        case TransformKind.EXP:
            return _exponential(size, raw, function + 4 * u)
        case TransformKind.SIGNED_SQUARE:
            return 0.0 if raw == 0 else 2 * size * raw + raw * raw + 4 * u * (size + raw) ** 2
        case TransformKind.LOG1P_EXP:
            return raw + (function + 8 * u) * (size + 1)
        case TransformKind.STEP:
            return 0.0 if raw == 0 else 1.0
        case TransformKind.ISOLATION:
            # r >= 0, so 2 ** (-r / factor) <= 1; its derivative is at most ln 2 / factor.
            return (
                math.log(2) / abs(factor) * raw
                + function
                + 8 * u
                + 2 * u * (1 + abs(native.transform.offset))
            )


def _exponential(size: float, raw: float, relative: float) -> float:
    try:
        return math.exp(size) * (math.expm1(raw) + relative)
    except OverflowError:
        return math.inf


def _normalised(native: TreeEnsemble, raw: float, u: float) -> float:
    """r / sum r: with all r >= 0 each quotient is at most 1, and the least sum is the sum of the trees' least."""
    reduction = 2 * gamma(native.n_targets, u) + 2 * u
    if raw == 0.0:
        return 0.0 if native.n_targets <= 2 else reduction
    if (native.leaf_value < 0).any() or native.leaf_value.shape[1] != native.n_targets:
        return math.inf
    least = float(native.leaf_value.sum(axis=1).min()) * native.n_trees / native.divisor
    slack = least - native.n_targets * raw
    return (1 + native.n_targets) * raw / slack + reduction if slack > 0 else math.inf


def _is_exact(values: Floats, size: float, digits: int) -> bool:
    """Whether every partial sum, in any order, is a number of `digits` binary digits."""
    some = np.abs(values[values != 0])
    if not len(some):
        return True
    mantissa, exponent = np.frexp(some)
    whole = (mantissa * 2.0**53).astype(np.int64)
    lowest_bit = exponent - 53 + np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    grain = float(np.ldexp(1.0, int(lowest_bit.min())))
    if grain == 0.0:
        return False
    return size / grain <= 2.0**digits
