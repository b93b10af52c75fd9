"""Intervals against published values and scipy; the bounds of planned looks against an integration of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from validator.rollout.judge.bounds import (
    PROMOTE_CONSTANT,
    ROLLBACK_CONSTANT,
    looks_bound,
    newcombe,
    students,
    wilson,
)
from validator.rollout.judge.windows import LOOKS

Z95 = 1.959963984540054


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    events, requests = counts
    low, high = wilson(events, requests, Z95)
    oracle = stats.binomtest(events, requests).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(oracle.low, abs=1e-9)
    assert high == pytest.approx(oracle.high, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_gives_the_values_of_his_paper(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = newcombe(*counts, Z95)
    assert (round(float(found[0]), 4), round(float(found[1]), 4)) == (low, high)


def crossing(constant: float, cells: int = 4001) -> float:
    """The chance that a walk of six equal normal steps ever exceeds its bound (Armitage, McPherson and Rowe)."""
    grid = np.linspace(-12, 12, cells)
    width = grid[1] - grid[0]
    density = stats.norm.pdf(grid)
    step = stats.norm.pdf(grid[:, None] - grid[None, :]) * width
    chance = 0.0
    for look in range(1, LOOKS + 1):
        if look > 1:
            density = step @ density
        bound = float(looks_bound(look, constant)) * np.sqrt(look)
        # each cell beyond the bound, the one in which it lies by its part
        beyond = np.clip((grid + width / 2 - bound) / width, 0, 1)
        chance += float((density * beyond).sum() * width)
        density = density * (1 - beyond)
    return chance


@pytest.mark.parametrize(("constant", "level"), [(PROMOTE_CONSTANT, 0.05), (ROLLBACK_CONSTANT, 0.01)])
def test_the_looks_together_spend_their_level(constant: float, level: float) -> None:
    assert crossing(constant) == pytest.approx(level, rel=0.01)


def test_students_quantile_is_wider_and_comes_near() -> None:
    assert students(1.76, 8) > students(1.76, 60) > 1.76
    assert students(1.76, 100_000) == pytest.approx(1.76, abs=1e-3)
