"""Limits, honesty and ratios of the latency suite, on runtimes whose times are chosen."""

from __future__ import annotations

import pytest

from tests.unit.suites.conftest import FakeRuntime
from validator.suites import latency

LIMITS = latency.Limits(single_ms=50, load_ms=1_000, memory_bytes=2**30, budget_s=0.5, batch_sizes=(1, 100))


def run(native=None, onnx=None, subject=None):
    runtimes = {"native": native or FakeRuntime(), "onnx": onnx or FakeRuntime(name="onnx")}
    checks, figures = latency.run(runtimes, subject, LIMITS)
    return {(check.id, check.runtime): check for check in checks}, figures


def failing(checks):
    return {key for key, check in checks.items() if check.status not in ("pass", "warn") and check.required}


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


def test_a_slow_call_in_fifty_shows_in_p99_and_not_in_the_median(subject):
    slow = FakeRuntime(duration_ns=lambda call: 80_000_000 if call % 50 == 0 else 100_000)
    checks, figures = run(native=slow, subject=subject)
    assert checks["latency.single", "native"].status == "fail"
    assert figures.native.p50_ms < 1 < figures.native.p99_ms


def test_a_worker_that_claims_less_time_than_passed_is_caught(subject):
    liar = FakeRuntime(duration_ns=lambda call: 1_000_000, wall_factor=50)
    checks, _ = run(native=liar, subject=subject)
    assert checks["latency.single", "native"].status == "fail"
    assert "claims" in checks["latency.single", "native"].message


def test_the_speedup_is_a_paired_ratio_and_a_slower_onnx_fails(subject):
    slow = FakeRuntime(name="onnx", duration_ns=lambda call: 200_000)
    checks, figures = run(onnx=slow, subject=subject)
    assert figures.speedup.value == pytest.approx(0.5)
    assert failing(checks) == {("latency.speedup", "")}
    checks, figures = run(native=FakeRuntime(duration_ns=lambda call: 300_000), subject=subject)
    assert figures.speedup.value == pytest.approx(3)
    assert not failing(checks)
