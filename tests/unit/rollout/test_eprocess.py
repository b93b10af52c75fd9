"""The e-process: its expectation under the hypothesis, worked out exactly, and its divisor against a search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from validator.rollout.judge.eprocess import GROSS_PRIOR, log_evidence, log_evidence_above


@pytest.mark.parametrize("base", [0.0, 0.005, 0.1, 0.5])
@pytest.mark.parametrize("difference", [0.01, 0.0, -0.05])
def test_its_expectation_is_at_most_one(base: float, difference: float) -> None:
    margin, n, d = 0.01, 40, 60
    share = min(max(base + difference, 0.0), 1.0)
    a, c = np.meshgrid(np.arange(n + 1), np.arange(d + 1), indexing="ij")
    chance = stats.binom.logpmf(a, n, share) + stats.binom.logpmf(c, d, base)
    assert float(np.exp(chance + log_evidence(a, n, c, d, margin)).sum()) <= 1 + 1e-9


@pytest.mark.parametrize("share", [0.0, 0.002, 0.005])
def test_the_one_armed_expectation_is_at_most_one(share: float) -> None:
    a = np.arange(201)
    chance = stats.binom.logpmf(a, 200, share)
    assert float(np.exp(chance + log_evidence_above(a, 200, 0.005)).sum()) <= 1 + 1e-9


@given(
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.0025, 0.01, 0.1]),
)
def test_the_divisor_is_the_largest_likelihood_allowed(
    candidate: tuple[int, int], champion: tuple[int, int], margin: float
) -> None:
    (a, n), (c, d) = candidate, champion

    def likelihood(share: float, base: float) -> float:
        return float(
            stats.binom.logpmf(a, n, share)
            - stats.binom.logpmf(a, n, a / n)
            + stats.binom.logpmf(c, d, base)
            - stats.binom.logpmf(c, d, c / d)
        )

    best = 0.0
    if a / n - c / d > margin:
        found = optimize.minimize_scalar(
            lambda base: -likelihood(base + margin, base), bounds=(1e-9, 1 - margin - 1e-9), method="bounded",
            options={"xatol": 1e-10},
        )  # fmt: skip
        best = -float(found.fun)
    free = float(log_evidence(a, n, c, d, 0.999999)) if a / n - c / d <= 0.999999 else None
    if free is not None:  # with nothing excluded the divisor is the free maximum
        assert float(log_evidence(a, n, c, d, margin)) == pytest.approx(free - best, abs=1e-4)


def test_dead_candidates_and_gross_failures_are_seen_early() -> None:
    needed = np.log(3 / 0.01)
    assert float(log_evidence(6, 6, 1, 114, 0.05, GROSS_PRIOR)) > needed, "six refused connections of six"
    assert float(log_evidence(13, 43, 4, 817, 0.05, GROSS_PRIOR)) > needed, "30 % errors within 45 requests"
    assert float(log_evidence(3, 300, 28, 5700, 0.05, GROSS_PRIOR)) < 0
