"""How turns are taken, and when they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.checks.conftest import CLOCK, FakeRuntime
from validator.checks.latency.sampling import Arm, Effort, RatioTarget, sample


class Recording(FakeRuntime):
    """Notes when it was asked for how many calls, and takes longer for the first ones after another's turn."""

    cold_ns = 0

    def pin(self, core):
        self.log.append((self.name, f"core {core}"))

    def run(self, start, calls):
        self.log.append((self.name, calls))
        timing = super().run(start, calls)
        timing.spans_ns[:2] += self.cold_ns
        return timing


def arms(subject, log, **changes):
    made = {}
    for name in ("native", "onnx"):
        runtime = Recording(name=name, **changes)
        runtime.log = log
        made[name] = Arm(runtime=runtime, rows=subject.rows, limit_ms=50)
    return made


PAIR = RatioTarget(slower="native", faster="onnx")
EFFORT = Effort(budget_s=300, confidence=0.95, clock=CLOCK)


def test_turns_are_taken_round_by_round_in_varying_order_and_length(subject):
    log = []
    sample(arms(subject, log), [PAIR], EFFORT)
    turns = log[4:]  # two calls each to warm up
    rounds = [tuple(name for name, _ in turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert set(rounds) == {("native", "onnx"), ("onnx", "native")}
    assert len({calls for _, calls in turns}) > 5


def test_all_go_from_core_to_core_together(subject):
    log, where = [], {}
    sample(arms(subject, log), [PAIR], replace(EFFORT, cores=[3, 7, 9]))
    rounds = []
    for name, what in log[4:]:
        if isinstance(what, str):
            where[name] = what
        else:
            rounds.append(where[name])
    in_pairs = list(zip(rounds[::2], rounds[1::2], strict=True))
    assert all(one == other for one, other in in_pairs)
    assert [one for one, _ in in_pairs[::5]][:4] == ["core 3", "core 7", "core 9", "core 3"]


def test_the_first_calls_of_a_turn_are_not_counted(subject):
    made = arms(subject, [])
    made["native"].runtime.cold_ns = 40_000_000
    found = sample(made, [PAIR], EFFORT)
    assert found.series["native"].spans_ns.max() == 100_000


def test_what_is_slow_at_every_fiftieth_call_is_seen_whatever_the_length_of_a_turn(subject):
    for typical_us in (80, 200, 210, 950):
        made = arms(subject, [])
        calls = iter(range(10**9))
        made["native"].runtime.duration_ns = lambda _, c=calls, t=typical_us: (
            90_000_000 if next(c) % 50 == 0 else t * 1_000
        )
        spans = sample(made, [PAIR], EFFORT).series["native"].spans_ns
        assert 0.01 < np.mean(spans > 50_000_000) < 0.035


def test_one_that_is_settled_rests_while_the_others_go_on(subject):
    log = []
    made = arms(subject, log)
    made["native"].runtime.duration_ns = lambda call: 5_000_000  # two calls a turn: 410 take 200 turns
    found = sample(made, [], EFFORT)
    assert found.series["native"].calls >= 410
    assert len(found.series["onnx"].blocks) == EFFORT.rounds
    assert "narrow enough" in found.ended


def test_the_budget_ends_it_and_very_slow_models_get_few_turns(subject):
    started = CLOCK()
    slow = arms(subject, [], duration_ns=lambda call: 400_000_000)
    found = sample(slow, [PAIR], Effort(budget_s=0.05, confidence=0.95, clock=CLOCK))
    assert "budget" in found.ended
    assert len(found.series["native"].blocks) == 3, "no fewer, whatever the budget"
    assert CLOCK() - started == pytest.approx(2 * (3 + 1) * 0.4), "and one call each to see how slow they are"


def test_an_uncertain_ratio_is_sampled_longer_than_a_certain_one(subject):
    random = np.random.default_rng(0)
    noisy, calm = [], []
    sample(arms(subject, calm), [PAIR], EFFORT)
    sample(arms(subject, noisy, duration_ns=lambda _: int(random.lognormal(11.5, 1.5))), [PAIR], EFFORT)
    assert len(noisy) > len(calm)
