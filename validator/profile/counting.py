"""Counting rows into the bins of several columns: one at a time in a server, or by the batch."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile.columns import CategoryColumn, Column, Encoded, NumericColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Up to so many rows are counted one by one: the price of a batch is that of about this many.
_FEW = 32
_PLAIN = {float, int, bool, type(None)}
#: Below this every whole number is a float64.
_EXACT = 2**53


class Counts:
    """Counts of rows in each cell of some columns, which add: of rows, threads, files and machines.

    No lock is taken: where several threads count, the caller holds one.

    Parameters
    ----------
    columns
        The columns of a profile, features or outputs: `profile.features`, `profile.outputs`.

    Examples
    --------
    >>> from validator.profile import Counts, NumericColumn
    >>> age = NumericColumn(name="age", dtype="float64", edges=(30.0,), counts=(60, 40), quantiles=(),
    ...                     special={"missing": 0, "zero": 0, "below": 0, "above": 0}, minimum=18.0, maximum=90.0)
    >>> counts = Counts((age,))
    >>> counts.add_row([30.0])
    >>> counts.add_row([None])
    >>> counts.slots(0)
    {'0': 1, '1': 0, 'missing': 1, 'zero': 0, 'below': 0, 'above': 0}
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.cells: list[list[int]] = [[0] * column.n_cells for column in self.columns]
        self.rows = 0
        numeric = [i for i, column in enumerate(self.columns) if isinstance(column, NumericColumn)]
        self._cuts = [column.cuts for column in self.columns if isinstance(column, NumericColumn)]
        self._numeric_cells = [self.cells[i] for i in numeric]
        self._numbers = _picker(numeric, len(self.columns))
        self._others = [
            (i, column, self.cells[i])
            for i, column in enumerate(self.columns)
            if isinstance(column, CategoryColumn)
        ]

    def add_row(self, row: Sequence[Any]) -> None:
        """Count one row: a plain Python value for each column, in the order of `columns`; None or NaN for missing.

        Raises TypeError where a number is wanted and the value is none; then nothing was counted.
        """
        numbers = self._numbers(row)
        try:
            total = sum(numbers)
        except TypeError:
            total = math.nan
        if total == total:
            for cells, place in zip(self._numeric_cells, map(bisect_left, self._cuts, numbers), strict=True):
                cells[place] += 1
        else:
            self._add_with_missing(numbers)
        for i, column, cells in self._others:
            cells[column.cell(row[i])] += 1
        self.rows += 1

    def _add_with_missing(self, numbers: Sequence[Any]) -> None:
        places = [
            -1 if value is None or value != value else bisect_left(cuts, value)
            for cuts, value in zip(self._cuts, numbers, strict=True)
        ]
        for cells, place in zip(self._numeric_cells, places, strict=True):
            cells[place] += 1

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Count some rows as `add_row` does: dozens at once cost a third of one after the other.

        Raises TypeError as `add_row` does; then nothing was counted.
        """
        numbers = _matrix([self._numbers(row) for row in rows], len(self._cuts))
        if numbers is None:
            counted = Counts(self.columns)
            for row in rows:
                counted.add_row(row)
            self.merge(counted)
            return
        numbers.sort(axis=0)  # NaN last
        missing = np.count_nonzero(numbers != numbers, axis=0).tolist()
        for cells, cuts, column, n in zip(
            self._numeric_cells, self._cut_arrays, numbers.T, missing, strict=True
        ):
            before = 0
            for place, upto in enumerate(column[: len(rows) - n].searchsorted(cuts, side="right").tolist()):
                cells[place] += upto - before
                before = upto
            cells[-2] += len(rows) - n - before
            cells[-1] += n
        for i, column, cells in self._others:
            for row in rows:
                cells[column.cell(row[i])] += 1
        self.rows += len(rows)

    def add(self, values: Mapping[str, NDArray[Any] | Encoded]) -> None:
        """Count a batch: an array [N] for each column by name (others are ignored).

        Numbers are of any number type with NaN for missing, categories text, numbers or None, or their codes.
        Raises KeyError for a column that is not there, ValueError for arrays of different lengths.
        """
        arrays = [values[column.name] for column in self.columns]
        lengths = {len(array) for array in arrays}
        if len(lengths) > 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        n = lengths.pop() if lengths else 0
        if n <= _FEW:
            plain = (array.decoded() if isinstance(array, Encoded) else array for array in arrays)
            for row in zip(*(array.tolist() for array in plain), strict=True):
                self.add_row(row)
            return
        for column, cells, array in zip(self.columns, self.cells, arrays, strict=True):
            if isinstance(column, NumericColumn) and isinstance(array, Encoded):
                array = array.decoded().astype(np.float64)  # noqa: PLW2901
            for i, count in enumerate(column.count(array).tolist()):  # type: ignore[arg-type]
                cells[i] += count
        self.rows += n

    @cached_property
    def _cut_arrays(self) -> list[NDArray[np.float64]]:
        return [np.array(cuts) for cuts in self._cuts]

    def merge(self, other: Counts) -> None:
        """Add what another one counted. Raises ValueError where its bins are not the same."""
        if self.columns is not other.columns and [*map(_bins, self.columns)] != [*map(_bins, other.columns)]:
            raise ValueError("these counts are of other bins: they were made with another profile")
        for mine, theirs in zip(self.cells, other.cells, strict=True):
            for i, count in enumerate(theirs):
                mine[i] += count
        self.rows += other.rows

    def slots(self, position: int) -> dict[str, int]:
        """Counts of each bin and special value of the column at that position, by name."""
        return self.columns[position].slots(self.cells[position])

    def bins(self, position: int) -> NDArray[np.int64]:
        """Counts in each bin of the column at that position [bins]."""
        slots = self.slots(position)
        return np.array([slots[name] for name in self.columns[position].bins], dtype=np.int64)


def _bins(column: Column) -> tuple[Any, ...]:
    """What two columns have in common whose counts can be added."""
    return (column.name, column.n_cells, getattr(column, "cuts", None), getattr(column, "cells", None))


def _matrix(rows: list[Sequence[Any]], width: int) -> NDArray[np.float64] | None:
    """The numbers of some rows [N, width], NaN for missing; None where one is no number that a float64 holds."""
    try:
        found = np.array(rows)
        if found.dtype == object and {type(value) for row in rows for value in row} <= _PLAIN:
            found = found.astype(np.float64)
    except (ValueError, OverflowError):
        return None
    if found.dtype.kind not in "fiub":
        return None
    found = found.astype(np.float64, order="F", copy=False).reshape(len(rows), width)
    return None if (np.abs(found) >= _EXACT).any() else found


def _picker(places: list[int], n_columns: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that takes the values at some places out of a row."""
    if len(places) == n_columns:
        return _whole
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: [row[i] for i in places]


def _whole(row: Sequence[Any]) -> Sequence[Any]:
    return row
