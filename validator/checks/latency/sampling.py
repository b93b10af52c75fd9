"""Sampling: runtimes take turns in blocks of calls until the intervals are narrow enough, or the time is spent.

The blocks go round (A B C, C A B, ..., in random order), so that a noisy neighbour hits all alike and their ratio is
a paired one. Blocks rather than single calls leave each runtime its caches, as production does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from validator.checks.latency.series import Series
from validator.checks.latency.statistics import paired_ratio, read_limit
from validator.errors import PreflightError, WorkerError
from validator.results import Ratio
from validator.runtimes.runtime import Runtime
from validator.runtimes.timing import Timing
from validator.sandbox.worker_pool import Raised
from validator.table import Table

if TYPE_CHECKING:
    from numpy.random import Generator

Clock = Callable[[], float]

_BLOCK_NS = 10_000_000
_BLOCK_CALLS = 100
#: The first calls of a block find the caches as the others left them: so many are not counted, or a fifth if fewer.
_LEAD = 2
#: By how much blocks differ in length, so that what is slow at every so-manieth call is not always among the first.
_JITTER = 5
_WARM_UP_CALLS = 20
_WARM_UP_SHARE = 0.1
#: Rounds between two looks at the intervals, and on one core.
_LOOK_EVERY = 5
#: One row again and again flatters every runtime: its branches and nodes stay cached. Slow models cost more to feed.
_DISTINCT_ROWS, _DISTINCT_ROWS_OF_SLOW = 2_000, 500
_SLOW_NS = 100_000
_DISTINCT_BATCHES = 5
#: A ratio's interval is narrow enough at this part of the ratio; at the second where it is clear of the limit.
_NARROW, _NARROW_IF_CLEAR = 0.05, 0.2
_SEED = 20_251_105


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One that takes turns: a runtime, the rows it is asked for, and its p99's limit in milliseconds, if any."""

    runtime: Runtime
    rows: Table
    limit_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class RatioTarget:
    """Two arms whose ratio of times, `slower` / `faster`, is to be known, and the least it should be."""

    slower: str
    faster: str
    least: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to sample: seconds at most, and the confidence of the intervals.

    `rounds` are made before anything counts as settled, `least_rounds` whatever the budget. `clock` counts seconds.
    Where `cores` of the machine are named, all arms go from one to the next together, so that what a core has to bear
    beside them hits all alike. Left to itself the system may keep one arm on a busy core and another on a free one.
    """

    budget_s: float
    confidence: float
    rounds: int = 20
    least_rounds: int = 3
    cores: Sequence[int] = ()
    clock: Clock = time.perf_counter


@dataclass(kw_only=True)
class Sampled:
    """What sampling gave: a series for each arm, why each of the others broke off, and what ended it."""

    series: dict[str, Series] = field(default_factory=dict)
    broken: dict[str, PreflightError] = field(default_factory=dict)
    resolution_ns: int = 0
    ended: str = ""

    def ratio(self, pair: RatioTarget, confidence: float) -> Ratio | None:
        """None where an arm took no part or broke off."""
        if pair.slower not in self.series or pair.faster not in self.series:
            return None
        slower, faster = self.series[pair.slower], self.series[pair.faster]
        return paired_ratio(slower.medians_ns, faster.medians_ns, confidence)


def sample(
    arms: Mapping[str, Arm], pairs: Sequence[RatioTarget], effort: Effort, *, rows_per_call: int = 1
) -> Sampled:
    """Time calls of so many rows on every arm. An arm that raises or dies drops out; the others go on."""
    import numpy as np

    found = Sampled()
    calls: dict[str, int] = {}
    for name, arm in arms.items():
        try:
            calls[name] = _make_ready(arm, rows_per_call, effort.budget_s / len(arms), found)
            found.series[name] = Series()
        except (Raised, WorkerError) as error:
            found.broken[name] = error
    order = np.random.default_rng(_SEED)
    starts = dict.fromkeys(arms, 0)
    wanted = set(found.series)
    started = effort.clock()
    for done in range(1_000_000):
        seconds = effort.clock() - started
        if done >= effort.rounds and done % _LOOK_EVERY == 0:
            wanted = _unsettled(arms, pairs, found, effort.confidence)
        if not wanted:
            found.ended = f"the intervals were narrow enough, after {seconds:.2f} s"
            break
        if done >= effort.least_rounds and seconds > effort.budget_s:
            found.ended = f"its {effort.budget_s:.2g} s of the time budget were spent"
            break
        moves_on = effort.cores and done % _LOOK_EVERY == 0
        for name in order.permutation(sorted(wanted)).tolist():
            length = _length(calls[name], order)
            try:
                if moves_on:
                    arms[name].runtime.pin(effort.cores[done // _LOOK_EVERY % len(effort.cores)])
                timing = arms[name].runtime.run(starts[name], length)
                found.series[name].add(timing, lead=min(_LEAD, length // 5))
                starts[name] += length
            except (Raised, WorkerError) as error:
                found.broken[name] = error
                del found.series[name]
        wanted &= set(found.series)
    return found


def _make_ready(arm: Arm, rows_per_call: int, budget_s: float, found: Sampled) -> int:
    """Prepare inputs and warm up; returns the calls of one block, fewer for a slow model."""
    runtime, size = arm.runtime, rows_per_call
    runtime.prepare(_repeated(arm.rows, _WARM_UP_CALLS if size == 1 else size, size), size)
    typical_ns = _typical_ns(runtime.run(0, 1))
    if typical_ns < budget_s * 1e9:  # the first call may be slow for all that comes with it
        affordable = int(budget_s * 1e9 * _WARM_UP_SHARE / typical_ns)
        typical_ns = _typical_ns(runtime.run(1, min(_WARM_UP_CALLS, max(affordable, 1))))
    distinct = _DISTINCT_ROWS if typical_ns < _SLOW_NS else _DISTINCT_ROWS_OF_SLOW
    rows = _repeated(arm.rows, distinct if size == 1 else size * _DISTINCT_BATCHES, size)
    found.resolution_ns = max(found.resolution_ns, runtime.prepare(rows, size).resolution_ns)
    return max(1, min(_BLOCK_CALLS, int(_BLOCK_NS / typical_ns)))


def _length(calls: int, random: Generator) -> int:
    spread = calls // _JITTER
    return calls + int(random.integers(-spread, spread + 1))


def _typical_ns(timing: Timing) -> float:
    """A typical call, at least 1 ns; by our clock where the worker claims much less."""
    import numpy as np

    return max(float(np.median(timing.own_ns)), timing.unexplained_ns / len(timing.own_ns), 1.0)


def _repeated(rows: Table, wanted: int, size: int) -> Table:
    """That many rows, over again where there are fewer of them; batches are only of rows that there are."""
    import numpy as np

    if size > 1:
        return rows.take(slice(0, max(min(wanted, len(rows)) // size * size, size)))
    return rows.take(np.arange(wanted) % len(rows))


def _unsettled(
    arms: Mapping[str, Arm], pairs: Sequence[RatioTarget], found: Sampled, confidence: float
) -> set[str]:
    """The arms of which more must be known."""
    wanted = set()
    for name, series in found.series.items():
        limit = arms[name].limit_ms
        if limit is not None and read_limit(*series.p99_interval_ms(confidence), limit) == "inconclusive":
            wanted.add(name)
    for pair in pairs:
        ratio = found.ratio(pair, confidence)
        if ratio is not None and not _is_narrow(ratio, pair.least):
            wanted |= {pair.slower, pair.faster}
    return wanted


def _is_narrow(ratio: Ratio, least: float) -> bool:
    width = (ratio.high - ratio.low) / ratio.value
    is_clear = not ratio.low <= least <= ratio.high
    return width <= (_NARROW_IF_CLEAR if is_clear else _NARROW)
