"""What a run has found so far: filled stage by stage, turned into a result at the end, whatever failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from validator.checks.check import CheckOutcome, failed, result
from validator.errors import PreflightError, SampleError, SettingsError, UsageError, WorkerError
from validator.results import (
    Change,
    CheckResult,
    Contract,
    Conversion,
    Latency,
    Layer,
    MetricResult,
    ModelInfo,
    Parity,
    RuntimeName,
)
from validator.sandbox.worker_pool import Raised

Progress = Callable[[str], None]
_NOT_COMPARED = "Nothing was compared, because an earlier step failed."
#: Errors of whoever runs the command: they end the run without a verdict.
_NOT_JUDGED = (UsageError, SettingsError, SampleError)


class Blocked(Exception):  # noqa: N818 - a state of the run rather than a mistake
    """A stage failed that all later ones need: go straight to the verdict."""


@dataclass(kw_only=True)
class ResultBuilder:
    """The parts of a result, each with the value that it has when nothing was found."""

    model: ModelInfo
    progress: Progress
    checks: list[CheckResult] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    runtimes: tuple[RuntimeName, ...] = ("native", "onnx", "deployment")
    contract: Contract | None = None
    conversion: Conversion = field(default_factory=lambda: Conversion(method="none", reason="not reached"))
    parity: Parity = field(default_factory=lambda: Parity(level="none", reason=_NOT_COMPARED))
    latency: Latency = field(default_factory=Latency)
    quality: tuple[MetricResult, ...] = ()
    change: Change | None = None
    isolation: dict[str, Layer] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)

    def add(self, *results: CheckResult) -> None:
        self.checks.extend(results)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and show that it runs."""
        self.progress(name)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - started

    @contextmanager
    def guarding(self, id: str, runtime: RuntimeName = "") -> Iterator[None]:
        """What fails in here fails that check and blocks the run; errors of usage or data pass through."""
        try:
            yield
        except _NOT_JUDGED:
            raise
        except PreflightError as error:
            message = error.said if isinstance(error, Raised) else error.message
            self.block(id, failed(message, hint=error.hint), runtime)

    def block(self, id: str, finding: CheckOutcome, runtime: RuntimeName = "") -> None:
        """Record a failure that nothing can follow. Raises Blocked."""
        self.add(result(id, runtime, finding))
        raise Blocked

    def add_trouble(self, error: WorkerError) -> None:
        """A worker died outside of any check: the run ends, and the result says why."""
        finding = CheckOutcome(status="error", message=error.message, hint=error.hint)
        self.add(result("load.model", "native", finding))
