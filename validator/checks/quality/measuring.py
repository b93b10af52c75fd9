"""Quality on the sample's true answers: gathered while the sample is read, judged at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.change.baseline_runner import BaselineRunner
from validator.checks.check import CheckOutcome, failed, not_applicable, result
from validator.checks.context import Context
from validator.checks.quality.judging import (
    judge_base,
    judge_limits,
    needs_answers,
    with_limits,
    without_base,
)
from validator.checks.sample_pass import Answers, Batch
from validator.errors import PreflightError
from validator.outputs import Outputs
from validator.results import CheckResult, Contract, MetricResult, Task
from validator.sandbox.worker_pool import Worker
from validator.settings.table import Settings


@dataclass(kw_only=True)
class Measuring:
    """The measuring worker, fed batch by batch while the runtimes work on the next one.

    `unable` says why nothing is measured, `error` what went wrong on the way.
    """

    unable: CheckOutcome | None
    worker: Worker | None = None
    slices: tuple[str, ...] = ()
    group: str | None = None
    error: PreflightError | None = None
    rows: int = 0
    paired: bool = False
    base_classes: int = 0
    _posted: bool = False

    @classmethod
    def begin(
        cls, context: Context, task: Task, contract: Contract, base: BaseVersion | NoVersion
    ) -> Measuring:
        settings = context.settings
        unable = needs_answers(settings.target, settings.group, task)
        if unable is None and task in ("binary", "multiclass") and not contract.classes:
            unable = not_applicable("the model does not tell its classes; name them under [contract]")
        if unable is not None:
            return cls(unable=unable)
        classes = [list(contract.classes)]
        paired = isinstance(base, BaseVersion) and base.contract.task == contract.task
        if isinstance(base, BaseVersion) and paired:
            classes.append(list(base.contract.classes))
        worker = context.start("measure")
        worker.call("begin", task=task, classes=classes, slices=list(settings.slices))
        return cls(
            unable=None,
            worker=worker,
            slices=settings.slices,
            group=settings.group,
            paired=paired,
            base_classes=len(classes[-1]),
        )

    def see(self, batch: Batch, answers: Answers) -> None:
        """The next batch of the sample with the answers to it: ONNX's are those that will be served."""
        table, candidate, base = batch.table, answers.onnx, answers.base
        if batch.truth is None or self.unable is not None or self.error is not None or self.worker is None:
            return
        if not _measurable(candidate):
            self.unable = not_applicable("the model gives labels only")
            return
        outputs = candidate.numeric[1].shape[1]
        if candidate.prediction is not None and outputs != 1:
            self.unable = not_applicable(f"the model gives {outputs} outputs, and the sample one true answer")
            return
        self.paired = self.paired and base is not None and self._fits(base)
        measured = [candidate, base] if self.paired and base is not None else [candidate]
        arrays: list[Any] = [batch.truth]
        for one in measured:
            arrays += [one.numeric[1], *([] if one.label is None else [one.label])]
        arrays += [table.column(name).decoded() for name in self.slices]
        arrays += [table.column(self.group).decoded()] if self.group else []
        try:
            self._settle()
            self.worker.post(
                "add",
                arrays,
                outputs=[one.numeric[0] for one in measured],
                labelled=[one.label is not None for one in measured],
                slices=list(self.slices),
                grouped=self.group is not None,
            )
            self._posted = True
            self.rows += len(table)
        except PreflightError as error:
            self.error = error

    def _fits(self, base: Outputs) -> bool:
        """Whether the base version's answers can be measured: no check has judged their form."""
        if not _measurable(base):
            return False
        name, values = base.numeric
        return bool(values.shape[1] == (self.base_classes if name == "probabilities" else 1))

    def _settle(self) -> None:
        """Wait for the batch before. Raises what went wrong with it."""
        if self._posted and self.worker is not None:
            self._posted = False
            self.worker.answer()

    def end(self, *, compare: bool) -> tuple[MetricResult, ...]:
        """The metrics of everything added; with `compare` of the base version too. Raises what went wrong."""
        if self.error is not None:
            raise self.error
        if self.worker is None or not self.rows:
            return ()
        self._settle()
        told = self.worker.call("end", compare=compare and self.paired).result
        self.worker.close()
        return tuple(
            MetricResult(
                name=one["name"],
                slice=str(one["slice"])[:1_000],
                rows=one["rows"],
                value=one["value"],
                base=one["base"],
                difference_low=one["low"],
                difference_high=one["high"],
            )
            for one in told["metrics"]
        )


def _measurable(answer: Outputs) -> bool:
    return bool(answer.present.keys() - {"label"})


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The metrics, and the checks `quality.limits` and `quality.base`."""

    metrics: tuple[MetricResult, ...]
    checks: tuple[CheckResult, ...]


def judge_quality(
    settings: Settings, measuring: Measuring, base: BaseVersion | NoVersion, runner: BaselineRunner | None
) -> Quality:
    """Hold what was measured against the limits, and against the base version's where that could be compared."""
    compared = runner is not None and not runner.problem
    unable = measuring.unable
    metrics: tuple[MetricResult, ...] = ()
    if unable is None:
        try:
            metrics = measuring.end(compare=compared)
        except PreflightError as error:
            limits = failed(error.message, hint=error.hint)
            unmeasured = CheckOutcome(
                status="skip", message="quality could not be measured: see quality.limits"
            )
            return _judged((), limits, unmeasured)
        unable = None if metrics else not_applicable("no row has both a true answer and an answer")
    metrics = with_limits(metrics, settings.quality)
    limits = judge_limits(metrics, settings.quality) if unable is None or settings.quality else unable
    losses = settings.max_quality_loss
    if isinstance(base, NoVersion):
        against = without_base(base.reason, losses, troubled=base.troubled)
    elif not compared or (unable is None and not measuring.paired):
        reason = (runner.problem if runner else "") or "its answers have no such metrics"
        against = without_base(f"{base.base.name}: {reason}", losses, troubled=True)
    elif unable is not None and not losses:
        against = unable
    else:
        against = judge_base(metrics, losses, inconclusive=settings.inconclusive)
    return _judged(metrics, limits, against)


def _judged(metrics: tuple[MetricResult, ...], limits: CheckOutcome, base: CheckOutcome) -> Quality:
    checks = (result("quality.limits", "", limits), result("quality.base", "", base))
    return Quality(metrics=metrics, checks=checks)
