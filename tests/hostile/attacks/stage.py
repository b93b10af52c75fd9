"""What an attack is, and what it finds around it."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: How an attack may end: an error in its own process, or death with this cause (see lockdown.worker_exit).
REFUSED, FORBIDDEN_CALL, CPU_LIMIT, CRASHED = "refused", "forbidden_call", "cpu_limit", "crashed"
ATTACKS: dict[str, Attack] = {}


@dataclass(frozen=True)
class Attack:
    """`run` returns what it got hold of, or raises. `control`: it succeeds where nothing is locked down."""

    run: Callable[[World], Any]
    ends: tuple[str, ...]
    control: bool


@dataclass(frozen=True)
class World:
    """What lies around the worker. `supervisor` holds the token, `zygote` is the parent, `bystander` a stranger."""

    canary_file: str
    outside: str
    scratch: str
    supervisor: int
    zygote: int
    bystander: int
    tcp_port: int
    udp_port: int
    unix_path: str
    abstract_name: str
    channel: int


class RefusedError(Exception):
    """The attack saw for itself that it got nothing."""


def attack(*ends: str, control: bool = False) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    """Put a function into the list of attacks, with the ways in which it must end inside the cage."""

    def register(run: Callable[[World], Any]) -> Callable[[World], Any]:
        ATTACKS[run.__name__] = Attack(run, ends or (REFUSED,), control)
        return run

    return register


#: name: (x86_64, aarch64), for attacks that go round the C library.
_CALLS = {
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
    "ptrace": (101, 117), "syslog": (103, 116), "personality": (135, 92), "ioprio_set": (251, 30),
    "mq_open": (240, 180), "inotify_init1": (294, 26), "timer_create": (222, 107),
    "migrate_pages": (256, 238), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "name_to_handle_at": (303, 264), "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "tkill": (200, 130),
    "fchmodat2": (452, 452), "setxattrat": (463, 463), "never_assigned": (9999, 9999),
    "mlock": (149, 228), "socket": (41, 198),
}  # fmt: skip
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"


def number(name: str) -> int:
    """A system call's number on this machine. Raises RefusedError where there is no such call."""
    from validator.sandbox.lockdown import kernel

    found = _CALLS[name][0 if X86 else 1] if name in _CALLS else kernel.numbers(platform.machine()).get(name)
    if found is None:
        raise RefusedError(f"no call {name} on this machine")
    return found


def call(name: str, *arguments: Any) -> int:
    """A raw system call. Raises OSError."""
    return raw(number(name), *arguments)


def raw(code: int, *arguments: Any) -> int:
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(code), *words))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def read(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - the shortest way to what is wanted
        found = file.read(1 << 20).decode("latin-1")
    if not found:
        raise RefusedError(f"{path} is empty")
    return found
