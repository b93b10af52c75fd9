"""Leaves and raw scores: a row that meets another leaf is found and shown, and fails."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from validator.checks.parity.leaves import Inside, Marked, compare_inside, judge_inside
from validator.outputs import Outputs
from validator.table import Column, Table


@dataclass
class Teller:
    """A runtime whose worker tells of its inside: fingerprints are x, raw scores x / 2."""

    told: tuple[str, ...] = ("leaves", "raw")
    shift: float = 0.0
    asked: int = 0

    @property
    def worker(self) -> Any:
        return self

    def call(self, op: str, arrays: list[Any], table: Any, columns: int) -> Any:
        assert len(arrays) == columns + 2
        self.asked += len(arrays[0])
        values = {"leaves": arrays[0], "raw": arrays[0] / 2}
        told = ["leaves"] if op == "met" else list(self.told)
        return SimpleNamespace(result={"told": told}, arrays=[values[name] for name in told])


@dataclass
class Scorer:
    """ONNX Runtime: `factor` of x, and something else in one row."""

    factor: float
    odd: float | None = None

    def predict(self, table: Table) -> Outputs:
        x = table.columns[0].values
        return Outputs(score=np.where(x == self.odd, -1.0, x * self.factor))


def compared(
    native: Teller, *, odd_leaf: float | None = None, odd_raw: float | None = None, trees: int = 2
) -> Any:
    marked = Marked(
        trees=trees,
        leaves=Scorer(1.0, odd_leaf),  # type: ignore[arg-type]
        values=(np.zeros(1), np.zeros(1)),
        raw=Scorer(0.5, odd_raw),  # type: ignore[arg-type]
    )
    tables = [Table.of([Column("x", np.arange(start, start + 6_000.0))]) for start in (0, 6_000)]
    found = Inside(tolerance=1e-9)
    compare_inside(native, native, marked, tables, found)  # type: ignore[arg-type]
    return found


def test_equal_leaves_and_scores_pass() -> None:
    found = compared(Teller())
    finding = judge_inside(found)
    assert (found.rows, found.leaf_mismatches, found.max_raw_diff) == (12_000, 0, 0.0)
    assert finding.status == "pass"
    assert "bit-identical" in finding.message


def test_a_row_that_meets_another_leaf_fails_and_is_shown() -> None:
    found = compared(Teller(), odd_leaf=7_001.0)
    finding = judge_inside(found)
    assert found.leaf_mismatches == 1
    assert finding.status == "fail"
    assert finding.evidence[-1].seen == "x=7001.0"


def test_other_raw_scores_fail() -> None:
    found = compared(Teller(), odd_raw=3.0)
    assert found.max_raw_diff == 2.5
    assert judge_inside(found).status == "fail"


def test_leaves_that_the_library_does_not_tell_are_walked_for_it() -> None:
    found = compared(Teller(told=()), odd_leaf=3.0)
    assert found.leaf_mismatches == 1
    assert not found.by_library
    assert found.raw is None
    assert any("walked" in str(item.seen) for item in judge_inside(found).evidence)


@pytest.mark.parametrize(("told", "most"), [(("leaves", "raw"), 2_000), ((), 200)])
def test_models_of_many_trees_are_compared_on_fewer_rows(told: tuple[str, ...], most: int) -> None:
    native = Teller(told=told)
    assert compared(native, trees=10_000).rows <= most


def test_files_that_tell_nothing_are_not_judged() -> None:
    found = Inside(tolerance=1e-9)
    compare_inside(Teller(), Teller(), Marked(trees=0), [], found)  # type: ignore[arg-type]
    assert judge_inside(found).status == "skip"
