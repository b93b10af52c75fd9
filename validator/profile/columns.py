"""The bins of one feature or output: the only place that says where a value belongs.

A value that is there lies in exactly one *bin*. Beside them, *special* values are counted as well: `missing`
(which lies in no bin), exact `zero`, `below` and `above` the reference's range, and `unseen` categories. So the
rows of a column are the sum of its bins plus `missing`, and a zero is in its bin too.

Counting is done in *cells*, the finest parts that bins and special values are made of: one search and one
increment a value. `slots` adds them up.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMERIC_SPECIAL = ("missing", "zero", "below", "above")
CATEGORY_SPECIAL = ("missing", "unseen")
#: From here on whole passes of comparisons are faster than a search for each value.
_MANY = 2_048
#: So many values are compared at a time: what they compare to stays in a core's own memory.
_BLOCK = 32_768
#: Types with fewer digits than the float64 that values are compared in.
_NARROW = ("float16", "float32")


@dataclass(frozen=True, kw_only=True)
class Floor:
    """How much the reference's own windows differ, at one length of window.

    `windows` K of `rows` rows each; `between` is τ², the variance of their standardised bin shares above the
    noise of counting, summed over bins; `directions` nu, the directions in which they vary; `quantile` the
    factor F₁₋alpha/F(nu, K-1) for alpha = 1 % shared by all columns of the profile. `special` is the correlation of
    two rows of one window in having a special value, by its name, where the reference has any.
    """

    windows: int
    rows: float
    between: float
    directions: float
    quantile: float
    special: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NumericColumn:
    """A column of numbers. Bin i holds the values above `edges[i-1]` up to and including `edges[i]`.

    `counts` [len(edges) + 1] are the reference's rows in each bin, `blocks` [≤ 40][bins] the same for equal parts of
    it in its order, `quantiles` [11] its 0 %, 10 %, … 100 % points (empty when it has no finite value), `minimum` and
    `maximum` its finite range. `lag` is the correlation of the bins of one row and the next, `lag_rows` how many rows
    it was seen in. `dtype` is the type in which the reference came: values are counted as if rounded to it.
    """

    name: str
    dtype: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    special: Mapping[str, int]
    quantiles: tuple[float, ...]
    minimum: float | None
    maximum: float | None
    blocks: tuple[tuple[int, ...], ...] = ()
    floors: tuple[Floor, ...] = ()
    lag: float = 0.0
    lag_rows: int = 0

    @property
    def bins(self) -> tuple[str, ...]:
        """The names of the bins."""
        return tuple(map(str, range(len(self.edges) + 1)))

    @property
    def specials(self) -> tuple[str, ...]:
        return NUMERIC_SPECIAL

    @property
    def rows(self) -> int:
        """The reference's rows, missing ones included."""
        return sum(self.counts) + self.special["missing"]

    @cached_property
    def cuts(self) -> list[float]:
        """Where one cell ends and the next begins: a value's cell is the number of cuts that are less than it.

        A cut lies halfway to the next number of `dtype`, so that a float32 0.1 written out and read back as a
        float64 is where it was.
        """
        found = {self._after(edge) for edge in self.edges}
        found |= {self._before(0.0), self._after(0.0)}
        if self.minimum is not None and self.maximum is not None:
            found |= {self._before(self.minimum), self._after(self.maximum)}
        return sorted(found)

    @property
    def n_cells(self) -> int:
        """How many counters a column takes; the last one is of missing values."""
        return len(self.cuts) + 2

    def cell(self, value: float | None) -> int:
        """The cell of one value; NaN and None are missing. Raises TypeError for what is no number."""
        if value is None or value != value:
            return len(self.cuts) + 1
        return bisect_left(self.cuts, value)

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Count an array [N] of any number type, NaN for missing: counts [n_cells]."""
        if len(values) < _MANY:
            return self._count_few(values)
        return self._count_many(values)

    def cells_of(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The cell of each of N values as int64 [N]."""
        cells = np.searchsorted(self._cut_array, values, side="left").astype(np.int64)
        cells[values != values] = len(self.cuts) + 1
        return cells

    def slots(self, cells: Sequence[int] | NDArray[Any]) -> dict[str, int]:
        """Counts of each bin and special value, by name, from counts of cells."""
        return _named_slots(self, cells)

    @cached_property
    def membership(self) -> NDArray[np.int64]:
        """[bins + specials, cells] of 0 and 1: which cells make up which slot."""
        ends = [*self.cuts, math.inf]
        edges = [self._after(edge) for edge in self.edges]
        table = np.zeros((len(edges) + 1 + 4, len(ends) + 1), dtype=np.int64)
        special = table[len(edges) + 1 :]
        low = -math.inf if self.minimum is None else self._before(self.minimum)
        high = math.inf if self.maximum is None else self._after(self.maximum)
        for i, end in enumerate(ends):
            table[bisect_left(edges, end), i] = 1
            special[1, i] = end == self._after(0.0)
            special[2, i] = end <= low
            special[3, i] = end > high
        special[0, -1] = 1
        return table

    def _count_few(self, values: NDArray[Any]) -> NDArray[np.int64]:
        return np.bincount(self.cells_of(values), minlength=self.n_cells).astype(np.int64)

    def _count_many(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """By comparing all values with one cut after the other: ten times as fast as a search for each value.

        Cuts that lie outside the values' own range need no comparison.
        """
        values, cuts = self._comparable(values)
        lowest, highest = values.min(), values.max()
        above = np.zeros(len(cuts) + 1, dtype=np.int64)
        present, first, last = len(values), 0, len(cuts)
        if highest == highest:
            first, last = np.searchsorted(cuts, [lowest, highest], side="left").tolist()
        else:
            present = int(np.count_nonzero(values == values))
        above[:first] = present
        needed = cuts[first:last].astype(values.dtype)[:, None]
        buffer = np.empty((len(needed), min(len(values), _BLOCK)), dtype=bool)
        for start in range(0, len(values) if len(needed) else 0, _BLOCK):
            block = values[start : start + _BLOCK]
            found = np.greater(block, needed, out=buffer[:, : len(block)])
            above[first:last] += [np.count_nonzero(row) for row in found]
        counts = np.empty(self.n_cells, dtype=np.int64)
        counts[0] = present - above[0]
        counts[1:-1] = above[:-1] - above[1:]
        counts[-1] = len(values) - present
        return counts

    def _comparable(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The values in a type that is compared fast, widened only where needed, and the cuts for that type."""
        if values.dtype == np.float32:
            return values, self._single_cuts
        if values.dtype.kind in "iu" and values.dtype.itemsize <= 4:
            return values, np.floor(self._cut_array)
        return values.astype(np.float64, copy=False), self._cut_array

    @cached_property
    def _single_cuts(self) -> NDArray[np.float32]:
        """For values of float32, which need not be widened: they are above a cut where they are above this."""
        with np.errstate(over="ignore"):
            near = self._cut_array.astype(np.float32)
        return np.where(near > self._cut_array, np.nextafter(near, np.float32(-np.inf)), near)

    @cached_property
    def _cut_array(self) -> NDArray[np.float64]:
        return np.array(self.cuts)

    def _after(self, value: float) -> float:
        """The largest float64 that is taken for `value`, or for less."""
        return value if self.dtype not in _NARROW else self._halfway(value, np.inf)

    def _before(self, value: float) -> float:
        """The largest float64 that is taken for less than `value`."""
        if self.dtype not in _NARROW:
            return float(np.nextafter(value, -np.inf))
        return self._halfway(value, -np.inf)

    def _halfway(self, value: float, towards: float) -> float:
        """Halfway from a number of a narrow type to its neighbour; beyond its largest, as far as before it."""
        kind = np.dtype(self.dtype).type
        with np.errstate(all="ignore"):
            neighbour = float(np.nextafter(kind(value), kind(towards)))
            if math.isinf(neighbour):
                neighbour = 2 * value - float(np.nextafter(kind(value), kind(-towards)))
        return (value + neighbour) / 2 if math.isfinite(neighbour) else value


@dataclass(frozen=True, kw_only=True)
class CategoryColumn:
    """A column of categories, as text. The `top` ones have a bin each, all others share the bin `other`.

    `named` are further categories that the reference holds often enough to be named (five rows); what is in
    neither is `unseen`. Rarer categories are not named, since they may be personal: `special["unseen"]` of the
    reference is the share that new rows of the same kind are expected to show (Good and Turing: the rows of
    categories that were seen five times or less). `counts` [len(top) + 1] has `other` last.
    """

    name: str
    top: tuple[str, ...]
    named: tuple[str, ...]
    counts: tuple[int, ...]
    special: Mapping[str, int]
    blocks: tuple[tuple[int, ...], ...] = ()
    floors: tuple[Floor, ...] = ()
    lag: float = 0.0
    lag_rows: int = 0

    @property
    def bins(self) -> tuple[str, ...]:
        """The names of the bins: numbers in the order of `top`, then `other`."""
        return (*map(str, range(len(self.top))), "other")

    @property
    def specials(self) -> tuple[str, ...]:
        return CATEGORY_SPECIAL

    @property
    def rows(self) -> int:
        """The reference's rows, missing ones included."""
        return sum(self.counts) + self.special["missing"]

    @cached_property
    def cells(self) -> dict[str, int]:
        """Cell by category; what is not in it is in cell `len(top) + 1`."""
        found = dict.fromkeys(self.named, len(self.top))
        return found | {name: i for i, name in enumerate(self.top)}

    @property
    def n_cells(self) -> int:
        """How many counters a column takes; the last one is of missing values."""
        return len(self.top) + 3

    def cell(self, value: object) -> int:
        """The cell of one value; None and NaN are missing."""
        if type(value) is not str:
            text = category_text(value)
            if text is None:
                return len(self.top) + 2
            value = text
        return self.cells.get(value, len(self.top) + 1)

    def count(self, values: NDArray[Any] | Encoded) -> NDArray[np.int64]:
        """Count N categories (text, numbers, truth values, None; or their codes): counts [n_cells]."""
        if isinstance(values, Encoded):
            return self.count_codes(values.categories, values.codes)
        counts = np.zeros(self.n_cells, dtype=np.int64)
        distinct, times = _distinct(values)
        for value, n in zip(distinct, times, strict=True):
            counts[self.cell(value)] += n
        return counts

    def count_codes(self, categories: Sequence[Any], codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Count N codes into a list of categories, -1 for missing: counts [n_cells]."""
        times = np.bincount(codes + 1, minlength=len(categories) + 1)
        counts = np.zeros(self.n_cells, dtype=np.int64)
        counts[-1] = times[0]
        for place in np.flatnonzero(times[1:]).tolist():
            counts[self.cell(categories[place])] += times[place + 1]
        return counts

    def cells_of(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """The cell of each of N values as int64 [N]."""
        return np.fromiter(map(self.cell, values.tolist()), dtype=np.int64, count=len(values))

    def slots(self, cells: Sequence[int] | NDArray[Any]) -> dict[str, int]:
        """Counts of each bin and special value, by name, from counts of cells."""
        return _named_slots(self, cells)

    @cached_property
    def membership(self) -> NDArray[np.int64]:
        """[bins + specials, cells] of 0 and 1: which cells make up which slot."""
        bins = len(self.top) + 1
        table = np.zeros((bins + 2, self.n_cells), dtype=np.int64)
        table[:bins, :bins] = np.eye(bins, dtype=np.int64)
        table[bins - 1, bins] = table[bins + 1, bins] = table[bins, -1] = 1
        return table


Column = NumericColumn | CategoryColumn


def bins_of_cells(column: Column) -> NDArray[np.int64]:
    """The bin of each cell [n_cells], -1 for that of missing values."""
    table = column.membership[: len(column.bins)]
    return np.where(table.any(0), table.argmax(0), -1)


def _named_slots(column: Column, cells: Sequence[int] | NDArray[Any]) -> dict[str, int]:
    counts = column.membership @ np.asarray(cells, dtype=np.int64)
    return dict(zip((*column.bins, *column.specials), counts.tolist(), strict=True))


def category_text(value: object) -> str | None:
    """A category as text: whole numbers without a point, whatever type they came in; None for missing."""
    if value is None or value != value:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


@dataclass(frozen=True, eq=False)
class Encoded:
    """A column of N categories as codes [N] into a list of them, -1 for missing."""

    categories: tuple[Any, ...]
    codes: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, which: Any) -> Encoded:
        return Encoded(self.categories, self.codes[which])

    def decoded(self) -> NDArray[Any]:
        """The categories themselves [N], None for missing."""
        lookup = np.empty(len(self.categories) + 1, dtype=object)
        lookup[:-1] = self.categories
        lookup[-1] = None
        found: NDArray[Any] = lookup[self.codes]
        return found


def _distinct(values: NDArray[Any]) -> tuple[list[Any], list[int]]:
    if values.dtype == object:
        found: dict[Any, int] = {}
        for value in values.tolist():
            key = value if type(value) is str else category_text(value)  # for 1 and True are one key
            found[key] = found.get(key, 0) + 1
        return list(found), list(found.values())
    distinct, times = np.unique(values, return_counts=True)
    return distinct.tolist(), times.tolist()
