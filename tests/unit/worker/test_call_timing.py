"""Calls timed in the process that makes them, by a clock and an account of the kernel's that a script moves."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

import pytest

from validator.worker.timing import Usage, clock_resolution_ns, current_usage, time_calls

MS = 1_000_000


@dataclass
class Machine:
    """Where time passes as calls say. Readings of the clock and of the account cost 1 us each."""

    now: int = 0
    worked: int = 0
    waits: int = 0
    interruptions: int = 0

    def clock(self) -> int:
        self.now += 1_000
        self.worked += 1_000
        return self.now

    def usage(self) -> Usage:
        self.clock()
        return Usage(self.worked, self.waits, self.interruptions)

    def work(self, milliseconds: float) -> None:
        self.now += int(milliseconds * MS)
        self.worked += int(milliseconds * MS)

    def sleep(self, milliseconds: float) -> None:
        self.now += int(milliseconds * MS)
        self.waits += 1

    def be_interrupted(self, milliseconds: float) -> None:
        """Another process has the processor for so long."""
        self.now += int(milliseconds * MS)
        self.interruptions += 1


@pytest.fixture
def machine() -> Machine:
    return Machine()


def timed(machine, *acts):
    spans = time_calls(lambda act: act(), acts, clock=machine.clock, usage=machine.usage)
    return (spans.wall / MS).round().tolist(), (spans.lost / MS).round().tolist()


def test_a_call_takes_what_it_takes_asleep_or_at_work(machine):
    wall, lost = timed(machine, lambda: None, lambda: machine.sleep(20), lambda: machine.work(20))
    assert wall == [0, 20, 20]
    assert lost == [0, 0, 0]


def test_the_time_of_other_processes_is_lost(machine):
    def interrupted():
        machine.work(3)
        machine.be_interrupted(8)
        machine.work(2)

    assert timed(machine, interrupted, lambda: machine.work(5)) == ([13, 5], [8, 0])


def test_a_call_that_slept_lost_nothing_though_it_was_interrupted_too(machine):
    def both():
        machine.be_interrupted(8)
        machine.sleep(4)

    assert timed(machine, both) == ([12], [0])


def test_threads_that_work_at_once_lose_no_more_than_nothing(machine):
    def parallel():
        machine.work(5)
        machine.worked += 5 * MS
        machine.be_interrupted(1)

    assert timed(machine, parallel) == ([6], [0])


def test_an_interruption_between_calls_is_no_call_s(machine):
    assert timed(machine, lambda: machine.be_interrupted(7), lambda: machine.work(1)) == ([7, 1], [7, 0])


def test_the_account_is_the_kernels():
    before, until = current_usage(), time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    time.sleep(0.001)
    after = current_usage()
    assert after.processor_ns - before.processor_ns >= 30 * MS
    assert after.waits > before.waits


def test_the_garbage_collector_rests_meanwhile_and_is_restored():
    assert gc.isenabled()
    seen = []
    time_calls(lambda _: seen.append(gc.isenabled()), range(3))
    assert seen == [False] * 3
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_calls(lambda x: 1 / x, [0])
    assert gc.isenabled()


def test_the_clock_is_finer_than_a_microsecond_or_says_how_coarse_it_is():
    assert 0 < clock_resolution_ns() < 20 * MS
