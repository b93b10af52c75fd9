"""Golden requests: drawn from the sample, answered by what ships, and nobody's row."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from validator.gate.golden import ROWS, golden_requests
from validator.outputs import Outputs
from validator.results import Contract, FeatureSpec
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table

N = 200


class Summing:
    """A runtime whose answer is known. It refuses rows whose first feature is negative."""

    def __init__(self, refuse: bool = False) -> None:
        self.refuse = refuse

    def predict(self, table: Table, method: str = "") -> Outputs:
        first = table.columns[0].values
        if self.refuse and (first < 0).any():
            raise Raised("ValueError", (), "negative", "")
        return Outputs(prediction=np.asarray(first * 2.0))


def contract(*features: FeatureSpec) -> Contract:
    return Contract(features=features, task="regression")


def table(**columns: Any) -> Table:
    return Table.of(
        Column(name, *(value if isinstance(value, tuple) else (value,))) for name, value in columns.items()
    )


def numbers(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=N)


A, B = FeatureSpec(name="a", dtype="float64"), FeatureSpec(name="b", dtype="float64")


def test_rows_are_drawn_feature_by_feature_and_answered():
    rows = table(a=numbers(1), b=numbers(2), target=numbers(3))
    content = golden_requests(Summing(), rows, contract(A, B))
    assert content == golden_requests(Summing(), rows, contract(A, B))
    found = json.loads(content)
    assert len(found["rows"]) == ROWS
    assert all(set(row) == {"a", "b"} for row in found["rows"])
    assert found["answers"] == {"prediction": [2 * row["a"] for row in found["rows"]]}
    pairs = set(zip(rows.column("a").values.tolist(), rows.column("b").values.tolist(), strict=True))
    assert not pairs & {(row["a"], row["b"]) for row in found["rows"]}


def test_categories_missing_values_and_whole_numbers_are_json():
    codes = np.array([0, 1, -1] * 70, dtype=np.int32)[:N]
    rows = table(
        a=numbers(1),
        b=np.where(numbers(2) > 0, np.nan, 1.0),
        n=np.arange(N),
        c=(codes, np.array(["x", "y"], dtype=object)),
    )
    features = (
        A,
        B,
        FeatureSpec(name="n", dtype="int64"),
        FeatureSpec(name="c", dtype="category", categories=("x", "y")),
    )
    found = json.loads(golden_requests(Summing(), rows, contract(*features)))["rows"]
    assert {row["b"] for row in found} == {None, 1.0}
    assert {row["c"] for row in found} <= {"x", "y", None}
    assert all(type(row["n"]) is int for row in found)


def test_rows_that_are_refused_are_left_out():
    found = json.loads(
        golden_requests(Summing(refuse=True), table(a=numbers(1), b=numbers(2)), contract(A, B))
    )
    assert 0 < len(found["rows"]) < ROWS
    assert all(row["a"] >= 0 for row in found["rows"])
    assert golden_requests(Summing(refuse=True), table(a=-np.ones(N), b=numbers(2)), contract(A, B)) is None


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinities_are_left_out(value):
    assert golden_requests(Summing(), table(a=np.full(N, value)), contract(A)) is None


def test_free_text_is_never_drawn():
    texts = np.array(["somebody"] * N, dtype=object)
    features = (A, FeatureSpec(name="t", dtype="string"))
    assert golden_requests(Summing(), table(a=numbers(1), t=texts), contract(*features)) is None


def test_without_rows_there_are_none():
    assert golden_requests(Summing(), table(a=np.zeros(0)), contract(A)) is None
