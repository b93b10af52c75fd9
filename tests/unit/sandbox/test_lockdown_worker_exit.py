"""Causes with names, from real wait statuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from validator.sandbox.lockdown import LockdownPolicy, worker_exit

_POLICY = LockdownPolicy(scratch="/nowhere", memory_bytes=1 << 30, cpu_seconds=5)


def _killed_by(number: int, *, core: bool = False) -> int:
    return number | (0x80 if core else 0)


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (signal.SIGSYS, worker_exit.FORBIDDEN_CALL, "seccomp"),
        (signal.SIGXCPU, worker_exit.CPU_LIMIT, "5 s"),
        (signal.SIGXFSZ, worker_exit.FILE_LIMIT, "size of a file"),
        (signal.SIGSEGV, worker_exit.CRASHED, "SIGSEGV"),
        (signal.SIGABRT, worker_exit.CRASHED, "SIGABRT"),
        (signal.SIGBUS, worker_exit.CRASHED, "SIGBUS"),
        (signal.SIGKILL, worker_exit.KILLED, "SIGKILL"),
        (signal.SIGTERM, worker_exit.KILLED, "SIGTERM"),
        (64, worker_exit.KILLED, "64"),
    ],
)
@pytest.mark.parametrize("core", [False, True])
def test_signals_have_causes(number: int, cause: str, words: str, core: bool) -> None:
    found = worker_exit.explain(_killed_by(number, core=core), policy=_POLICY)
    assert (found.cause, found.code) == (cause, number)
    assert words in found.message or number == 64


def test_exit_codes() -> None:
    assert worker_exit.explain(0) == worker_exit.WorkerExit(worker_exit.EXITED, 0, "ended with exit code 0")
    assert worker_exit.explain(3 << 8) == worker_exit.WorkerExit(
        worker_exit.EXITED, 3, "ended with exit code 3"
    )


def test_kill_at_the_hard_limit_is_the_processor_limit() -> None:
    assert worker_exit.explain(9, policy=_POLICY, cpu_seconds=6.0).cause == worker_exit.CPU_LIMIT
    assert worker_exit.explain(9, policy=_POLICY, cpu_seconds=4.9).cause == worker_exit.KILLED
    assert worker_exit.explain(9, cpu_seconds=600.0).cause == worker_exit.KILLED


def test_kill_by_the_supervisor_is_a_timeout() -> None:
    assert worker_exit.explain(9, policy=_POLICY, timed_out=True).cause == worker_exit.TIMEOUT
    assert worker_exit.explain(11, policy=_POLICY, timed_out=True).cause == worker_exit.CRASHED


def test_crash_with_memory_nearly_used_up_is_the_memory_limit() -> None:
    found = worker_exit.explain(6, policy=_POLICY, peak_bytes=900 << 20)
    assert (found.cause, "900 of 1024 MiB" in found.message) == (worker_exit.MEMORY_LIMIT, True)
    assert worker_exit.explain(6, policy=_POLICY, peak_bytes=100 << 20).cause == worker_exit.CRASHED
    assert worker_exit.explain(6, peak_bytes=900 << 20).cause == worker_exit.CRASHED


def test_status_of_a_real_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], stderr=subprocess.DEVNULL)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -6
    assert worker_exit.explain(status).cause == worker_exit.CRASHED
