"""Times calls one by one, in the process that makes them, and tells the model's own time from its neighbours'."""

from __future__ import annotations

import gc
import resource
import time
from typing import Any, Callable, List, NamedTuple, Sequence


class CallTimes(NamedTuple):
    """Nanoseconds of each call [calls] (int64).

    `wall` is what the clock says; `lost` the part of it in which other processes had the processor.
    """

    wall: Any
    lost: Any


class Usage(NamedTuple):
    """Of all threads of this process: time on a processor, and how often it was given up, and taken away."""

    processor_ns: int
    waits: int
    interruptions: int


def current_usage() -> Usage:
    # Not the process's clock: where there is a limit of processor time, Linux brings that up to date at ticks only.
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(int((usage.ru_utime + usage.ru_stime) * 1e9), usage.ru_nvcsw, usage.ru_nivcsw)


def time_calls(
    call: Callable[[Any], Any],
    inputs: Sequence[Any],
    *,
    clock: Callable[[], int] = time.perf_counter_ns,
    usage: Callable[[], Usage] = current_usage,
) -> CallTimes:
    """Call once per input, timed by `clock` (nanoseconds) and the kernel's account `usage`.

    The garbage collector is off meanwhile: its pauses are the process's, not the model's.

    A call that the kernel interrupted for another process, and that waited for nothing itself, lost the time in which
    no thread of this process ran. A call that sleeps or waits loses nothing: its slowness is its own.
    """
    import numpy as np

    wall, lost = [0] * len(inputs), [0] * len(inputs)
    enabled = gc.isenabled()
    gc.disable()
    try:
        before = usage()
        for i, item in enumerate(inputs):
            started = clock()
            answer = call(item)
            wall[i] = span = clock() - started
            after = usage()
            used = after.processor_ns - before.processor_ns
            if span > used and after.interruptions > before.interruptions and after.waits == before.waits:
                lost[i] = span - used
            before = after
            del answer
    finally:
        if enabled:
            gc.enable()
    return CallTimes(np.array(wall, dtype=np.int64), np.array(lost, dtype=np.int64))


def clock_resolution_ns() -> int:
    """The smallest step seen between two readings of the clock, in nanoseconds."""
    clock = time.perf_counter_ns
    steps: List[int] = []
    for _ in range(1_000):
        first = clock()
        second = clock()
        if second > first:
            steps.append(second - first)
    return min(steps) if steps else 0
