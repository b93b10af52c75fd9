"""Quantiles without SciPy are SciPy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from validator.profile.quantiles import f_quantile, t_quantile

DEGREES = st.floats(0.5, 2_000) | st.integers(1, 500)
#: Where 1 - p keeps few digits, so does the quantile, in SciPy as here.
PROBABILITIES = st.floats(1e-3, 1 - 1e-4)


@given(PROBABILITIES, DEGREES, DEGREES)
def test_f_is_that_of_scipy(probability, above, below):
    expected = float(special.fdtri(above, below, probability))
    assert f_quantile(probability, above, below) == pytest.approx(expected, rel=1e-8)


@given(PROBABILITIES, DEGREES)
def test_t_is_that_of_scipy(probability, freedom):
    expected = float(special.stdtrit(freedom, probability))
    assert t_quantile(probability, freedom) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("columns", [1, 10, 300, 5_000])
@pytest.mark.parametrize("windows", [3, 8, 64])
@pytest.mark.parametrize("directions", [1.0, 2.5, 19.0])
def test_the_quantiles_of_the_drift_rule_are_exact_to_nine_digits(columns, windows, directions):
    probability = 1 - 0.01 / columns
    expected = float(special.fdtri(directions, windows - 1, probability))
    assert f_quantile(probability, directions, windows - 1) == pytest.approx(expected, rel=1e-9)


def test_the_middle_of_t_is_nought_and_its_sides_are_alike():
    assert t_quantile(0.5, 3) == 0
    assert t_quantile(0.975, 7) == -t_quantile(0.025, 7)
    assert math.isclose(t_quantile(0.975, 1), math.tan(math.pi * 0.475), rel_tol=1e-12)
