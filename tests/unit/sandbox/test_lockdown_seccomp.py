"""The filter's decisions, by interpreting its program: for both machines, whatever this one is."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.sandbox.lockdown import bpf, kernel, seccomp

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_EPERM, _ENOSYS = bpf.refuse(errno.EPERM), bpf.refuse(errno.ENOSYS)
_PID = 4321
_THREAD_FLAGS = 0x3D0F00  # what the C library's pthread_create passes


def _decide(
    machine: str, number: int, *arguments: int, architecture: int | None = None, threads: bool = True
) -> int:
    """Run the program as the kernel would, on a 64-byte struct seccomp_data."""
    program = seccomp.build(machine, _PID, threads=threads)
    words = {0: number, 4: _ARCHITECTURES[machine] if architecture is None else architecture}
    for index, argument in enumerate((*arguments, 0, 0, 0, 0, 0, 0)[:6]):
        words[16 + 8 * index], words[20 + 8 * index] = argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, constant = program[position]
        position += 1
        if code == 0x20:
            accumulator = words[constant]
        elif code == 0x54:
            accumulator &= constant
        elif code == 0x06:
            return constant
        elif code == 0x05:
            position += constant
        else:
            holds = {
                0x15: accumulator == constant,
                0x35: accumulator >= constant,
                0x25: accumulator > constant,
                0x45: bool(accumulator & constant),
            }[code]
            position += if_true if holds else if_false


def _call(machine: str, name: str, *arguments: int, threads: bool = True) -> int:
    return _decide(machine, kernel.numbers(machine)[name], *arguments, threads=threads)


machines = pytest.mark.parametrize("machine", sorted(_ARCHITECTURES))


@machines
def test_every_number_gets_the_decision_of_its_list(machine: str) -> None:
    numbers = kernel.numbers(machine)
    names = {number: name for name, number in numbers.items()}
    judged = seccomp.judged_by_arguments(_PID, threads=True)
    for number in range(600):
        name = names.get(number, "")
        if name in judged:
            continue
        expected = _EPERM if number <= 470 else _ENOSYS
        if name in seccomp.ALLOWED:
            expected = bpf.ALLOW
        elif name in seccomp.FATAL:
            expected = bpf.KILL
        elif name in seccomp.ABSENT:
            expected = _ENOSYS
        assert _decide(machine, number) == expected, (number, name)


def test_lists_do_not_overlap_and_name_known_calls() -> None:
    judged = set(seccomp.judged_by_arguments(_PID, threads=True))
    lists = [seccomp.ALLOWED, seccomp.FATAL, seccomp.ABSENT, judged]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
    assert frozenset().union(*lists) <= set(kernel.numbers("x86_64"))


@machines
def test_other_instruction_sets_are_fatal(machine: str) -> None:
    for architecture in (0x40000003, 0xC000003E, 0xC00000B7, 0x40000028, 0):
        if architecture != _ARCHITECTURES[machine]:
            assert _decide(machine, 39, architecture=architecture) == bpf.KILL
    assert _decide(machine, 0x40000000 | 39) == bpf.KILL
    assert _decide(machine, 0xFFFFFFFF) == bpf.KILL


@machines
def test_clone_makes_threads_only(machine: str) -> None:
    assert _call(machine, "clone", _THREAD_FLAGS) == bpf.ALLOW
    assert _call(machine, "clone", _THREAD_FLAGS, threads=False) == _EPERM
    assert _call(machine, "clone", 17) == _EPERM
    assert _call(machine, "clone", 0x4111) == _EPERM  # vfork
    for namespace in (0x2000, 0x8000, 0x20000, *(1 << bit for bit in range(25, 31))):
        assert _call(machine, "clone", _THREAD_FLAGS | namespace) == _EPERM


@machines
@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_reach_only_the_process_itself(machine: str, name: str) -> None:
    assert _call(machine, name, _PID) == bpf.ALLOW
    for pid in (0, 1, _PID + 1, -1 & 0xFFFFFFFF, -_PID & 0xFFFFFFFF, -1):
        assert _call(machine, name, pid) == _EPERM


@machines
def test_descriptor_control(machine: str) -> None:
    assert _call(machine, "fcntl", 3, 1030, 0) == bpf.ALLOW
    assert _call(machine, "fcntl", 3, 4, 0o4000) == bpf.ALLOW
    assert _call(machine, "fcntl", 3, 4, 0o20000) == bpf.KILL
    assert [_call(machine, "fcntl", 3, command, 1) for command in (8, 10, 15)] == [bpf.KILL] * 3
    assert [_call(machine, "fcntl", 3, command, 1) for command in (1024, 1026, 1031, 1033)] == [_EPERM] * 4
    assert _call(machine, "ioctl", 0, 0x5401) == bpf.ALLOW
    assert [_call(machine, "ioctl", 0, request) for request in (0x5412, 0x541C, 0x5452, 0x8901)] == [
        bpf.KILL
    ] * 4
    assert _call(machine, "ioctl", 0, 0x5402) == _EPERM


@machines
def test_limits_are_read_never_set(machine: str) -> None:
    assert _call(machine, "prlimit64", 0, 7, 0, 0xDEADBEEF) == bpf.ALLOW
    assert _call(machine, "prlimit64", 0, 7, 0xDEADBEEF, 0) == _EPERM
    assert _call(machine, "prlimit64", 0, 7, 0xDEAD << 32, 0) == _EPERM
    assert _call(machine, "prlimit64", 1, 7, 0, 0xDEADBEEF) == _EPERM


@machines
def test_sockets_are_written_without_a_destination(machine: str) -> None:
    assert _call(machine, "sendto", 3, 1, 1, 0, 0, 0) == bpf.ALLOW
    assert _call(machine, "sendto", 3, 1, 1, 0, 0x7000, 16) == _EPERM
    assert _call(machine, "sendto", 3, 1, 1, 0, 0x7000 << 32, 16) == _EPERM


@machines
def test_opening_never_truncates_without_writing(machine: str) -> None:
    assert _call(machine, "openat", 0, 0, 0o1000) == _EPERM
    assert _call(machine, "openat", 0, 0, 0o1001) == bpf.ALLOW
    assert _call(machine, "openat", 0, 0, 0o2000000) == bpf.ALLOW
    if machine == "x86_64":
        assert _call(machine, "open", 0, 0o1000) == _EPERM


@machines
def test_prctl_and_affinity(machine: str) -> None:
    assert _call(machine, "prctl", 15) == bpf.ALLOW
    for option in (1, 4, 8, 22, 24, 35, 36, 38, 0x59616D61):
        assert _call(machine, "prctl", option) == _EPERM
    assert _call(machine, "sched_setaffinity", 0) == bpf.ALLOW
    assert _call(machine, "sched_setaffinity", 1) == _EPERM


@machines
@given(number=st.integers(0, 2**32 - 1), arguments=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_program_always_decides(machine: str, number: int, arguments: list[int]) -> None:
    assert _decide(machine, number, *arguments) in (bpf.ALLOW, bpf.KILL, _EPERM, _ENOSYS)


def test_program_fits_the_kernel() -> None:
    """At most 4,096 instructions; encode() fails on a jump over more than 255."""
    for machine in _ARCHITECTURES:
        program = seccomp.build(machine, 2**22, threads=True)
        assert len(program) < 1024
        assert len(bpf.encode(program)) == 8 * len(program)


_HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@machines
def test_numbers_agree_with_the_kernel_headers(machine: str) -> None:
    if not _HEADERS[machine].exists():
        pytest.skip(f"no {_HEADERS[machine].name} on this machine")
    text = _HEADERS[machine].read_text()
    found = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    found["newfstatat"] = found.get("newfstatat", found.get("fstatat", -1))
    checked = {name: number for name, number in kernel.numbers(machine).items() if name in found}
    assert len(checked) > 170
    assert checked == {name: found[name] for name in checked}
