"""Times calls one by one, in the process that makes them, and tells the model's own time from its neighbours'."""

from __future__ import annotations

import gc
import resource
import time
from typing import Any, Callable, List, NamedTuple, Sequence, Tuple


class Spans(NamedTuple):
    """Nanoseconds of each call [calls] (int64).

    `wall` is what the clock says; `lost` the part of it in which other processes had the processor.
    """

    wall: Any
    lost: Any


def time_calls(call: Callable[[Any], Any], inputs: Sequence[Any]) -> Spans:
    """Call once per input. The garbage collector is off meanwhile: its pauses are the process's, not the model's.

    A call that the kernel interrupted for another process, and that waited for nothing itself, lost the time in which
    no thread of this process ran. A call that sleeps or waits loses nothing: its slowness is its own.
    """
    import numpy as np

    clock, processor = time.perf_counter_ns, time.process_time_ns
    wall, lost = [0] * len(inputs), [0] * len(inputs)
    enabled = gc.isenabled()
    gc.disable()
    try:
        waits, interruptions = _switches()
        for i, item in enumerate(inputs):
            used = processor()
            started = clock()
            answer = call(item)
            span = clock() - started
            used = processor() - used
            wall[i] = span
            before = waits, interruptions
            waits, interruptions = _switches()
            if span > used and interruptions > before[1] and waits == before[0]:
                lost[i] = span - used
            del answer
    finally:
        if enabled:
            gc.enable()
    return Spans(np.array(wall, dtype=np.int64), np.array(lost, dtype=np.int64))


def _switches() -> Tuple[int, int]:
    """How often this process's threads gave the processor up, and how often it was taken from them."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw, usage.ru_nivcsw


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
