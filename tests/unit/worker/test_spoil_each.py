"""One feature after the other is spoilt: in one batch where that is the same, else row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from validator.libraries.adapter import Adapter
from validator.sandbox.packing import pack_table
from validator.table import Column, Table
from validator.worker.jobs.native import NativeJob

NAMES = ("a", "b", "c")


def _row(dtype: str = "float64") -> Table:
    return Table.of(Column(name, np.array([i + 1.0], dtype=dtype)) for i, name in enumerate(NAMES))


def _fitted(kind: Any) -> Any:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    return kind.fit(rows, rows[:, 0] > 0 if hasattr(kind, "classes") else rows[:, 0])


class Counting(Adapter):
    """An adapter that counts how often it is asked."""

    asked = 0

    def predict(self, given: Any) -> Any:
        self.asked += 1
        return super().predict(given)


def _told(
    model: Any, value: str, *, trusted: bool = False, row: Table | None = None
) -> tuple[list[Any], int]:
    job = NativeJob("pickle", trusted=trusted)
    job._model = adapter = Counting(model)
    meta, arrays = pack_table(row or _row())
    return job.spoil_each(arrays, meta, list(NAMES), value)[0]["endings"], adapter.asked


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_batch_tells_of_each_feature_what_its_row_alone_tells(value: str, dtype: str) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = _fitted(HistGradientBoostingRegressor(max_iter=3))
    at_once, asked = _told(model, value, row=_row(dtype))
    alone, asked_alone = _told(model, value, row=_row(dtype), trusted=True)
    assert at_once == alone == [{"finite": True}] * 3
    assert (asked, asked_alone) == (1, 3)


def test_an_answer_that_is_not_finite_belongs_to_its_feature_alone() -> None:
    class Unchecked:
        """Answers what it is given, without a look at it."""

        def predict(self, given: Any) -> Any:
            return np.where(np.isnan(given[:, 1]), np.nan, given[:, 0] * 0.0 + 1.0)

        n_features_in_ = 3

    job = NativeJob("pickle")
    job._model = _Bare(Unchecked())
    meta, arrays = pack_table(_row())
    told = job.spoil_each(arrays, meta, list(NAMES), "nan")[0]["endings"]
    assert told == [{"finite": False}, {"finite": False}, {"finite": True}]


class _Bare:
    """A model of a matrix behind the interface of served models."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def inputs(self, table: Table) -> Any:
        return table.matrix()

    def predict(self, given: Any) -> Any:
        from validator.outputs import Outputs

        return Outputs(prediction=self.model.predict(given))


def test_what_refuses_the_batch_is_asked_row_by_row_and_says_why_for_each() -> None:
    from sklearn.linear_model import LinearRegression

    told, asked = _told(_fitted(LinearRegression()), "nan")
    assert [one["error"]["type"] for one in told] == ["ValueError"] * 3
    assert asked == 4


def test_none_makes_other_columns_and_is_asked_row_by_row() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    _, asked = _told(_fitted(HistGradientBoostingRegressor(max_iter=3)), "none")
    assert asked == 3
