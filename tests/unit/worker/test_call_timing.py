"""Calls timed in the process that makes them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import pytest

from validator.worker.timing import clock_resolution_ns, time_calls

MS = 1_000_000


def spin(milliseconds):
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass


def test_a_call_takes_what_it_takes_asleep_or_at_work():
    spans = time_calls(lambda act: act(), [lambda: None, lambda: time.sleep(0.02), lambda: spin(20)])
    assert spans.wall.shape == spans.lost.shape == (3,)
    assert spans.wall[0] < 10 * MS
    assert (spans.wall[1:] >= 20 * MS).all()
    assert spans.wall[1] - spans.lost[1] >= 20 * MS
    assert spans.wall[2] - spans.lost[2] >= 19 * MS


def test_the_garbage_collector_rests_meanwhile_and_is_restored():
    assert gc.isenabled()
    seen = []
    time_calls(lambda _: seen.append(gc.isenabled()), range(3))
    assert seen == [False] * 3
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_calls(lambda x: 1 / x, [0])
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_work_that_shares_its_core_is_as_quick_as_alone_without_what_it_lost():
    before = os.sched_getaffinity(0)
    core = max(before)
    burn = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", burn])
    try:
        os.sched_setaffinity(0, {core})
        time.sleep(0.2)
        spans = time_calls(spin, [2] * 100)
    finally:
        os.sched_setaffinity(0, before)
        other.kill()
        other.wait()
    assert (spans.lost > 0).any()
    assert spans.wall.sum() > 300 * MS
    assert spans.wall.sum() - spans.lost.sum() < 260 * MS


def test_the_clock_is_finer_than_a_microsecond_or_says_how_coarse_it_is():
    assert 0 < clock_resolution_ns() < 20 * MS
