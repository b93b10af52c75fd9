"""Causes with names, from real wait statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from validator.sandbox.lockdown import Policy, outcome

_POLICY = Policy(scratch="/nowhere", memory_bytes=1 << 30, cpu_seconds=5)


def _killed_by(number: int, *, core: bool = False) -> int:
    return number | (0x80 if core else 0)


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (signal.SIGSYS, outcome.FORBIDDEN_CALL, "seccomp"),
        (signal.SIGXCPU, outcome.CPU_LIMIT, "5 s"),
        (signal.SIGXFSZ, outcome.FILE_LIMIT, "size of a file"),
        (signal.SIGSEGV, outcome.CRASHED, "SIGSEGV"),
        (signal.SIGABRT, outcome.CRASHED, "SIGABRT"),
        (signal.SIGBUS, outcome.CRASHED, "SIGBUS"),
        (signal.SIGKILL, outcome.KILLED, "SIGKILL"),
        (signal.SIGTERM, outcome.KILLED, "SIGTERM"),
        (64, outcome.KILLED, "64"),
    ],
)
@pytest.mark.parametrize("core", [False, True])
def test_signals_have_causes(number: int, cause: str, words: str, core: bool) -> None:
    found = outcome.explain(_killed_by(number, core=core), policy=_POLICY)
    assert (found.cause, found.code) == (cause, number)
    assert words in found.message or number == 64


def test_exit_codes() -> None:
    assert outcome.explain(0) == outcome.Outcome(outcome.EXITED, 0, "ended with exit code 0")
    assert outcome.explain(3 << 8) == outcome.Outcome(outcome.EXITED, 3, "ended with exit code 3")


def test_kill_at_the_hard_limit_is_the_processor_limit() -> None:
    assert outcome.explain(9, policy=_POLICY, cpu_seconds=6.0).cause == outcome.CPU_LIMIT
    assert outcome.explain(9, policy=_POLICY, cpu_seconds=4.9).cause == outcome.KILLED
    assert outcome.explain(9, cpu_seconds=600.0).cause == outcome.KILLED


def test_kill_by_the_supervisor_is_a_timeout() -> None:
    assert outcome.explain(9, policy=_POLICY, timed_out=True).cause == outcome.TIMEOUT
    assert outcome.explain(11, policy=_POLICY, timed_out=True).cause == outcome.CRASHED


def test_crash_with_memory_nearly_used_up_is_the_memory_limit() -> None:
    found = outcome.explain(6, policy=_POLICY, peak_bytes=900 << 20)
    assert (found.cause, "900 of 1024 MiB" in found.message) == (outcome.MEMORY_LIMIT, True)
    assert outcome.explain(6, policy=_POLICY, peak_bytes=100 << 20).cause == outcome.CRASHED
    assert outcome.explain(6, peak_bytes=900 << 20).cause == outcome.CRASHED


def test_status_of_a_real_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], stderr=subprocess.DEVNULL)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -6
    assert outcome.explain(status).cause == outcome.CRASHED
