"""A wrapper's methods are called in the way that their framework calls them."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest

from validator.worker.wrapper import Methods, start
from validator.worker.wrapper_answers import aligned, in_order
from validator.worker.wrapper_calls import adapted, settled

ROW = {"age": 30.0, "debt": 2.0}
FRAME = pd.DataFrame([ROW, {"age": 40.0, "debt": 1.0}])


class Row(pydantic.BaseModel):
    model_config = {"extra": "forbid"}
    age: float
    debt: float


@dataclasses.dataclass
class Plain:
    age: float
    debt: float


def test_a_plain_method_is_called_plainly() -> None:
    given: list[Any] = []
    adapted(lambda rows: given.append(rows), "predict")(FRAME)
    assert given[0] is FRAME
    assert adapted(lambda row, threshold=0.5: row["age"], "single")(ROW) == 30.0
    assert adapted(lambda row, **more: row["age"], "single")(ROW) == 30.0
    assert adapted(dict, "single")(ROW) == ROW


def test_coroutines_share_one_loop_and_are_waited_for_from_any_thread() -> None:
    loops = []

    async def predict(rows: Any) -> Any:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.001)
        return await asyncio.to_thread(len, rows)

    call = adapted(predict, "predict")
    assert [call(FRAME), call(FRAME)] == [2, 2]
    assert len(set(map(id, loops))) == 1
    assert settled(3) == 3


def test_an_error_of_a_coroutine_reaches_whoever_called() -> None:
    async def predict(rows: Any) -> Any:
        raise KeyError("age")

    with pytest.raises(KeyError, match="age"):
        adapted(predict, "predict")(FRAME)


def test_features_as_keywords() -> None:
    def single(age: float, debt: float) -> float:
        return age + debt

    def any_names(**features: float) -> float:
        return sum(features.values())

    def named_only(*, age: float, debt: float) -> float:
        return age - debt

    assert [adapted(one, "single")(ROW) for one in (single, any_names, named_only)] == [32.0, 32.0, 28.0]
    with pytest.raises(TypeError, match="unexpected keyword argument 'dbt'"):
        adapted(single, "single")({"age": 1.0, "dbt": 2.0})


def test_rows_as_the_class_that_they_are_annotated_with() -> None:
    def single(row: Row) -> float:
        return row.age

    def plain(row: Plain) -> float:
        return row.debt

    def batch(rows: list[Row]) -> list[float]:
        return [row.age for row in rows]

    def bare(rows: Any) -> list[float]:
        return [row.age for row in rows]

    assert (adapted(single, "single")(ROW), adapted(plain, "single")(ROW)) == (30.0, 2.0)
    assert adapted(batch, "batch")([ROW, ROW]) == [30.0, 30.0]
    assert adapted(bare, "batch", single=single)([ROW]) == [30.0]
    with pytest.raises(pydantic.ValidationError, match="age"):
        adapted(single, "single")({"debt": 1.0})


def test_mlflow_s_context_and_seldon_s_names() -> None:
    context = object()
    call = adapted(
        lambda context, model_input, params=None: (context, model_input), "predict", context=context
    )
    assert call(FRAME) == (context, FRAME)
    matrix, names = adapted(lambda X, names=None, meta=None: (X, names), "predict")(FRAME)
    assert isinstance(matrix, np.ndarray)
    assert names == ["age", "debt"]
    assert adapted(lambda X, names: names, "predict")(matrix) is None


def test_a_python_model_is_loaded_by_its_context() -> None:
    class Model:
        def load_context(self, context: Any) -> None:
            self.path = context.artifacts["classifier"]
            self.listed = list(context.artifacts.values())

        def predict(self, context: Any, model_input: Any) -> Any:
            return self.path

    wrapper = start(Model, "/models/m.pkl", Methods()).wrapper
    assert (wrapper.path, wrapper.listed) == ("/models/m.pkl", ["/models/m.pkl"])


def test_a_pandas_answer_is_put_in_the_order_that_its_index_says() -> None:
    turned = pd.Series([3.0, 1.0, 2.0], index=[2, 0, 1])
    assert (in_order(turned), aligned(turned).tolist()) == (False, [1.0, 2.0, 3.0])
    mine = pd.Index(["b", "c", "a"])
    assert aligned(pd.Series([3.0, 1.0, 2.0], index=["a", "b", "c"]), mine).tolist() == [1.0, 2.0, 3.0]
    assert in_order(pd.Series([3.0, 1.0, 2.0], index=mine), mine)
    assert in_order(pd.Series([3.0, 1.0, 2.0]), mine)
    assert in_order(pd.Series([3.0, 1.0], index=["b", "a"]), pd.Index(["a", "a"]))
    for fine in (
        pd.Series([3.0, 1.0]),
        pd.Series([3.0, 1.0], index=["b", "a"]),
        pd.Series([3.0, 1.0], index=[7, 3]),  # of other rows: nothing tells where they belong
        np.array([3.0, 1.0]),
        [3.0, 1.0],
    ):
        assert in_order(fine)
        assert aligned(fine) is fine
