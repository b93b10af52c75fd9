"""The cage around everything untrusted: apply(policy) in a freshly forked, single-threaded process.

Standard library only, Python 3.9 and later. Linux on x86_64 and aarch64 has every layer, other platforms only
resource limits and descriptors; the report says which layers are in force, and `LockdownReport.contained` whether
hostile code may run. Nothing raises because a layer is missing: that decision belongs to the caller.

After apply(), the kept sockets serve through read, write, recv and send; ancillary data is refused.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from validator.sandbox.lockdown import kernel, landlock, limits, paths, process, seccomp, user
from validator.sandbox.lockdown.policy import (
    APPLIED,
    OFF,
    UNAVAILABLE,
    LockdownLayer,
    LockdownPolicy,
    LockdownReport,
)
from validator.sandbox.lockdown.supervisor import protect_supervisor

__all__ = [
    "APPLIED",
    "OFF",
    "UNAVAILABLE",
    "LockdownLayer",
    "LockdownPolicy",
    "LockdownReport",
    "apply",
    "prepare",
    "protect_supervisor",
]


def prepare() -> None:
    """What apply() needs and every child would find anew, found once: for a zygote, after its imports."""
    paths.library_paths()
    limits.prepare()
    kernel.prepare()


def apply(policy: LockdownPolicy) -> LockdownReport:
    """Lock this process down for good and change into the scratch directory.

    Call it before anything untrusted is read, in a process with one thread: other threads would escape Landlock, and
    then it is reported unavailable. Raises NotADirectoryError for a missing scratch, OSError or ValueError for a
    descriptor that cannot be kept; either way nothing untrusted may then run.
    """
    parent = os.getppid() if policy.parent_pid is None else policy.parent_pid
    scratch = str(Path(policy.scratch).resolve())
    if not Path(scratch).is_dir():
        raise NotADirectoryError(f"{policy.scratch} is no directory to write to")
    threads = process.count_threads()
    _settle(scratch)
    code = [*paths.code_paths(), *policy.readable]
    readable = [*paths.library_paths(), *paths.own_process_paths(), *policy.readable]
    layers = [process.own_session(), process.keep_only(policy.keep_fds), limits.restrict(policy)]
    layers.append(user.drop(scratch, code, enabled=policy.drop_user))
    layers.append(limits.restrict_threads(policy, own_user=user.has_own_user()))
    layers += [process.hide(), process.die_with(parent), process.no_new_privileges()]
    layers.append(_confine_files(policy, readable, scratch, threads))
    layers.append(_filter_calls(policy))
    return LockdownReport(tuple(layers))


def _settle(scratch: str) -> None:
    """Make the scratch the place for everything that libraries write, and joblib content with one thread.

    joblib's threads need a semaphore in /dev/shm, which is shared with other processes and stays closed.
    """
    os.chdir(scratch)
    os.umask(0o077)
    os.environ.update(TMPDIR=scratch, HOME=scratch, XDG_CACHE_HOME=scratch, JOBLIB_MULTIPROCESSING="0")
    tempfile.tempdir = scratch


def _confine_files(policy: LockdownPolicy, readable: list[str], scratch: str, threads: int) -> LockdownLayer:
    if not policy.landlock:
        return LockdownLayer("landlock", OFF, "not asked for")
    if threads > 1:
        return LockdownLayer("landlock", UNAVAILABLE, f"{threads} threads already run, and would escape it")
    if not policy.writable_scratch:
        return landlock.restrict(readable=[*readable, scratch], writable=[], devices=paths.DEVICES)
    return landlock.restrict(readable=readable, writable=[scratch], devices=paths.DEVICES)


def _filter_calls(policy: LockdownPolicy) -> LockdownLayer:
    if not policy.seccomp:
        return LockdownLayer("seccomp", OFF, "not asked for")
    return seccomp.install(threads=policy.max_threads > 0)
