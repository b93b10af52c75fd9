"""Third stage: from the native model to ONNX, exactly where it is made of trees, and the proof of it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from validator.errors import ConversionError
from validator.model.file import identify, read_verified
from validator.results import Conversion, Hazard
from validator.runtimes.process import Reply, Worker
from validator.runtimes.runtime import WorkerRuntime
from validator.stages.context import Context
from validator.stages.imports import FALLING_BACK, TOOLS
from validator.stages.inspection import scan
from validator.stages.loading import Columns, Native, onnx_runtime
from validator.suites.common import Finding, failed, passed, result, seen, warned


@dataclass(frozen=True, kw_only=True)
class Export:
    """A model's trees, serialised by the exporting worker: a header, and arrays with their names."""

    header: dict[str, Any]
    names: list[str]
    arrays: list[Any]

    @property
    def has_trees(self) -> bool:
        return self.header.get("kind") != "other"

    def args(self) -> dict[str, Any]:
        return {"header": self.header, "names": self.names}


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The ONNX file, and ONNX Runtime with it."""

    onnx: bytes
    export: Export
    runtime: WorkerRuntime
    method: str
    input_dtype: str


def export_trees(native: Native) -> Export:
    reply = native.exporter.call("export")
    native.exporter.close()
    return Export(
        header=dict(reply.result["header"]),
        names=[str(name) for name in reply.result["names"]],
        arrays=reply.arrays,
    )


def convert(context: Context, native: Native, columns: Columns) -> Converted:
    """Checks `convert.onnx`, `convert.hazards`, and `load.model` on ONNX. Blocks when there is no ONNX file.

    With the setting `onnx` that file is judged as it is, and nothing is converted.
    """
    draft = context.draft
    with draft.stage("convert"), draft.guarding("convert.onnx"):
        export = export_trees(native)
        onnx = _given(context) if context.settings.onnx else _made(context, export, columns)
    context.onnx = onnx
    draft.add(result("convert.onnx", "", _judge_method(draft.conversion, len(context.data))))
    draft.add(result("convert.hazards", "", _judge_hazards(draft.conversion.hazards)))
    with draft.stage("load ONNX"), draft.guarding("load.model", "onnx"):
        runtime = onnx_runtime(context, onnx)
    input_dtype = str(runtime.facts["input_dtype"])
    draft.conversion = draft.conversion.model_copy(update={"input_dtype": input_dtype})
    draft.add(result("load.model", "onnx", passed(f"loads in ONNX Runtime, {input_dtype} input")))
    return Converted(
        onnx=onnx, export=export, runtime=runtime, method=draft.conversion.method, input_dtype=input_dtype
    )


def _given(context: Context) -> bytes:
    """The ONNX file that the user brings along, after the same look at it as at any file."""
    path = str(context.settings.onnx)
    file = identify(path)
    if file.format != "onnx":
        raise ConversionError(f"{path} is {file.format}, not ONNX", hint="check --onnx")
    data = read_verified(file)
    scan(context, data, "onnx")
    context.draft.conversion = Conversion(
        method="none",
        onnx_sha256=file.sha256,
        onnx_bytes=len(data),
        reason=f"{path} was given, and judged as it is",
    )
    return data


def _made(context: Context, export: Export, columns: Columns) -> bytes:
    if not export.has_trees:
        context.workshop.zygote(TOOLS).preload(FALLING_BACK)
    worker = context.start("convert")
    reply = _converted(context, worker, export, columns)
    onnx = bytes(reply.arrays[0])
    worker.close()
    context.draft.conversion = Conversion(
        method=reply.result["method"],
        seconds=reply.seconds,
        onnx_sha256=sha256(onnx).hexdigest(),
        onnx_bytes=len(onnx),
        hazards=tuple(Hazard.model_validate(hazard) for hazard in reply.result["hazards"]),
    )
    return onnx


def _converted(context: Context, worker: Worker, export: Export, columns: Columns) -> Reply:
    """Exactly from the trees, or from the model itself. Raises what the converter raises."""
    settings = context.settings
    common: dict[str, Any] = {"input_dtype": settings.input_dtype, "metadata": _metadata(context)}
    if export.has_trees:
        reply = worker.call("trees", export.arrays, **export.args(), **common)
        if reply.result["converted"]:
            return reply
    named = [list(column) for column in columns]
    return worker.call("estimator", [context.data], columns=named, **context.load_options(), **common)


def _metadata(context: Context) -> dict[str, str]:
    """What the ONNX file says of itself: nothing that differs between two runs of the same commit."""
    model = context.draft.model
    return {"model_sha256": model.sha256, "model_name": model.name, "task": model.task}


def _judge_method(conversion: Conversion, native_bytes: int) -> Finding:
    size = seen("ONNX bytes", conversion.onnx_bytes, f"native file: {native_bytes}")
    took = seen("seconds", round(conversion.seconds, 3), volatile=True)
    if conversion.method == "none":
        return passed(conversion.reason, size)
    if conversion.method == "exact":
        return passed("exact trees", size, took)
    return passed("through skl2onnx; measured, not proved", size, took)


def _judge_hazards(hazards: tuple[Hazard, ...]) -> Finding:
    refused = [hazard for hazard in hazards if hazard.action == "refused"]
    evidence = [seen(hazard.id, f"{hazard.action}: {hazard.message}"[:2000]) for hazard in hazards]
    if refused:
        return failed("; ".join(hazard.message for hazard in refused)[:2000], *evidence)
    noted = [hazard for hazard in hazards if hazard.action == "noted"]
    if noted:
        return warned("; ".join(hazard.message for hazard in noted)[:2000], *evidence)
    return passed(f"{len(hazards)} hazards repaired" if hazards else "none known for this model", *evidence)
