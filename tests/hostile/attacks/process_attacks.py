"""Touching another process: signals, limits, priorities, tracing; starting a new one; getting privileges back."""
# ruff: noqa: PTH123

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
import subprocess
import time
from typing import Any

from stage import FORBIDDEN_CALL, REFUSED, RefusedError, World, attack, call

_PTRACE_ATTACH, _PTRACE_SEIZE, _PTRACE_TRACEME = 16, 0x4206, 0


def _siginfo(number: int) -> Any:
    return ctypes.create_string_buffer(struct.pack("=iiii", number, 0, -1, 0) + b"\0" * 112, 128)


@attack(control=True)
def signal_supervisor(world: World) -> Any:
    os.kill(world.supervisor, signal.SIGUSR1)
    return "signalled"


@attack(control=True)
def kill_bystander(world: World) -> Any:
    os.kill(world.bystander, signal.SIGTERM)
    return "killed"


@attack()
def stop_zygote(world: World) -> Any:
    os.kill(world.zygote, signal.SIGSTOP)
    return "stopped"


@attack()
def kill_everybody(world: World) -> Any:
    os.kill(-1, signal.SIGUSR1)
    return "killed"


@attack()
def kill_group_of_zygote(world: World) -> Any:
    os.killpg(os.getpgid(world.zygote), signal.SIGUSR1)
    return "killed"


@attack(control=True)
def signal_thread_of_supervisor(world: World) -> Any:
    return call("tgkill", world.supervisor, world.supervisor, signal.SIGUSR1)


@attack(control=True)
def signal_thread_of_supervisor_by_tkill(world: World) -> Any:
    return call("tkill", world.supervisor, signal.SIGUSR1)


@attack(control=True)
def queue_signal_to_supervisor(world: World) -> Any:
    return call("rt_sigqueueinfo", world.supervisor, signal.SIGUSR1, _siginfo(signal.SIGUSR1))


@attack(control=True)
def queue_signal_to_thread_of_supervisor(world: World) -> Any:
    thread = world.supervisor
    return call("rt_tgsigqueueinfo", thread, thread, signal.SIGUSR1, _siginfo(signal.SIGUSR1))


@attack(control=True)
def open_process_descriptor(world: World) -> Any:
    fd = call("pidfd_open", world.supervisor, 0)
    return call("pidfd_send_signal", fd, signal.SIGUSR1, 0, 0)


@attack(FORBIDDEN_CALL)
def steal_descriptor(world: World) -> Any:
    return call("pidfd_getfd", 0, 0, 0)


