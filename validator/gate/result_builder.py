"""What a run has found so far: filled stage by stage, turned into a result at the end, whatever failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from validator.checks.check import CheckFailedError, CheckOutcome, result
from validator.errors import WorkerError
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

if TYPE_CHECKING:
    from validator.profile import Profile

Progress = Callable[[str], None]
NOT_COMPARED = Parity(level="none", reason="Nothing was compared, because an earlier step failed.")


@dataclass(kw_only=True)
class Stages:
    """The stages of a run: each is shown when it begins, and timed."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.progress(name)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(kw_only=True)
class ResultBuilder:
    """The parts of a result, each with the value that it has when nothing was found."""

    model: ModelInfo
    stage: Stages
    checks: list[CheckResult] = field(default_factory=list)
    runtimes: tuple[RuntimeName, ...] = ("native", "onnx", "deployment")
    contract: Contract | None = None
    conversion: Conversion = field(default_factory=lambda: Conversion(method="none", reason="not reached"))
    parity: Parity = NOT_COMPARED
    latency: Latency = field(default_factory=Latency)
    quality: tuple[MetricResult, ...] = ()
    change: Change | None = None
    isolation: tuple[Layer, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    onnx: bytes | None = None
    profile: Profile | None = None
    loosened: tuple[str, ...] = ()
    golden: bytes | None = None

    def add(self, *results: CheckResult) -> None:
        self.checks.extend(results)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """A check that fails in here, and that the rest of it needs, ends it and is recorded."""
        try:
            yield
        except CheckFailedError as error:
            self.add(error.check)

    def add_trouble(self, error: WorkerError) -> None:
        """A worker died outside of any check: the run ends, and the result says why."""
        finding = CheckOutcome(status="error", message=error.message, hint=error.hint)
        self.add(result("load.model", "native", finding))
