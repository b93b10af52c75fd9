"""May this model be merged and deployed? The order of the checks, and what becomes of what they find.

The packages below `validator.checks` return what they found or raise; only here is it written into the result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from validator.baseline.base import Base, NoBase
from validator.baseline.find import find_base
from validator.checks.change.base_version import (
    BaseVersion,
    NoVersion,
    nothing_found,
    open_base,
    same_file,
)
from validator.checks.change.baseline_runner import BaselineRunner
from validator.checks.check import Subject, needed
from validator.checks.context import Context
from validator.checks.convert import Converted, convert, open_onnx
from validator.checks.load.contract import infer_contract, judge_knowledge
from validator.checks.load.model import Native, load_native
from validator.checks.load.safety import Inspected, inspect, judge_file
from validator.checks.load.sample import Columns, Data, fit_sample, need_sample, open_sample
from validator.checks.load.versions import compare_versions
from validator.checks.parity.proof import Judge, measure_only, prove, prove_as_served
from validator.checks.parity.suite import on_made_rows, on_sample, set_beside
from validator.checks.quality.judging import with_intervals
from validator.checks.quality.measuring import Measuring, judge_quality
from validator.checks.sample_pass import Observer, read_through
from validator.checks.wrapper.find import wrapper_of
from validator.errors import TimeUp, WorkerError
from validator.gate import conclusion
from validator.gate import onnx_alone as alone
from validator.gate.result_builder import Progress, ResultBuilder, Stages
from validator.gate.session import open_context
from validator.gate.trial import Runtimes, Shipped, deploy, put_to_trial
from validator.model.file import identify
from validator.results import Contract, GateResult, Task
from validator.runtimes.runtime import WorkerRuntime
from validator.runtimes.sample import Sample
from validator.sandbox.worker_pool import WorkerPool
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.checks.shapes import ScoreShape

_NO_BASE = NoBase(reason="no base version to compare with")


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the gate needs of the world: variables, a clock that gives times with a zone, and where progress goes.

    With a `pool` several models are judged with libraries imported once; without, each imports its own. `loosened`
    says what the configuration allows that the base branch's, or the defaults, do not. `shown` is how the model's
    path is told of, where that is not the path itself. `deadline` is when the time of all models is up, by
    `time.monotonic`; without one each has the time of its settings.
    """

    environ: Mapping[str, str]
    now: Callable[[], datetime]
    progress: Progress
    pool: WorkerPool | None = None
    loosened: tuple[str, ...] = ()
    shown: str = ""
    deadline: float | None = None


def deadline_of(settings: Settings) -> float:
    """When a run that begins now must end, by `time.monotonic`."""
    return time.monotonic() + settings.max_minutes * 60 if settings.max_minutes else math.inf


