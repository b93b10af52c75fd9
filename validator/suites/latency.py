"""Latency: native, ONNX and the deployment measured side by side in one run, and held against limits.

The runtimes take turns in blocks of calls (A B C A B C ...), so that a noisy neighbour hits all alike and their
ratio is a paired one. Every call is timed in the worker that makes it; the supervisor's own clock around each block
keeps a worker from claiming less time than really passed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from validator.results import BatchLatency, CheckResult, Latency, Ratio, RuntimeLatency, RuntimeName
from validator.runtimes.runtime import Timing, WorkerRuntime
from validator.suites.common import Finding, Subject, failed, not_applicable, passed, result, run_check, seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WARM_UP = 20
_BLOCK_CALLS = 50
_MIN_BLOCKS = 20
_MAX_BLOCKS = 200
_DISTINCT_ROWS = 2_000
#: Of the time around a block, the part that a worker must own up to; the rest may be transfer and waking up.
_HONEST_SHARE = 0.5
_WAKE_UP_NS = 5_000_000
_SEED = 20_251_105


@dataclass(kw_only=True)
class Series:
    """What was measured of one runtime: nanoseconds of each call, block by block."""

    blocks: list[NDArray[Any]] = field(default_factory=list)
    wall_ns: int = 0
    first_ns: int = 0
    peak_bytes: int = 0

    def add(self, timing: Timing) -> None:
        self.blocks.append(timing.spans_ns)
        self.wall_ns += timing.wall_ns
        self.peak_bytes = max(self.peak_bytes, timing.peak_bytes)

    @property
    def spans_ns(self) -> NDArray[Any]:
        import numpy as np

        return np.concatenate(self.blocks)

    @property
    def medians_ns(self) -> NDArray[Any]:
        """The median of each block [blocks]: what paired ratios are made of."""
        import numpy as np

        return np.array([np.median(block) for block in self.blocks])

    @property
    def is_honest(self) -> bool:
        """Whether the claimed times account for the time that really passed."""
        allowance = _WAKE_UP_NS * len(self.blocks)
        return float(self.spans_ns.sum()) >= _HONEST_SHARE * (self.wall_ns - allowance)


def measure_rows(
    runtimes: Mapping[RuntimeName, WorkerRuntime], subject: Subject, *, budget_s: float
) -> tuple[dict[RuntimeName, Series], str]:
    """Single rows on each runtime in turn, until the blocks are done or the budget is spent; says which."""
    import numpy as np

    rows = subject.rows.take(np.arange(max(_DISTINCT_ROWS, 1)) % len(subject.rows))
    series = {name: Series() for name in runtimes}
    for name, runtime in runtimes.items():
        runtime.prepare(rows, 1)
        series[name].first_ns = int(runtime.run(0, 1).spans_ns[0])
        runtime.run(1, _WARM_UP)
    calls = {name: _block_size(runtime, budget_s / len(runtimes)) for name, runtime in runtimes.items()}
    started = time.perf_counter()
    for block in range(_MAX_BLOCKS):
        if block >= _MIN_BLOCKS and time.perf_counter() - started > budget_s:
            return series, f"time budget of {budget_s:g} s spent"
        for name, runtime in runtimes.items():
            series[name].add(runtime.run(block * calls[name], calls[name]))
    return series, f"{_MAX_BLOCKS} blocks done"


def _block_size(runtime: WorkerRuntime, budget_s: float) -> int:
    """Fewer calls a block for slow models, so that the least number of blocks fits the budget."""
    import numpy as np

    typical_s = float(np.median(runtime.run(0, 5).spans_ns)) / 1e9
    return max(1, min(_BLOCK_CALLS, int(budget_s / _MIN_BLOCKS / max(typical_s, 1e-7))))


def summarise(series: Series, load_ms: float) -> RuntimeLatency:
    import numpy as np

    spans = series.spans_ns / 1e6
    p50, p95, p99 = (float(value) for value in np.percentile(spans, [50, 95, 99]))
    return RuntimeLatency(
        mean_ms=float(spans.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(spans.max()),
        samples=len(spans),
        load_ms=load_ms,
        first_call_ms=series.first_ns / 1e6,
        peak_memory_bytes=series.peak_bytes,
    )


def paired_ratio(slow: Series, fast: Series, confidence: float = 0.95) -> Ratio:
    """Median of the blocks' ratios slow/fast, with a percentile bootstrap interval over blocks."""
    import numpy as np

    count = min(len(slow.blocks), len(fast.blocks))
    ratios = slow.medians_ns[:count] / np.maximum(fast.medians_ns[:count], 1.0)
    draws = np.random.default_rng(_SEED).integers(0, count, size=(1_000, count))
    medians = np.median(ratios[draws], axis=1)
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(medians, [tail, 100 - tail])
    return Ratio(value=float(np.median(ratios)), low=float(low), high=float(high), confidence=confidence)


