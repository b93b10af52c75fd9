"""Rows beside a model's thresholds, where a wrapper that rounds what it feeds to its model is seen.

A sample seldom holds two rows so near to each other that a cast to float16, or two decimals fewer, makes one of them.
Here such rows are sought: of two rows of the sample that differ in one column alone and are answered otherwise, that
column's values are halved towards the place at which the answer changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.checks.wrapper.agreement import differ
from validator.outputs import Outputs
from validator.table import Column, Table, concatenate

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ask = Callable[[Table], Outputs]

#: How near the two rows of a pair come, relative to their value: far above what float32 rounds away, far below what
#: float16 or two decimals do.
_GAP = 1e-6
_HALVINGS = 30
_PAIRS = 256
_MOST_DECIMALS = 9
#: A model for which more rows than this turn on float32 is one where rounding to it is no matter of tolerance.
_FEW = 0.25


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Rows [N] beside thresholds with the model's answers to them; `columns` [N] names the one column in which each
    lies there.
    """

    rows: Table
    answers: Outputs
    columns: tuple[str, ...]

    def place(self, row: int) -> str:
        """Which value of a row lies beside a threshold, in words."""
        name = self.columns[row]
        return f"{name!r} = {self.rows.column(name).values[row].item()!r}"


def beside_thresholds(rows: Table, ask: Ask) -> Beside | None:
    """Pairs of rows that the model answers otherwise although one value of theirs is almost the same.

    Parameters
    ----------
    rows : Table
        The sample's rows; each value of the pairs lies between two of its own, with as many decimals.
    ask : callable
        The model's answers to a table.

    Returns
    -------
    Beside or None
        At most 512 rows, without those that the model itself answers otherwise once they are rounded to float32;
        None where the model's answers turn on no number.
    """
    numeric = [
        one for one in rows.columns if one.is_numeric and not one.truth and one.values.dtype.kind in "fiu"
    ]
    numeric = [one for one in numeric if len(np.unique(_finite(one.values))) > 1]
    if not numeric or len(rows) < 2:
        return None
    each = max(2, _PAIRS // len(numeric))
    starts, ends, names = _candidates(rows, numeric[:_PAIRS], each)
    first = ask(starts)
    apart = _any_differs(first, ask(ends))
    if not apart.any():
        return None
    starts, ends, first = starts.take(apart), ends.take(apart), first.take(apart)
    names = [name for name, kept in zip(names, apart, strict=True) if kept]
    decimals = {one.name: _decimals(one.values) for one in numeric}
    for _ in range(_HALVINGS):
        middle, open_ = _halved(starts, ends, names, decimals)
        if not open_.any():
            break
        beyond = _any_differs(first, ask(middle))
        starts = _chosen(starts, middle, open_ & ~beyond)
        ends = _chosen(ends, middle, open_ & beyond)
    return _sure(concatenate([starts, ends]), [*names, *names], ask)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _candidates(rows: Table, numeric: list[Column], each: int) -> tuple[Table, Table, list[str]]:
    """Rows, the same rows with one value of another row's, and the names of the columns that were exchanged."""
    generator = np.random.default_rng(0)
    starts, ends, names = [], [], []
    for column in numeric:
        usable = np.flatnonzero(np.isfinite(column.values))
        chosen, other = generator.choice(usable, each), generator.choice(usable, each)
        begin = rows.take(chosen)
        starts.append(begin)
        ends.append(begin.replace(Column(column.name, column.values[other])))
        names += [column.name] * each
    return concatenate(starts), concatenate(ends), names


def _any_differs(first: Outputs, second: Outputs) -> NDArray[np.bool_]:
    """Rows [N] of which any number, or else the label, differs."""
    numbers = {key: one for key, one in first.present.items() if one.dtype.kind == "f"} or first.present
    found = np.zeros(len(first), dtype=bool)
    for name, own in numbers.items():
        other = second.present[name]
        found |= (
            differ(own, other) if own.dtype.kind == "f" else (own != other).reshape(len(own), -1).any(axis=1)
        )
    return found


def _halved(
    starts: Table, ends: Table, names: list[str], decimals: Mapping[str, int]
) -> tuple[Table, NDArray[np.bool_]]:
    """The rows in the middle [N], and which pairs are still further apart than need be."""
    wide = np.zeros(len(names), dtype=bool)
    held = np.array(names, dtype=object)
    middle = starts
    for name in dict.fromkeys(names):
        which = held == name
        column = starts.column(name)
        low, high = column.values.astype(np.float64), ends.column(name).values.astype(np.float64)
        between = np.round(low / 2 + high / 2, decimals[name])
        mixed = column.values.copy()
        mixed[which] = between[which].astype(column.values.dtype)
        far = np.abs(high - low) > _GAP * np.maximum(np.abs(low), np.abs(high))
        wide |= which & far & (mixed != column.values) & (mixed != ends.column(name).values)
        middle = middle.replace(Column(name, mixed))
    return middle, wide


def _decimals(values: NDArray[Any]) -> int:
    """How many decimals a column's values have, so that what lies between them has no more."""
    if values.dtype.kind != "f":
        return 0
    finite = _finite(values).astype(np.float64)
    rtol = 1e-7 if values.dtype.itemsize < 8 else 1e-12
    for digits in range(_MOST_DECIMALS):
        if np.allclose(np.round(finite, digits), finite, rtol=rtol, atol=0):
            return digits
    return 300  # as they are


def _chosen(table: Table, other: Table, which: NDArray[np.bool_]) -> Table:
    """The table's rows, and the other's where `which` [N] says so."""
    return Table(
        tuple(
            Column(one.name, np.where(which, two.values, one.values), one.categories, one.truth)
            for one, two in zip(table.columns, other.columns, strict=True)
        ),
        len(table),
    )


def _sure(rows: Table, names: list[str], ask: Ask) -> Beside | None:
    """Without the rows that rounding to float32 moves across the threshold."""
    answers = ask(rows)
    unsure = _any_differs(answers, ask(in_float32(rows)))
    if unsure.mean() > _FEW:
        unsure[:] = False
    kept = np.flatnonzero(~unsure)
    if not len(kept):
        return None
    columns = tuple(names[row] for row in kept)
    return Beside(rows=rows.take(kept), answers=answers.take(kept), columns=columns)


def in_float32(rows: Table) -> Table:
    """The rows with every number rounded to float32, in the columns' own types."""
    return Table(
        tuple(
            Column(one.name, one.values.astype(np.float32).astype(one.values.dtype), None, one.truth)
            if one.is_numeric and one.values.dtype.kind in "fiu"
            else one
            for one in rows.columns
        ),
        len(rows),
    )
