"""What is only warned of: it is seen, told everywhere, decides nothing, and is not cried without reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rollout.world import World
from validator.rollout.judge.shapes import least_psi, noise
from validator.rollout.page import page
from validator.rollout.report import lines, log

EDGES = [0.1, 0.2, 0.3, 0.4]
EVEN = [0.2] * 5


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def world_of(folder: Path, shares: list[float], edges: list[float], **changes: object) -> World:
    world = World(folder, **changes)
    world.answers = {"blue": (EDGES, EVEN), "green": (edges, shares)}
    world.begin()
    return world


def test_outputs_spread_otherwise_are_warned_of_everywhere_and_promoted_all_the_same(tmp_path: Path) -> None:
    world = world_of(tmp_path, [0.96, 0.01, 0.01, 0.01, 0.01], EDGES)
    world.to("guard-25")
    told = world.state().history[-1].warnings
    assert [warning.partition(":")[0] for warning in told] == [
        "output prediction is spread otherwise than the champion's at the same time"
    ]
    state = world.live(240, 60)
    assert state.stage == "guard-25"
    assert state.warnings
    for shown in ("\n".join(lines(state, None)), log(state, None), page(state, None, ["guard-25"])):
        assert shown.count("is spread otherwise") == 2 - (shown.startswith("GUARD")), shown
    assert world.to("confirm-50").state == "confirm", "it decides nothing"


def test_equal_outputs_in_other_bins_are_not_warned_of(tmp_path: Path) -> None:
    """The same spread, evenly over 0 to 0.5, counted in the bins of another profile."""
    world = world_of(tmp_path, [0.3, 0.3, 0.4], [0.15, 0.3])
    world.to("guard-25")
    assert not any(event.warnings for event in world.state().history)


def test_a_shadow_that_answers_otherwise_is_warned_of_and_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, shadow=True)
    world.begin()
    world.fails["green"] = {"different": 0.3}
    world.to("guard-5")
    (told,) = world.state().history[-1].warnings
    assert "30.0% of" in told
    assert "in the shadow differ from the champion's" in told


def test_a_shadow_that_answers_otherwise_now_and_then_is_not(tmp_path: Path) -> None:
    world = World(tmp_path, shadow=True)
    world.begin()
    world.fails["green"] = {"different": 0.04}
    world.to("guard-5")
    assert world.state().history[-1].warnings == ()


rising = st.lists(st.floats(-5, 5), min_size=1, max_size=9, unique=True).map(sorted)


@settings(max_examples=50)
@given(rising, rising, st.integers(0, 2**32 - 1))
def test_the_least_index_is_below_that_of_any_rows_that_made_the_counts(
    edges: list[float], others: list[float], seed: int
) -> None:
    random = np.random.default_rng(seed)
    rows, base = random.normal(random.normal(), 1, 400), random.normal(0, 1, 900)

    def counts(values: np.ndarray, at: list[float]) -> np.ndarray:
        return np.bincount(np.searchsorted(at, values), minlength=len(at) + 1)

    def psi(a: np.ndarray, c: np.ndarray) -> float:
        p, q = ((x + 0.5) / (x.sum() + 0.5 * len(x)) for x in (a, c))
        return float(((p - q) * np.log(p / q)).sum())

    found = least_psi(edges, counts(rows, edges), others, counts(base, others))
    truth = max(
        psi(counts(rows, others), counts(base, others)), psi(counts(rows, edges), counts(base, edges))
    )
    assert found <= truth + 0.02 + 0.1 * truth, "to what the steps between the edges leave"
    same = least_psi(edges, counts(rows, edges), edges, counts(base, edges))
    assert same == pytest.approx(psi(counts(rows, edges), counts(base, edges)))


def test_equal_outputs_are_warned_of_once_in_a_thousand_at_most() -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        e, f = (np.quantile(random.beta(2, 5, 3000), np.arange(1, 10) / 10) for _ in range(2))
        a = np.bincount(np.searchsorted(e, random.beta(2, 5, 300)), minlength=10)
        c = np.bincount(np.searchsorted(f, random.beta(2, 5, 3000)), minlength=10)
        alarms += least_psi(e, a, f, c) > noise(10, 300, 3000)
    assert alarms <= 2
