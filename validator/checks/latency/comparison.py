"""The candidate against the version that it would replace, measured side by side, never against stored figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from validator.checks.latency.judging import Limits
from validator.checks.latency.looks import look_until_settled
from validator.checks.latency.sampling import Arm, Clock, Effort, RatioTarget, sample
from validator.errors import WorkerError
from validator.results import Ratio, RuntimeName
from validator.runtimes.runtime import Runtime
from validator.sandbox.worker_pool import Raised
from validator.table import Table

BASE = "base"
#: Part of the time budget for each further look, beyond the budget itself.
_FOR_ANOTHER_LOOK = 0.35

#: Makes fresh workers, which end with the context: the candidate's and the base version's runtime.
Revive = Callable[[], AbstractContextManager[tuple[Runtime, Runtime]]]


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base version in a worker of its own, with its own columns of the same rows.

    `against` is the candidate's runtime that it is compared with: of the same kind, ONNX with ONNX. `revive` allows
    further looks in fresh processes, since one process may be a few per cent slower for where its memory lies.
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
    candidate: Runtime,
    rows: Table,
    base: Runtime,
    base_rows: Table,
    limits: Limits,
    *,
    budget_s: float,
    clock: Clock = time.perf_counter,
) -> Ratio | None:
    """Base time over candidate time for one row, from blocks in turn and on one core. None when either fails."""
    arms = {"candidate": Arm(runtime=candidate, rows=rows), BASE: Arm(runtime=base, rows=base_rows)}
    pair = RatioTarget(slower=BASE, faster="candidate", least=limits.least_speed)
    effort = Effort(budget_s=budget_s, confidence=limits.confidence, cores=_cores(), clock=clock)
    found = sample(arms, [pair], effort)
    return found.ratio(pair, limits.confidence)


def confirmed(first: Ratio, rows: Table, base: Base, limits: Limits, clock: Clock) -> Ratio:
    """The first look, and what further looks in fresh processes make of it where it does not settle the matter."""
    revive = base.revive
    if revive is None:
        return first

    def look() -> Ratio | None:
        try:
            with revive() as (candidate, other):
                budget_s = limits.budget_s * _FOR_ANOTHER_LOOK
                return compare(candidate, rows, other, base.rows, limits, budget_s=budget_s, clock=clock)
        except (Raised, WorkerError):
            return None

    return look_until_settled(first, look, limits.least_speed)


def _cores() -> list[int]:
    """The machine's cores that this process may use; none where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
