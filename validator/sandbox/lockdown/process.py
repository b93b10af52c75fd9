"""What sets a worker's process apart: its session, its descriptors, who may look into it, with whom it dies."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Iterable
from pathlib import Path

from validator.sandbox.lockdown import kernel
from validator.sandbox.lockdown.policy import APPLIED, UNAVAILABLE, LockdownLayer


def own_session() -> LockdownLayer:
    """A session and process group of its own: no terminal, and the supervisor can kill the group."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    return LockdownLayer("session", APPLIED, "own session and process group")


def keep_only(fds: Iterable[int]) -> LockdownLayer:
    """Close every descriptor but `fds`; the standard streams among the closed lead to /dev/null.

    A kept descriptor must be a pipe, a socket or a plain file: through an open directory everything below it would
    stay in reach. Raises OSError for one that is not open, ValueError for one of a wrong kind.
    """
    kept = sorted(set(fds))
    for fd in kept:
        kind = os.fstat(fd).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stat.S_ISREG(kind) or _is_null(fd)):
            raise ValueError(f"descriptor {fd} is no pipe, socket or plain file")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in (0, 1, 2):
        if stream not in kept:
            os.dup2(null, stream)
    edges = [fd for fd in kept if fd > 2]
    for first, last in zip([3, *(fd + 1 for fd in edges)], [*(fd - 1 for fd in edges), None]):
        _close(first, last)
    return LockdownLayer("descriptors", APPLIED, f"open: {', '.join(map(str, kept)) or 'none'}")


def _is_null(fd: int) -> bool:
    found, null = os.fstat(fd), Path(os.devnull).stat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == null.st_rdev


def _close(first: int, last: int | None) -> None:
    """Close the descriptors from `first` to `last` (None: to the end)."""
    if last is not None and last < first:
        return
    if kernel.machine():
        try:
            kernel.syscall("close_range", first, 0xFFFFFFFF if last is None else last, 0)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):  # before kernel 5.9, or a profile refuses it
                raise
        else:
            return
    os.closerange(first, os.sysconf("SC_OPEN_MAX") if last is None else last + 1)


def hide() -> LockdownLayer:
    """Not dumpable: no core file, no tracing, and /proc/PID belongs to root."""
    if not kernel.machine():
        return LockdownLayer("not_dumpable", UNAVAILABLE, "Linux only")
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return LockdownLayer("not_dumpable", APPLIED)


def die_with(parent: int) -> LockdownLayer:
    """SIGKILL when `parent` ends, at once if it already has. Must follow any change of user, which clears it."""
    if not kernel.machine():
        return LockdownLayer("parent_death", UNAVAILABLE, "Linux only")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return LockdownLayer("parent_death", APPLIED, f"dies with process {parent}")


def no_new_privileges() -> LockdownLayer:
    """No set-user-id program and no file capability can add a privilege; the filters below ask for it."""
    if not kernel.machine():
        return LockdownLayer("no_new_privs", UNAVAILABLE, "Linux only")
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    return LockdownLayer("no_new_privs", APPLIED)


def count_threads() -> int:
    """The threads of this process, as far as the platform tells, else 1."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return 1
