"""The suite: measure all runtimes in one run, and hold the figures against the limits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from validator.checks.check import CheckOutcome, Subject, not_applicable, passed, result, run_check
from validator.checks.latency import judging
from validator.checks.latency.batches import measure_batches
from validator.checks.latency.comparison import BASE, Base, confirmed, pair_of
from validator.checks.latency.judging import Limits
from validator.checks.latency.sampling import Arm, Clock, Effort, RatioTarget, Sampled, sample
from validator.checks.latency.series import Series
from validator.errors import PreflightError
from validator.results import BatchLatency, CheckResult, Latency, Ratio, RuntimeLatency, RuntimeName
from validator.runtimes.runtime import Runtime

#: Parts of the time budget.
_FOR_ROWS, _FOR_BATCHES = 0.7, 0.3
_SPEEDUP = RatioTarget(slower="native", faster="onnx")
NO_BASE = "no base version to compare with"


def run(
    runtimes: Mapping[RuntimeName, Runtime],
    subject: Subject,
    limits: Limits,
    base: Base | str = NO_BASE,
    *,
    clock: Clock = time.perf_counter,
) -> tuple[list[CheckResult], Latency]:
    """All latency checks. `base` is the version to compare with, or why there is none.

    `clock` counts the seconds of the time budget; the runtimes time their own calls.

    A runtime that raises or dies while it is timed fails its own check, and the others go on.
    """
    arms: dict[str, Arm] = {
        name: Arm(runtime=runtime, rows=subject.rows, limit_ms=limits.single_ms)
        for name, runtime in runtimes.items()
    }
    pairs = [_SPEEDUP]
    if isinstance(base, Base):
        arms[BASE] = base.arm
        pairs.append(pair_of(base, limits))
    effort = Effort(budget_s=limits.budget_s * _FOR_ROWS, confidence=limits.confidence, clock=clock)
    sampled = sample(arms, pairs, effort)
    trial = Trial(runtimes=runtimes, subject=subject, limits=limits, sampled=sampled, clock=clock)
    speedup = trial.sampled.ratio(_SPEEDUP, limits.confidence)
    against_base = trial.against(base) if isinstance(base, Base) else None
    batches, batch_checks = trial.batches()
    checks = [
        *(check for name in runtimes for check in trial.checks(name)),
        *batch_checks,
        result("latency.speedup", "", trial.speedup_finding(speedup)),
        result("latency.base", "", trial.base_finding(base, against_base)),
    ]
    base_figures = trial.figures(BASE, base.runtime) if isinstance(base, Base) else None
    return checks, trial.latency(base_figures, speedup, against_base, batches)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What was measured, and against what it is held."""

    runtimes: Mapping[RuntimeName, Runtime]
    subject: Subject
    limits: Limits
    sampled: Sampled
    clock: Clock

    def figures(self, name: str, runtime: Runtime) -> RuntimeLatency | None:
        series = self.sampled.series.get(name)
        return None if series is None else summarise(series, runtime, self.limits.confidence)

    def checks(self, name: RuntimeName) -> list[CheckResult]:
        """The single-row, load and memory checks of one runtime; the error alone where it broke off."""
        figures = self.figures(name, self.runtimes[name])
        if figures is None:
            return [run_check("latency.single", name, partial(_again, self.sampled.broken[name]))]
        honest = self.sampled.series[name].is_honest(self.limits.single_ms)
        single = judging.judge_single(figures, self.limits, is_honest=honest, ended=self.sampled.ended)
        checks = [
            result("latency.single", name, judging.unless_it_matters(single, name, figures, self.limits))
        ]
        if name in _raw(self.runtimes):
            checks.append(result("latency.load", name, judging.judge_load(figures, self.limits)))
            checks.append(result("latency.memory", name, judging.judge_memory(figures, self.limits)))
        return checks

    def batches(self) -> tuple[tuple[BatchLatency, ...], list[CheckResult]]:
        """Batches on the bare runtimes, and their check on each."""
        budget_s = self.limits.budget_s * _FOR_BATCHES
        effort = Effort(
            budget_s=budget_s, confidence=self.limits.confidence, rounds=5, least_rounds=1, clock=self.clock
        )
        working = {name: r for name, r in _raw(self.runtimes).items() if name in self.sampled.series}
        found = measure_batches(
            working, self.subject.rows, self.limits.batch_sizes, effort, self.sampled.series
        )
        checks = []
        for name in working:
            sizes = ", ".join(f"{batch.rows:,}" for batch in found.batches if batch.runtime == name)
            error = found.broken.get(name)
            check = partial(_again, error) if error else partial(passed, f"batches of {sizes} rows")
            checks.append(run_check("latency.batch", name, check))
        return found.batches, checks

    def speedup_finding(self, ratio: Ratio | None) -> CheckOutcome:
        if ratio is not None:
            return judging.judge_speedup(ratio, self.limits)
        return not_applicable("only one runtime took part")

    def against(self, base: Base) -> Ratio | None:
        ratio = self.sampled.ratio(pair_of(base, self.limits), self.limits.confidence)
        return None if ratio is None else confirmed(ratio, self.subject.rows, base, self.limits, self.clock)

    def base_finding(self, base: Base | str, ratio: Ratio | None) -> CheckOutcome:
        if isinstance(base, str):
            return not_applicable(base)
        if ratio is not None:
            return judging.judge_base(ratio, self.limits)
        error = self.sampled.broken.get(BASE)
        return not_applicable(f"the base version broke off: {error}" if error else "the candidate broke off")

    def latency(
        self,
        base: RuntimeLatency | None,
        speedup: Ratio | None,
        against_base: Ratio | None,
        batches: tuple[BatchLatency, ...],
    ) -> Latency:
        from validator.checks.shapes import latencies

        each = {name: self.figures(name, runtime) for name, runtime in self.runtimes.items()}
        return Latency(
            native=each.get("native"),
            onnx=each.get("onnx"),
            deployment=each.get("deployment"),
            wrapper=each.get("wrapper"),
            base=base,
            speedup=speedup,
            against_base=against_base,
            batches=batches,
            threads=1,
            clock=f"perf_counter_ns in the worker, in steps of {self.sampled.resolution_ns} ns; "
            "garbage collection off; one thread; the runtimes in turn, in blocks of calls "
            "whose first two are not counted; "
            "time that other processes took left out",
            stopped=self.sampled.ended,
            distribution=latencies(
                [(name, series.spans_ns / 1e6) for name, series in self.sampled.series.items()]
            ),
        )


def summarise(series: Series, runtime: Runtime, confidence: float) -> RuntimeLatency:
    """The figures of one series, in milliseconds."""
    import numpy as np

    spans = series.spans_ns / 1e6
    p50, p95 = (float(value) for value in np.percentile(spans, [50, 95]))
    low, high = series.p99_interval_ms(confidence)
    return RuntimeLatency(
        mean_ms=float(spans.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=series.p99_ms(),
        p99_low_ms=low,
        p99_high_ms=high if math.isfinite(high) else None,
        max_ms=float(spans.max()),
        samples=len(spans),
        interrupted=series.interrupted,
        load_ms=runtime.load_ms,
        first_call_ms=runtime.first_call_ms,
        peak_memory_bytes=series.peak_bytes,
    )


def _raw(runtimes: Mapping[RuntimeName, Runtime]) -> dict[RuntimeName, Runtime]:
    """The bare runtimes: load time, memory and batches are theirs; the deployment adds its guard to ONNX."""
    return {name: runtime for name, runtime in runtimes.items() if name in ("native", "onnx")}


def _again(error: PreflightError) -> CheckOutcome:
    raise error
