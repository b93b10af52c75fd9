"""Verdicts, honesty, ratios and the end of sampling, on runtimes whose times are chosen."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from tests.unit.checks.conftest import CLOCK, FakeRuntime
from validator.checks import latency
from validator.errors import WorkerError
from validator.sandbox.worker_pool import Raised

LIMITS = {"single_ms": 50, "load_ms": 1_000, "memory_bytes": 2**30, "budget_s": 30, "batch_sizes": (1, 100)}


def run(native=None, onnx=None, subject=None, base=None, **changes):
    runtimes = {"native": native or FakeRuntime(), "onnx": onnx or FakeRuntime(name="onnx")}
    limits = latency.Limits(**(LIMITS | changes))
    given = (base,) if base else ()
    checks, figures = latency.run(runtimes, subject, limits, *given, clock=CLOCK)
    return {(check.id, check.runtime): check for check in checks}, figures


def failing(checks):
    return {key for key, check in checks.items() if check.status not in ("pass", "warn") and check.required}


def every(calls, milliseconds, otherwise=0.1):
    return lambda call: int((milliseconds if call % calls == 0 else otherwise) * 1e6)


def test_quick_runtimes_pass(subject):
    checks, figures = run(subject=subject)
    assert not failing(checks)
    assert figures.native.p50_ms == pytest.approx(0.1)
    assert figures.native.samples >= 410  # fewer tell nothing of a p99 at 95 %
    assert {batch.rows for batch in figures.batches} == {1, 100}


@pytest.mark.parametrize(
    ("fault", "id"),
    [
        ({"duration_ns": lambda call: 60_000_000}, "latency.single"),
        ({"load_ms": 2_000.0}, "latency.load"),
        ({"peak_bytes": 2 * 2**30}, "latency.memory"),
    ],
)
def test_each_limit_fails_its_own_check(fault, id, subject):
    checks, _ = run(native=FakeRuntime(**fault), subject=subject)
    assert failing(checks) == {(id, "native")}


def test_a_clock_that_stands_still_is_named_whatever_it_could_hide(subject):
    checks, figures = run(native=FakeRuntime(duration_ns=lambda call: 0), subject=subject)
    assert "less time than" in checks["latency.single", "native"].message
    assert checks["latency.speedup", ""].status == "fail"
    assert figures.speedup.value > 0


def test_a_slow_call_in_fifty_shows_in_p99_and_not_in_the_median(subject):
    checks, figures = run(native=FakeRuntime(duration_ns=every(50, 80)), subject=subject)
    assert checks["latency.single", "native"].status == "fail"
    assert figures.native.p50_ms < 1 < figures.native.p99_ms


def test_a_slow_call_in_five_hundred_is_within_the_limit(subject):
    checks, figures = run(native=FakeRuntime(duration_ns=every(500, 80)), subject=subject)
    assert checks["latency.single", "native"].status == "pass"
    assert figures.native.p99_ms < 1 < figures.native.max_ms


@pytest.mark.parametrize(
    ("policy", "estimate_ms", "status"),
    [
        ("estimate", 49, "warn"), ("estimate", 51, "fail"), ("fail", 49, "fail"), ("warn", 51, "warn"),
    ],
)  # fmt: skip
def test_what_too_few_calls_leave_undecided_is_for_the_setting_to_say(policy, estimate_ms, status, subject):
    few = FakeRuntime(duration_ns=every(50, estimate_ms, otherwise=10))
    checks, figures = run(native=few, subject=subject, inconclusive=policy, budget_s=4)
    found = checks["latency.single", "native"]
    assert figures.native.samples < 410
    assert figures.native.p99_high_ms is None
    assert found.status == status
    assert "inconclusive" in found.message
    assert "95%" in found.message
    assert "budget" in figures.stopped


@pytest.mark.parametrize(
    ("serves", "policy", "longest_ms", "is_warning"),
    [
        ("deployment", "estimate", 49, False),
        ("native", "estimate", 49, True),
        ("native", "estimate", 24, False),
        ("native", "warn", 24, True),
        ("deployment", "warn", 24, True),
    ],
)
def test_what_is_undecided_warns_where_it_is_served_and_near_the_limit(
    serves, policy, longest_ms, is_warning, subject
):
    few = FakeRuntime(duration_ns=every(50, longest_ms, otherwise=10))
    checks, _ = run(native=few, subject=subject, serves=serves, inconclusive=policy, budget_s=4)
    found = checks["latency.single", "native"]
    assert (found.status, found.required) == ("warn", is_warning)


def test_sampling_ends_early_when_nothing_is_left_to_know(subject):
    checks, figures = run(subject=subject, budget_s=60)
    assert "narrow enough" in figures.stopped
    ended = [item for item in checks["latency.single", "onnx"].evidence if item.name == "sampling ended when"]
    assert ended[0].seen == figures.stopped


def test_a_worker_that_claims_less_time_than_passed_is_caught(subject):
    liar = FakeRuntime(duration_ns=lambda call: 1_000_000, wall_factor=50)
    checks, _ = run(native=liar, subject=subject)
    assert checks["latency.single", "native"].status == "fail"
    assert "claims" in checks["latency.single", "native"].message


def test_a_worker_that_hides_its_few_slow_calls_is_caught(subject):
    """It claims 4 ms for each, and every 50th took 60: that is far from half of the time, and enough for the p99."""
    liar = FakeRuntime(duration_ns=lambda call: 4_000_000, hidden_ns=every(50, 56, 0))
    checks, figures = run(native=liar, subject=subject)
    assert figures.native.p99_ms < 50
    assert "claims" in checks["latency.single", "native"].message


def test_the_speedup_is_a_paired_ratio_and_a_slower_onnx_fails(subject):
    slow = FakeRuntime(name="onnx", duration_ns=lambda call: 200_000)
    checks, figures = run(onnx=slow, subject=subject)
    assert figures.speedup.value == pytest.approx(0.5)
    assert failing(checks) == {("latency.speedup", "")}
    checks, figures = run(native=FakeRuntime(duration_ns=lambda call: 300_000), subject=subject)
    assert figures.speedup.value == pytest.approx(3)
    assert not failing(checks)


@pytest.mark.parametrize(
    ("microseconds", "status"), [(80, "pass"), (100, "pass"), (108, "pass"), (112, "fail"), (200, "fail")]
)
def test_the_base_version_is_measured_beside_the_candidate(microseconds, status, subject):
    base = latency.Base(runtime=FakeRuntime(), rows=subject.rows)
    candidate = FakeRuntime(name="onnx", duration_ns=lambda call: microseconds * 1_000)
    checks, figures = run(native=candidate, onnx=candidate, subject=subject, base=base)
    assert checks["latency.base", ""].status == status
    assert figures.against_base.value == pytest.approx(100 / microseconds)
    assert figures.base.p50_ms == pytest.approx(0.1)


@pytest.mark.parametrize(("policy", "status"), [("estimate", "warn"), ("warn", "warn"), ("fail", "fail")])
def test_an_undecided_slow_down_warns_or_fails_as_the_setting_says(policy, status, subject):
    rng = np.random.default_rng(0)
    noisy = FakeRuntime(name="onnx", duration_ns=lambda call: int(rng.lognormal(np.log(110_000), 1)))
    base = latency.Base(runtime=FakeRuntime(), rows=subject.rows)
    checks, _ = run(onnx=noisy, subject=subject, base=base, budget_s=0.05, inconclusive=policy)
    assert checks["latency.base", ""].status == status
    assert "inconclusive" in checks["latency.base", ""].message


def revived(looks, microseconds):
    """Fresh candidates that take so long, one after the other; the base version takes 100 us. None cannot start."""
    queue = iter(microseconds)

    @contextmanager
    def revive():
        taken = next(queue)
        looks.append(taken)
        if taken is None:
            raise WorkerError("no worker comes up", hint="x")
        yield FakeRuntime(name="onnx", duration_ns=lambda call: taken * 1_000), FakeRuntime()

    return revive


@pytest.mark.parametrize(
    ("first", "others", "status", "looks"),
    [
        (100, [100], "pass", 1),
        (100, [120, 120, 120], "fail", 3),
        (130, [100, 100, 100], "pass", 3),  # one process may be slower, for where its memory lies
        (120, [100, 120, 120], "fail", 3),  # one look does not erase another
        (120, [120], "fail", 1),
        (107, [107], "pass", 1),
        (107, [120, 120, 120], "fail", 3),
        (120, [100, 120, 100, 120], "warn", 4),
        (120, [None], "fail", 1),
        (120, [100, None], "warn", 2),
    ],
)
def test_what_one_look_does_not_settle_is_looked_at_again_in_fresh_processes(
    first, others, status, looks, subject
):
    seen: list[int | None] = []
    base = latency.Base(runtime=FakeRuntime(), rows=subject.rows, revive=revived(seen, others))
    candidate = FakeRuntime(name="onnx", duration_ns=lambda call: first * 1_000)
    checks, _ = run(onnx=candidate, subject=subject, base=base)
    assert checks["latency.base", ""].status == status
    assert len(seen) == looks


def test_without_a_base_version_the_reason_is_stated_and_blocks_nothing(subject):
    checks, _ = run(subject=subject, base="the branch is new")
    found = checks["latency.base", ""]
    assert (found.status, found.required, found.message) == ("skip", False, "the branch is new")


class Breaking(FakeRuntime):
    """Answers the first blocks, then no more."""

    def run(self, start, calls):
        self.calls += 1
        if self.calls > 10:
            raise self.error
        return super().run(start, calls)


@pytest.mark.parametrize(
    ("error", "status"),
    [(Raised("ValueError", (), "no", ""), "fail"), (WorkerError("the worker died", hint="x"), "error")],
)
def test_a_runtime_that_breaks_off_fails_its_own_check_and_the_others_go_on(error, status, subject):
    broken = Breaking()
    broken.error = error
    checks, figures = run(native=broken, subject=subject)
    assert checks["latency.single", "native"].status == status
    assert checks["latency.single", "onnx"].status == "pass"
    assert ("latency.load", "native") not in checks  # the checklist blocks on what is missing
    assert figures.native is None


def test_a_base_version_that_breaks_off_is_stated(subject):
    broken = Breaking()
    broken.error = WorkerError("the worker died", hint="x")
    checks, _ = run(subject=subject, base=latency.Base(runtime=broken, rows=subject.rows))
    assert "the worker died" in checks["latency.base", ""].message


def test_a_runtime_that_refuses_a_batch_size_fails_the_check_of_batches_alone(subject):
    class Refusing(FakeRuntime):
        def prepare(self, table, rows_per_call):
            if rows_per_call == 100:
                raise Raised("ValueError", ("ValueError",), "at most fifty rows", "see the message")
            return super().prepare(table, rows_per_call)

    checks, _ = run(onnx=Refusing(name="onnx"), subject=subject)
    assert failing(checks) == {("latency.batch", "onnx")}
    assert "at most fifty rows" in checks["latency.batch", "onnx"].message
