"""The trees of a LightGBM model text as arrays: numbers out of many lines at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.libraries.lightgbm.text import Lines
from validator.trees.ensemble import ZERO_ZONE, BranchMode, Floats, Ints, LinearLeaves, Refs

HINT = "save the model again with LightGBM 4 (booster.save_model); a text that was edited or cut short is not read"
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2
_UNUSUAL_SPACE = (b"  ", b"\t", b"\r", b"\v", b"\f")


def refusal(problem: str, hint: str = HINT) -> ConversionError:
    """The error for a text that cannot be read exactly."""
    return ConversionError(f"the LightGBM model text cannot be read: {problem}", hint=hint)


class _Nodes:
    """The per-node arrays that decision_type and threshold give together."""

    def __init__(self, decision: Ints, threshold: Floats, *, first_set: Ints, n_sets: Ints) -> None:
        if ((decision < 0) | (decision > 11)).any():
            raise refusal(
                f"decision_type {int(decision[((decision < 0) | (decision > 11)).argmax()])} is unknown"
            )
        categorical = (decision & _CATEGORICAL) != 0
        missing = (decision >> 2) & 3
        left = (decision & _DEFAULT_LEFT) != 0
        if np.isnan(threshold).any():
            raise refusal("a threshold is NaN")
        if (missing > _MISSING_NAN).any():
            raise refusal("a missing type is unknown")
        self.comparison = np.where(categorical, BranchMode.MEMBER, BranchMode.LE).astype(np.uint8)
        self.threshold: Floats = np.where(categorical, 0.0, _outside_zone(threshold))
        # Without a missing type NaN is read as 0; at category nodes it is never a member.
        self.missing_true = np.where(missing == _MISSING_NONE, threshold >= 0.0, left) & ~categorical
        self.zero_is_missing = (missing == _MISSING_ZERO) & ~categorical
        if (
            categorical & ((threshold < 0) | (threshold >= n_sets) | (threshold != np.trunc(threshold)))
        ).any():
            raise refusal("a category node names no category set of its tree")
        self.category_set: Refs = np.where(categorical, first_set + threshold, -1).astype(np.int32)


def _outside_zone(threshold: Floats) -> Floats:
    """Thresholds moved to the edge of the zone in which every x is read as 0."""
    moved = np.where((threshold >= 0) & (threshold < ZERO_ZONE), ZERO_ZONE, threshold)
    below = np.nextafter(-ZERO_ZONE, -np.inf)
    return np.where((threshold < 0) & (threshold >= -ZERO_ZONE), below, moved)


class Forest:
    """The trees' arrays, concatenated: nodes and leaves of tree t follow those of tree t - 1."""

    def __init__(self, trees: Sequence[Lines]) -> None:
        self.trees = trees
        self.leaves = np.array(
            [whole(tree, b"num_leaves", i) for i, tree in enumerate(trees)], dtype=np.int64
        )
        # A text never has more leaves than characters, so a lying count is caught before anything is allocated.
        if (self.leaves < 1).any() or (
            self.leaves > 1 + np.array([len(t.get(b"leaf_value", b"")) for t in trees])
        ).any():
            raise refusal("a tree's num_leaves does not fit its leaves")
        self.splits = self.leaves - 1
        self.categorical = np.array(
            [whole(tree, b"num_cat", i, 0) for i, tree in enumerate(trees)], dtype=np.int64
        )
        if (self.categorical < 0).any():
            raise refusal("num_cat is negative")
        self.first_node = np.concatenate([[0], np.cumsum(self.splits)])
        self.first_leaf = np.concatenate([[0], np.cumsum(self.leaves)])
        if self.first_leaf[-1] >= np.iinfo(np.int32).max:
            raise refusal("it has more leaves than 32 bits can count")

    def _lines(self, key: bytes) -> list[bytes]:
        return [tree.get(key, b"") for tree in self.trees]

    def floats(self, key: bytes, counts: Ints) -> Floats:
        return numbers(self._lines(key), counts, key.decode(), np.float64)

    def integers(self, key: bytes, counts: Ints) -> Refs:
        values = numbers(self._lines(key), counts, key.decode(), np.int64)
        if len(values) and (values.min() < np.iinfo(np.int32).min or values.max() > np.iinfo(np.int32).max):
            raise refusal(f"{key.decode()} holds a number beyond 32 bits")
        narrowed: Refs = values.astype(np.int32)
        return narrowed

    def children(self, key: bytes) -> Refs:
        local = self.integers(key, self.splits).astype(np.int64)
        nodes, leaves = np.repeat(self.splits, self.splits), np.repeat(self.leaves, self.splits)
        if ((local >= nodes) | (~local >= leaves)).any():
            raise refusal(f"{key.decode()} points outside its tree")
        node_offset = np.repeat(self.first_node[:-1], self.splits)
        leaf_offset = np.repeat(self.first_leaf[:-1], self.splits)
        absolute: Refs = np.where(local >= 0, local + node_offset, local - leaf_offset).astype(np.int32)
        return absolute

    def roots(self) -> Refs:
        return np.where(self.splits > 0, self.first_node[:-1], ~self.first_leaf[:-1]).astype(np.int32)

    def numeric_nodes(self) -> _Nodes:
        return _Nodes(
            self.integers(b"decision_type", self.splits).astype(np.int64),
            self.floats(b"threshold", self.splits),
            first_set=np.repeat(np.cumsum(self.categorical) - self.categorical, self.splits),
            n_sets=np.repeat(self.categorical, self.splits),
        )

    def sets(self) -> tuple[Ints, Floats]:
        """Category sets as offsets and values, from bitsets of 32-bit words."""
        with_sets = self.categorical > 0
        bounds = self.integers(b"cat_boundaries", np.where(with_sets, self.categorical + 1, 0)).astype(
            np.int64
        )
        if not len(bounds):
            return np.zeros(1, dtype=np.int64), np.zeros(0)
        ends = np.cumsum(self.categorical[with_sets] + 1)
        starts = ends - self.categorical[with_sets] - 1
        words = np.zeros(len(self.trees), dtype=np.int64)
        words[with_sets] = bounds[ends - 1]
        widths = np.delete(np.diff(bounds), ends[:-1] - 1)
        if (bounds[starts] != 0).any() or (widths < 0).any():
            raise refusal("cat_boundaries do not ascend from 0")
        bits = numbers(self._lines(b"cat_threshold"), words, "cat_threshold", np.int64)
        if len(bits) and (bits.min() < 0 or bits.max() > np.iinfo(np.uint32).max):
            raise refusal("cat_threshold holds a number beyond 32 bits")
        word, bit = np.nonzero(
            np.unpackbits(bits.astype("<u4").view(np.uint8), bitorder="little").reshape(-1, 32)
        )
        first_word = np.concatenate([[0], np.cumsum(widths)])
        owner = np.repeat(np.arange(len(widths)), widths)[word]
        values = (word - first_word[owner]) * 32 + bit
        indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(widths)))])
        return indptr.astype(np.int64), values.astype(np.float64)

    def cover(self) -> Floats | None:
        """Training rows per leaf, where every tree says so; models merged or edited by others may not."""
        lines = self._lines(b"leaf_count")
        if not all(lines):
            return None
        return np.maximum(0.0, self.floats(b"leaf_count", self.leaves))

    def linear(self) -> LinearLeaves | None:
        flags = np.array([whole(t, b"is_linear", i, 0) for i, t in enumerate(self.trees)])
        if ((flags != 0) & (flags != 1)).any():
            raise refusal("is_linear is neither 0 nor 1")
        if not flags.any():
            return None
        const_counts = np.where(flags, self.leaves, 0)
        const = self.floats(b"leaf_value", self.leaves).copy()
        const[np.repeat(flags == 1, self.leaves)] = self.floats(b"leaf_const", const_counts)
        entries = np.zeros(len(const), dtype=np.int64)
        entries[np.repeat(flags == 1, self.leaves)] = self.integers(b"num_features", const_counts)
        if (entries < 0).any():
            raise refusal("num_features is negative")
        totals = np.add.reduceat(entries, self.first_leaf[:-1])
        return LinearLeaves(
            indptr=np.concatenate([[0], np.cumsum(entries)]),
            feature=self.integers(b"leaf_features", totals),
            coef=self.floats(b"leaf_coeff", totals),
            const=const,
        )


