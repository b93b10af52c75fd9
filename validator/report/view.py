"""The view model: what a report says, in the order in which a reader needs it. Pure functions of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validator.checklist import blocks, causes_first
from validator.report import figures
from validator.report.checklist_view import ChecklistView, ReportedCheck, checklist, findings, merged
from validator.results import (
    Change,
    Conversion,
    GateResult,
    Latency,
    MetricResult,
    Parity,
    Ratio,
    VerdictName,
)

METHODS = {
    "exact": "exact: written tree by tree from the model's own thresholds and leaf values",
    "skl2onnx": "skl2onnx",
    "none": "not converted",
}


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """One model's report. `result` holds the figures that the templates lay out unchanged."""

    result: GateResult
    volatile: bool
    verdict: VerdictName
    name: str
    reason: str
    problems: tuple[ReportedCheck, ...]
    not_run: int
    waived: tuple[ReportedCheck, ...]
    warnings: tuple[ReportedCheck, ...]
    checklist: ChecklistView
    facts: tuple[tuple[str, str], ...]
    parity: str
    method: str
    speed: str
    change: str

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"

    @property
    def warning_lines(self) -> tuple[ReportedCheck, ...]:
        """The warnings for the verdict, briefly: what has one remedy is one line."""
        return merged(self.warnings)

    @property
    def lead(self) -> str:
        """The sentence under the verdict. What is wrong follows it one by one, so it only counts that."""
        if self.passed or not self.problems:
            return self.reason
        them = "it" if len(self.problems) == 1 else "them"
        rest = (
            f"; {figures.count(self.not_run, 'check')} could not run because of {them}"
            if self.not_run
            else ""
        )
        return f"{figures.count(len(self.problems), 'problem')} to solve{rest}."


@dataclass(frozen=True, kw_only=True)
class PageView:
    """Every model of a run; the worst verdict wins."""

    models: tuple[ModelView, ...]

    @property
    def passed(self) -> bool:
        return bool(self.models) and all(model.passed for model in self.models)

    @property
    def failed(self) -> tuple[ModelView, ...]:
        return tuple(model for model in self.models if not model.passed)

    @property
    def by_verdict(self) -> tuple[ModelView, ...]:
        return tuple(sorted(self.models, key=lambda model: model.passed))


def page(results: Sequence[GateResult], *, volatile: bool = True) -> PageView:
    """The view of one run. Raises ValueError for no result: "no model changed" is a report of its own."""
    if not results:
        raise ValueError("a report needs at least one result")
    return PageView(models=tuple(model_view(result, volatile=volatile) for result in results))


def model_view(result: GateResult, *, volatile: bool = True) -> ModelView:
    """What one result says. Without `volatile` nothing in it depends on measured times or on the machine."""
    bad = [check for check in result.checks if blocks(check)]
    # What did not run because of an earlier failure would bury that failure in a list of its consequences.
    causes = causes_first([check for check in bad if check.status != "skip"] or bad)
    waived = [check for check in result.checks if check.waived and check.status != "pass"]
    warned = [check for check in result.checks if check.status == "warn" and not check.waived]
    verdict: VerdictName = "fail" if result.verdict == "fail" or bad else "pass"
    return ModelView(
        result=result,
        volatile=volatile,
        verdict=verdict,
        name=result.model.name,
        reason=_reason(result, blocking=len(bad), volatile=volatile),
        problems=findings(causes, volatile=volatile),
        not_run=len(bad) - len(causes),
        waived=findings(waived, volatile=volatile),
        warnings=findings(warned, volatile=volatile) if volatile else (),
        checklist=checklist(result.checks, volatile=volatile),
        facts=facts(result, volatile=volatile),
        parity=parity_sentence(result.parity),
        method=method_sentence(result.conversion),
        speed=speed_sentence(result.latency),
        change=change_sentence(result.change),
    )


def _reason(result: GateResult, *, blocking: int, volatile: bool) -> str:
    """One sentence; what was loosened stands before it, for it says what the verdict is worth."""
    said = _verdict_reason(result, blocking=blocking, volatile=volatile)
    if not result.loosened:
        return said
    return f"Judged less strictly: {'; '.join(result.loosened)}. {said}"


def _verdict_reason(result: GateResult, *, blocking: int, volatile: bool) -> str:
    total = figures.count(len(result.checks), "check")
    if result.verdict == "pass" and blocking:
        return f"The result claims to pass, yet {blocking} of its {total} forbid it."
    if volatile and result.reason:
        return result.reason
    if result.verdict == "pass":
        return f"Nothing in {total} forbids shipping."
    return f"{blocking} of {total} forbid shipping." if blocking else result.reason


def facts(result: GateResult, *, volatile: bool) -> tuple[tuple[str, str], ...]:
    """The few figures beside the verdict: parity, speed, version."""
    parity = result.parity
    found = [("Parity", {"proved": "proved", "measured": "measured", "none": "not shown"}[parity.level])]
    if parity.level == "proved" and parity.splits:
        found[0] = ("Parity", f"proved over {figures.count(parity.splits, 'split')}")
    if parity.level == "measured":
        found[0] = ("Parity", f"measured on {figures.count(parity.rows + parity.boundary_rows, 'row')}")
    latency = result.latency
    if volatile and latency.onnx:
        found.append(("ONNX p99", f"{figures.milliseconds(latency.onnx.p99_ms)} ms"))
    if volatile and latency.speedup:
        found.append(("Speed-up", figures.factor(latency.speedup.value)))
    found.append(("Version", result.version))
    return tuple(found)


