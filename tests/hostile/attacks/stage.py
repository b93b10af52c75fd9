"""What an attack is, and what it finds around it."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from typing import Any, Callable

#: How an attack may end: refused by an error, or death with this cause (see lockdown.outcome).
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
    token_address: int
    channel: int


class Refused(Exception):
    """The attack saw for itself that it got nothing."""


def attack(*ends: str, control: bool = False) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    """Put a function into the list of attacks, with the ways in which it must end inside the cage."""

    def register(run: Callable[[World], Any]) -> Callable[[World], Any]:
        ATTACKS[run.__name__] = Attack(run, ends or (REFUSED,), control)
        return run

    return register


_X86 = platform.machine() == "x86_64"
_NUMBERS = dict(
    row.split(":")[:: 1 if False else 2 if not _X86 else 1][:2]
    for row in ()
)
