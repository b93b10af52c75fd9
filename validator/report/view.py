"""The view model: what a report says, in the order in which a reader needs it. Pure functions of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validator.causes import blocks
from validator.report import figures
from validator.report.checklist_view import ChecklistView, checklist
from validator.report.findings import ReportedCheck, findings
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

#: What a model of a task is judged by first.
_MAIN = {"binary": "auc", "multiclass": "log_loss", "regression": "rmse", "ranking": "ndcg"}
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
    waived: tuple[ReportedCheck, ...]
    warnings: tuple[ReportedCheck, ...]
    notes: tuple[ReportedCheck, ...]
    checklist: ChecklistView
    facts: tuple[tuple[str, str], ...]
    parity: str
    method: str
    speed: str
    change: str
    quality: str

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"

    @property
    def lead(self) -> str:
        """The sentence under the verdict. What is wrong follows it one by one, so it only counts that; what was
        loosened stands before it here, too.
        """
        if self.passed or not self.problems:
            return self.reason
        return _after_loosened(
            self.result, f"{figures.count(len(self.problems), 'problem')} to solve{self._rest}."
        )

    @property
    def noted(self) -> str:
        """In a sentence what the notes are about: most are of wrong input that a bare runtime lets through."""
        unguarded = [note for note in self.notes if note.id.startswith("errors.")]
        said = []
        if unguarded:
            where = " or ".join(
                dict.fromkeys(name for note in unguarded for name in note.runtimes.split(" and "))
            )
            said.append(
                f"only the shipped Deployment catches some wrong input; {where} alone would let it through"
            )
        undecided = [note for note in self.notes if note.id.startswith("latency.")]
        if undecided:
            where = " and ".join(dict.fromkeys(note.runtimes for note in undecided))
            said.append(f"there were too few calls to be sure of the p99 of {where}")
        said += [note.message for note in self.notes if note not in unguarded and note not in undecided]
        unless = " unless a bare runtime is served: see `serves`" if unguarded else ""
        text = f"{'; '.join(said)}. Nothing to do{unless}."
        return text[0].upper() + text[1:]

    @property
    def _rest(self) -> str:
        """What only follows from the problems, counted."""
        follows = sum(problem.follows for problem in self.problems)
        them = "it" if len(self.problems) == 1 else "them"
        fails = "failed or " if any(problem.fails for problem in self.problems) else ""
        more = figures.count(follows, "further check")
        return f"; {more} {fails}could not run because of {them}" if follows else ""


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
    blocked = any(map(blocks, result.checks))
    found = findings(result.checks, volatile=volatile)
    verdict: VerdictName = "fail" if result.verdict == "fail" or blocked else "pass"
    return ModelView(
        result=result,
        volatile=volatile,
        verdict=verdict,
        name=result.model.name,
        reason=_reason(result, problems=len(found.problems), volatile=volatile),
        problems=found.problems,
        waived=found.waived,
        warnings=found.warnings,
        notes=found.notes,
        checklist=checklist(result.checks, volatile=volatile),
        facts=facts(result, volatile=volatile),
        parity=parity_sentence(result.parity),
        method=method_sentence(result.conversion),
        speed=speed_sentence(result.latency),
        change=change_sentence(result.change),
        quality=quality_sentence(result),
    )


def _reason(result: GateResult, *, problems: int, volatile: bool) -> str:
    """One sentence."""
    return _after_loosened(result, _verdict_reason(result, problems=problems, volatile=volatile))


def _after_loosened(result: GateResult, said: str) -> str:
    """What was loosened stands before anything else, for it says what the verdict is worth."""
    if not result.loosened:
        return said
    return f"Judged less strictly: {'; '.join(result.loosened)}. {said}"


def _verdict_reason(result: GateResult, *, problems: int, volatile: bool) -> str:
    total = figures.count(len(result.checks), "check")
    if result.verdict == "pass" and problems:
        return f"The result claims to pass, yet its {total} show {figures.count(problems, 'problem')}."
    if volatile and result.reason:
        return result.reason
    if result.verdict == "pass":
        return f"Nothing in {total} forbids shipping."
    return f"{figures.count(problems, 'problem')} to solve, of {total}." if problems else result.reason


def facts(result: GateResult, *, volatile: bool) -> tuple[tuple[str, str], ...]:
    """The few figures beside the verdict: parity, speed, version."""
    parity = result.parity
    told: str = "not shown" if parity.level == "none" else parity.level
    found = [("Parity", told)]
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
    scope = "every input" if parity.level == "proved" else "rows without missing values"
    rest = (
        ""
        if parity.level == "proved"
        else " The contract refuses missing values, which they answer otherwise."
    )
    return (
        f"Proved for {scope}: the ONNX file was read back and compared with the model, node by node,"
        f" over{splits or ' every split'};{bound or ' each row reaches the same leaves.'}"
        f" Confirmed on {rows}.{rest} {parity.reason}"
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


def main_metric(result: GateResult) -> MetricResult | None:
    """The metric over all rows by which a model of this task is judged first; None where none was measured."""
    whole = {metric.name: metric for metric in result.quality if not metric.slice}
    return whole.get(_MAIN.get(result.model.task, ""), next(iter(whole.values()), None))


def quality_sentence(result: GateResult) -> str:
    """In words how good the model is on the sample, and whether anybody said how good it must be."""
    main = main_metric(result)
    if main is None:
        of_limits = (check for check in result.checks if check.id == "quality.limits")
        said = next((check.message for check in of_limits if check.status == "skip"), "")
        return f"Quality was not measured: {said}." if said and result.contract is not None else ""
    return f"{_measured(main)}. {_limited(result, main)}"


def _measured(main: MetricResult) -> str:
    interval = ""
    if main.low is not None and main.high is not None:
        interval = f" (95 % interval {figures.number(main.low)} to {figures.number(main.high)})"
    constant = ""
    if main.constant is not None:
        constant = f"; a constant prediction reaches {figures.number(main.constant)}"
    rows = figures.count(main.rows, "row")
    return f"{metric_title(main.name)} is {figures.number(main.value)}{interval} on {rows}{constant}"


def _limited(result: GateResult, main: MetricResult) -> str:
    if main.limit:
        return f"The limit is {main.limit}."
    others = [f"{metric.name} {metric.limit}" for metric in result.quality if metric.limit]
    if others:
        return f"No limit is set on it; there is one on {', '.join(others[:5])}."
    return f"Nobody set a limit: `quality = {{ {main.name} = … }}` makes one."


def metric_title(name: str) -> str:
    """A metric's name as people write it."""
    return {"auc": "AUC", "log_loss": "Log loss", "rmse": "RMSE", "mae": "MAE", "ndcg": "NDCG"}.get(
        name, name.replace("_", " ").capitalize()
    )


def quality_changes(result: GateResult) -> tuple[MetricResult, ...]:
    """The metrics over all rows that the base version has too."""
    if result.change is None or result.change.status != "compared":
        return ()
    return tuple(metric for metric in result.quality if not metric.slice and metric.base is not None)
