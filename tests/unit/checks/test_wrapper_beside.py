"""Rows beside thresholds: close pairs that a model answers otherwise, each with values as the sample has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.checks.test_wrapper_answers import judged
from validator.checks.wrapper.beside import beside_thresholds, in_float32
from validator.outputs import Outputs
from validator.table import Column, Table

RNG = np.random.default_rng(3)
THRESHOLDS = {"a": 0.31537, "b": 1234.56789, "c": 41.0}


def rows(**changed: Any) -> Table:
    held = {
        "a": RNG.uniform(0, 1, 60),
        "b": RNG.uniform(0, 5000, 60),
        "c": np.round(RNG.uniform(18, 80, 60)),
        **changed,
    }
    return Table.of(Column(name, values) for name, values in held.items())


def stump(table: Table) -> Outputs:
    """The sum of one step a column."""
    steps = [table.column(name).values > at for name, at in THRESHOLDS.items()]
    return Outputs(prediction=np.sum(steps, axis=0).astype(float))


def rounded(table: Table, how: Any) -> Table:
    return Table.of(Column(one.name, how(one.values)) for one in table.columns)


def test_pairs_lie_beside_each_threshold():
    found = beside_thresholds(rows(), stump)
    assert found is not None
    for name, at in (("a", 0.31537), ("b", 1234.56789)):
        near = [found.rows.column(name).values[row] for row, own in enumerate(found.columns) if own == name]
        assert min(near) <= at < max(near)
        assert np.allclose(near, at, rtol=2e-6)


def test_values_have_the_decimals_of_the_sample():
    found = beside_thresholds(rows(a=np.round(RNG.uniform(0, 1, 60), 2)), stump)
    assert found is not None
    assert np.array_equal(np.round(found.rows.column("a").values, 2), found.rows.column("a").values)
    whole = found.rows.column("c").values
    assert np.array_equal(np.round(whole), whole)
    assert {41.0, 42.0} <= set(whole.tolist())


def test_integers_stay_integers():
    found = beside_thresholds(rows(c=RNG.integers(18, 80, 60)), stump)
    assert found is not None
    assert found.rows.column("c").values.dtype.kind == "i"


def test_float32_answers_all_of_them_as_the_model_does_and_float16_does_not():
    found = beside_thresholds(rows(), stump)
    assert found is not None
    own = stump(found.rows).prediction
    assert np.array_equal(stump(in_float32(found.rows)).prediction, own)
    half = rounded(found.rows, lambda values: values.astype(np.float16).astype(float))
    assert (stump(half).prediction != own).sum() > 10


@pytest.mark.parametrize(
    ("table", "ask"),
    [
        (rows(), lambda table: Outputs(prediction=np.zeros(len(table)))),
        (Table.of([Column("word", np.array(["x", "y"], dtype=object))]), stump),
        (rows().take(slice(1)), stump),
    ],
)
def test_there_are_none_where_the_answers_turn_on_no_number(table, ask):
    assert beside_thresholds(table, ask) is None


def test_text_missing_values_and_categories_stay_with_their_rows():
    values = RNG.uniform(0, 1, 60)
    values[::7] = np.nan
    table = Table.of(
        [
            *rows(a=values).columns,
            Column("word", np.array(["x", None] * 30, dtype=object)),
            Column("kind", np.tile(np.int32([0, 1, -1]), 20), np.array(["k", "l"], dtype=object)),
        ]
    )
    found = beside_thresholds(table, stump)
    assert found is not None
    assert set(found.columns) == {"a", "b", "c"}
    assert set(found.rows.column("word").values.tolist()) <= {"x", None}
    assert found.rows.column("kind").categories is table.column("kind").categories


def through(how: Any) -> Any:
    from tests.unit.checks.conftest import sensible

    return lambda table: sensible(rounded(table, how))


@pytest.mark.parametrize(
    "how", [lambda values: values.astype(np.float16).astype(float), lambda values: np.round(values, 2)]
)
def test_a_wrapper_that_rounds_what_it_feeds_in_fails(subject, how):
    assert judged(subject, answer=through(how))["wrapper.agrees"].status == "fail"
    assert judged(subject, "warn", answer=through(how))["wrapper.agrees"].status == "warn"


def test_a_wrapper_that_feeds_float32_passes(subject):
    found = judged(subject, answer=through(lambda values: values.astype(np.float32).astype(float)))
    assert found["wrapper.agrees"].status == "pass"
