"""The promised rates, simulated through the judge itself. The long tests bound them; the short one runs every day."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from tests.unit.rollout.simulation import (
    BASE,
    SETTINGS,
    World,
    incident,
    one_stage,
    outage,
    sticky_bursts,
    whole_way,
)
from validator.rollout.stages import Stage

#: Chance with which a true rate at its bound fails a test.
CHANCE = 1e-4


def rates(runs: int, seed: int, **world: object) -> Counter[str]:
    """How often each end came."""
    ends: Counter[str] = Counter()
    for index in range(runs):
        end, _ = whole_way(World(rng=np.random.default_rng([seed, index]), **world))  # type: ignore[arg-type]
        ends[end] += 1
    return ends


def at_most(count: int, runs: int, rate: float) -> bool:
    """Whether a count is compatible with a true rate of at most `rate`."""
    return bool(count <= stats.binom.ppf(1 - CHANCE, runs, rate))


def test_equal_candidates_reach_full_and_worse_ones_do_not() -> None:
    assert rates(8, 1)["promote"] >= 7
    assert rates(8, 2, worse={"error": 0.01})["promote"] == 0
    assert rates(8, 3, worse={"error": 0.3})["rollback"] == 8


@pytest.mark.long
def test_equal_candidates_reach_full_in_99_of_100() -> None:
    ends = rates(1000, 11)
    assert at_most(1000 - ends["promote"], 1000, 0.01), ends
    assert at_most(ends["rollback"], 1000, 0.001), ends


@pytest.mark.long
@pytest.mark.parametrize("metric", ["error", "slow", "refused"])
def test_at_the_margin_at_most_5_percent_reach_full(metric: str) -> None:
    margin = {"error": 0.0025, "slow": 0.005, "refused": 0.01}[metric]
    ends = rates(400, 12, worse={metric: margin})
    assert at_most(ends["promote"], 400, 0.05), ends


@pytest.mark.long
def test_thirty_percent_errors_are_out_within_100_requests() -> None:
    for index in range(300):
        world = World(rng=np.random.default_rng([13, index]), worse={"error": 0.3}, per_second=2.0)
        end, requests = one_stage(world, Stage(state="guard", share=5), SETTINGS.guard_requests, 60)
        assert end == "rollback"
        assert requests <= 100


@pytest.mark.long
@pytest.mark.parametrize("share", [0.3, 1.5])
def test_an_outage_in_which_the_shares_move_promotes_nothing_it_should_not(share: float) -> None:
    at_margin = rates(200, 14, worse={"error": BASE["error"] / 2}, happens=outage(share))
    assert at_most(at_margin["promote"], 200, 0.05), at_margin
    equal = rates(200, 15, happens=outage(share))
    assert at_most(200 - equal["promote"], 200, 0.10), equal
    assert at_most(equal["rollback"], 200, 0.001), equal


@pytest.mark.long
def test_bursts_of_clients_that_stay_with_one_arm() -> None:
    at_margin = rates(200, 16, worse={"error": 0.0025}, happens=sticky_bursts())
    assert at_most(at_margin["promote"], 200, 0.084), at_margin
    equal = rates(200, 17, happens=sticky_bursts())
    assert at_most(equal["rollback"], 200, 0.089), equal


@pytest.mark.long
def test_an_incident_on_the_champions_host_promotes_no_candidate_at_the_margin() -> None:
    ends = rates(200, 18, worse={"error": 0.0025}, happens=incident())
    assert at_most(ends["promote"], 200, 0.05), ends
