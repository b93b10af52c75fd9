"""Intervals that hold whatever the distribution and however often one looks; ratios that noise on both leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.checks.latency.statistics import (
    paired_ratio,
    plausible_exceedances,
    quantile_interval,
    read_limit,
)

TIMES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=600)


@given(TIMES, st.floats(1e-3, 1e3))
def test_the_interval_follows_the_unit_and_not_the_order(times, factor):
    values = np.array(times)
    low, high = quantile_interval(values, 0.99, 0.95)
    again = quantile_interval(values[::-1] * factor, 0.99, 0.95)
    assert again == pytest.approx((low * factor, high * factor))


@given(TIMES)
def test_the_interval_holds_the_estimate_and_its_bounds_are_times_that_were_seen(times):
    values = np.array(times)
    low, high = quantile_interval(values, 0.99, 0.95)
    assert low <= np.quantile(values, 0.99, method="inverted_cdf") <= high
    assert {low, high} <= {*times, math.inf, -math.inf}


@given(st.integers(1, 20_000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_more_confidence_is_a_wider_interval(calls, confidence):
    fewest, most = plausible_exceedances(calls, 0.01, confidence)
    wider = plausible_exceedances(calls, 0.01, 0.999)
    assert 0 <= wider[0] <= fewest <= calls * 0.01 + 1
    assert calls * 0.01 - 1 <= most <= wider[1] <= calls


def test_too_few_calls_tell_nothing_and_410_can_tell():
    assert quantile_interval(np.ones(409), 0.99, 0.95)[1] == math.inf
    assert quantile_interval(np.ones(410), 0.99, 0.95)[1] == 1


def draw(kind: str, rng: np.random.Generator, size: int) -> np.ndarray:
    if kind == "heavy tail":
        return rng.pareto(1.1, size)
    if kind == "two humps":
        return np.where(rng.random(size) < 0.02, 100.0, 1.0) * rng.lognormal(0, 0.1, size)
    return rng.lognormal(0, 1, size)


@pytest.mark.parametrize("kind", ["heavy tail", "two humps", "log-normal"])
def test_the_interval_holds_the_true_quantile_at_every_look_at_once(kind):
    """Looking after every 50 calls, up to 3,000: at most one run in twenty may ever exclude the truth."""
    rng = np.random.default_rng(3)
    truth = np.quantile(draw(kind, rng, 2_000_000), 0.99)
    runs, wrong = 300, 0
    for _ in range(runs):
        above = np.cumsum(draw(kind, rng, 3_000) > truth)
        wrong += any(not fewest <= above[n - 1] <= most for n, (fewest, most) in BOUNDS.items())
    assert wrong <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)


BOUNDS = {n: plausible_exceedances(n, 0.01, 0.95) for n in range(50, 3_001, 50)}


@pytest.mark.parametrize(
    ("low", "high", "reading"),
    [
        (1, 2, "within"),
        (3, 4, "over"),
        (2.5, 2.6, "over"),
        (1, 2.5, "inconclusive"),
        (0, math.inf, "inconclusive"),
    ],
)
def test_a_limit_is_kept_broken_or_undecided(low, high, reading):
    assert read_limit(low, high, 2.5) == reading


@given(st.lists(st.floats(0.01, 100), min_size=5, max_size=60), st.floats(0.1, 10))
def test_noise_that_hits_both_of_a_pair_does_not_touch_their_ratio(noise, factor):
    base = np.array(noise) * 1e6
    ratio = paired_ratio(base * factor, base, 0.95)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((factor,) * 3)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.8, 1.25))
def test_a_ratio_and_its_inverse_agree(seed, factor):
    rng = np.random.default_rng(seed)
    one, other = rng.lognormal(10, 0.05, 41) * factor, rng.lognormal(10, 0.05, 41)
    there, back = paired_ratio(one, other, 0.9), paired_ratio(other, one, 0.9)
    assert there.low <= there.value <= there.high
    assert there.value == pytest.approx(1 / back.value)


def test_a_ratio_stands_against_disturbances_of_a_third_of_the_pairs():
    rng = np.random.default_rng(0)
    one, other = rng.normal(120, 1, 60), rng.normal(100, 1, 60)
    one[:10] *= 50
    other[10:20] *= 50
    ratio = paired_ratio(one, other, 0.95)
    assert ratio.value == pytest.approx(1.2, rel=0.02)
    assert ratio.low < 1.2 < ratio.high
