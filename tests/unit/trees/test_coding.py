"""Tables become numbers and come back the same."""

from __future__ import annotations

import numpy as np
import pytest

from validator.table import Column, Table
from validator.trees.rows.coding import coding_of, coding_of_names, decode, encode


def mixed() -> Table:
    colours = np.array(["red", "blue"], dtype=object)
    return Table.of(
        [
            Column("size", np.array([1.5, np.nan, -2.0])),
            Column("count", np.array([3, 1, 2])),
            Column("city", np.array(["Rome", None, "Oslo"], dtype=object)),
            Column("colour", np.array([1, -1, 0], dtype=np.int32), colours),
            Column("day", np.array(["2024-01-02", "NaT", "2024-01-01"], dtype="datetime64[D]")),
        ]
    )


def plain(table: Table) -> list[list[object]]:
    return [[None if v != v else v for v in column.decoded().tolist()] for column in table.columns]


def test_a_table_survives_being_coded() -> None:
    table = mixed()
    coding = coding_of(table, listed={})
    rows = encode(table, coding)
    assert rows.dtype == np.float64
    assert rows[:, 2].tolist()[0::2] == [1.0, 0.0]
    assert np.isnan(rows[1, [0, 2, 3, 4]]).all()
    back = decode(rows, coding)
    assert plain(back) == plain(table)
    assert back.column("colour").categories is not None


def test_the_models_own_list_decides_the_codes() -> None:
    table = mixed()
    coding = coding_of(table, listed={3: ("green", "blue", "red")})
    assert encode(table, coding)[:, 3].tolist()[0::2] == [1.0, 2.0]
    numbers = Table.of([Column("level", np.array([7.0, 2.5, 3.0]))])
    coding = coding_of(numbers, listed={0: (2.5, 7.0)})
    assert encode(numbers, coding)[:2, 0].tolist() == [1.0, 0.0]
    assert np.isnan(encode(numbers, coding)[2, 0])
    assert decode(np.array([[1.0], [np.nan], [9.0]]), coding).columns[0].values.tolist()[0] == 7.0


def test_categories_of_a_step_join_the_column_that_has_some_of_them() -> None:
    table = Table.of(
        [Column("city", np.array(["Rome"], dtype=object)), Column("other", np.array(["x"], dtype=object))]
    )
    coding = coding_of(table, listed={}, also=[["Oslo", "Rome"], [1.0, 2.0]])
    assert coding[0].values is not None
    assert coding[0].values.tolist() == ["Rome", "Oslo"]
    assert coding[1].values is not None
    assert coding[1].values.tolist() == ["x"]


@pytest.mark.parametrize("code", [-1.0, 2.0, np.nan, np.inf])
def test_a_code_without_a_value_is_missing(code: float) -> None:
    table = decode(np.array([[0.5, code]]), coding_of_names(["a", "b"], {1: ("x", "y")}))
    assert table.column("b").decoded().tolist() == [None]
    assert table.column("a").values.tolist() == [0.5]
