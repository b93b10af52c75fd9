"""Landlock: which files a process may open, from kernel 5.13 on. Needs no privilege, cannot be undone."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from validator.sandbox.lockdown import kernel
from validator.sandbox.lockdown.policy import APPLIED, UNAVAILABLE, LockdownLayer

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
# Access rights of the kernel's linux/landlock.h
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_NEWEST_ABI = 7

#: Nothing may be executed anywhere, and even the scratch takes only plain files and directories: no link, socket,
#: FIFO or device that could trick whoever reads it later.
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_ON_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE


def abi() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    if not kernel.machine():
        return 0
    try:
        return kernel.syscall("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def handled(version: int) -> tuple[int, int, int]:
    """What a ruleset of this ABI governs: file rights, TCP rights, scopes (abstract sockets and signals)."""
    bits = 13 + (version >= 2) + (version >= 3) + (version >= 5)
    return (1 << bits) - 1, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0


def restrict(*, readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> LockdownLayer:
    """Confine the calling thread, and all it will start.

    `readable` and `writable` are files or directories with all below them; `devices` are single files that may be
    read and written. Paths that do not exist are left out. Threads that already run are not confined.
    """
    version = abi()
    if not version:
        return LockdownLayer(
            "landlock", UNAVAILABLE, "the kernel has no Landlock, or a container profile forbids it"
        )
    files, tcp, scopes = handled(version)
    fields = struct.pack("=QQQ", files, tcp, scopes)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    attributes = ctypes.create_string_buffer(fields, len(fields))
    ruleset = -1
    try:
        ruleset = kernel.syscall("landlock_create_ruleset", attributes, len(fields), 0)
        for paths, rights in ((readable, _READ), (writable, _WRITE), (devices, _READ_FILE | _WRITE_FILE)):
            for path in paths:
                _permit(ruleset, path, rights & files)
        kernel.syscall("landlock_restrict_self", ruleset, 0)
    except OSError as error:
        return LockdownLayer("landlock", UNAVAILABLE, f"ABI {version}: {error}")
    finally:
        if ruleset >= 0:
            os.close(ruleset)
    network = "no TCP" if tcp else "TCP not governed"
    scoped = "signals and abstract sockets scoped" if scopes else "signals and abstract sockets not governed"
    return LockdownLayer("landlock", APPLIED, f"ABI {min(version, _NEWEST_ABI)}: {network}, {scoped}")


def _permit(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd), 12)
        kernel.syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
