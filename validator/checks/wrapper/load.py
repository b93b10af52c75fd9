"""The user's own wrapper as a runtime: loaded in its worker, from a whole model file and from broken ones."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from validator.checks.check import failed, passed, result, seen
from validator.checks.context import Context
from validator.errors import ModelError, PreflightError
from validator.results import RuntimeName
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.handle import Raised, Worker
from validator.sandbox.packing import pack_table
from validator.table import Table

_NAME: RuntimeName = "wrapper"
#: What to do about errors that a wrapper raises while it loads because of where it runs.
_HINTS = {
    "ImportError": "name what it imports in `requirements`; modules and packages beside its file are found",
    "PermissionError": "a worker reads the wrapper's packages and the model file alone: put data into a package",
    "FileNotFoundError": "a worker reads the wrapper's packages and the model file alone: put data into a package",
}


def wrap(context: Context, rows: Table) -> dict[RuntimeName, WorkerRuntime]:
    """Check `load.model` on the wrapper. No runtime where there is no wrapper, or it does not load."""
    if context.wrapper is None:
        return {}
    builder = context.builder
    with builder.stage("load wrapper"):
        try:
            runtime = wrapper_runtime(context)
            runtime.first_call(rows)
        except Raised as error:
            return _unloadable(context, f"{error.kind}: {error.message}", _hint(error))
        except PreflightError as error:
            return _unloadable(context, error.message, error.hint)
    methods = ", ".join(runtime.methods.values())
    absent = ", ".join(runtime.facts["absent"])
    builder.add(
        result(
            "load.model",
            _NAME,
            passed(
                f"{context.wrapper.target} loads the model and answers by {methods}"
                + (f"; it has no {absent}" if absent else ""),
                seen("class", runtime.facts["wrapper"]),
            ),
        )
    )
    return {_NAME: runtime}


def _hint(error: Raised) -> str:
    """The error's own, else what the built-in error that it is most often comes from."""
    told = [hint for base, hint in _HINTS.items() if base in error.bases]
    return told[0] if told and error.hint == "see the message" else error.hint


def _unloadable(context: Context, message: str, hint: str) -> dict[RuntimeName, WorkerRuntime]:
    context.builder.add(result("load.model", _NAME, failed(message, hint=hint)))
    return {}


def wrapper_runtime(context: Context) -> WorkerRuntime:
    """A fresh worker with the wrapper and its model in it."""
    worker = _start(context)
    runtime = WorkerRuntime.load(_NAME, worker, [context.data], file_name=_file_name(context))
    runtime.facts = replies.read(replies.WrapperFacts, runtime.facts, _NAME).model_dump()
    return runtime


def load_broken_wrapped(context: Context, how: str, model: bytes | None, row: Table) -> str:
    """Let the wrapper load a broken model, or None for a missing one, and answer a row with it.

    Returns why that is right all the same, else nothing. Raises what the wrapper raises.
    """
    worker = _start(context)
    meta, arrays = pack_table(row)
    name = f"missing-{_file_name(context)}" if model is None else _file_name(context)
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


def _start(context: Context) -> Worker:
    """Raises ModelError where isolation is asked for and incomplete: the wrapper is anybody's code."""
    wrapper, contract = context.wrapper, context.builder.contract
    options = {} if wrapper is None else wrapper.options
    classes = list(contract.classes) if contract else []
    worker = context.start(_NAME, options={**options, "task": context.builder.model.task, "classes": classes})
    if not worker.contained and _insists_on_isolation(context):
        missing = ", ".join(layer.name for layer in worker.isolation if layer.state != "applied")
        raise ModelError(
            f"this machine lacks layers of isolation ({missing}), and the wrapper may not run without them",
            hint="run on Linux 6.7 or later, or set isolation = reduced if the wrapper's author is trusted",
        )
    return worker


def _insists_on_isolation(context: Context) -> bool:
    isolation = context.settings.isolation
    return isolation == "require" or (isolation == "auto" and context.in_ci)


def _file_name(context: Context) -> str:
    """The model file's own name: some libraries go by its ending."""
    return Path(context.file.loadable.path).name
