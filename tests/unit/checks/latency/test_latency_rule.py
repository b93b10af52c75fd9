"""The rule on models of known speed, by a clock that they move themselves: only chance differs between two runs.

As on a shared machine every call is noisy, every process is a little faster or slower than the next of the same
model, and some calls wait for a processor. benchmarks/latency_noise asks the same of real processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.unit.checks.conftest import CLOCK, FakeRuntime
from validator.checks import latency
from validator.checks.check import Subject
from validator.results import CheckResult, RuntimeLatency
from validator.runtimes.timing import Timing

RUNS = 8
_CALL_NS = 2_000_000
LIMITS = latency.Limits(
    single_ms=50, load_ms=1_000, memory_bytes=2**30, budget_s=30, batch_sizes=(1,), max_slowdown=0.1
)


@dataclass(kw_only=True)
class Process(FakeRuntime):
    """One process of a model; `lost_ns` is how long a call waits for a processor, as the kernel has it."""

    lost_ns: Callable[[int], int] = lambda call: 0

    def run(self, start: int, calls: int) -> Timing:
        own = super().run(start, calls)
        lost = np.array([self.lost_ns(start + i) for i in range(calls)], dtype=np.int64)
        CLOCK.seconds += lost.sum() / 1e9
        return replace(
            own,
            spans_ns=own.spans_ns + lost,
            wall_ns=own.wall_ns + int(lost.sum()),
            lost_ns=lost,
            queued_ns=int(lost.sum()),
        )


class Machine:
    """Where processes come from: each 2 % off, its calls 10 % off, one call in 40 interrupted for 4 ms."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def process(self, work: float) -> Process:
        typical = _CALL_NS * work * np.exp(self._random.normal(0, 0.02))
        spans = (typical * np.exp(self._random.normal(0, 0.1, 4_096))).astype(np.int64).tolist()
        lost = np.where(self._random.random(4_096) < 1 / 40, 4_000_000, 0).tolist()
        return Process(
            name="onnx",
            duration_ns=lambda call: spans[call % 4_096],
            lost_ns=lambda call: lost[call % 4_096],
        )

    def pair(self, work: float) -> tuple[Process, Process]:
        """The candidate, which does that much of the base version's work, and the base version."""
        return self.process(work), self.process(1.0)


def against_the_base(work: float, seed: int, subject: Subject) -> str:
    machine = Machine(seed)

    @contextmanager
    def revive() -> Iterator[tuple[Process, Process]]:
        yield machine.pair(work)

    candidate, other = machine.pair(work)
    base = latency.Base(runtime=other, rows=subject.rows, revive=revive)
    checks, _ = latency.run({"onnx": candidate}, subject, LIMITS, base, clock=CLOCK)
    return next(check.status for check in checks if check.id == "latency.base")


def alone(runtime: FakeRuntime, subject: Subject) -> tuple[CheckResult, RuntimeLatency]:
    checks, found = latency.run({"onnx": runtime}, subject, LIMITS, clock=CLOCK)
    assert found.onnx is not None
    return next(check for check in checks if check.id == "latency.single"), found.onnx


def test_a_model_against_itself_never_fails(subject):
    found = Counter(against_the_base(1.0, seed, subject) for seed in range(RUNS))
    assert found == {"pass": RUNS}


def test_a_fifth_more_work_always_fails(subject):
    found = Counter(against_the_base(1.2, seed, subject) for seed in range(RUNS))
    assert found == {"fail": RUNS}


def rare(milliseconds: float, every: int) -> Callable[[int], int]:
    return lambda call: int((milliseconds if call % every == every // 2 else 1) * 1e6)


@pytest.mark.parametrize(("every", "status"), [(50, "fail"), (500, "pass")])
def test_calls_that_are_slow_themselves_count_from_one_in_a_hundred(every, status, subject):
    """They sleep or work, without a word of the kernel that somebody else had the processor: the time is theirs."""
    check, figures = alone(Process(name="onnx", duration_ns=rare(80, every)), subject)
    assert check.status == status
    assert figures.p95_ms < 50 < figures.max_ms
    assert figures.interrupted == 0


def test_calls_that_wait_for_a_processor_do_not_count(subject):
    waiting = Process(
        name="onnx", duration_ns=lambda call: 1_000_000, lost_ns=lambda call: rare(79, 50)(call) - 1_000_000
    )
    check, figures = alone(waiting, subject)
    assert check.status == "pass"
    assert figures.max_ms < 2
    assert figures.interrupted > 5


def test_a_sleep_is_no_wait_whatever_the_worker_says(subject):
    """It says that all of its sleeps were lost to others. The kernel knows of no wait."""

    class Blaming(Process):
        def run(self, start: int, calls: int) -> Timing:
            return replace(super().run(start, calls), queued_ns=0)

    blaming = Blaming(
        name="onnx", duration_ns=lambda call: 1_000_000, lost_ns=lambda call: rare(80, 50)(call) - 1_000_000
    )
    check, figures = alone(blaming, subject)
    assert check.status == "fail"
    assert figures.p99_ms > 50
