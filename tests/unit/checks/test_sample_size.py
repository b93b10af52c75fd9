"""A sample in which the target has one value judges nothing of the others, however long it is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from validator.checks.load import sample
from validator.errors import SampleError
from validator.settings.table import Settings
from validator.table import Column, Table


class Rows:
    """A sample that counts how often it was read through."""

    def __init__(self, target: np.ndarray) -> None:
        self.table = Table.of([Column("y", target), Column("x", np.zeros(len(target)))])
        self.passes = 0

    def batches(self) -> Iterator[Table]:
        self.passes += 1
        for start in range(0, len(self.table), 7_000):
            yield self.table.take(slice(start, start + 7_000))


def judged(target: np.ndarray, **settings: object) -> tuple[tuple[str, ...], int]:
    rows = Rows(target)
    head = rows.table.take(slice(0, 10_000))
    return sample._judge_size(Settings(target="y", **settings), rows, head), rows.passes  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [200, 9_999, 10_000, 25_000])
def test_one_value_is_told_however_long_the_sample(count: int) -> None:
    assert judged(np.ones(count)) == (("the sample's 'y' has one value only",), int(count >= 10_000))


@pytest.mark.parametrize("at", [0, 9_999, 10_000, 24_999])
def test_another_value_anywhere_is_found(at: int) -> None:
    target = np.ones(25_000)
    target[at] = 0
    assert judged(target) == ((), int(at >= 10_000))


def test_few_rows_and_fewer_than_demanded() -> None:
    assert judged(np.arange(30.0))[0] == ("the sample has 30 rows only",)
    with pytest.raises(SampleError, match="min_rows"):
        judged(np.arange(30.0), min_rows=100)
