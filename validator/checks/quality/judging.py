"""Quality: the task's metrics on the sample's true answers, held against limits and against the base version's.

Against the base version the loss of a metric is known up to an interval (a paired bootstrap over the same rows).
The rule: more than is allowed at the interval's near end fails; no more than is allowed at its far end passes; in
between the sample is too small to tell, which warns, or fails where `inconclusive` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from validator.checks.check import CheckOutcome, failed, not_applicable, passed, seen, warned
from validator.results import Evidence, MetricResult, Task
from validator.worker.quality import HIGHER_IS_BETTER, METRICS

if TYPE_CHECKING:
    from validator.profile.document import Quality

_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class MeasuredQuality:
    """One figure with its interval, and what the best constant prediction reaches on the same rows."""

    quality: Quality
    constant: float


def needs_answers(target: str | None, group: str | None, task: Task) -> CheckOutcome | None:
    """Why quality cannot be measured; None when it can."""
    if target is None:
        return not_applicable("the sample's true answer is not named; set `target` to measure quality")
    if task not in METRICS:
        return not_applicable(f"no metrics for the task {task}")
    if task == "ranking" and group is None:
        return not_applicable("no column tells the queries apart; set `group` to measure NDCG")
    return None


def key(metric: MetricResult) -> str:
    """The name under which limits know a metric: `auc`, or `auc[region=north]` for a slice."""
    return f"{metric.name}[{metric.slice}]" if metric.slice else metric.name


def judge_limits(metrics: Sequence[MetricResult], limits: Mapping[str, float]) -> CheckOutcome:
    """Each limited metric on its right side: at least for scores, at most for losses and errors."""
    found = {key(metric): metric for metric in metrics}
    evidence = [
        seen(name[:1_000], _rounded(metric.value), _allowed(metric.name, limits.get(name)))
        for name, metric in found.items()
        if name in limits or not metric.slice
    ][:_SHOWN]
    if unknown := _unknown(found, limits, evidence):
        return unknown
    broken = [
        f"{name} is {_words(found[name].value)}, allowed is {_allowed(found[name].name, limit)}"
        for name, limit in limits.items()
        if not _holds(found[name], limit)
    ]
    if broken:
        return failed("; ".join(broken), *evidence)
    return passed("within the limits" if limits else "measured; no limits are set", *evidence)


def with_limits(metrics: Sequence[MetricResult], limits: Mapping[str, float]) -> tuple[MetricResult, ...]:
    """The metrics, each with what is allowed of it."""
    return tuple(
        metric.model_copy(update={"limit": _allowed(metric.name, limits.get(key(metric)))})
        for metric in metrics
    )


def with_intervals(
    metrics: Sequence[MetricResult], found: Sequence[MeasuredQuality]
) -> tuple[MetricResult, ...]:
    """The metrics over all rows with the interval, and the figure of a constant prediction, that a profile has found.

    A profile measures no more rows than it keeps, so the interval is set around the value over all of them.
    """
    known = {one.quality.metric: one for one in found}
    return tuple(
        metric
        if metric.slice or metric.value is None or metric.name not in known
        else metric.model_copy(
            update={
                "low": metric.value + known[metric.name].quality.low - known[metric.name].quality.value,
                "high": metric.value + known[metric.name].quality.high - known[metric.name].quality.value,
                "constant": known[metric.name].constant,
            }
        )
        for metric in metrics
    )


def judge_base(
    metrics: Sequence[MetricResult], losses: Mapping[str, float], *, inconclusive: str
) -> CheckOutcome:
    """The candidate's metrics against the base version's: `losses` is how much worse each may be."""
    found = {key(metric): metric for metric in metrics}
    evidence = [
        seen(f"loss of {name}"[:1_000], _span(metric), "" if name not in losses else f"<= {losses[name]:g}")
        for name, metric in found.items()
        if name in losses or not metric.slice
    ][:_SHOWN]
    if unknown := _unknown(found, losses, evidence):
        return unknown
    readings = {name: _read(found[name], allowed) for name, allowed in losses.items()}
    beyond = [name for name, reading in readings.items() if reading == "beyond"]
    if beyond:
        said = "; ".join(f"{name} {_compared(found[name])}, {losses[name]:g} is allowed" for name in beyond)
        return failed(f"worse than the base version: {said}", *evidence)
    open_ = [name for name, reading in readings.items() if reading == "open"]
    if open_:
        said = "; ".join(f"{name} {_compared(found[name])}, {losses[name]:g} is allowed" for name in open_)
        finding = failed if inconclusive == "fail" else warned
        return finding(
            f"inconclusive against the base version: {said}",
            *evidence,
            hint="give more rows with true answers, or allow a larger loss",
        )
    worse = [name for name, metric in found.items() if _read(metric, _slack(metric, losses)) == "beyond"]
    if worse:
        said = "; ".join(f"{name} {_compared(found[name])}" for name in worse[:5])
        more = f"; and {len(worse) - 5} more" if len(worse) > 5 else ""
        return warned(
            f"worse than the base version: {said}{more}",
            *evidence,
            hint="set max_quality_loss to say how much is too much",
        )
    return passed("no worse than the base version" if not losses else "within the allowed loss", *evidence)


def without_base(reason: str, losses: Mapping[str, float], *, troubled: bool) -> CheckOutcome:
    """No comparison. A base version that is there and cannot be asked warns, and breaks a limit set on it."""
    if not troubled:
        return not_applicable(reason)
    if losses:
        return failed(
            f"max_quality_loss cannot be held, since nothing can be compared: {reason}",
            hint="mend the base version, name another one with `baseline`, or waive quality.base for a time",
        )
    return warned(
        f"nothing can be compared: {reason}", hint="name another version with `baseline`, or `none`"
    )


def _unknown(
    found: Mapping[str, MetricResult], limits: Mapping[str, float], evidence: Sequence[Evidence]
) -> CheckOutcome | None:
    unknown = sorted(set(limits) - set(found))
    if not unknown:
        return None
    known = ", ".join(list(found)[:20]) or "none for this model and sample"
    return failed(
        f"no metric named {', '.join(unknown)}", *evidence, hint=f"metrics that can be limited here: {known}"
    )


def _slack(metric: MetricResult, losses: Mapping[str, float]) -> float:
    """What a metric without a limit of its own may lose without a word: a slice as much as the whole."""
    return losses.get(key(metric), losses.get(metric.name, 0.0) if metric.slice else 0.0)


def _loss(metric: MetricResult) -> tuple[float, float, float] | None:
    """How much worse the candidate is: estimate, near and far end of the interval. None where that is not known."""
    if metric.value is None or metric.base is None:
        return None
    if metric.difference_low is None or metric.difference_high is None:
        return None
    difference = metric.value - metric.base
    if metric.name in HIGHER_IS_BETTER:
        return -difference, -metric.difference_high, -metric.difference_low
    return difference, metric.difference_low, metric.difference_high


def _read(metric: MetricResult, allowed: float) -> str:
    """`beyond` what is allowed, `within` it, or `open`: the interval reaches over the limit, or there is none."""
    if metric.value is None and metric.base is not None:
        return "beyond"
    loss = _loss(metric)
    if loss is None:
        return "open"
    _, near, far = loss
    return "beyond" if near > allowed else "within" if far <= allowed else "open"


def _compared(metric: MetricResult) -> str:
    return f"is {_words(metric.value)}, was {_words(metric.base)} (loss {_span(metric)})"


def _span(metric: MetricResult) -> str:
    loss = _loss(metric)
    if loss is None:
        return "not known"
    estimate, near, far = loss
    return f"{estimate:.4g} ({near:.4g} to {far:.4g})"


def _holds(metric: MetricResult, limit: float) -> bool:
    if metric.value is None:
        return False
    return metric.value >= limit if metric.name in HIGHER_IS_BETTER else metric.value <= limit


def _allowed(name: str, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{'>=' if name in HIGHER_IS_BETTER else '<='} {limit:g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _words(value: float | None) -> str:
    return "undefined here" if value is None else f"{value:.4g}"
