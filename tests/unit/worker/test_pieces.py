"""Rows asked for in pieces: the same answers, and calls that stay within the memory that they are allowed."""

import numpy as np
import pytest

from validator.outputs import Outputs
from validator.table import Column, Table
from validator.worker.pieces import FIRST_ROWS, MOST_ROWS, Pieces

MIB = 2**20


class Model:
    """Doubles a column; a call takes `row_bytes` for each row, and the peak is the most that any call took."""

    def __init__(self, row_bytes: int, loaded: int = 0) -> None:
        self.row_bytes, self.peak = row_bytes, loaded
        self.calls: list[int] = []

    def answer(self, table: Table) -> Outputs:
        self.calls.append(len(table))
        self.peak = max(self.peak, self.row_bytes * len(table))
        return Outputs(prediction=table.column("a").values * 2)


def rows(count: int) -> Table:
    return Table.of([Column("a", np.arange(count, dtype=np.float64))])


@pytest.mark.parametrize("row_bytes", [0, 100, 400_000, 5 * MIB, 2_000 * MIB])
def test_the_answers_are_those_of_one_call_in_the_order_of_the_rows(row_bytes: int) -> None:
    model = Model(row_bytes)
    answer = Pieces(lambda: model.peak).ask(rows(7_001), model.answer)
    assert np.array_equal(answer.prediction, np.arange(7_001) * 2.0)
    assert sum(model.calls) == 7_001


def test_a_one_hot_of_50_000_categories_never_takes_much_more_than_the_budget() -> None:
    model = Model(50_000 * 8)
    pieces = Pieces(lambda: model.peak, budget=512 * MIB)
    pieces.ask(rows(65_536), model.answer)
    assert model.peak <= 512 * MIB
    assert pieces.rows == 512 * MIB // 400_000


def test_a_row_that_takes_more_than_the_budget_is_asked_alone() -> None:
    model = Model(600 * MIB)
    pieces = Pieces(lambda: model.peak, budget=512 * MIB)
    pieces.ask(rows(FIRST_ROWS + 3), model.answer)
    assert model.calls == [FIRST_ROWS, 1, 1, 1]


def test_small_rows_soon_go_in_one_call() -> None:
    model = Model(8)
    pieces = Pieces(lambda: model.peak)
    pieces.ask(rows(200_000), model.answer)
    assert model.calls[:3] == [FIRST_ROWS, 4 * FIRST_ROWS, 16 * FIRST_ROWS]
    assert max(model.calls) <= MOST_ROWS


def test_a_peak_from_loading_hides_no_more_than_one_step() -> None:
    model = Model(400_000, loaded=1_000 * MIB)
    pieces = Pieces(lambda: model.peak, budget=512 * MIB)
    pieces.ask(rows(65_536), model.answer)
    assert model.peak <= 4 * 1_000 * 400_000


def test_a_model_that_loses_rows_is_told_of_by_name() -> None:
    with pytest.raises(ValueError, match="1000 rows gave 999 answers"):
        Pieces(lambda: 0).ask(rows(2_000), lambda part: Outputs(prediction=np.zeros(len(part) - 1)))


def test_no_rows_are_asked_for_all_the_same() -> None:
    model = Model(8)
    assert len(Pieces(lambda: model.peak).ask(rows(0), model.answer)) == 0
    assert model.calls == [0]
