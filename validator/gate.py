"""The use case: may this model be merged and deployed? Inspect, load, convert, check, decide, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from validator.artifact.write import safe_name
from validator.draft import Blocked, Draft, Progress
from validator.errors import WorkerError
from validator.model.file import ModelFile, identify, read_verified
from validator.results import GateResult, ModelInfo
from validator.runtimes.process import Limits, Workshop
from validator.settings import Settings
from validator.stages import conclusion
from validator.stages.context import NATIVE, SERVING, TOOLS, Context

_MIB = 2**20
_TOOL_MODULES = ("numpy", "pyarrow", "pyarrow.parquet", "pyarrow.csv", "onnx")
_SERVING_MODULES = ("numpy", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the gate needs of the world: variables, a clock that gives times with a zone, and where progress goes."""

    environ: Mapping[str, str]
    now: Callable[[], datetime]
    progress: Progress


def validate(settings: Settings, model: str, world: Surroundings) -> GateResult:
    """Judge one model and write everything to `settings.out`.

    Raises UsageError, SettingsError or SampleError when it cannot judge; whatever is wrong with the model itself is
    a failed check in the result.
    """
    file = identify(model)
    conclusion.prepare_folder(settings.out)
    draft = Draft(model=_model_info(settings, model, file), progress=world.progress)
    onnx = _judge(settings, file, draft, world)
    with draft.stage("write"):
        found = conclusion.conclude(draft, settings, world.environ, world.now())
        return conclusion.write(settings.out, found, onnx)


def _model_info(settings: Settings, path: str, file: ModelFile) -> ModelInfo:
    return ModelInfo(
        path=path,
        name=settings.name or safe_name(Path(path).stem),
        format=file.loadable.format,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )


def _judge(settings: Settings, file: ModelFile, draft: Draft, world: Surroundings) -> bytes | None:
    """Run the stages; returns the ONNX file if there is one. The draft holds the rest."""
    limits = Limits(memory_bytes=settings.worker_memory_mb * _MIB, timeout_s=settings.worker_timeout_s)
    with Workshop(limits=limits) as workshop:
        context = Context(
            settings=settings,
            file=file,
            data=read_verified(file.loadable),
            workshop=workshop,
            draft=draft,
            in_ci=world.environ.get("CI") == "true",
        )
        try:
            _run_stages(context)
        except Blocked:
            pass
        except WorkerError as error:
            draft.add_trouble(error)
        return context.onnx


def _run_stages(context: Context) -> None:
    from validator.stages.conversion import convert
    from validator.stages.inspection import inspect
    from validator.stages.loading import fit_sample, load_native, open_sample
    from validator.stages.parity import judge_parity
    from validator.stages.proving import prove
    from validator.stages.trial import deploy, run_suites

    workshop = context.workshop
    workshop.zygote(TOOLS).preload(_TOOL_MODULES)
    workshop.zygote(SERVING).preload(_SERVING_MODULES)
    report = inspect(context)
    workshop.zygote(NATIVE, context.python).preload(report.preload)
    sample = open_sample(context)
    native = load_native(context, report)
    data = fit_sample(context, sample, native.facts)
    converted = convert(context, native, data.columns)
    judge = prove(context, converted)
    judge_parity(context, native, converted, judge, data)
    runtimes, artifact = deploy(context, native.runtime, converted)
    run_suites(context, runtimes, data.subject, artifact)
