"""One case through the gate, and whether it ended as its line says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.zoo.case import Case, Made
from validator.gate.validate import RunContext, validate
from validator.results import CheckResult, GateResult
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.settings.table import Settings

_PARITY = (
    "parity.proof",
    "parity.sample",
    "parity.boundary",
    "parity.missing",
    "parity.categories",
    "parity.labels",
)

#: The zoo asks whether answers are equal. Which runtime is the faster is another question, and these models are tiny.
_SOON = datetime.now(UTC).date() + timedelta(days=60)
_WAIVED = [
    {"check": check, "reason": "the zoo asks for equal answers, not for speed", "expires": _SOON}
    for check in ("latency.speedup", "latency.single")
]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a case ended. `problems` are empty where its line was right."""

    case: Case
    made: Made
    result: GateResult
    problems: tuple[str, ...]


@contextmanager
def world() -> Iterator[RunContext]:
    """One set of zygotes for all cases."""
    with WorkerPool(limits=WorkerLimits(memory_bytes=8 << 30, timeout_s=300)) as pool:
        yield RunContext(
            environ=dict(os.environ),
            now=lambda: datetime.now(UTC),
            progress=lambda *_: None,
            pool=pool,
        )


def run(case: Case, folder: Path, around: RunContext) -> Ran:
    """Train, save, judge."""
    made, model, sample = case.write(folder)
    settings = Settings.model_validate(
        {
            "data": str(sample),
            "out": folder / "out",
            "latency_budget_s": 0.05,
            "batch_sizes": (1,),
            "max_latency_ms": 1_000.0,
            "boundary_rows": 4_000,
            "isolation": "reduced",
            "waivers": _WAIVED,
            "column_order": "sample",
            **case.settings,
        }
    )
    result = validate(settings, str(model), around)
    return Ran(case=case, made=made, result=result, problems=tuple(_problems(case, result)))


def _problems(case: Case, result: GateResult) -> Iterator[str]:
    expected = case.expected
    if result.verdict != expected.verdict:
        yield f"verdict {result.verdict}: {result.reason}"
    if expected.is_refusal:
        yield from _refusal_problems(case, result)
        return
    if (result.conversion.method, result.parity.level) != (expected.method, expected.parity):
        yield f"{result.conversion.method}, {result.parity.level}: {result.parity.reason}"
    if result.parity.label_flips:
        yield f"{result.parity.label_flips} labels flip"
    yield from (
        f"{check.id}: {check.message}"
        for check in _checks(result, _PARITY)
        if check.status in ("fail", "error")
    )


def _refusal_problems(case: Case, result: GateResult) -> Iterator[str]:
    """A refusal names the check, gives the reason and a remedy, and comes before anything else that fails."""
    first = next(
        (
            check
            for check in result.checks
            if check.required and not check.waived and check.status in ("fail", "error")
        ),
        None,
    )
    if first is None:
        return
    if first.id != case.expected.check:
        yield f"{first.id} fails first: {first.message}"
    if case.expected.reason not in first.message:
        yield f"the reason is: {first.message}"
    if not first.hint:
        yield "no remedy is given"


def _checks(result: GateResult, ids: tuple[str, ...]) -> Iterator[CheckResult]:
    return (check for check in result.checks if check.id in ids)


def complain(ran: Ran) -> None:
    for problem in ran.problems:
        print(f"{ran.case.name}: {problem[:600]}", file=sys.stderr)
