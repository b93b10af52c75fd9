"""From a wait status to a cause with a name."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from validator.sandbox.lockdown.policy import LockdownPolicy

EXITED, TIMEOUT = "exited", "timeout"
FORBIDDEN_CALL, CPU_LIMIT, MEMORY_LIMIT = "forbidden_call", "cpu_limit", "memory_limit"
FILE_LIMIT, CRASHED, KILLED = "file_limit", "crashed", "killed"

_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP")
#: Share of the memory limit above which a crash is put down to it: C++ libraries abort when they get no memory.
_NEAR = 0.7


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended: `cause` is one of this module's constants, `code` the exit code or signal number."""

    cause: str
    code: int
    message: str


def explain(
    status: int,
    *,
    policy: LockdownPolicy | None = None,
    cpu_seconds: float = 0.0,
    peak_bytes: int = 0,
    timed_out: bool = False,
) -> WorkerExit:
    """Name the cause of a worker's end.

    `status` as from os.wait4; `cpu_seconds` (user and system) and `peak_bytes` (resident) from its rusage;
    `timed_out` when the supervisor itself killed it for taking too long.
    """
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        return WorkerExit(EXITED, code, f"ended with exit code {code}")
    number = os.WTERMSIG(status)
    name = _signal_name(number)
    if timed_out and name == "SIGKILL":
        return WorkerExit(TIMEOUT, number, "did not answer in time and was killed")
    if name == "SIGSYS":
        return WorkerExit(
            FORBIDDEN_CALL, number, "killed by seccomp: it made a system call that is never needed"
        )
    if name == "SIGXCPU" or (name == "SIGKILL" and policy and cpu_seconds >= policy.cpu_seconds):
        limit = f" of {policy.cpu_seconds} s" if policy else ""
        return WorkerExit(CPU_LIMIT, number, f"killed by the limit{limit} on processor time")
    if name == "SIGXFSZ":
        return WorkerExit(FILE_LIMIT, number, "killed by the limit on the size of a file")
    if name in _CRASHES:
        return _crash(name, number, policy, peak_bytes)
    if name == "SIGKILL":
        return WorkerExit(
            KILLED, number, "killed (SIGKILL): by the system when memory ran out, or from outside"
        )
    return WorkerExit(KILLED, number, f"killed by signal {name}")


def _crash(name: str, number: int, policy: LockdownPolicy | None, peak_bytes: int) -> WorkerExit:
    if policy and name != "SIGTRAP" and peak_bytes >= _NEAR * policy.memory_bytes:
        used, limit = peak_bytes >> 20, policy.memory_bytes >> 20
        return WorkerExit(
            MEMORY_LIMIT, number, f"crashed ({name}) with {used} of {limit} MiB of memory in use"
        )
    return WorkerExit(CRASHED, number, f"crashed ({name})")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
