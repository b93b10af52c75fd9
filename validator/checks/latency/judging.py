"""Measured latency against its limits: within, over, or inconclusive, and what each means for the gate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from validator.checks.check import CheckOutcome, failed, passed, seen, warned
from validator.checks.latency.statistics import Reading, read_limit
from validator.results import Evidence, Ratio, RuntimeLatency, RuntimeName

#: What a limit that noise leaves undecided means: an absolute one is judged by its estimate and a relative one
#: warned of; or both fail; or both are warned of.
Inconclusive = Literal["estimate", "fail", "warn"]

#: No call came near a limit where none took this part of it.
_NEAR = 0.5
#: Two processes of one and the same model differ by a few per cent, for where their memory lies.
_SAME = 0.95


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a runtime may take: milliseconds, bytes, a fraction more than the base; how long and surely to measure."""

    single_ms: float
    load_ms: float
    memory_bytes: float
    budget_s: float
    batch_sizes: tuple[int, ...]
    max_slowdown: float = 0.10
    confidence: float = 0.95
    inconclusive: Inconclusive = "estimate"
    serves: RuntimeName = "deployment"

    @property
    def least_speed(self) -> float:
        """Base time over candidate time, at least."""
        return 1 / (1 + self.max_slowdown)


def judge_single(figures: RuntimeLatency, limits: Limits, *, is_honest: bool, ended: str) -> CheckOutcome:
    """The single-row p99 against its absolute limit."""
    low, high = _bounds(figures)
    limit = f"{limits.single_ms:g} ms"
    evidence = _single_evidence(figures, limits, ended)
    if not is_honest:
        hint = "the model tampers with its clock; do not ship it"
        return failed("the worker claims less time than really passed", *evidence, hint=hint)
    reading = read_limit(low, high, limits.single_ms)
    if reading == "within":
        return passed(f"p99 below {limit}", *evidence)
    span = f"{_span(low, high)} ms at {limits.confidence:.0%} confidence"
    if reading == "over":
        return failed(f"p99 is {figures.p99_ms:.3g} ms ({span}), the limit is {limit}", *evidence)
    finding = failed if _fails(limits.inconclusive, figures.p99_ms >= limits.single_ms) else warned
    message = f"inconclusive after {figures.samples:,} calls: p99 is {figures.p99_ms:.3g} ms ({span})"
    return finding(
        f"{message}, the limit is {limit}",
        *evidence,
        hint="raise latency_budget_s for more calls, measure on a quieter machine, or move the limit",
    )


def unless_it_matters(
    finding: CheckOutcome, runtime: RuntimeName, figures: RuntimeLatency, limits: Limits
) -> CheckOutcome:
    """What too few calls leave undecided is a note of a bare runtime that nobody serves, and where no call came near.

    With `inconclusive` set to warn it is a warning in any case.
    """
    bare = runtime in ("native", "onnx") and runtime != limits.serves
    if finding.status != "warn" or limits.inconclusive != "estimate":
        return finding
    return replace(finding, required=not (bare or figures.max_ms < _NEAR * limits.single_ms))


def _bounds(figures: RuntimeLatency) -> tuple[float, float]:
    high = math.inf if figures.p99_high_ms is None else figures.p99_high_ms
    return figures.p99_low_ms or 0.0, high


def _span(low: float, high: float) -> str:
    """An interval in words; without an upper bound where the calls are too few to tell one."""
    return f"at least {low:.3g}" if math.isinf(high) else f"{low:.3g} to {high:.3g}"


def _single_evidence(figures: RuntimeLatency, limits: Limits, ended: str) -> list[Evidence]:
    low, high = _bounds(figures)
    return [
        seen("mean_ms", round(figures.mean_ms, 4), volatile=True),
        seen("p50_ms", round(figures.p50_ms, 4), volatile=True),
        seen("p95_ms", round(figures.p95_ms, 4), volatile=True),
        seen("p99_ms", round(figures.p99_ms, 4), f"< {limits.single_ms:g}", volatile=True),
        seen("p99_ms, interval", f"{_span(low, high)} at {limits.confidence:.0%}", volatile=True),
        seen("max_ms", round(figures.max_ms, 4), volatile=True),
        seen("calls", figures.samples, volatile=True),
        seen("calls interrupted by other processes", figures.interrupted, volatile=True),
        seen("sampling ended when", ended, volatile=True),
    ]


def _fails(policy: Inconclusive, is_over: bool) -> bool:
    return policy == "fail" or (policy == "estimate" and is_over)


def read_speed(ratio: Ratio, least: float) -> Reading:
    """How a ratio of times, other over this, lies to the least that it may be."""
    if ratio.low >= least:
        return "within"
    return "over" if ratio.high < least else "inconclusive"


def judge_speedup(ratio: Ratio, limits: Limits) -> CheckOutcome:
    """ONNX against native, measured in turn. Below 5 % nobody can tell."""
    evidence = seen("native / ONNX", round(ratio.value, 3), f">= {_SAME:g}", volatile=True)
    span = f"native/ONNX is {ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    reading = read_speed(ratio, _SAME)
    if reading == "over":
        return failed(f"ONNX is slower: {span}", evidence)
    if reading == "within":
        return passed("ONNX is not slower than native", evidence)
    return _undecided(f"inconclusive whether ONNX is slower: {span}", evidence, limits)


def judge_base(ratio: Ratio, limits: Limits) -> CheckOutcome:
    """The candidate against the base version, measured in turn in this run. The ratio is base over candidate."""
    slowdown, least, most = (1 / value - 1 for value in (ratio.value, ratio.high, ratio.low))
    evidence = seen("slow-down", round(slowdown, 4), f"<= {limits.max_slowdown:g}", volatile=True)
    span = f"{slowdown:+.1%} time for one row ({least:+.1%} to {most:+.1%}), {limits.max_slowdown:.0%} is allowed"
    reading = read_speed(ratio, limits.least_speed)
    if reading == "over":
        return failed(f"slower than the base version: {span}", evidence)
    if reading == "within":
        return passed(f"not slower than the base version by more than {limits.max_slowdown:.0%}", evidence)
    return _undecided(f"inconclusive against the base version: {span}", evidence, limits)


def _undecided(message: str, evidence: Evidence, limits: Limits) -> CheckOutcome:
    finding = failed if limits.inconclusive == "fail" else warned
    return finding(message, evidence, hint="raise latency_budget_s, or measure on a quieter machine")


def judge_load(figures: RuntimeLatency, limits: Limits) -> CheckOutcome:
    taken = figures.load_ms or 0.0
    evidence = seen("load_ms", round(taken, 3), f"< {limits.load_ms:g}", volatile=True)
    if taken >= limits.load_ms:
        return failed(f"loading takes {taken:.0f} ms, {limits.load_ms:g} ms are allowed", evidence)
    return passed(f"loads within {limits.load_ms:g} ms", evidence)


def judge_memory(figures: RuntimeLatency, limits: Limits) -> CheckOutcome:
    peak, most = (figures.peak_memory_bytes or 0) / 2**20, limits.memory_bytes / 2**20
    evidence = seen("peak_mib", round(peak, 1), f"< {most:.0f}", volatile=True)
    if peak >= most:
        return failed(f"the worker needed {peak:.0f} MiB, {most:.0f} MiB are allowed", evidence)
    return passed(f"peak memory below {most:.0f} MiB", evidence)
