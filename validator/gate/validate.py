"""The use case: may this model be merged and deployed? Inspect, load, convert, check, decide, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from validator.baseline.base import Base, NoBase
from validator.baseline.find import find_base
from validator.checks.context import Context
from validator.checks.result_builder import Blocked, Progress
from validator.checks.wrapper.find import wrapper_of
from validator.errors import WorkerError
from validator.gate import conclusion
from validator.gate.session import begin, workers
from validator.model.safety import SafetyReport
from validator.results import GateResult, RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import WorkerPool
from validator.settings.table import Settings


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the gate needs of the world: variables, a clock that gives times with a zone, and where progress goes.

    With a `pool` several models are judged with libraries imported once; without, each imports its own.
    """

    environ: Mapping[str, str]
    now: Callable[[], datetime]
    progress: Progress
    pool: WorkerPool | None = None


def validate(settings: Settings, model: str, world: RunContext) -> GateResult:
    """Judge one model and write everything to `settings.out`.

    Raises UsageError, SettingsError or SampleError when it cannot judge; whatever is wrong with the model itself is
    a failed check in the result.
    """
    file, builder = begin(settings, model, world.progress)
    base = find_base(settings.baseline, model, world.environ)
    conclusion.prepare_folder(settings.out)
    wrapper = wrapper_of(settings, file)
    if wrapper is not None:
        builder.runtimes = (*builder.runtimes, "wrapper")
    with workers(settings, file, builder, world.environ, world.pool) as context:
        context.wrapper = wrapper
        try:
            _run_stages(context, base)
        except Blocked:
            pass
        except WorkerError as error:
            builder.add_trouble(error)
    with builder.stage("write"):
        found = conclusion.conclude(builder, settings, world.environ, world.now())
        return conclusion.write(settings.out, found, context.onnx)


def _run_stages(context: Context, found: Base | NoBase) -> None:
    from validator.checks.change.base_version import open_base
    from validator.checks.change.cost import as_shipped
    from validator.checks.convert import convert
    from validator.checks.load.model import fit_sample, load_native, open_sample
    from validator.checks.load.safety import inspect
    from validator.checks.parity.proof import prove
    from validator.checks.parity.stage import judge_parity
    from validator.checks.wrapper.load import wrap
    from validator.gate.trial import deploy, run_suites

    report = inspect(context)
    if context.format == "onnx":
        _judge_alone(context, report, found)
        return
    sample = open_sample(context)
    native = load_native(context, report)
    data = fit_sample(context, sample, native.facts)
    native.runtime.first_call(data.subject.rows)
    base = open_base(context, found, data, native)
    runtimes: dict[RuntimeName, WorkerRuntime] = {"native": native.runtime}
    artifact: dict[str, bytes] = {}
    with suppress(Blocked):
        converted = convert(context, native, data.columns)
        converted.runtime.first_call(data.subject.rows)
        judge = prove(context, native, converted, data.features)
        judge_parity(context, native, converted, judge, data, base)
        runtimes, artifact = deploy(
            context, {"native": native.runtime, "onnx": converted.runtime}, converted.onnx
        )
        runtimes["deployment"].first_call(data.subject.rows)
    runtimes |= wrap(context, data.subject.rows)
    # Without an ONNX file the native model is judged all the same: its own faults are worth knowing.
    run_suites(context, runtimes, data.subject, artifact, as_shipped(context, base, data, runtimes))


def _judge_alone(context: Context, report: SafetyReport, found: Base | NoBase) -> None:
    """An ONNX file without a native model."""
    from validator.checks.change.base_version import open_base
    from validator.checks.change.cost import as_shipped
    from validator.checks.wrapper.load import wrap
    from validator.gate.onnx_alone import load_alone, read_alone
    from validator.gate.trial import deploy, run_suites

    native, data = load_alone(context, report)
    native.runtime.first_call(data.subject.rows)
    base = open_base(context, found, data, native)
    read_alone(context, native, data, base)
    runtimes, artifact = deploy(context, {"onnx": native.runtime}, context.data)
    runtimes["deployment"].first_call(data.subject.rows)
    runtimes |= wrap(context, data.subject.rows)
    run_suites(context, runtimes, data.subject, artifact, as_shipped(context, base, data, runtimes))
