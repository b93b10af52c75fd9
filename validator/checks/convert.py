"""From the native model to ONNX, exactly where it is made of trees, and the proof of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from validator.checks.check import CheckOutcome, failed, needed, passed, result, seen, warned
from validator.checks.context import Context
from validator.checks.load.model import Native, load_onnx, onnx_runtime
from validator.checks.load.safety import scan
from validator.checks.load.sample import Columns
from validator.checks.preload import FALLING_BACK, TOOLS
from validator.errors import ConversionError, PreflightError, SettingsError, WorkerError
from validator.libraries.known import library_named
from validator.model.file import identify, read_verified
from validator.results import CheckResult, Conversion, Hazard
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.handle import REPLY_BYTES
from validator.sandbox.worker_pool import Worker, WorkerAnswer


@dataclass(frozen=True, kw_only=True)
class Export:
    """A model's trees, serialised by the exporting worker: a header, and arrays with their names."""

    header: dict[str, Any]
    names: list[str]
    arrays: list[Any]

    @property
    def has_trees(self) -> bool:
        return self.header.get("kind") != "other"

    def without_file(self) -> Export:
        """Once the trees have been held against the file that they came from."""
        kept = [(name, array) for name, array in zip(self.names, self.arrays, strict=True) if name != "file"]
        return replace(self, names=[name for name, _ in kept], arrays=[array for _, array in kept])

    def args(self) -> dict[str, Any]:
        return {"header": self.header, "names": self.names}


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """The ONNX file, how it came to be, and the checks `convert.onnx` and `convert.hazards`."""

    data: bytes
    export: Export
    conversion: Conversion
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True, kw_only=True)
class Converted:
    """ONNX Runtime with the ONNX file, and the check `load.model` on it."""

    onnx: bytes
    export: Export
    conversion: Conversion
    runtime: WorkerRuntime
    check: CheckResult

    @property
    def is_provable(self) -> bool:
        """Whether the model's trees are known, and the ONNX file's should be the same."""
        return self.export.has_trees and self.conversion.method != "skl2onnx"


def export_trees(native: Native, model_bytes: int) -> Export:
    reply = native.exporter.call("export", most_bytes=_most_bytes(model_bytes))
    native.exporter.close()
    told = replies.read(replies.ExportedTrees, reply.result, "export")
    if len(told.names) != len(reply.arrays):
        raise WorkerError("the export worker sent arrays without names", hint="do not ship this model")
    return Export(header=told.header, names=list(told.names), arrays=reply.arrays)


def _most_bytes(model_bytes: int) -> int:
    """What trees and ONNX files of a model may come to: compressed files are a tenth of what is in them."""
    return REPLY_BYTES + 20 * model_bytes


def convert(context: Context, native: Native, columns: Columns) -> OnnxFile:
    """The model as an ONNX file. Raises CheckFailedError (`convert.onnx`) where there is none.

    With the setting `onnx` that file is taken as it is, and nothing is converted.
    """
    context = replace(context, model=native.model)
    if context.settings.onnx_outputs and not context.settings.onnx:
        raise SettingsError(
            "onnx_outputs names outputs of an ONNX file made elsewhere, and none is given",
            hint="leave it out: the file that is made here names its outputs itself",
        )
    with needed("convert.onnx"):
        export = _named(export_trees(native, len(context.data)), columns)
        if context.settings.onnx:
            data, conversion = _given(context, context.settings.onnx)
        else:
            data, conversion = _made(context, native, export, columns)
            export = export.without_file()
        conversion = conversion.model_copy(update={"reading": native.facts.reading})
    return OnnxFile(
        data=data,
        export=export,
        conversion=conversion,
        checks=(
            result("convert.onnx", "", _judge_method(conversion, len(context.data))),
            result("convert.hazards", "", _judge_hazards(conversion.hazards)),
        ),
    )


def open_onnx(context: Context, file: OnnxFile) -> Converted:
    """Load the file in ONNX Runtime. Raises CheckFailedError (`load.model`) when that refuses it."""
    runtime, check = load_onnx(context, file.data)
    conversion = file.conversion.model_copy(update={"input_dtype": runtime.facts.input_dtype})
    return Converted(onnx=file.data, export=file.export, conversion=conversion, runtime=runtime, check=check)


def _named(export: Export, columns: Columns) -> Export:
    """The columns by the sample's names, and which of them hold categories: LightGBM keeps neither faithfully."""
    names = [name for name, _ in columns]
    categorical = [i for i, (_, dtype) in enumerate(columns) if dtype == "category"]
    if len(names) != export.header.get("n_features"):
        return export
    return replace(export, header={**export.header, "feature_names": names, "category_columns": categorical})


def _given(context: Context, path: str) -> tuple[bytes, Conversion]:
    """The ONNX file that the user brings along, after the same look at it as at any file."""
    file = identify(path)
    if file.format != "onnx":
        raise ConversionError(f"{path} is {file.format}, not ONNX", hint="check --onnx")
    data = read_verified(file)
    scan(context, data, "onnx")
    reason = f"{path} was given, and judged as it is"
    return data, Conversion(method="none", onnx_sha256=file.sha256, onnx_bytes=len(data), reason=reason)


