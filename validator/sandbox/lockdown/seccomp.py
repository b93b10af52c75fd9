"""The system calls a worker may make: an allowlist, with arguments checked where a call can do harm.

Three answers besides "allowed": EPERM, which libraries live with (sockets, fork, chmod); ENOSYS, which makes the
C library fall back to a call that can be judged (clone3) and answers calls newer than this list; and death by
SIGSYS for what no honest library does, so that the supervisor can name it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from validator.sandbox.lockdown import bpf, kernel
from validator.sandbox.lockdown.policy import APPLIED, UNAVAILABLE, LockdownLayer

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
_NEWEST_KNOWN = 470
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1

_FILES = (
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close close_range lseek "
    "fstat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd chdir "
    "fchdir dup dup2 dup3 pipe pipe2 poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait "
    "epoll_pwait epoll_pwait2 eventfd2 getdents getdents64 mkdir mkdirat rmdir unlink unlinkat rename "
    "renameat renameat2 ftruncate fallocate fsync fdatasync fadvise64 readahead flock sendfile "
    "copy_file_range statfs fstatfs umask shutdown"
)
_MEMORY = "mmap munmap mremap mprotect madvise brk mincore msync membarrier get_mempolicy"
_THREADS = (
    "futex futex_waitv set_robust_list set_tid_address rseq arch_prctl sched_yield sched_getaffinity "
    "sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min getpriority getcpu "
    "exit exit_group restart_syscall"
)
_SIGNALS_AND_TIME = (
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack "
    "pause nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times getitimer "
    "setitimer alarm"
)
_IDENTITY = (
    "getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid "
    "getsid uname sysinfo getrusage getrandom getrlimit capget wait4 waitid"
)
ALLOWED = frozenset(" ".join((_FILES, _MEMORY, _THREADS, _SIGNALS_AND_TIME, _IDENTITY)).split())

_NEVER = (
    "execve execveat ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd mount "
    "umount2 pivot_root chroot unshare setns move_mount open_tree fsopen fsconfig fsmount fspick "
    "mount_setattr add_key request_key keyctl bpf perf_event_open io_uring_setup io_uring_enter "
    "io_uring_register userfaultfd fanotify_init open_by_handle_at init_module finit_module "
    "delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl iopl ioperm "
    "modify_ldt settimeofday clock_settime clock_adjtime sethostname setdomainname"
)
#: No library of ours, nor any that a model needs, makes one of these.
FATAL = frozenset(_NEVER.split())
ABSENT = frozenset(("clone3", "openat2"))

_F_SETFL, _O_ASYNC = 4, 0o20000
_FCNTL_HARMLESS = (
    0,
    1,
    2,
    3,
    5,
    6,
    7,
    36,
    37,
    38,
    1030,
    1032,
    1034,
)  # duplicate, flags, locks, pipe size, seals
_FCNTL_SIGNALS_OTHERS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX
_IOCTL_HARMLESS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS(2), TIOCGWINSZ, FIO*
_IOCTL_ATTACKS = (
    0x5412,
    0x541C,
    0x5452,
    0x8901,
    0x8902,
)  # TIOCSTI, TIOCLINUX, FIOASYNC, FIOSETOWN, SIOCSPGRP
_PRCTL_HARMLESS = (
    3,
    15,
    16,
    21,
    23,
    39,
    0x53564D41,
)  # GET_DUMPABLE, names, GET_SECCOMP, capabilities, NNP, VMA name
_O_ACCMODE, _O_TRUNC = 3, 0o1000

_YES, _NO, _DIE = bpf.decide(bpf.ALLOW), bpf.decide(bpf.refuse(errno.EPERM)), bpf.decide(bpf.KILL)


def _clone(threads: bool) -> list[bpf.Instruction]:
    """Threads only: memory, signal handlers and thread group shared, no namespace, no tracing."""
    thread = 0x00000100 | 0x00000800 | 0x00010000
    forbidden = 0x7E020000 | 0x00002000 | 0x00008000  # namespaces, new mount, PTRACE, PARENT
    if not threads:
        return _NO
    return [
        *bpf.load_argument(0),
        *bpf.if_any_bit(forbidden, _NO),
        *bpf.keep_bits(thread),
        *bpf.if_equal(thread, _YES),
        *_NO,
    ]


def _open(flags_index: int) -> list[bpf.Instruction]:
    """Any open but O_TRUNC without writing, which older kernels' Landlock takes for reading."""
    return [
        *bpf.load_argument(flags_index),
        *bpf.keep_bits(_O_ACCMODE | _O_TRUNC),
        *bpf.if_equal(_O_TRUNC, _NO),
        *_YES,
    ]


