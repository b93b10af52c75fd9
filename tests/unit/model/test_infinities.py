"""Infinite values are found in every column and counted by the rows of the whole sample."""

from __future__ import annotations

import numpy as np

from validator.model.contract import Infinities
from validator.table import Column, Table


def table(**columns: object) -> Table:
    return Table.of([Column(name, np.asarray(values)) for name, values in columns.items()])


def test_rows_are_counted_from_the_beginning_and_values_by_column() -> None:
    found = Infinities()
    assert found.take(table(a=[1.0, np.nan], b=[1, 2])) is None
    fine = found.take(table(a=[np.inf, 1.0, -np.inf], b=[1, 2, 3]))
    assert fine is not None
    assert fine.tolist() == [False, True, False]
    fine = found.take(table(a=[1.0, 2.0], b=[np.inf, np.nan]))
    assert fine is not None
    assert fine.tolist() == [False, True]
    assert (found.rows, found.refused, found.first, found.times) == (7, 3, {"a": 2, "b": 5}, {"a": 2, "b": 1})
    assert found.in_words == "'a' (2 in 7 rows, the first in row 2), 'b' (1 in 7 rows, the first in row 5)"


def test_numbers_whose_sum_is_infinite_are_none_themselves() -> None:
    found = Infinities()
    assert found.take(table(a=[1e308, 1e308, 1e308])) is None
    assert found.take(table(a=[np.inf, -np.inf])) is not None
    assert found.times == {"a": 2}


def test_a_pass_over_more_rows_replaces_one_over_fewer() -> None:
    head, whole, part = Infinities(), Infinities(), Infinities()
    head.take(table(a=[1.0]))
    whole.take(table(a=[1.0, np.inf]))
    head.become(whole)
    assert head.first == {"a": 1}
    head.become(part)
    assert head.first == {"a": 1}
