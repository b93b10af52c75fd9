"""An ONNX file without the model that it was made from: judged for itself, and compared with nothing.

Everything else holds for it as for any model: smoke, errors and latency, on ONNX Runtime and in the deployment. Its
parity cannot be told, and that is not hidden: `parity.sample` warns of it, and the parity level is "none".
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.change.companion import Companion
from validator.checks.check import Subject, not_applicable, passed, result, seen, warned
from validator.checks.context import Context
from validator.checks.load.model import (
    Data,
    Native,
    agreed_task,
    fit_sample,
    infer_contract,
    onnx_runtime,
    open_sample,
)
from validator.checks.parity.sample_pass import Reading
from validator.checks.quality.measuring import Measuring, judge_quality
from validator.errors import UsageError
from validator.model.safety import SafetyReport
from validator.results import Conversion, Parity, Task
from validator.runtimes.runtime import WorkerRuntime

_REASON = "the model is an ONNX file alone: there is no native model to compare it with"
_HINT = "to have its parity judged, give the model that it was made from, and this file as `onnx`"
_INCOMPARABLE = ("proof", "boundary", "leaves", "missing", "categories", "labels")


def load_alone(context: Context, report: SafetyReport) -> tuple[Native, Data]:
    """Checks `load.*` and `convert.*`. Blocks when ONNX Runtime refuses the file; raises UsageError for two files.

    ONNX Runtime stands in for the native model, whose checks fall away.
    """
    draft = context.draft
    if context.settings.onnx:
        raise UsageError(
            "the model is an ONNX file itself, and `onnx` names another one to compare it with",
            hint="give the native model as the model, and its ONNX file as `onnx`",
        )
    draft.runtimes = tuple(name for name in draft.runtimes if name != "native")
    sample = open_sample(context)
    with draft.stage("load ONNX"), draft.guarding("load.model", "onnx"):
        runtime = onnx_runtime(context, context.data)
    dtype = str(runtime.facts["input_dtype"])
    draft.add(result("load.model", "onnx", passed(f"loads in ONNX Runtime, {dtype} input")))
    written = [seen(f"written by {name}", version) for name, version in report.versions[:10]]
    draft.add(result("load.versions", "", passed("the file needs ONNX Runtime and nothing else", *written)))
    draft.model = draft.model.model_copy(
        update={
            "framework": "onnx",
            "framework_version": metadata.version("onnx"),
            "model_class": "onnx.ModelProto",
            "n_features": runtime.facts["n_features"],
        }
    )
    native = Native(exporter=runtime.worker, facts=_facts(runtime), load=lambda: runtime)
    data = fit_sample(context, sample, native.facts)
    _note_conversion(context, dtype)
    return native, data


def _facts(runtime: WorkerRuntime) -> dict[str, Any]:
    names = [name for name, _ in runtime.facts["columns"]]
    return {
        "library": "onnx",
        "feature_names": None if runtime.facts["is_matrix"] else names,
        "n_features": runtime.facts["n_features"],
    }


def _note_conversion(context: Context, dtype: str) -> None:
    draft = context.draft
    context.onnx = context.data
    draft.conversion = Conversion(
        method="none",
        onnx_sha256=context.file.loadable.sha256,
        onnx_bytes=len(context.data),
        input_dtype=dtype,
        reason="the model is an ONNX file, and judged as it is",
    )
    draft.add(result("convert.onnx", "", passed(draft.conversion.reason)))
    draft.add(result("convert.hazards", "", not_applicable("nothing was converted")))


def read_alone(context: Context, native: Native, data: Data, base: BaseVersion | NoVersion) -> None:
    """Checks `parity.*`, which have nothing to compare, and `quality.*`; completes the contract."""
    draft, settings, runtime = context.draft, context.settings, native.runtime
    draft.parity = Parity(level="none", reason=_REASON)
    draft.add(result("parity.sample", "", warned(_REASON, hint=_HINT)))
    draft.add(*(result(f"parity.{name}", "", not_applicable(_REASON)) for name in _INCOMPARABLE))
    with draft.stage("sample"), draft.guarding("smoke.batch", "onnx"):
        _learn_task(context, native, data)
        companion = (
            Companion.of(base, draft.contract) if isinstance(base, BaseVersion) and draft.contract else None
        )
        reading = Reading(data=data, measuring=Measuring.begin(context, base), companion=companion)
        for rows in reading.tables(settings.sample_rows, settings.target):
            answer = runtime.predict(rows)
            reading.take(rows, answer, answer)
        native.facts["n_outputs"] = reading.n_outputs or 1
        draft.contract = infer_contract(context, data.observer, native.facts)
        data.subject = Subject(contract=draft.contract, rows=data.subject.rows)
    with draft.stage("quality"):
        if companion is not None and draft.change is not None:
            draft.change = companion.tell(draft.change)
        judge_quality(context, reading.measuring, base, companion)


def _learn_task(context: Context, native: Native, data: Data) -> None:
    """What the model does, told by the outputs it gives; the settings and the contract know better."""
    draft = context.draft
    task = agreed_task(context, _task_of(native.runtime, data), "ONNX model")
    draft.model = draft.model.model_copy(update={"task": task})
    draft.contract = infer_contract(context, data.observer, native.facts)


def _task_of(runtime: WorkerRuntime, data: Data) -> Task:
    answer = runtime.predict(data.subject.head(1))
    if answer.probabilities is not None and answer.probabilities.ndim == 2:
        return "binary" if answer.probabilities.shape[1] == 2 else "multiclass"
    if answer.score is not None:
        return "ranking" if answer.label is None else "outlier"
    return "multiclass" if answer.label is not None else "regression"