def _made(context: Context, native: Native, export: Export, columns: Columns) -> tuple[bytes, Conversion]:
    if not export.has_trees:
        _refuse_booster(context.model.framework, export)
        context.pool.zygote(TOOLS).preload(FALLING_BACK)
    worker = context.start("convert")
    reply, told = _from_trees(context, worker, export) if export.has_trees else (None, None)
    if reply is None or told is None or not told.converted:
        reply, told = _from_estimator(context, worker, columns, there=native.converts_there)
    if not told.converted or len(reply.arrays) != 1:
        raise WorkerError("the convert worker sent no ONNX file", hint="do not ship this model")
    onnx = bytes(reply.arrays[0])
    worker.close()
    if told.method == "skl2onnx":
        scan(context, onnx, "onnx")  # a process that had loaded the model made it
    return onnx, Conversion(
        method=told.method,
        seconds=reply.seconds,
        onnx_sha256=sha256(onnx).hexdigest(),
        onnx_bytes=len(onnx),
        hazards=told.hazards,
        reason=told.reason if told.converted else "",
    )


def _refuse_booster(framework: str, export: Export) -> None:
    """Of models that are trees alone skl2onnx knows no more than our own exporters: what those said is the reason."""
    library = library_named(framework)
    if library is not None and library.trees_alone and export.header.get("reason"):
        raise ConversionError(
            str(export.header["reason"])[:1000],
            hint=str(export.header.get("hint") or "train a model of another kind")[:1000],
        )


def _from_trees(context: Context, worker: Worker, export: Export) -> tuple[WorkerAnswer, replies.Conversion]:
    """Exactly, by a worker that never meets the model. Raises what the converter raises."""
    most = _most_bytes(len(context.data))
    reply = worker.call("trees", export.arrays, most_bytes=most, **export.args(), **_common(context))
    return reply, replies.read(replies.Conversion, reply.result, "convert")


def _from_estimator(
    context: Context, worker: Worker, columns: Columns, *, there: bool
) -> tuple[WorkerAnswer, replies.Conversion]:
    """From the model itself: where it was trained, if skl2onnx is there too, else here.

    Raises what the converter raises, and of two the one that knows the model's libraries.
    """
    if not there:
        return _ask(context, worker, columns, context.settings.input_dtype)
    try:
        return _converted_there(context, columns)
    except PreflightError as first:
        try:
            return _ask(context, worker, columns, context.settings.input_dtype)
        except PreflightError:
            raise first from None


def _converted_there(context: Context, columns: Columns) -> tuple[WorkerAnswer, replies.Conversion]:
    """In the model's own environment, which has no ONNX Runtime of ours: what comes of it is opened here."""
    wanted = context.settings.input_dtype
    failure: PreflightError | None = None
    for dtype in ("float64", "float32") if wanted == "auto" else (wanted,):
        worker = context.start("estimator")
        try:
            reply, told = _ask(context, worker, columns, dtype)
            onnx = bytes(reply.arrays[0])
            scan(context, onnx, "onnx")
            onnx_runtime(context, onnx)
        except PreflightError as error:
            failure = error
        else:
            return reply, told
        finally:
            worker.close()
    raise failure or ConversionError("no input type is left to convert for", hint="check --input-dtype")


def _ask(
    context: Context, worker: Worker, columns: Columns, input_dtype: str
) -> tuple[WorkerAnswer, replies.Conversion]:
    """Raises what the converter raises, WorkerError where no file came."""
    named = [list(column) for column in columns]
    most = _most_bytes(len(context.data))
    options = {**context.load_options(), **_common(context), "input_dtype": input_dtype}
    reply = worker.call("estimator", [context.data], most_bytes=most, columns=named, **options)
    told = replies.read(replies.Conversion, reply.result, "convert")
    if len(reply.arrays) != 1:
        raise WorkerError("the convert worker sent no ONNX file", hint="do not ship this model")
    return reply, told.model_copy(update={"method": "skl2onnx"})  # whatever it says of itself


def _common(context: Context) -> dict[str, Any]:
    return {"input_dtype": context.settings.input_dtype, "metadata": _metadata(context)}


def _metadata(context: Context) -> dict[str, str]:
    """What the ONNX file says of itself: nothing that differs between two runs of the same commit."""
    model = context.model
    return {"model_sha256": model.sha256, "model_name": model.name, "task": model.task}


def _judge_method(conversion: Conversion, native_bytes: int) -> CheckOutcome:
    size = seen("ONNX bytes", conversion.onnx_bytes, f"native file: {native_bytes}")
    took = seen("seconds", round(conversion.seconds, 3), volatile=True)
    if conversion.method == "none":
        return passed(conversion.reason, size)
    if conversion.method == "exact":
        return passed("exact trees", size, took)
    how = f"through skl2onnx, {conversion.reason}" if conversion.reason else "through skl2onnx"
    return passed(f"{how}; measured, not proved", size, took)


def _judge_hazards(hazards: tuple[Hazard, ...]) -> CheckOutcome:
    refused = [hazard for hazard in hazards if hazard.action == "refused"]
    evidence = [seen(hazard.id, f"{hazard.action}: {hazard.message}"[:2000]) for hazard in hazards]
    if refused:
        return failed("; ".join(hazard.message for hazard in refused)[:2000], *evidence)
    noted = [hazard for hazard in hazards if hazard.action == "noted"]
    if noted:
        return warned("; ".join(hazard.message for hazard in noted)[:2000], *evidence)
    return passed(f"{len(hazards)} hazards repaired" if hazards else "none known for this model", *evidence)
