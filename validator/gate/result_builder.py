"""What a run has found so far: filled stage by stage, turned into a result at the end, whatever failed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from validator.catalog import expected
from validator.checks.check import CheckFailedError, CheckOutcome, result, seen
from validator.errors import TimeUp, WorkerError
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
from validator.shapes import Shapes

if TYPE_CHECKING:
    from validator.profile import Profile

#: Seconds of a step before its rows are told of, and between two such lines.
_SOON_S, _OFTEN_S = 2.0, 1.0
#: Seconds from which a stage is told to be long before it begins.
_LONG_S = 60.0


class Progress(Protocol):
    """Who is told what goes on: of each stage when it begins, and in `detail` of how far it is."""

    def __call__(self, stage: str, detail: str = "", /) -> None: ...


#: Written when a run ends, whatever it did.
_AT_THE_END: set[tuple[str, RuntimeName]] = {("version.recorded", ""), ("version.artifact", "")}
#: What shortens a step that took too long.
_SHORTER = {
    "sample": ", or read fewer rows of the sample with sample-rows",
    "sample parity": ", or read fewer rows of the sample with sample-rows",
    "boundary parity": ", or make fewer rows of the model's thresholds with boundary-rows",
    "profile": ", or give a smaller `reference`",
    "latency": ", or shorten it with latency-budget-s and smaller batch-sizes",
}
NOT_COMPARED = Parity(level="none", reason="Nothing was compared, because an earlier step failed.")


@dataclass(kw_only=True)
class Stages:
    """The stages of a run: each is shown when it begins, and timed."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    deadline: float = math.inf
    """when no further stage is begun"""
    _name: str = ""
    _began: float = 0.0
    _told: float = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = self.clock()
        self._name, self._began, self._told = name, started, started
        if started >= self.deadline:
            raise TimeUp
        self.progress(name)
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - started

    @property
    def latest(self) -> str:
        """The stage that was begun last."""
        return self._name

    def rows(self, done: int, total: Callable[[int], int | None]) -> None:
        """How many rows a long step has done; `total` says of how many, and is asked now and then only."""
        now = self.clock()
        spent = now - self._began
        if spent < _SOON_S or now - self._told < _OFTEN_S or not done:
            return
        self._told = now
        whole, rate = total(done), done / spent
        if whole is not None and whole <= done:
            return
        left = f", {_duration((whole - done) / rate)} left" if whole is not None else ""
        of = f" of {whole:,}" if whole is not None else ""
        self.progress(self._name, f"{done:,}{of} rows, {rate:,.0f} a second{left}")

    def foresee(self, rows: int, seconds: float) -> None:
        """Tell before it begins how long the stage may take that asks so many rows, and what makes it shorter."""
        if seconds >= _LONG_S:
            said = f"up to {rows:,} rows, some {_duration(seconds)}: longer than most"
            # As a line of its own: details that follow a stage at once are not shown where lines are not overwritten.
            self.progress(f"{self._name}: {said}{_SHORTER.get(self._name, '')}")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


@dataclass(kw_only=True)
class ResultBuilder:
    """The parts of a result, each with the value that it has when nothing was found.

    `place` is where the model's file lies, where its path is told of otherwise.
    """

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
    shapes: Shapes = field(default_factory=Shapes)
    place: str = ""

    @property
    def file(self) -> str:
        """The path of the model's file."""
        return self.place or self.model.path

    def add(self, *results: CheckResult) -> None:
        self.checks.extend(results)

    def show(self, **shapes: object) -> None:
        """Further data for the reports' pictures, by field of `Shapes`."""
        self.shapes = self.shapes.model_copy(update=shapes)

    def replace(self, check: CheckResult) -> None:
        """The result of a check that is known better now, in its place."""
        self.checks = [
            check if (old.id, old.runtime) == (check.id, check.runtime) else old for old in self.checks
        ]

    @contextmanager
    def recording(self) -> Iterator[None]:
        """A check that fails in here, and that the rest of it needs, ends it and is recorded."""
        try:
            yield
        except CheckFailedError as error:
            self.add(error.check)

    def add_time_up(self, minutes: float) -> None:
        """The run's time is up: the first check that was not done says so, and of how many it is the first."""
        done = {(check.id, check.runtime) for check in self.checks}
        left = [(id, name) for id, name in expected(self.runtimes) if (id, name) not in done | _AT_THE_END]
        if not left:
            return
        stage = self.stage.latest
        finding = CheckOutcome(
            status="error",
            message=f"the {minutes:g} minutes of max-minutes were used up in the step {stage!r}: {len(left)} checks "
            "were not done, and this is the first of them",
            hint=f"raise max-minutes{_SHORTER.get(stage, '')}",
            evidence=tuple(
                seen(f"seconds of {name}", round(seconds, 1), volatile=True)
                for name, seconds in sorted(self.stage.seconds.items(), key=lambda item: -item[1])[:5]
            ),
        )
        self.add(result(*left[0], finding))

    def add_trouble(self, error: WorkerError) -> None:
        """A worker died outside of any check: the run ends, and the result says why."""
        finding = CheckOutcome(status="error", message=error.message, hint=error.hint)
        self.add(result("load.model", "native", finding))
