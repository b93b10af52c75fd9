"""Quality: the task's metrics on the sample's true answers, held against limits."""

from __future__ import annotations

from collections.abc import Mapping

from validator.results import Task
from validator.suites.common import Finding, failed, not_applicable, passed, seen
from validator.worker.quality import HIGHER_IS_BETTER, METRICS


def needs_answers(target: str | None, task: Task, has_answers: bool) -> Finding | None:
    """Why quality cannot be measured; None when it can."""
    if target is None:
        return not_applicable("the sample's true answer is not named; set `target` to measure quality")
    if task not in METRICS:
        return not_applicable(f"no metrics for the task {task}")
    return None if has_answers else not_applicable("the model gives labels only")


def judge_limits(metrics: Mapping[str, float | None], limits: Mapping[str, float]) -> Finding:
    """Each limited metric on its right side: at least for scores, at most for losses and errors."""
    evidence = [
        seen(name, None if value is None else round(value, 6), _allowed(name, limits))
        for name, value in metrics.items()
    ]
    unknown = sorted(set(limits) - set(metrics))
    if unknown:
        known = ", ".join(metrics) or "none for this model and sample"
        return failed(
            f"no metric named {', '.join(unknown)}",
            *evidence,
            hint=f"metrics that can be limited here: {known}",
        )
    broken = [
        f"{name} is {_words(metrics[name])}, allowed is {_allowed(name, limits)}"
        for name in limits
        if not _holds(name, metrics[name], limits[name])
    ]
    if broken:
        return failed("; ".join(broken), *evidence)
    return passed("within the limits" if limits else "measured; no limits are set", *evidence)


def _holds(name: str, value: float | None, limit: float) -> bool:
    if value is None:
        return False
    return value >= limit if name in HIGHER_IS_BETTER else value <= limit


def _allowed(name: str, limits: Mapping[str, float]) -> str:
    if name not in limits:
        return ""
    return f"{'>=' if name in HIGHER_IS_BETTER else '<='} {limits[name]:g}"


def _words(value: float | None) -> str:
    return "undefined here" if value is None else f"{value:.4g}"