def numbers(
    lines: Sequence[bytes], counts: npt.NDArray[np.int64], what: str, dtype: type[np.generic]
) -> npt.NDArray[Any]:
    """The numbers of one line per tree, joined; line t must hold counts[t]. Raises ConversionError."""
    joined = b" ".join(line for line in lines if line)
    found = _counts(lines, joined)
    if not np.array_equal(found, counts):
        tree = int((found != counts).argmax())
        raise refusal(f"{what} of tree {tree} has {found[tree]} values, not {counts[tree]}")
    total = int(counts.sum())
    if total == 0:
        return np.zeros(0, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values: npt.NDArray[Any] = np.fromstring(joined.decode("ascii"), dtype=dtype, sep=" ")
        except (ValueError, DeprecationWarning, UnicodeDecodeError):
            raise refusal(f"{what} holds something that is no number") from None
    if len(values) != total:
        raise refusal(f"{what} holds something that is no number")
    return values


def _counts(lines: Sequence[bytes], joined: bytes) -> npt.NDArray[np.int64]:
    """How many words each line has. LightGBM puts one space between two, which is quickly counted."""
    plain = joined == joined.strip() and not any(space in joined for space in _UNUSUAL_SPACE)
    if plain:
        words = (line.count(b" ") + 1 if line else 0 for line in lines)
    else:
        words = (len(line.split()) for line in lines)
    return np.fromiter(words, dtype=np.int64, count=len(lines))


def whole(tree: Lines, key: bytes, index: int, default: int | None = None) -> int:
    """One whole number of a tree. Raises ConversionError."""
    value = tree.get(key)
    if value is None and default is not None:
        return default
    try:
        return int(value or b"")
    except ValueError:
        raise refusal(f"{key.decode()} of tree {index} is no whole number") from None
