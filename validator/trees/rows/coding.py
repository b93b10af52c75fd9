"""Tables of numbers, text and categories as matrices of numbers, and back.

A text or category column becomes codes 0, 1, ... into a list of values, NaN for what is missing or not listed: so
rows that are made of numbers, as boundary rows are, can be made of such columns too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.python39 import dataclass
from validator.table import Column, Table

Values = npt.NDArray[Any]
Rows = npt.NDArray[np.float64]
_MAX_VALUES = 10_000
"""values of one column that get a code; the rest is as if missing"""


@dataclass(frozen=True, kw_only=True, eq=False)
class CodedColumn:
    """One column: `values` by code, or None for plain numbers; `is_category` for those that users give as such."""

    name: str
    values: Values | None = None
    is_category: bool = False

    def encoded(self, column: Column) -> Rows:
        """[N] numbers."""
        if self.values is None:
            return column.values.astype(np.float64)
        code = {_key(value): float(index) for index, value in enumerate(self.values.tolist())}
        return np.array(
            [code.get(_key(value), np.nan) for value in column.decoded().tolist()], dtype=np.float64
        )

    def decoded(self, numbers: Rows) -> Column:
        """The column of [N] numbers; codes that are in no list are missing."""
        if self.values is None:
            return Column(self.name, np.ascontiguousarray(numbers))
        whole = np.rint(numbers)
        known = (whole >= 0) & (whole < len(self.values))
        codes = np.where(known, np.where(known, whole, 0), -1).astype(np.int32)
        if self.is_category:
            return Column(self.name, codes, self.values)
        if self.values.dtype == object:
            lookup = np.empty(len(self.values) + 1, dtype=object)
            lookup[:-1] = self.values
            lookup[-1] = None
            return Column(self.name, lookup[codes])
        nothing = "NaT" if self.values.dtype.kind == "M" else np.nan
        missing = np.full(1, nothing, dtype=_with_missing(self.values))
        return Column(self.name, np.concatenate([self.values, missing])[codes])


Coding = tuple[CodedColumn, ...]


def coding_of(
    table: Table, *, listed: Mapping[int, Sequence[Any]], also: Iterable[Sequence[Any]] = ()
) -> Coding:
    """How the columns of a table are coded.

    `listed` has the values of some columns, by place, as the model itself numbers them. The other columns that are no
    numbers get the values that the table holds, and those lists of `also` that share a value with them.
    """
    extra = [list(values) for values in also]
    return tuple(_coded(place, column, listed, extra) for place, column in enumerate(table.columns))


def coding_of_names(names: Sequence[str], listed: Mapping[int, Sequence[Any]]) -> Coding:
    """As `coding_of` where no table is at hand: every listed column is a category column."""
    return tuple(
        CodedColumn(name=name, values=_array(listed[place]), is_category=True)
        if place in listed
        else CodedColumn(name=name)
        for place, name in enumerate(names)
    )


def encode(table: Table, coding: Coding) -> Rows:
    """float64 [N, F]."""
    rows = np.empty((len(table), len(coding)))
    for place, (column, coded) in enumerate(zip(table.columns, coding, strict=True)):
        rows[:, place] = coded.encoded(column)
    return rows


def decode(rows: Rows, coding: Coding) -> Table:
    """The table whose encoding is `rows` [N, F]; integer and boolean columns come as float64."""
    return Table(tuple(column.decoded(rows[:, place]) for place, column in enumerate(coding)), len(rows))


def _coded(
    place: int, column: Column, listed: Mapping[int, Sequence[Any]], extra: list[list[Any]]
) -> CodedColumn:
    is_category = column.categories is not None
    if place in listed:
        return CodedColumn(name=column.name, values=_array(listed[place]), is_category=is_category)
    if column.is_numeric:
        return CodedColumn(name=column.name)
    found = _distinct(column)
    known = {_key(value) for value in found.tolist()}
    for values in extra:
        new = [value for value in values if _key(value) not in known]
        if len(new) < len(values) and found.dtype == object:
            found = np.concatenate([found, _array([str(value) for value in new])]) if new else found
            known.update(map(_key, new))
    return CodedColumn(name=column.name, values=found[:_MAX_VALUES], is_category=is_category)


def _distinct(column: Column) -> Values:
    if column.categories is not None:
        return column.categories
    if column.values.dtype == object:
        return _array(sorted({value for value in column.values.tolist() if value is not None}))
    return np.unique(
        column.values[~np.isnat(column.values)] if column.values.dtype.kind == "M" else column.values
    )


def _array(values: Sequence[Any]) -> Values:
    text = not len(values) or any(isinstance(value, str) for value in values)
    return np.array(list(values), dtype=object) if text else np.array(list(values))


def _key(value: Any) -> Any:
    """Numbers that are equal have one key, whatever their type."""
    return float(value) if isinstance(value, (bool, int, float, np.number)) else value


def _with_missing(values: Values) -> Any:
    return values.dtype if values.dtype.kind in "Mf" else np.float64