@attack(FORBIDDEN_CALL, control=True)
def own_a_pipe_for_another(world: World) -> Any:
    """F_SETOWN and O_ASYNC: the kernel signals whom the descriptor names, without any kill."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGUSR1)
    fcntl.fcntl(reader, fcntl.F_SETOWN, world.supervisor)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")
    return "signalled"


@attack(FORBIDDEN_CALL)
def own_a_pipe_by_structure(world: World) -> Any:
    return fcntl.fcntl(os.pipe()[0], 15, struct.pack("=ii", 1, world.supervisor))


@attack(FORBIDDEN_CALL)
def make_pipe_asynchronous(world: World) -> Any:
    fcntl.fcntl(os.pipe()[0], fcntl.F_SETFL, os.O_ASYNC)
    return "asynchronous"


@attack(FORBIDDEN_CALL)
def own_a_pipe_by_ioctl(world: World) -> Any:
    return fcntl.ioctl(world.channel, 0x8901, struct.pack("=i", world.supervisor))


@attack(control=True)
def limit_bystander(world: World) -> Any:
    resource.prlimit(world.bystander, resource.RLIMIT_NOFILE, (0, 0))
    return "limited"


@attack(control=True)
def read_limits_of_supervisor(world: World) -> Any:
    return resource.prlimit(world.supervisor, resource.RLIMIT_NOFILE)


@attack(control=True)
def slow_bystander_down(world: World) -> Any:
    os.setpriority(os.PRIO_PROCESS, world.bystander, 19)
    return "slowed"


@attack(control=True)
def pin_bystander(world: World) -> Any:
    os.sched_setaffinity(world.bystander, {min(os.sched_getaffinity(0))})
    return "pinned"


@attack(control=True)
def schedule_bystander_as_idle(world: World) -> Any:
    os.sched_setscheduler(world.bystander, os.SCHED_IDLE, os.sched_param(0))
    return "scheduled"


@attack(control=True)
def starve_bystander_of_disk(world: World) -> Any:
    return call("ioprio_set", 1, world.bystander, 3 << 13)


@attack(control=True)
def move_memory_of_bystander(world: World) -> Any:
    mask = ctypes.c_ulong(1)
    return call("migrate_pages", world.bystander, 64, ctypes.byref(mask), ctypes.byref(mask))


@attack(FORBIDDEN_CALL, control=True)
def trace_bystander(world: World) -> Any:
    call("ptrace", _PTRACE_ATTACH, world.bystander, 0, 0)
    time.sleep(0.05)
    return "attached"


@attack(FORBIDDEN_CALL, control=True)
def seize_bystander(world: World) -> Any:
    return call("ptrace", _PTRACE_SEIZE, world.bystander, 0, 0)


@attack(FORBIDDEN_CALL)
def ask_to_be_traced(world: World) -> Any:
    return call("ptrace", _PTRACE_TRACEME, 0, 0, 0)


@attack(FORBIDDEN_CALL)
def read_memory_of_supervisor(world: World) -> Any:
    return _copy_memory("process_vm_readv", world.supervisor)


@attack(FORBIDDEN_CALL)
def write_memory_of_supervisor(world: World) -> Any:
    return _copy_memory("process_vm_writev", world.supervisor)


def _copy_memory(name: str, pid: int) -> int:
    own = ctypes.create_string_buffer(64)
    vector = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(own), 64))
    return call(name, pid, vector, 1, vector, 1, 0)


@attack(FORBIDDEN_CALL)
def compare_with_supervisor(world: World) -> Any:
    return call("kcmp", os.getpid(), world.supervisor, 0, 0, 0)


@attack(FORBIDDEN_CALL)
def advise_memory_of_another(world: World) -> Any:
    return call("process_madvise", -1, 0, 0, 0, 0)


@attack(FORBIDDEN_CALL)
def replace_program(world: World) -> Any:
    os.execv("/bin/cat", ["cat", world.canary_file])


@attack(FORBIDDEN_CALL)
def run_anonymous_program(world: World) -> Any:
    return call("execveat", -1, ctypes.create_string_buffer(b""), 0, 0, 0x1000)


@attack(control=True)
def run_shell(world: World) -> Any:
    if os.system(f"cat {world.canary_file} > stolen") != 0:
        raise RefusedError("no shell")
    return open("stolen").read()


@attack(control=True)
def run_subprocess(world: World) -> Any:
    return subprocess.run(["/bin/cat", world.canary_file], capture_output=True, check=True).stdout.decode()


@attack(control=True)
def spawn_program(world: World) -> Any:
    return os.posix_spawn("/bin/true", ["true"], {})


@attack(control=True)
def fork_once(world: World) -> Any:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid


@attack()
def fork_by_clone(world: World) -> Any:
    """Neither a thread nor quite a process: memory shared, thread group not."""
    return call("clone", 0x100 | signal.SIGCHLD, 0, 0, 0, 0)


@attack()
def fork_by_clone3(world: World) -> Any:
    arguments = ctypes.create_string_buffer(struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
    if call("clone3", arguments, 64) == 0:
        os._exit(0)
    return "forked"


@attack()
def outlive_parent(world: World) -> Any:
    """Give up dying with the parent."""
    if ctypes.CDLL(None).prctl(1, 0, 0, 0, 0):
        raise RefusedError("prctl refused")
    return "independent"


@attack()
def let_others_trace(world: World) -> Any:
    libc = ctypes.CDLL(None)
    if libc.prctl(4, 1, 0, 0, 0) and libc.prctl(0x59616D61, -1, 0, 0, 0):
        raise RefusedError("prctl refused")
    return "open to all"


@attack()
def leave_process_group(world: World) -> Any:
    os.setpgid(0, os.getpgid(world.zygote))
    return "left"


@attack()
def become_root_again(world: World) -> Any:
    if os.getuid() == 0:
        raise RefusedError("still user 0, without capabilities")
    os.setresuid(0, 0, 0)
    return "root"


@attack()
def become_another_user(world: World) -> Any:
    os.setuid(54321)
    return "another"


@attack()
def take_capabilities_back(world: World) -> Any:
    from validator.sandbox.lockdown import kernel

    kernel.set_capabilities((1 << 40) - 1)
    return kernel.capabilities()


@attack()
def keep_dangerous_capabilities(world: World) -> Any:
    """At most the capability to read files may be left, which Landlock narrows."""
    from validator.sandbox.lockdown import kernel

    left = kernel.capabilities()[1] & ~(1 << kernel.CAP_DAC_READ_SEARCH)
    if not left:
        raise RefusedError("none is left")
    return hex(left)


@attack()
def raise_own_limits(world: World) -> Any:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard - 1))
    return "changed"


@attack(control=True)
def share_memory(world: World) -> Any:
    return call("shmget", 0, 4096, 0o1600)


@attack(control=True)
def share_semaphores(world: World) -> Any:
    return call("semget", 0, 1, 0o1600)


@attack(control=True)
def share_messages(world: World) -> Any:
    return call("msgget", 0, 0o1600)


@attack(REFUSED)
def open_message_queue(world: World) -> Any:
    return call("mq_open", ctypes.create_string_buffer(b"preflight"), os.O_CREAT | os.O_RDWR, 0o600, 0)
