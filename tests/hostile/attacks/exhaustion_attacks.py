"""Using up what the machine has."""
# ruff: noqa: PTH123

from __future__ import annotations

import fcntl
import mmap
import os
import signal
import sys
import threading
import time
from typing import Any

from stage import CPU_LIMIT, CRASHED, REFUSED, World, attack, call


@attack()
def exhaust_memory(world: World) -> Any:
    hoard = []
    while len(hoard) < 100_000:
        hoard.append(bytearray(1 << 28))
    return len(hoard)


@attack()
def exhaust_shared_memory(world: World) -> Any:
    hoard = []
    while len(hoard) < 100_000:
        hoard.append(mmap.mmap(-1, 1 << 26, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
    return len(hoard)


@attack()
def exhaust_processes(world: World) -> Any:
    for _ in range(1000):
        if os.fork() == 0:
            time.sleep(1)
            os._exit(0)
    return "a thousand processes"


@attack()
def exhaust_threads(world: World) -> Any:
    threading.stack_size(1 << 16)
    hold = threading.Event()
    threads = []
    try:
        while len(threads) < 20_000:
            threads.append(threading.Thread(target=hold.wait, daemon=True))
            threads[-1].start()
    finally:
        hold.set()
    return len(threads)


@attack()
def exhaust_descriptors(world: World) -> Any:
    return [os.dup(world.channel) for _ in range(100_000)]


@attack()
def exhaust_pipe_memory(world: World) -> Any:
    return fcntl.fcntl(os.pipe()[1], 1031, 1 << 20)


@attack(CPU_LIMIT)
def exhaust_processor(world: World) -> Any:
    while time.process_time() < 20:
        sum(range(10_000))
    return "spun"


@attack(CPU_LIMIT)
def exhaust_processor_deaf_to_signals(world: World) -> Any:
    for number in (signal.SIGXCPU, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while time.process_time() < 20:
        sum(range(10_000))
    return "spun"


@attack(REFUSED)
def exhaust_file_size(world: World) -> Any:
    with open("large", "wb") as file:
        file.writelines(b"\0" * (1 << 20) for _ in range(1000))
    return "a gigabyte"


@attack(REFUSED)
def exhaust_file_size_by_holes(world: World) -> Any:
    os.ftruncate(os.open("hole", os.O_RDWR | os.O_CREAT), 1 << 40)
    return "a terabyte"


@attack(CRASHED, REFUSED)
def exhaust_stack(world: World) -> Any:
    sys.setrecursionlimit(1 << 30)
    nested: list[Any] = []
    for _ in range(1_000_000):
        nested = [nested]
    return len(repr(nested))


@attack()
def lock_memory(world: World) -> Any:
    return call("mlock", id(world) & ~4095, 1 << 20)


@attack()
def raise_scheduling(world: World) -> Any:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    return os.sched_getscheduler(0)
