"""The user's own wrapper as a runtime: loaded in its worker, from a whole model file and from broken ones."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from validator.checks.check import needed, passed, result, seen
from validator.checks.context import Context
from validator.checks.wrapper.find import Wrapper
from validator.errors import ModelError, WorkerError
from validator.results import CheckResult, RuntimeName, Scalar, Task
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.handle import Raised, Worker
from validator.sandbox.packing import pack_table
from validator.table import Table

_NAME: RuntimeName = "wrapper"
_LEARNT_FROM = 500
#: What to do about errors that a wrapper raises while it loads because of where it runs.
_HINTS = {
    "ImportError": "name what it imports in `requirements`; modules and packages beside its file are found",
    "PermissionError": "a worker reads the wrapper's packages and the model file alone: put data into a package",
    "FileNotFoundError": "a worker reads the wrapper's packages and the model file alone: put data into a package",
}


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """The model as its wrapper is given it: the wrapper is told what it is for, and its classes."""

    context: Context
    wrapper: Wrapper
    task: Task
    classes: tuple[Scalar, ...]
    rows: Table

    def load(self) -> WorkerRuntime:
        """A fresh worker with the wrapper and its model in it, which has seen what kind of answers it gives."""
        file_name = _file_name(self.context)
        runtime = WorkerRuntime.load(_NAME, self.start(), [self.context.data], file_name=file_name)
        runtime.first_call(self.rows)
        meta, arrays = pack_table(self.rows.take(slice(0, _LEARNT_FROM)))
        try:
            runtime.worker.call("learn", arrays, table=meta)
        except Raised as error:  # the checks will tell of whatever else it is
            if not runtime.facts.has_path:
                raise _without_path(runtime, error) from error
        except WorkerError:
            pass
        return runtime

    def start(self) -> Worker:
        """Raises ModelError where isolation is asked for and incomplete: the wrapper is anybody's code."""
        told = {"task": self.task, "classes": list(self.classes)}
        worker = self.context.start(_NAME, options={**self.wrapper.options, **told})
        missing = self.context.missing_isolation(worker, runs_code=True)
        if missing:
            raise ModelError(
                f"this machine lacks layers of isolation ({missing}), and the wrapper may not run without them",
                hint="run on Linux 6.7 or later, or set isolation = reduced if the wrapper's author is trusted",
            )
        return worker


def _without_path(runtime: WorkerRuntime, error: Raised) -> ModelError:
    """For a wrapper that does not answer, and that was never told where the model lies."""
    name, would = runtime.facts.wrapper.rpartition(".")[2], runtime.facts.loaders
    role = "the setting wrapper_methods names the method that loads"
    return ModelError(
        f"{name} is never given the model: neither its constructor nor a method `load` or `load_model` takes a path; "
        f"asked for an answer without it, it raises {error.said}",
        hint=f"{role}: --wrapper-methods {would[0]} ({', '.join(would)} would take a path)"
        if would
        else f"give it a method `load` that takes the model's path; {role} where it has another name",
    )


def load_wrapper(wrapped: Wrapped) -> tuple[WorkerRuntime, CheckResult]:
    """The wrapper with its model, and its check. Raises CheckFailedError (`load.model`) when it does not load."""
    with needed("load.model", _NAME):
        try:
            runtime = wrapped.load()
        except Raised as error:
            raise ModelError(f"{error.kind}: {error.message}", hint=_hint(error)) from error
    methods, absent = ", ".join(runtime.methods.values()), ", ".join(runtime.facts.absent)
    loaded = passed(
        f"{wrapped.wrapper.target} loads the model and answers by {methods}"
        + (f"; it has no {absent}" if absent else ""),
        seen("class", runtime.facts.wrapper),
    )
    return runtime, result("load.model", _NAME, loaded)


def _hint(error: Raised) -> str:
    """The error's own, else what the built-in error that it is most often comes from."""
    told = [hint for base, hint in _HINTS.items() if base in error.bases]
    return told[0] if told and error.hint == "see the message" else error.hint


def load_broken_wrapped(wrapped: Wrapped, how: str, model: bytes | None, row: Table) -> str:
    """Let the wrapper load a broken model, or None for a missing one, and answer a row with it.

    Returns why that is right all the same, else nothing. Raises what the wrapper raises.
    """
    worker = wrapped.start()
    meta, arrays = pack_table(row)
    file_name = _file_name(wrapped.context)
    name = f"missing-{file_name}" if model is None else file_name
    given = [*arrays, *([] if model is None else [model])]
    try:
        reply = worker.call("load_broken", given, file_name=name, table=meta, row=len(arrays))
    finally:
        worker.close()
    told = replies.read(replies.WrapperMetadata, reply.result, _NAME).metadata
    if model is None or told is None or not _tells(told, sha256(model).hexdigest()):
        return ""
    return f"it loads a file that is {how}, and its metadata tells that it is another one"


def _tells(metadata: dict[str, str], digest: str) -> bool:
    return any(digest[:8] in text for text in metadata.values())


def _file_name(context: Context) -> str:
    """The model file's own name: some libraries go by its ending."""
    return Path(context.file.loadable.path).name
