"""The promised rates, simulated through the judge itself. The long tests bound them; the short one runs every day."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from tests.unit.rollout.simulation import (
    BASE,
    SETTINGS,
    Happens,
    World,
    an_hour,
    bursts,
    incident,
    incidents_on_either,
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


def at_most(ends: Counter[str], what: str, rate: float) -> None:
    """A count must be compatible with a true rate of at most `rate`; it is printed, for the documentation."""
    runs, count = ends.total(), ends[what]
    interval = stats.binomtest(count, runs).proportion_ci()
    low, high = 100 * interval.low, 100 * interval.high
    print(f"{what}: {count} of {runs}, {100 * count / runs:.2f} % [{low:.2f}, {high:.2f}]; {dict(ends)}")
    assert count <= stats.binom.ppf(1 - CHANCE, runs, rate), dict(ends)


def at_least(ends: Counter[str], what: str, rate: float) -> None:
    """The same from below."""
    other = f"not {what}"
    at_most(Counter({other: ends.total() - ends[what], what: ends[what]}), other, 1 - rate)


def hours(runs: int, seed: int, share: float, worse: float, happens: Happens) -> Counter[str]:
    """How stages of an hour end at a margin of one percentage point."""
    ends: Counter[str] = Counter()
    for index in range(runs):
        rng = np.random.default_rng([seed, index])
        ends[an_hour(World(rng=rng, worse={"error": worse}, happens=happens), share).outcome] += 1
    return ends


def test_equal_candidates_reach_full_and_worse_ones_do_not() -> None:
    assert rates(8, 1)["promote"] >= 7
    assert rates(8, 2, worse={"error": 0.01})["promote"] == 0
    assert rates(8, 3, worse={"error": 0.3})["rollback"] == 8


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_equal_candidates_reach_full_in_99_of_100() -> None:
    ends = rates(2000, 11)
    at_least(ends, "promote", 0.99)
    at_most(ends, "rollback", 0.001)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("metric", ["error", "slow", "refused"])
def test_at_the_margin_at_most_5_percent_reach_full(metric: str) -> None:
    margin = {"error": 0.0025, "slow": 0.005, "refused": 0.01}[metric]
    at_most(rates(800, 12, worse={metric: margin}), "promote", 0.05)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", [5, 25])
@pytest.mark.parametrize("metric", ["error", "slow", "refused"])
def test_thirty_percent_errors_are_out_within_100_requests(metric: str, share: int) -> None:
    most = 0
    for index in range(300):
        # so few that each window adds a handful: a window is the finest that a simulation by the minute can see
        world = World(rng=np.random.default_rng([13, index]), worse={metric: 0.3}, per_second=10 / share)
        end, requests = one_stage(world, Stage(state="guard", share=share), SETTINGS.guard_requests, 60)
        assert end == "rollback"
        most = max(most, requests)
    print(f"out after at most {most} requests of 300 candidates")
    assert most <= 100


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", [0.3, 1.5])
def test_an_outage_in_which_the_shares_move_promotes_nothing_it_should_not(share: float) -> None:
    at_most(rates(400, 14, worse={"error": BASE["error"] / 2}, happens=outage(share)), "promote", 0.05)
    equal = rates(400, 15, happens=outage(share))
    at_least(equal, "promote", 0.90)
    at_most(equal, "rollback", 0.001)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_bursts_that_meet_both_arms() -> None:
    equal = rates(400, 20, happens=bursts())
    at_least(equal, "promote", 0.98)
    at_most(equal, "rollback", 0.001)
    at_most(rates(400, 21, worse={"error": 0.0025}, happens=bursts()), "promote", 0.07)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_bursts_of_clients_that_stay_with_one_arm() -> None:
    """Judged over windows they are no grounds for promotion; a long one early in a stage can roll back."""
    at_most(rates(400, 16, worse={"error": 0.0025}, happens=sticky_bursts()), "promote", 0.05)
    equal = rates(400, 17, happens=sticky_bursts())
    at_most(equal, "rollback", 0.089)
    at_least(equal, "promote", 0.95 * 0.82 * 0.65)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("share", "equal", "at_margin", "back"),
    [(0.05, 0.95, 0.043, 0.009), (0.25, 0.82, 0.084, 0.089), (0.5, 0.65, 0.05, 0.23)],
)
def test_an_hour_of_bursts_of_clients_that_stay(
    share: float, equal: float, at_margin: float, back: float
) -> None:
    """Promoted as often as by windows' design effect alone, rolled back less often than by a plain e-process."""
    ends = hours(200, 22, share, 0.0, sticky_bursts())
    at_least(ends, "promote", equal)
    at_most(ends, "rollback", back)
    at_most(hours(200, 23, share, 0.01, sticky_bursts()), "promote", at_margin)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_incident_on_the_champions_host_promotes_no_candidate_at_the_margin() -> None:
    at_most(rates(400, 18, worse={"error": 0.0025}, happens=incident()), "promote", 0.05)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("share", "rate"), [(0.05, 0.124), (0.5, 0.16)])
def test_incidents_on_one_host_of_equal_candidates(share: float, rate: float) -> None:
    """Ten minutes of 10 % errors on one host: a plain e-process goes back in 12 and 16 of 100 hours."""
    at_most(hours(400, 24, share, 0.0, incidents_on_either()), "rollback", rate)
