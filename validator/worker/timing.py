"""Times calls one by one, in the process that makes them."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable, List, Sequence, Tuple


def time_calls(call: Callable[[Any], Any], inputs: Sequence[Any]) -> Tuple[Any, List[Any]]:
    """Call once per input; returns nanoseconds [len(inputs)] (int64) and the answers.

    The garbage collector is off meanwhile: its pauses belong to the process, not to the model.
    """
    import numpy as np

    clock = time.perf_counter_ns
    spans = [0] * len(inputs)
    answers: List[Any] = [None] * len(inputs)
    enabled = gc.isenabled()
    gc.disable()
    try:
        for i, item in enumerate(inputs):
            started = clock()
            answers[i] = call(item)
            spans[i] = clock() - started
    finally:
        if enabled:
            gc.enable()
    return np.array(spans, dtype=np.int64), answers


def clock_resolution_ns() -> int:
    """The smallest step seen between two readings of the clock, in nanoseconds."""
    clock = time.perf_counter_ns
    steps = []
    for _ in range(1_000):
        first = clock()
        second = clock()
        if second > first:
            steps.append(second - first)
    return min(steps) if steps else 0
