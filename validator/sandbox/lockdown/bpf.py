"""A small assembler for seccomp's classic BPF: decisions by system call number and arguments."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

Instruction = tuple[int, int, int, int]

ALLOW, KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_LOAD, _RETURN, _AND = 0x20, 0x06, 0x54
_EQUAL, _AT_LEAST, _ABOVE, _ANY_BIT = 0x15, 0x35, 0x25, 0x45
NUMBER, ARCHITECTURE = 0, 4  # offsets in struct seccomp_data


def refuse(errno: int) -> int:
    """The decision to fail the call with `errno`."""
    return _ERRNO | errno


def decide(decision: int) -> list[Instruction]:
    return [(_RETURN, 0, 0, decision)]


def load(offset: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, offset)]


def load_argument(index: int, *, high: bool = False) -> list[Instruction]:
    """The low (or high) 32 bits of an argument; both machines are little-endian."""
    return load(16 + 8 * index + (4 if high else 0))


def if_equal(constant: int, then: Sequence[Instruction]) -> list[Instruction]:
    return [(_EQUAL, 0, len(then), constant), *then]


def if_at_least(constant: int, then: Sequence[Instruction]) -> list[Instruction]:
    return [(_AT_LEAST, 0, len(then), constant), *then]


def if_any_bit(mask: int, then: Sequence[Instruction]) -> list[Instruction]:
    return [(_ANY_BIT, 0, len(then), mask), *then]


def keep_bits(mask: int) -> list[Instruction]:
    return [(_AND, 0, 0, mask)]


def if_one_of(constants: Iterable[int], then: Sequence[Instruction]) -> list[Instruction]:
    """`then` must end in a decision: it is repeated for each run of neighbouring constants."""
    program: list[Instruction] = []
    for first, last in _runs(sorted(set(constants))):
        if first == last:
            program += if_equal(first, then)
        else:
            program += [(_AT_LEAST, 0, len(then) + 1, first), (_ABOVE, len(then), 0, last), *then]
    return program


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def encode(program: Sequence[Instruction]) -> bytes:
    """An array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