def _only_if_zero(*words: tuple[int, bool]) -> list[bpf.Instruction]:
    """Allowed when each (argument, high half) is zero."""
    program: list[bpf.Instruction] = []
    for index, high in words:
        program += [*bpf.load_argument(index, high=high), *bpf.if_at_least(1, _NO)]
    return program + _YES


def _only_on(pids: tuple[int, ...]) -> list[bpf.Instruction]:
    return [*bpf.load_argument(0), *bpf.if_one_of(pids, _YES), *_NO]


def _fcntl() -> list[bpf.Instruction]:
    set_flags = [*bpf.load_argument(2), *bpf.if_any_bit(_O_ASYNC, _DIE), *_YES]
    return [
        *bpf.load_argument(1),
        *bpf.if_one_of(_FCNTL_HARMLESS, _YES),
        *bpf.if_one_of(_FCNTL_SIGNALS_OTHERS, _DIE),
        *bpf.if_equal(_F_SETFL, set_flags),
        *_NO,
    ]


def _ioctl() -> list[bpf.Instruction]:
    return [
        *bpf.load_argument(1),
        *bpf.if_one_of(_IOCTL_HARMLESS, _YES),
        *bpf.if_one_of(_IOCTL_ATTACKS, _DIE),
        *_NO,
    ]


def judged_by_arguments(pid: int, *, threads: bool) -> dict[str, list[bpf.Instruction]]:
    """The calls whose arguments decide, each with a program that always ends in a decision."""
    return {
        "open": _open(1),
        "openat": _open(2),
        "clone": _clone(threads),
        "fcntl": _fcntl(),
        "ioctl": _ioctl(),
        "prctl": [*bpf.load_argument(0), *bpf.if_one_of(_PRCTL_HARMLESS, _YES), *_NO],
        "kill": _only_on((pid,)),
        "tgkill": _only_on((pid,)),
        "sched_setaffinity": _only_on((0, pid)),
        # Reading one's own limits, never setting any.
        "prlimit64": _only_if_zero((0, False), (2, False), (2, True)),
        # On the connected sockets the worker was given; a destination would need none.
        "sendto": _only_if_zero((4, False), (4, True)),
        "recvfrom": _YES,
    }


def build(machine: str, pid: int, *, threads: bool) -> list[bpf.Instruction]:
    """The filter for process `pid` on `x86_64` or `aarch64`."""
    numbers = kernel.numbers(machine)
    program = [
        *bpf.load(bpf.ARCHITECTURE),
        *bpf.if_equal(_AUDIT_ARCH[machine], [(0x05, 0, 0, 1)]),  # jump over the death that follows
        *_DIE,
        *bpf.load(bpf.NUMBER),
        *bpf.if_at_least(_X32_BIT, _DIE),
    ]
    for name, verdict in judged_by_arguments(pid, threads=threads).items():
        if name in numbers:
            program += bpf.if_equal(numbers[name], verdict)
    present = {
        decision: [numbers[name] for name in names if name in numbers]
        for decision, names in ((bpf.ALLOW, ALLOWED), (bpf.KILL, FATAL), (bpf.refuse(errno.ENOSYS), ABSENT))
    }
    for decision, calls in present.items():
        program += bpf.if_one_of(calls, bpf.decide(decision))
    program += bpf.if_at_least(_NEWEST_KNOWN + 1, bpf.decide(bpf.refuse(errno.ENOSYS)))
    return program + _NO


def install(*, threads: bool) -> LockdownLayer:
    """Put the filter on every thread of this process. Needs no_new_privs."""
    machine = kernel.machine()
    if not machine:
        return LockdownLayer("seccomp", UNAVAILABLE, "needs 64-bit Linux on x86_64 or aarch64")
    program = build(machine, os.getpid(), threads=threads)
    code = ctypes.create_string_buffer(bpf.encode(program))
    # struct sock_fprog: length, padding, pointer
    header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(code)))
    try:
        stray = kernel.syscall("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, header)
    except OSError as error:
        return LockdownLayer("seccomp", UNAVAILABLE, f"the kernel refused the filter: {error}")
    if stray:
        return LockdownLayer("seccomp", UNAVAILABLE, f"thread {stray} has a filter of its own")
    allowed = len(ALLOWED) + len(judged_by_arguments(0, threads=threads))
    return LockdownLayer("seccomp", APPLIED, f"{allowed} system calls allowed; the rest refused or fatal")