def measure_batches(
    runtimes: Mapping[RuntimeName, WorkerRuntime], subject: Subject, sizes: Sequence[int], *, budget_s: float
) -> tuple[BatchLatency, ...]:
    """Batches of each size on each runtime in turn. A size beyond the sample's rows is cut to them."""
    import numpy as np

    fitting = dict.fromkeys(min(size, len(subject.rows)) for size in sizes)
    measured = []
    for size in fitting:
        rows = subject.rows.take(np.arange(min(len(subject.rows), size * 5) // size * size))
        for name, runtime in runtimes.items():
            runtime.prepare(rows, size)
            runtime.run(0, 1)
            spans = _repeat(runtime, budget_s / (len(fitting) * len(runtimes)))
            p50 = float(np.percentile(spans, 50)) / 1e6
            measured.append(
                BatchLatency(
                    runtime=name,
                    rows=size,
                    p50_ms=p50,
                    p95_ms=float(np.percentile(spans, 95)) / 1e6,
                    samples=len(spans),
                    rows_per_second=size / max(p50 / 1000, 1e-9),
                )
            )
    return tuple(measured)


def _repeat(runtime: WorkerRuntime, budget_s: float, calls: int = 5, most: int = 20) -> NDArray[Any]:
    import numpy as np

    spans = []
    started = time.perf_counter()
    for i in range(most):
        spans.append(runtime.run(i * calls, 1 if i == 0 else calls).spans_ns)
        if time.perf_counter() - started > budget_s:
            break
    return np.concatenate(spans)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Milliseconds and bytes that a runtime may take."""

    single_ms: float
    load_ms: float
    memory_bytes: float
    budget_s: float
    batch_sizes: tuple[int, ...]


def run(
    runtimes: Mapping[RuntimeName, WorkerRuntime], subject: Subject, limits: Limits
) -> tuple[list[CheckResult], Latency]:
    """Measure, and hold the figures against the limits."""
    series, stopped = measure_rows(runtimes, subject, budget_s=limits.budget_s * 0.7)
    figures = {name: summarise(series[name], runtime.load_ms) for name, runtime in runtimes.items()}
    checks = [_single(name, figures[name], series[name], limits) for name in runtimes]
    raw: dict[RuntimeName, WorkerRuntime] = {
        name: runtime for name, runtime in runtimes.items() if name in ("native", "onnx")
    }
    batches: tuple[BatchLatency, ...] = ()

    def measured() -> Finding:
        nonlocal batches
        batches = measure_batches(raw, subject, limits.batch_sizes, budget_s=limits.budget_s * 0.3)
        return passed(
            f"batches of {', '.join(str(size) for size in dict.fromkeys(b.rows for b in batches))} rows"
        )

    outcome = run_check("latency.batch", "", measured)
    for name in raw:
        checks.append(outcome.model_copy(update={"runtime": name}))
        checks.append(_load(name, figures[name], limits))
        checks.append(_memory(name, figures[name], limits))
    speedup = paired_ratio(series["native"], series["onnx"]) if {"native", "onnx"} <= set(series) else None
    checks.append(_speedup(speedup))
    checks.append(result("latency.base", "", not_applicable("no base version to compare with")))
    latency = Latency(
        native=figures.get("native"),
        onnx=figures.get("onnx"),
        deployment=figures.get("deployment"),
        speedup=speedup,
        batches=batches,
        threads=1,
        clock="time.perf_counter_ns, one thread",
        stopped=stopped,
    )
    return checks, latency


def _single(name: RuntimeName, figures: RuntimeLatency, series: Series, limits: Limits) -> CheckResult:
    evidence = [
        seen(f"{key}_ms", round(getattr(figures, f"{key}_ms"), 4), volatile=True)
        for key in ("mean", "p50", "p95", "max")
    ]
    evidence.insert(3, seen("p99_ms", round(figures.p99_ms, 4), f"< {limits.single_ms:g}", volatile=True))
    if not series.is_honest:
        finding = failed(
            "the worker claims less time than really passed",
            *evidence,
            hint="the model tampers with its clock",
        )
    elif figures.p99_ms >= limits.single_ms:
        finding = failed(f"p99 is {figures.p99_ms:.2f} ms, the limit is {limits.single_ms:g} ms", *evidence)
    else:
        finding = passed(f"p99 below {limits.single_ms:g} ms", *evidence)
    return result("latency.single", name, finding)


def _load(name: RuntimeName, figures: RuntimeLatency, limits: Limits) -> CheckResult:
    taken = figures.load_ms or 0.0
    evidence = seen("load_ms", round(taken, 3), f"< {limits.load_ms:g}", volatile=True)
    if taken >= limits.load_ms:
        return result("latency.load", name, failed(f"loading takes {taken:.0f} ms", evidence))
    return result("latency.load", name, passed(f"loads within {limits.load_ms:g} ms", evidence))


def _memory(name: RuntimeName, figures: RuntimeLatency, limits: Limits) -> CheckResult:
    peak = figures.peak_memory_bytes or 0
    allowed = f"< {limits.memory_bytes / 2**20:.0f}"
    evidence = seen("peak_mib", round(peak / 2**20, 1), allowed, volatile=True)
    if peak >= limits.memory_bytes:
        return result("latency.memory", name, failed(f"the worker needed {peak / 2**20:.0f} MiB", evidence))
    return result("latency.memory", name, passed(f"peak memory {allowed} MiB", evidence))


def _speedup(ratio: Ratio | None) -> CheckResult:
    if ratio is None:
        return result("latency.speedup", "", not_applicable("only one runtime took part"))
    evidence = seen("native / ONNX", round(ratio.value, 3), ">= 1", volatile=True)
    span = f"{ratio.low:.2f} to {ratio.high:.2f}"
    if ratio.high < 1:
        return result(
            "latency.speedup",
            "",
            failed(f"ONNX is slower: native/ONNX is {ratio.value:.2f} ({span})", evidence),
        )
    if ratio.low < 1:
        finding = Finding(status="warn", message="neither is clearly the faster", evidence=(evidence,))
        return result("latency.speedup", "", finding)
    return result("latency.speedup", "", passed("ONNX is at least as fast as native", evidence))
