"""What one block of calls tells, and how much of the worker's word the other accounts bear out."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.runtimes.timing import Timing
from validator.sandbox.accounting import peak_bytes, queued_ns

MS = 1_000_000
needs_linux = pytest.mark.skipif(queued_ns("thread-self") is None, reason="this kernel keeps no such account")


def block(spans, lost=None, **changes):
    fields = {"wall_ns": sum(spans) + MS, "peak_bytes": 0, "queued_ns": 0, "own_queued_ns": 0}
    given_lost = None if lost is None else np.array(lost)
    return Timing(spans_ns=np.array(spans), lost_ns=given_lost, **(fields | changes))


def test_time_that_other_processes_took_is_left_out():
    timing = block([10 * MS, 2 * MS], lost=[8 * MS, 0], queued_ns=9 * MS)
    assert timing.own_ns.tolist() == [2 * MS, 2 * MS]
    assert timing.interrupted == 1
    assert timing.unexplained_ns == 0


def test_no_more_is_left_out_than_the_kernel_bears_out():
    timing = block([10 * MS, 10 * MS], lost=[10 * MS, 10 * MS], queued_ns=2 * MS)
    assert timing.own_ns.sum() >= 17 * MS


@pytest.mark.parametrize("lost", [[10 * MS, 0], None])
def test_nothing_is_left_out_where_the_kernel_keeps_no_account(lost):
    assert block([10 * MS, MS], lost=lost, queued_ns=None).own_ns.tolist() == [10 * MS, MS]


def test_what_nothing_explains_is_said():
    assert block([MS, MS], wall_ns=60 * MS).unexplained_ns > 56 * MS
    assert block([MS, MS], wall_ns=60 * MS, queued_ns=57 * MS).unexplained_ns == 0
    assert block([MS, MS], wall_ns=60 * MS, own_queued_ns=57 * MS).unexplained_ns == 0


def test_without_the_kernels_account_a_wait_on_a_busy_machine_is_no_lie_and_a_long_one_is_not_believed():
    assert block([MS, MS], wall_ns=25 * MS, queued_ns=None).unexplained_ns == 0
    assert block([MS, MS], wall_ns=250 * MS, queued_ns=None).unexplained_ns > 200 * MS


def test_a_wait_inside_a_call_does_not_explain_time_outside():
    assert block([58 * MS], lost=[57 * MS], wall_ns=116 * MS, queued_ns=57 * MS).unexplained_ns > 55 * MS


@given(
    st.lists(st.tuples(st.integers(0, 2**40), st.integers(-(2**62), 2**62)), min_size=1, max_size=50),
    st.integers(0, 2**42),
)
def test_whatever_a_worker_says_a_call_takes_between_nothing_and_its_span(calls, queued):
    spans, lost = zip(*calls, strict=True)
    timing = block(list(spans), lost=list(lost), queued_ns=queued)
    assert (timing.own_ns >= 0).all()
    assert (timing.own_ns <= timing.spans_ns).all()
    assert int(timing.excused_ns.sum()) <= queued + MS


@needs_linux
def test_the_kernel_counts_the_wait_of_a_process_that_shares_its_core():
    core = min(os.sched_getaffinity(0))
    burn = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    others = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(2)]
    try:
        # However busy the machine is, two that never rest wait for each other in the end.
        waited = 0
        for _ in range(1_000):
            time.sleep(0.05)
            waited = queued_ns(others[0].pid)
            if waited > 50 * MS:
                break
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert waited > 50 * MS


@needs_linux
def test_peak_memory_is_the_kernels_word():
    assert peak_bytes(os.getpid()) > 10 * 2**20


@pytest.mark.parametrize("content", [None, "", "12", "1 x 3"])
def test_an_account_that_is_missing_or_unreadable_is_none(content, tmp_path):
    if content is not None:
        (tmp_path / "7").mkdir()
        (tmp_path / "7" / "schedstat").write_text(content)
        (tmp_path / "7" / "status").write_text(f"VmHWM:{content.replace('1', 'one')}\n")
    assert queued_ns(7, tmp_path) is None
    assert peak_bytes(7, tmp_path) is None
