"""Giving up the user and its privileges."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from validator.sandbox.lockdown import kernel
from validator.sandbox.lockdown.policy import APPLIED, OFF, UNAVAILABLE, LockdownLayer

#: A worker's own user is this plus its process id: high enough that nobody is called so, and no two workers alike,
#: which makes the kernel's count of threads per user exact and workers strangers to each other.
_OWN_USERS = 0x60000000
_NOBODY = 65534


def drop(scratch: str, needed: Iterable[str], *, enabled: bool) -> LockdownLayer:
    """Become a user of nobody else's if root, without capabilities; in any case without capabilities.

    `scratch` is handed to the new user. Where the new user could not read `needed` paths (an interpreter below a
    closed home directory) it keeps the one capability to read, which Landlock then narrows, if root has it to keep;
    else user 0 stays, without any capability.
    """
    if not enabled:
        return LockdownLayer("user", OFF, "not asked for")
    if not kernel.machine():
        return LockdownLayer("user", UNAVAILABLE, "only dropped on Linux")
    _empty_bounding_set()
    if os.geteuid() != 0:
        kernel.set_capabilities(0)
        return LockdownLayer("user", APPLIED, f"user {os.getuid()} as before, without capabilities")
    try:
        return _leave_root(scratch, list(needed))
    except OSError as error:
        kernel.set_capabilities(0)
        return LockdownLayer("user", UNAVAILABLE, f"user {os.getuid()} without capabilities: {error}")


def has_own_user() -> bool:
    """Whether this process runs as the user that only it has."""
    return os.getuid() == _OWN_USERS + os.getpid()


def _leave_root(scratch: str, needed: list[str]) -> LockdownLayer:
    target = next((uid for uid in (_OWN_USERS + os.getpid(), _NOBODY) if _can_become(uid)), None)
    if target is None:
        kernel.set_capabilities(0)
        return LockdownLayer(
            "user", APPLIED, "user 0 as before (no other is to be had), without capabilities"
        )
    hidden = _first_hidden(scratch, needed, target)
    readable_by_capability = kernel.capabilities()[1] >> kernel.CAP_DAC_READ_SEARCH & 1
    if hidden and not readable_by_capability:
        kernel.set_capabilities(0)
        return LockdownLayer(
            "user", APPLIED, f"user 0 as before (another could not read {hidden}), without capabilities"
        )
    _hand_over(scratch, target)
    kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    _clear_groups()
    os.setresgid(target, target, target)
    os.setresuid(target, target, target)
    kernel.set_capabilities(1 << kernel.CAP_DAC_READ_SEARCH if hidden else 0)
    kernel.prctl(kernel.PR_SET_KEEPCAPS, 0)
    if hidden:
        return LockdownLayer(
            "user", APPLIED, f"user {target}, with the capability to read alone, since {hidden} is closed"
        )
    return LockdownLayer("user", APPLIED, f"user {target}, without capabilities")


def _clear_groups() -> None:
    """Leave all supplementary groups; a user namespace may forbid it, and then there must be none."""
    try:
        os.setgroups([])
    except PermissionError:
        if os.getgroups():
            raise


def _can_become(uid: int) -> bool:
    """Whether user and group `uid` exist in this user namespace and may be taken."""
    group = os.getegid()
    try:
        os.setegid(uid)
        os.seteuid(uid)
    except OSError:
        return False
    finally:
        os.seteuid(0)
        os.setegid(group)
    return True


def _first_hidden(scratch: str, needed: list[str], uid: int) -> str:
    """The first path that `uid` could not reach (the scratch) or read (the others and their entries), else ""."""
    groups, group = os.getgroups(), os.getegid()
    _clear_groups()
    os.setegid(uid)
    os.seteuid(uid)
    try:
        if not _is_directory(scratch):
            return scratch
        return next((path for path in _with_entries(needed) if not _is_readable(path)), "")
    finally:
        os.seteuid(0)
        os.setegid(group)
        if groups:
            os.setgroups(groups)


def _with_entries(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield path
        if _is_directory(path):
            with os.scandir(path) as entries:
                yield from (entry.path for entry in entries if not entry.is_symlink())


def _is_readable(path: str) -> bool:
    wanted = os.R_OK | (os.X_OK if _is_directory(path) else 0)
    return os.access(path, wanted, effective_ids=True)


def _is_directory(path: str) -> bool:
    """False, too, where a closed directory is in the way; Path.is_dir would raise."""
    return os.path.isdir(path)  # noqa: PTH112


def _hand_over(scratch: str, uid: int) -> None:
    """Give the scratch and the plain files and directories in it to `uid`. A file with a second name stays."""
    os.chown(scratch, uid, uid, follow_symlinks=False)
    for _, directories, files, parent in os.fwalk(scratch, follow_symlinks=False):
        for name in directories + files:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
                os.chown(name, uid, uid, dir_fd=parent, follow_symlinks=False)


def _empty_bounding_set() -> None:
    """No program started from here can gain a capability. Needs one itself; without it, no_new_privs is enough."""
    try:
        for capability in range(64):
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    except OSError:
        # EINVAL past the last capability, EPERM where the set may not be changed
        return
