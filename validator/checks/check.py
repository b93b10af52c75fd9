"""What the suites share: the subject that they judge, and the way a check becomes a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from validator.catalog import BY_ID
from validator.errors import (
    ModelError,
    PreflightError,
    SampleError,
    SettingsError,
    UsageError,
    WorkerError,
)
from validator.results import CheckResult, Contract, Evidence, RuntimeName, Scalar, Status
from validator.sandbox.handle import NO_HINT
from validator.sandbox.worker_pool import Raised
from validator.table import Table

#: Checks whose advice is about answering at all.
_OF_ANSWERING = ("smoke.single", "smoke.batch")
_ERROR_REMEDY = (
    "this error came instead of an answer: mend the call that it names, or report it if it is not yours"
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged: the contract, and rows of the sample with the model's columns in the model's order.

    `input_dtype` is the float type that the model compares in.
    """

    contract: Contract
    rows: Table
    input_dtype: str = "float64"

    def head(self, rows: int) -> Table:
        return self.rows.take(slice(0, rows))


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """What one check found. An empty `hint` means the catalogue's own."""

    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()
    hint: str = ""
    required: bool = True


def passed(message: str, *evidence: Evidence) -> CheckOutcome:
    return CheckOutcome(status="pass", message=message, evidence=evidence)


def failed(message: str, *evidence: Evidence, hint: str = "") -> CheckOutcome:
    return CheckOutcome(status="fail", message=message, evidence=evidence, hint=hint)


def warned(message: str, *evidence: Evidence, hint: str = "") -> CheckOutcome:
    return CheckOutcome(status="warn", message=message, evidence=evidence, hint=hint)


def noted(message: str, *evidence: Evidence, hint: str = "") -> CheckOutcome:
    """What is good to know and asks nothing of anybody: a warning that is not required."""
    return CheckOutcome(status="warn", message=message, evidence=evidence, hint=hint, required=False)


def not_applicable(reason: str) -> CheckOutcome:
    """A check that has no meaning for this model: it blocks nothing, and says why it did not run."""
    return CheckOutcome(status="skip", message=reason, required=False)


def seen(name: str, value: Scalar, allowed: str = "", *, volatile: bool = False) -> Evidence:
    return Evidence(name=name, seen=value, allowed=allowed, volatile=volatile)


def result(id: str, runtime: RuntimeName, finding: CheckOutcome, seconds: float = 0.0) -> CheckResult:
    spec = BY_ID[id]
    troubled = finding.status in ("fail", "error", "warn")
    return CheckResult(
        id=id,
        runtime=runtime,
        category=spec.category,
        status=finding.status,
        title=spec.title,
        message=finding.message[:20_000],
        evidence=finding.evidence,
        hint=finding.hint or (spec.hint if troubled else ""),
        seconds=seconds,
        required=finding.required,
    )


def _remedy(id: str, error: Raised) -> str:
    """For an error instead of an answer: what the catalogue says of wrong or slow answers does not help there."""
    if error.hint != NO_HINT:
        return error.hint
    return "" if id in _OF_ANSWERING else _ERROR_REMEDY


def run_check(id: str, runtime: RuntimeName, check: Callable[[], CheckOutcome]) -> CheckResult:
    """Run one check. An error of the model's makes it fail; a dead or lying worker makes it an error."""
    started = time.perf_counter()
    try:
        finding = check()
    except Raised as error:
        finding = failed(error.said, hint=_remedy(id, error))
    except WorkerError as error:
        finding = CheckOutcome(status="error", message=error.message, hint=error.hint)
    except PreflightError as error:
        finding = failed(error.message, hint=error.hint)
    return result(id, runtime, finding, time.perf_counter() - started)


class CheckFailedError(ModelError):
    """A check failed that everything after it needs. `check` is its result, for whoever keeps a record."""

    def __init__(self, check: CheckResult) -> None:
        super().__init__(f"{check.title}: {check.message}", hint=check.hint)
        self.check = check


@contextmanager
def needed(id: str, runtime: RuntimeName = "") -> Iterator[None]:
    """What goes wrong in here is that check's failure, and nothing can follow.

    Raises CheckFailedError for every error but those of whoever runs the command: they end the run unjudged.
    """
    try:
        yield
    except (CheckFailedError, UsageError, SettingsError, SampleError):
        raise
    except PreflightError as error:
        message = error.said if isinstance(error, Raised) else error.message
        raise CheckFailedError(result(id, runtime, failed(message, hint=error.hint))) from error
