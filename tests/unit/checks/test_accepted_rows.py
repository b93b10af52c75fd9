"""Rows that the native model refuses are found in few calls, and only they and their neighbours are left out."""

from __future__ import annotations

import numpy as np

from validator.checks.parity.rows import accepted
from validator.outputs import Outputs
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table


class Picky:
    """Refuses every table that holds one of its dislikes."""

    def __init__(self, *dislikes: float) -> None:
        self.dislikes = dislikes
        self.calls = 0

    def predict(self, table: Table) -> Outputs:
        self.calls += 1
        values = table.columns[0].values
        if np.isin(values, self.dislikes).any():
            raise Raised("ValueError", ("ValueError",), "found unknown categories", "")
        return Outputs(prediction=values)


def table(start: int, stop: int) -> Table:
    return Table.of([Column("x", np.arange(start, stop, dtype=float))])


def test_rows_that_are_refused_are_left_out() -> None:
    native = Picky(17.0, 900.0)
    kept, refused = accepted(native, [table(0, 512), table(512, 1024)])  # type: ignore[arg-type]
    values = sorted(value for part in kept for value in part.columns[0].values.tolist())
    assert not {17.0, 900.0} & set(values)
    assert len(values) + refused == 1024
    assert refused <= 16
    assert native.calls < 60


def test_a_model_that_refuses_everything_leaves_nothing() -> None:
    kept, refused = accepted(Picky(*range(8)), [table(0, 8)])  # type: ignore[arg-type]
    assert (kept, refused) == ([], 8)
