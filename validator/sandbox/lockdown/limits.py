"""Resource limits: memory, processor time, file size, descriptors, threads."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from pathlib import Path

from validator.sandbox.lockdown.policy import APPLIED, UNAVAILABLE, LockdownLayer, LockdownPolicy

#: Seconds between SIGXCPU, which a worker could ignore, and SIGKILL.
_CPU_GRACE = 1
_LARGEST_SHARED_COUNT = 1 << 17


def prepare() -> None:
    """Import what every child would; restrict() says so where there is nothing to import."""
    with contextlib.suppress(ImportError):
        importlib.import_module("resource")


def restrict(policy: LockdownPolicy) -> LockdownLayer:
    """Set every limit but the number of threads, soft and hard alike, never above what already holds."""
    try:
        import resource
    except ImportError:
        return LockdownLayer("limits", UNAVAILABLE, "this platform has no resource limits")
    wanted = {
        "CORE": (0, 0),
        "CPU": (policy.cpu_seconds, policy.cpu_seconds + _CPU_GRACE),
        "FSIZE": (policy.file_bytes, policy.file_bytes),
        "NOFILE": (policy.open_files, policy.open_files),
        "AS": (_mapped_bytes() + policy.memory_bytes,) * 2,
        "MEMLOCK": (0, 0),
        "MSGQUEUE": (0, 0),
        "SIGPENDING": (128, 128),
        "NICE": (0, 0),
        "RTPRIO": (0, 0),
    }
    failed = []
    for name, (soft, hard) in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        ceiling = resource.getrlimit(kind)[1]
        if ceiling == resource.RLIM_INFINITY:
            ceiling = hard
        try:
            resource.setrlimit(kind, (min(soft, ceiling), min(hard, ceiling)))
        except (ValueError, OSError) as error:
            failed.append(f"{name}: {error}")
    if failed:
        return LockdownLayer("limits", UNAVAILABLE, "; ".join(failed))
    return LockdownLayer(
        "limits", APPLIED, f"{policy.memory_bytes >> 20} MiB, {policy.cpu_seconds} s of processor time"
    )


def _mapped_bytes() -> int:
    """The address space in use, 0 where the platform does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def restrict_threads(policy: LockdownPolicy, *, own_user: bool) -> LockdownLayer:
    """Bound the number of threads. The kernel counts them per user: exact only where the worker has its own.

    With a shared user the count includes processes that cannot be seen from inside a container, so the lowest limit
    under which a thread still starts is found by trying.
    """
    if not sys.platform.startswith("linux"):
        return LockdownLayer("threads", UNAVAILABLE, "counted by user, so not limited outside Linux")
    if os.geteuid() == 0:
        return LockdownLayer("threads", UNAVAILABLE, "the kernel exempts user 0 from this limit")
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    wanted = policy.max_threads + 1
    if own_user:
        return _set_threads(wanted, hard, "own user")
    count = 64
    while count <= _LARGEST_SHARED_COUNT and (hard == resource.RLIM_INFINITY or count <= hard):
        resource.setrlimit(resource.RLIMIT_NPROC, (count, hard))
        if _thread_starts():
            return _set_threads(count * 2 + wanted, hard, "over all processes of this user")
        count *= 2
    return LockdownLayer("threads", UNAVAILABLE, "this user already runs too many processes to count")


def _set_threads(count: int, hard: int, over: str) -> LockdownLayer:
    import resource

    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    return LockdownLayer("threads", APPLIED, f"at most {limit}, {over}")


def _thread_starts() -> bool:
    probe = threading.Thread(target=int)
    try:
        probe.start()
    except RuntimeError:
        return False
    probe.join()
    return True
