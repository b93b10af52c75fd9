"""The candidate against the version that it would replace, measured side by side, never against stored figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from validator.checks.latency.judging import Limits, read_speed
from validator.checks.latency.sampling import Arm, Effort, RatioTarget, sample
from validator.results import Ratio, RuntimeName
from validator.runtimes.runtime import Runtime
from validator.table import Table

BASE = "base"
#: Part of the time budget for looking at a slow-down again, beyond the budget itself.
_FOR_SECOND_LOOK = 0.35

#: Makes fresh workers: the candidate's and the base version's runtime. The caller ends them with the run.
Revive = Callable[[], tuple[Runtime, Runtime]]


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base version in a worker of its own, with its own columns of the same rows.

    `against` is the candidate's runtime that it is compared with: of the same kind, ONNX with ONNX. `revive` allows a
    second look in fresh processes, since one process may be a few per cent slower for where its memory lies.
    """

    runtime: Runtime
    rows: Table
    against: RuntimeName = "onnx"
    revive: Revive | None = None

    @property
    def arm(self) -> Arm:
        return Arm(runtime=self.runtime, rows=self.rows)


def pair_of(base: Base, limits: Limits) -> RatioTarget:
    """Base time over candidate time: above 1 the candidate is the faster."""
    return RatioTarget(slower=BASE, faster=base.against, least=limits.least_speed)


def compare(
    candidate: Runtime, rows: Table, base: Runtime, base_rows: Table, limits: Limits, *, budget_s: float
) -> Ratio | None:
    """Base time over candidate time for one row, from blocks in turn. None when either of them fails."""
    arms = {"candidate": Arm(runtime=candidate, rows=rows), BASE: Arm(runtime=base, rows=base_rows)}
    pair = RatioTarget(slower=BASE, faster="candidate", least=limits.least_speed)
    found = sample(arms, [pair], Effort(budget_s=budget_s, confidence=limits.confidence))
    return found.ratio(pair, limits.confidence)


def confirmed(ratio: Ratio, rows: Table, base: Base, limits: Limits) -> Ratio:
    """The ratio, looked at again in fresh processes where it says that the candidate is too slow.

    The second look counts: a true slow-down shows in every process.
    """
    if base.revive is None or read_speed(ratio, limits.least_speed) != "over":
        return ratio
    candidate, other = base.revive()
    budget_s = limits.budget_s * _FOR_SECOND_LOOK
    return compare(candidate, rows, other, base.rows, limits, budget_s=budget_s) or ratio
