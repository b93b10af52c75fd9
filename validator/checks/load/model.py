"""The native model in its worker, and ONNX Runtime with its file in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from validator.checks.check import CheckOutcome, needed, passed, result, seen, warned
from validator.checks.context import Context
from validator.checks.load.versions import Versions
from validator.errors import ModelError, PreflightError, SettingsError
from validator.libraries.known import format_named
from validator.results import CheckResult, ModelInfo, Task
from validator.runtimes import replies
from validator.runtimes.replies import NativeFacts
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import Worker
from validator.settings.table import Settings

_CLASSIFIERS = ("binary", "multiclass")
_TASK_HINT = (
    "leave out --task, and the task under [contract] in preflight.toml, as the model itself says it; "
    "or save a model of that task"
)


@dataclass(frozen=True, kw_only=True)
class Native:
    """The native model: the exporting worker that describes it, what it said, and the check `load.model`.

    `model` is the file with what is in it; `converts_there` says that skl2onnx is installed in the model's own
    environment. The runtime is a process of its own, started by `load` when it is first needed.
    """

    exporter: Worker
    facts: NativeFacts
    model: ModelInfo
    check: CheckResult
    load: Callable[[], WorkerRuntime]
    converts_there: bool = False

    @cached_property
    def runtime(self) -> WorkerRuntime:
        return self.load()


def load_native(context: Context, versions: Versions, *, asked: bool = True) -> Native:
    """Load the model in its own library. Raises CheckFailedError (`load.model`) when that refuses the file.

    Without rows that it will be `asked`, it is loaded once alone, by the worker that exports it.
    """
    versions.importable()
    with needed("load.model", "native"), _explained_by(versions.mismatch):
        runtime = native_runtime(context) if asked else None
        exporter = context.start("export", options=context.load_options())
        exporter.call("load", [context.data])
        facts = replies.read(NativeFacts, exporter.call("describe").result, "native")
    model = context.model.model_copy(
        update={
            "framework": facts.library,
            "framework_version": versions.packages.get(facts.library, ""),
            "model_class": facts.model_class,
            "task": _task(context.settings, facts),
            "n_features": facts.n_features,
        }
    )
    loaded = _judge_loaded(context, facts)
    return Native(
        exporter=exporter,
        facts=facts,
        model=model,
        check=result("load.model", "native", loaded),
        load=lambda: runtime or native_runtime(context),
        converts_there=context.python.foreign and bool(versions.installed.version("skl2onnx")),
    )


def _judge_loaded(context: Context, facts: NativeFacts) -> CheckOutcome:
    """A file with two readings needs a word, and where nothing says which of them its users will use, a look."""
    said = f"{facts.model_class} loads in its own library"
    if not facts.reading:
        return passed(said, seen("class", facts.model_class))
    evidence = (seen("class", facts.model_class), seen("reading", facts.reading))
    of_a_file = format_named(context.format) is not None  # an unpickled Booster is one, whatever it came of
    if context.settings.reading == "auto" and of_a_file and not facts.reading_marked:
        return warned(
            f"{said}, {facts.reading}; nothing in the file says which of the two its users will use",
            *evidence,
            hint="set `reading` to booster or wrapper, as the code that serves the model loads it",
        )
    return passed(f"{said}, {facts.reading}", *evidence)


@contextmanager
def _explained_by(mismatch: str) -> Iterator[None]:
    """A model that its library refuses although the versions differ is refused because of them."""
    try:
        yield
    except PreflightError as error:
        if not mismatch:
            raise
        raise ModelError(
            f"{mismatch}, and does not load with that: {error.message}",
            hint="load it with the versions it was saved with, as `load.versions` says",
        ) from error


def native_runtime(context: Context) -> WorkerRuntime:
    """A fresh worker with the native model in it."""
    worker = context.start("native", options=context.load_options())
    return WorkerRuntime.load("native", worker, [context.data])


def load_onnx(context: Context, onnx: bytes) -> tuple[WorkerRuntime, CheckResult]:
    """ONNX Runtime with the file, and its check. Raises CheckFailedError (`load.model`) when it refuses that."""
    with needed("load.model", "onnx"):
        runtime = onnx_runtime(context, onnx)
    loaded = passed(f"loads in ONNX Runtime, {runtime.facts.input_dtype} input")
    return runtime, result("load.model", "onnx", loaded)


def onnx_facts(runtime: WorkerRuntime) -> NativeFacts:
    """What an ONNX file says of itself, as a native model would: it names its columns where it has several inputs."""
    told = runtime.facts
    names = None if told.is_matrix else tuple(name for name, _ in told.columns)
    return NativeFacts(
        library="onnx", model_class="onnx.ModelProto", feature_names=names, n_features=told.n_features
    )


def onnx_runtime(context: Context, onnx: bytes) -> WorkerRuntime:
    """A fresh worker with the ONNX file in it."""
    told = context.settings.onnx_outputs
    return WorkerRuntime.load(
        "onnx", context.start("onnx", options={"outputs": told} if told else None), [onnx]
    )


def _task(settings: Settings, facts: NativeFacts) -> Task:
    own: Task = next((task for task in get_args(Task) if task == facts.task), "unknown")
    return agreed_task(settings, own, facts.model_class)


def agreed_task(settings: Settings, own: Task, model: str) -> Task:
    """What the model itself says, unless it is told. Raises SettingsError where the two do not go together."""
    told = settings.contract.task if settings.task == "auto" else settings.task
    if told is None:
        return own
    if own in _CLASSIFIERS and told not in _CLASSIFIERS:
        raise SettingsError(
            f"the task is set to {told}, but the {model} is a classifier ({own}): its labels and probabilities "
            "would go unchecked",
            hint=_TASK_HINT,
        )
    if told in _CLASSIFIERS and own in ("regression", "ranking", "outlier"):
        raise SettingsError(
            f"the task is set to {told}, but the {model} gives no class labels or probabilities ({own})",
            hint=_TASK_HINT,
        )
    return told