def validate(settings: Settings, model: str, world: RunContext) -> GateResult:
    """Judge one model and write everything to `settings.out`.

    Raises UsageError, SettingsError or SampleError when it cannot judge; whatever is wrong with the model itself is
    a failed check in the result.
    """
    deadline = deadline_of(settings) if world.deadline is None else world.deadline
    file = identify(model)
    need_sample(settings)
    found = find_base(settings.baseline, model, world.environ)
    conclusion.prepare_folder(settings.out)
    wrapper = wrapper_of(settings, file)
    stage = Stages(progress=world.progress)
    shown = world.shown or model
    opened = open_context(settings, shown, file, world.environ, stage, wrapper=wrapper, shared=world.pool)
    with opened as context:
        run = ResultBuilder(model=context.model, stage=stage, loosened=world.loosened, place=model)
        stage.deadline = context.pool.deadline = deadline
        try:
            with run.recording():
                Gate(context=context, run=run, found=found).judge()
        except WorkerError as error:
            run.add_trouble(error)
        except TimeUp:
            run.add_time_up(settings.max_minutes)
        run.isolation = context.pool.isolation
    stage.deadline = math.inf
    with stage("write"):
        result = conclusion.conclude(run, settings, world.environ, world.now())
        return conclusion.write(settings.out, result, run.onnx, run.profile, run.golden)


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is asked and gathered while the sample is read: the base version's answers, and quality."""

    base: BaseVersion | NoVersion
    runner: BaselineRunner | None
    measuring: Measuring
    scores: ScoreShape

    @classmethod
    def begin(
        cls, context: Context, task: Task, contract: Contract, base: BaseVersion | NoVersion
    ) -> Observed:
        from validator.checks.shapes import ScoreShape

        base = base.beside(contract)
        runner = BaselineRunner.of(base, contract) if isinstance(base, BaseVersion) else None
        return cls(
            base=base,
            runner=runner,
            measuring=Measuring.begin(context, task, contract, base),
            scores=ScoreShape(alone=context.format == "onnx"),
        )


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The checks in their order. One that fails and that all later ones need raises CheckFailedError.

    `found` is the base version to compare with, if there is one.
    """

    context: Context
    run: ResultBuilder
    found: Base | NoBase = _NO_BASE

    def judge(self) -> None:
        context, run = self.context, self.run
        if context.wrapper is not None:
            run.runtimes = (*run.runtimes, "wrapper")
        run.add(judge_file(context.file))
        inspected = self.scan()
        if context.format == "onnx":
            self._judge_alone(inspected)
        else:
            self._judge_native(inspected)

    def _judge_native(self, inspected: Inspected) -> None:
        """A library's model: loaded, converted, compared with its ONNX file; then all that loads is tried."""
        context, run = self.context, self.run
        sample = self.open_sample()
        native = self.load(inspected)
        data, subject = self.fit(sample, native)
        native.runtime.first_call(data.rows)
        base = self.open_base(data, native, subject.contract)
        shipped = Shipped()
        with run.recording():
            converted = self.convert(native, data.columns)
            converted.runtime.first_call(data.rows)
            judge = self.prove(native, converted, data.features)
            subject = self.compare(native, converted, judge, data, subject, base)
            self._profile(converted.runtime, data, subject.contract, base)
            shipped = deploy(context, run, converted.runtime, converted.onnx, data.rows)
        # Without an ONNX file the native model is tried all the same: its own faults are worth knowing.
        runtimes: Runtimes = {"native": native.runtime, **shipped.runtimes}
        put_to_trial(context, run, runtimes, shipped.artifact, subject, data, base)

    def _judge_alone(self, inspected: Inspected) -> None:
        """An ONNX file without the model that it was made from: judged for itself, and compared with nothing."""
        context, run = self.context, self.run
        alone.refuse_second_file(context.settings)
        run.runtimes = tuple(name for name in run.runtimes if name != "native")
        sample = self.open_sample()
        with run.stage("load ONNX"):
            model = alone.load(context)
        run.add(model.check, alone.judge_versions(inspected.report))
        run.model = model.model
        data, subject = self.fit(sample, model)
        run.onnx, run.conversion = context.data, alone.conversion_of(context, model)
        run.add(*alone.judge_conversion(run.conversion))
        model.runtime.first_call(data.rows)
        base = self.open_base(data, model, subject.contract)
        run.parity = alone.PARITY
        run.add(*alone.judge_parity())
        subject = self._read_alone(model, data, base)
        self._profile(model.runtime, data, subject.contract, base)
        shipped = deploy(context, run, model.runtime, context.data, data.rows)
        put_to_trial(context, run, {**shipped.runtimes}, shipped.artifact, subject, data, base)

    def scan(self) -> Inspected:
        with self.run.stage("scan"):
            inspected = inspect(self.context)
        self.run.add(inspected.check)
        return inspected

    def open_sample(self) -> Sample:
        with self.run.stage("sample"):
            return open_sample(self.context)

    def load(self, inspected: Inspected, *, asked: bool = True) -> Native:
        """The native model; without a runtime of its own where it will not be `asked`."""
        run = self.run
        with run.stage("load native"):
            versions = compare_versions(self.context, inspected)
            run.packages = versions.packages
            run.add(versions.importable())
            native = load_native(self.context, versions, asked=asked)
        run.add(native.check)
        run.model = native.model
        return native

    def fit(self, sample: Sample, model: Native) -> tuple[Data, Subject]:
        """The sample as the model takes it, and the contract that its first rows show."""
        from validator.checks.shapes import importance_of

        data = fit_sample(self.context.settings, sample, model.facts, self.run.stage.rows)
        self.run.add(data.judged())
        self.run.show(importance=importance_of(model.facts, data.features))
        self.run.loosened += data.small
        return data, self.subject(model, data)

    def subject(self, model: Native, data: Data, n_outputs: int | None = None) -> Subject:
        """The model's contract as far as the sample has been read, with its first rows."""
        contract = infer_contract(
            self.context.settings, model.facts, data, task=self.run.model.task, n_outputs=n_outputs
        )
        self.run.contract = contract
        return Subject(contract=contract, rows=data.rows)

    def open_base(self, data: Data, native: Native, contract: Contract) -> BaseVersion | NoVersion:
        """The version that the model would replace, loaded as carefully; or why there is none."""
        found = self.found
        base: BaseVersion | NoVersion
        if isinstance(found, NoBase):
            base = nothing_found(found)
        elif found.sha256 == self.context.model.sha256:
            base = same_file(found)
        else:
            with self.run.stage("base version"):
                base = open_base(self.context, found, data, native, contract)
        self.run.change = base.change
        return base

    def convert(self, native: Native, columns: Columns) -> Converted:
        run = self.run
        with run.stage("convert"):
            file = convert(self.context, native, columns)
        run.onnx, run.conversion = file.data, file.conversion
        run.add(*file.checks)
        with run.stage("load ONNX"):
            converted = open_onnx(self.context, file)
        run.conversion = converted.conversion
        run.add(converted.check)
        return converted

    def prove(self, native: Native, converted: Converted, names: Sequence[str]) -> Judge:
        if converted.is_provable:
            with self.run.stage("prove"):
                judge = prove(self.context, native, converted, names)
        else:
            judge = measure_only(self.context)
        self.run.add(judge.check)
        return judge

    def compare(
        self,
        native: Native,
        converted: Converted,
        judge: Judge,
        data: Data,
        subject: Subject,
        base: BaseVersion | NoVersion,
    ) -> Subject:
        """Parity, with quality and the base version beside it. Returns the subject with the whole sample's ranges."""
        context, run = self.context, self.run
        sides = set_beside(context, native, converted, judge, data)
        observed = Observed.begin(context, run.model.task, subject.contract, base)
        with run.stage("sample parity"):
            watching: list[Observer] = [observed.measuring, observed.scores]
            sample = on_sample(context, sides, data, watching, observed.runner)
        run.replace(data.judged())
        run.add(sample.check)
        subject = self.subject(native, data, sides.n_outputs)
        run.add(judge_knowledge(native.facts, data, subject.contract))
        with run.stage("boundary parity"):
            if sample.differences is not None and sample.differences.rows:
                rows = context.settings.boundary_rows
                run.stage.foresee(rows, rows * run.stage.seconds["sample parity"] / sample.differences.rows)
            judge = prove_as_served(context.settings, judge, converted, data.features, subject.contract)
            run.replace(judge.check)
            made = on_made_rows(context, replace(sides, judge=judge), subject, sample)
        run.add(*made.checks)
        run.parity = made.parity
        self._judge_quality(observed)
        return subject

    def _read_alone(self, model: Native, data: Data, base: BaseVersion | NoVersion) -> Subject:
        """The whole sample on ONNX Runtime alone, with quality and the base version beside it."""
        context, run = self.context, self.run
        with run.stage("sample"), needed("smoke.batch", "onnx"):
            first = model.runtime.predict(data.rows.take(slice(0, 1)))
            run.model = alone.learn_task(context.settings, model.model, first)
            contract = self.subject(model, data).contract
            observed = Observed.begin(context, run.model.task, contract, base)
            asked = alone.Alone(runtime=model.runtime)
            batches = data.batches(context.settings)
            read_through(batches, asked, [observed.measuring, observed.scores], base=observed.runner)
            run.replace(data.judged())
            subject = self.subject(model, data, first.n_predictions)
            run.add(judge_knowledge(model.facts, data, subject.contract))
        self._judge_quality(observed)
        return subject

    def _profile(
        self, runtime: WorkerRuntime, data: Data, contract: Contract, base: BaseVersion | NoVersion
    ) -> None:
        """What the data looks like, for the artifact; and whether that and the model's quality are as they should."""
        run = self.run
        with run.stage("profile"), needed("profile.drift"):
            from validator.checks.profile.stage import profile_data

            found = profile_data(self.context, runtime, data, contract, base)
        run.profile = found.profile
        run.quality = with_intervals(run.quality, found.quality)
        run.show(**found.shapes)
        run.add(*found.checks)

    def _judge_quality(self, observed: Observed) -> None:
        run = self.run
        with run.stage("quality"):
            run.show(score=observed.scores.name, scores=observed.scores.histogram())
            if observed.runner is not None:
                run.change = observed.runner.change
            quality = judge_quality(self.context.settings, observed.measuring, observed.base, observed.runner)
        run.quality = quality.metrics
        run.add(*quality.checks)
