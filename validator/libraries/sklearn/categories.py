"""The category tests of scikit-learn's histogram gradient boosting.

A known category goes left or right as a bit set says; an unknown one, a negative one and NaN go where missing
values go. A test of membership has only two answers, so the set is of those known categories that do *not* go the
missing way.

Since scikit-learn 1.4 an encoder turns values into codes first. Where the values are numbers, the sets hold the
numbers themselves and lookup is exact; where they are strings, codes, and the strings are listed beside them.
Before 1.4 users gave codes, read by truncation to one byte: a code of 256 or more wrapped round to a lower one,
which is not copied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.libraries.layout import malformed
from validator.python39 import dataclass
from validator.trees.ensemble import CategoryRule, Flags, Floats, Ints, Refs

_LIBRARY = "scikit-learn"


@dataclass(frozen=True, kw_only=True)
class CategoryTests:
    """Per node: is it a category test, its set, and whether the set's members go right; and the sets."""

    is_member: Flags
    swapped: Flags
    category_set: Refs
    set_indptr: Ints
    set_values: Floats
    rule: CategoryRule
    listed: Mapping[int, tuple[str | float, ...]]

    @staticmethod
    def none(n_nodes: int) -> CategoryTests:
        """For models without categories."""
        return CategoryTests(
            is_member=np.zeros(n_nodes, dtype=bool),
            swapped=np.zeros(n_nodes, dtype=bool),
            category_set=np.full(n_nodes, -1, dtype=np.int32),
            set_indptr=np.zeros(1, dtype=np.int64),
            set_values=np.zeros(0, dtype=np.float64),
            rule=CategoryRule.EXACT,
            listed={},
        )


def category_tests(
    *,
    is_member: Flags,
    feature: Ints,
    missing_left: Flags,
    bitset: Ints,
    left_bits: npt.NDArray[np.uint32],
    known_bits: npt.NDArray[np.uint32],
    categories: Mapping[str, Any],
    rule: CategoryRule,
) -> CategoryTests:
    """Per-node arrays [M]; `left_bits` [B, 8] and `known_bits` [F, 8] are bit sets of codes 0 to 255.

    `categories` are the encoder's values by feature. Raises ConversionError for sets or values that do not fit.
    """
    found = np.flatnonzero(is_member)
    if not len(found) and not categories:
        return CategoryTests.none(len(is_member))
    rows = bitset[found]
    if len(rows) and (rows.min() < 0 or rows.max() >= len(left_bits)):
        raise malformed(_LIBRARY, "a category set does not exist")
    known = _unpack(known_bits)[feature[found]]
    left = _unpack(left_bits)[rows] & known
    swapped = np.zeros(len(is_member), dtype=bool)
    swapped[found] = missing_left[found]
    chosen = np.where(missing_left[found][:, None], known & ~left, left)
    values = _values_of_codes(categories, len(known_bits))
    which, codes = np.nonzero(chosen)
    set_values, order = _as_values(values, feature[found][which], codes, which)
    category_set = np.full(len(is_member), -1, dtype=np.int32)
    category_set[found] = np.arange(len(found), dtype=np.int32)
    counts = np.bincount(which, minlength=len(found))
    return CategoryTests(
        is_member=is_member,
        swapped=swapped,
        category_set=category_set,
        set_indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        set_values=set_values[order],
        rule=rule,
        listed={column: tuple(known) for column, known in values.items() if isinstance(known[0], str)},
    )


def _unpack(bits: npt.NDArray[np.uint32]) -> Flags:
    """bool [B, 256] of uint32 [B, 8], code c in bit c % 32 of word c // 32."""
    shifted = bits[:, :, None] >> np.arange(32, dtype=np.uint32)[None, None, :]
    return (shifted & 1).astype(bool).reshape(len(bits), 256)


def _values_of_codes(categories: Mapping[str, Any], n_features: int) -> dict[int, list[str] | list[float]]:
    values: dict[int, list[str] | list[float]] = {}
    for key, listed in categories.items():
        column = int(key) if key.isdigit() else -1
        kinds = {type(item) for item in listed} if isinstance(listed, list) else {None}
        if not 0 <= column < n_features or kinds not in ({str}, {float}, set()):
            raise malformed(_LIBRARY, f"the categories of feature {key[:20]!r} are no list of values")
        if listed:
            values[column] = listed
    return values


def _as_values(
    values: dict[int, list[str] | list[float]], feature: Ints, codes: Ints, which: Ints
) -> tuple[Floats, Ints]:
    """What each code stands for in the input, and the order that sorts the values within each set."""
    found = codes.astype(np.float64)
    for column, listed in values.items():
        if isinstance(listed[0], str):
            continue
        here = feature == column
        if here.any() and codes[here].max() >= len(listed):
            raise malformed(_LIBRARY, f"feature {column} has a code beyond its {len(listed)} categories")
        found[here] = np.asarray(listed, dtype=np.float64)[codes[here]]
    return found, np.lexsort((found, which))
