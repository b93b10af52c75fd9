"""Floats as ordered integers, so that "the next float" and "the cut between two floats" are plain arithmetic.

The key of a float64 is its rank among all of them: key(0.0) == key(-0.0) == 0, key(-x) == -key(x), and the next
float up has the next key. Every float32 is a float64, so one key space serves both input types.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)

INFINITY = int(np.array(np.inf).view(np.int64))
"""The key of +inf; -INFINITY is that of -inf."""

# -INFINITY - 1 stands for "below everything": the cut that sends every value up.

LARGEST = INFINITY - 1
"""The key of the largest finite float64."""

LARGEST32 = int(np.array(np.finfo(np.float32).max, dtype=np.float64).view(np.int64))
"""The key of the largest finite float32."""


def keys(values: npt.ArrayLike) -> Keys:
    """The keys of floats, of any shape. NaN has no key: the caller keeps it apart."""
    bits = np.array(values, dtype=np.float64, order="C").view(np.int64)
    sign = bits >> 63
    # Two's complement: (m ^ -1) - -1 == -m.
    bits &= _MAGNITUDE
    bits ^= sign
    bits -= sign
    return bits


def floats(of: npt.ArrayLike) -> Floats:
    """The floats of keys; the inverse of `keys`, but for the sign of zero."""
    array = np.asarray(of, dtype=np.int64)
    magnitude = np.abs(array).view(np.float64)
    return np.where(array < 0, -magnitude, magnitude)


def down_to_float32(of: npt.ArrayLike) -> Keys:
    """The key of the largest float32 that is not above: what a cut becomes where only float32 values come."""
    with np.errstate(all="ignore"):
        exact = floats(of)
        near = exact.astype(np.float32)
        above = near.astype(np.float64) > exact
        near = np.where(above, np.nextafter(near, np.float32(-np.inf)), near)
    return np.where(np.asarray(of) < -INFINITY, np.int64(-INFINITY - 1), keys(near))


def up_to_float32(of: npt.ArrayLike) -> Keys:
    """The key of the smallest float32 that is not below."""
    return -down_to_float32(-np.asarray(of, dtype=np.int64))


def before_rounding(cut: npt.ArrayLike) -> Keys:
    """The key of the largest float64 that a cast to float32 rounds to a value not above the cut's.

    The cast rounds to nearest, ties to the even significand (IEEE 754, 4.3.1), and overflows to infinity from
    halfway between the largest float32 and 2**128 on.
    """
    with np.errstate(all="ignore"):
        low = floats(down_to_float32(cut)).astype(np.float32)
        high = np.nextafter(low, np.float32(np.inf))
        halfway = (_finite(low) + _finite(high)) / 2.0
    even = (low.view(np.uint32) & 1) == 0
    result = keys(halfway) - np.where(even, 0, 1)
    result = np.where(low == np.float32(np.inf), np.int64(INFINITY), result)
    return np.where(np.asarray(cut) < -INFINITY, np.int64(-INFINITY - 1), result)


def _finite(values: npt.NDArray[np.float32]) -> Floats:
    return np.clip(values.astype(np.float64), -(2.0**128), 2.0**128)