def parity_sentence(parity: Parity) -> str:
    """In words how well ONNX is known to answer as the native model does."""
    if parity.level == "none":
        return parity.reason or "Nothing shows that ONNX and the native model agree."
    rows = f"{figures.count(parity.rows, 'sample row')} and {figures.count(parity.boundary_rows, 'boundary row')}"
    if parity.level == "measured":
        told = f"Measured on {rows}. A measurement, not a proof. {parity.reason}".strip()
        return f"{told}{_allowed(parity)}"
    bound = "" if parity.bound is None else f" raw scores differ by at most {figures.number(parity.bound)}."
    splits = "" if parity.splits is None else f" all {figures.count(parity.splits, 'split')}"
    return (
        f"Proved for every input: the ONNX file was read back and compared with the model, node by node,"
        f" over{splits or ' every split'};{bound or ' each row reaches the same leaves.'}"
        f" Confirmed on {rows}. {parity.reason}"
    ).strip() + _allowed(parity)


def _allowed(parity: Parity) -> str:
    """The tolerance and its reason, the worst row where it was not kept, and what a cast to float32 changes."""
    found = []
    if parity.tolerance is not None and parity.tolerance_reason:
        found.append(f"Allowed are {figures.number(parity.tolerance)} ({parity.tolerance_reason}).")
    needed = parity.passing_tolerance
    if parity.worst and needed is not None and parity.tolerance is not None and needed > parity.tolerance:
        found.append(f"{figures.number(needed)} would have passed; the worst is {parity.worst}.")
    if parity.cast_changes:
        rows = figures.count(parity.cast_changes, "row")
        shown = "; ".join(parity.cast_examples)
        part = f" of the first {parity.cast_rows:,}" if 0 < parity.cast_rows < parity.rows else ""
        found.append(f"The cast of the sample to float32 changes {rows}{part}: {shown}.")
    return "".join(f" {sentence}" for sentence in found)


def method_sentence(conversion: Conversion) -> str:
    """In words how the ONNX file was made."""
    reason = f" ({conversion.reason})" if conversion.reason else ""
    dtype = f"; input {conversion.input_dtype}" if conversion.input_dtype else ""
    return METHODS[conversion.method] + dtype + reason


def speed_sentence(latency: Latency) -> str:
    """In words what the latency table measures, and how the runtimes compare."""
    said = [f"Milliseconds for one row, {figures.count(latency.threads, 'thread')}."]
    if latency.speedup:
        said.append(f"ONNX is {_compared(latency.speedup, 'native')}.")
    if latency.against_base:
        said.append(f"This version is {_compared(latency.against_base, 'the base version')}.")
    if latency.stopped:
        said.append(f"Sampling ended when {latency.stopped}.")
    if latency.clock:
        said.append(f"Clock: {latency.clock}.")
    return " ".join(said)


def _compared(ratio: Ratio, other: str) -> str:
    low, high = figures.factor(ratio.low), figures.factor(ratio.high)
    return (
        f"{figures.factor(ratio.value)} as fast as {other} ({ratio.confidence:.0%} interval {low} to {high})"
    )


def change_sentence(change: Change | None) -> str:
    """In words what becomes of the answers, or why that is not known."""
    if change is None:
        return ""
    version = f" ({change.origin})" if change.origin else ""
    base = f"The base version is `{change.base_version}`{version}." if change.base_version else ""
    if change.status == "identical":
        said = ["The model is the same file as the base version, byte for byte: nothing changes."]
    elif change.status == "compared":
        said = _behaviour(change)
    elif base:
        reason = change.reason.rstrip(".") or "no reason is given"
        return f"Answers were not compared: {reason}. {base}"
    else:
        return change.reason or "Not compared."
    return " ".join([*said, base, change.reason]).strip()


def _behaviour(change: Change) -> list[str]:
    rows = figures.count(change.rows, "row")
    said = [f"Compared on {rows}."]
    if change.label_changes is not None:
        said = [f"{change.label_changes:,} of {rows} get another label."]
    values, score = change.score_quantiles, change.score or "score"
    if change.score_changes == 0:
        said.append("No score changes.")
    elif change.score_changes is not None and {"min", "p50", "max"} <= values.keys():
        low, middle, high = (figures.signed(values[name]) for name in ("min", "p50", "max"))
        said.append(
            f"The {score} changes on {change.score_changes:,} of them, by {low} to {high} (median {middle})."
        )
    return said


def quality_changes(result: GateResult) -> tuple[MetricResult, ...]:
    """The metrics over all rows that the base version has too."""
    if result.change is None or result.change.status != "compared":
        return ()
    return tuple(metric for metric in result.quality if not metric.slice and metric.base is not None)
