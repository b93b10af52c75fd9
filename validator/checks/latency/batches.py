"""Batches of each size on each runtime in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from validator.checks.latency.sampling import Arm, Effort, RatioTarget, sample
from validator.checks.latency.series import Series
from validator.errors import PreflightError
from validator.results import BatchLatency, RuntimeName
from validator.runtimes.runtime import Runtime
from validator.table import Table

_PAIR = RatioTarget(slower="native", faster="onnx")


@dataclass(kw_only=True)
class Batches:
    """Figures of every size and runtime, and why a runtime broke off."""

    found: list[BatchLatency] = field(default_factory=list)
    broken: dict[str, PreflightError] = field(default_factory=dict)

    @property
    def batches(self) -> tuple[BatchLatency, ...]:
        return tuple(self.found)


def measure_batches(
    runtimes: Mapping[RuntimeName, Runtime],
    rows: Table,
    sizes: Sequence[int],
    effort: Effort,
    singles: Mapping[str, Series],
) -> Batches:
    """A size beyond the sample's rows, or beyond what the memory of one call holds, is cut.

    `singles` are the batches of one row, measured before.
    """
    measured = Batches()
    held = [runtime.rows_at_once for runtime in runtimes.values() if runtime.rows_at_once is not None]
    most = min([len(rows), *held])
    fitting = list(dict.fromkeys(min(size, most) for size in sizes))
    share = replace(effort, budget_s=effort.budget_s / max(sum(size > 1 for size in fitting), 1))
    for size in fitting:
        arms: dict[str, Arm] = {
            name: Arm(runtime=runtime, rows=rows)
            for name, runtime in runtimes.items()
            if name not in measured.broken
        }
        if size == 1:
            series = dict(singles)
        else:
            sampled = sample(arms, [_PAIR], share, rows_per_call=size)
            measured.broken |= sampled.broken
            series = sampled.series
        measured.found += [_summary(name, size, series[name]) for name in runtimes if name in series]
    return measured


def _summary(name: RuntimeName, size: int, series: Series) -> BatchLatency:
    import numpy as np

    spans = series.spans_ns / 1e6
    p50, p95, p99 = (float(value) for value in np.percentile(spans, [50, 95, 99]))
    return BatchLatency(
        runtime=name,
        rows=size,
        mean_ms=float(spans.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=float(spans.max()),
        samples=len(spans),
        rows_per_second=size / max(p50 / 1000, 1e-9),
    )
