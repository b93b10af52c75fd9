"""An ONNX file without the model that it was made from: judged for itself, and compared with nothing.

Everything else holds for it as for any model: smoke, errors and latency, on ONNX Runtime and in the deployment. Its
parity cannot be told, and that is not hidden: `parity.sample` warns of it, and the parity level is "none".
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.change.baseline_runner import BaselineRunner
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
from validator.checks.quality.measuring import Measuring, judge_quality
from validator.checks.sample_pass import read_through
from validator.errors import UsageError, WorkerError
from validator.model.safety import SafetyReport
from validator.outputs import Outputs
from validator.results import Conversion, Parity, Task
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import Raised
from validator.table import Table

_REASON = "the model is an ONNX file alone: there is no native model to compare it with"
_HINT = "to have its parity judged, give the model that it was made from, and this file as `onnx`"
_INCOMPARABLE = ("proof", "boundary", "leaves", "missing", "categories", "labels")


@dataclass(kw_only=True)
class Alone:
    """ONNX Runtime where a pair is asked: there is no native model."""

    runtime: WorkerRuntime
    _asked: int | None = None

    def post(self, rows: Table) -> None:
        self.runtime.post(rows)
        self._asked = len(rows)

    def answer(self) -> tuple[Outputs, Outputs]:
        if self._asked is None:
            raise RuntimeError("nothing was asked for")
        rows, self._asked = self._asked, None
        answer = self.runtime.answer(rows)
        return answer, answer

    def drop(self) -> None:
        if self._asked is not None:
            with contextlib.suppress(Raised, WorkerError):
                self.answer()


def load_alone(context: Context, report: SafetyReport) -> tuple[Native, Data]:
    """Checks `load.*` and `convert.*`. Blocks when ONNX Runtime refuses the file; raises UsageError for two files.

    ONNX Runtime stands in for the native model, whose checks fall away.
    """
    builder = context.builder
    if context.settings.onnx:
        raise UsageError(
            "the model is an ONNX file itself, and `onnx` names another one to compare it with",
            hint="give the native model as the model, and its ONNX file as `onnx`",
        )
    builder.runtimes = tuple(name for name in builder.runtimes if name != "native")
    sample = open_sample(context)
    with builder.stage("load ONNX"), builder.guarding("load.model", "onnx"):
        runtime = onnx_runtime(context, context.data)
    dtype = str(runtime.facts["input_dtype"])
    builder.add(result("load.model", "onnx", passed(f"loads in ONNX Runtime, {dtype} input")))
    written = [seen(f"written by {name}", version) for name, version in report.versions[:10]]
    builder.add(result("load.versions", "", passed("the file needs ONNX Runtime and nothing else", *written)))
    builder.model = builder.model.model_copy(
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
    builder = context.builder
    context.onnx = context.data
    builder.conversion = Conversion(
        method="none",
        onnx_sha256=context.file.loadable.sha256,
        onnx_bytes=len(context.data),
        input_dtype=dtype,
        reason="the model is an ONNX file, and judged as it is",
    )
    builder.add(result("convert.onnx", "", passed(builder.conversion.reason)))
    builder.add(result("convert.hazards", "", not_applicable("nothing was converted")))


def read_alone(context: Context, native: Native, data: Data, base: BaseVersion | NoVersion) -> None:
    """Checks `parity.*`, which have nothing to compare, and `quality.*`; completes the contract."""
    builder, settings, runtime = context.builder, context.settings, native.runtime
    builder.parity = Parity(level="none", reason=_REASON)
    builder.add(result("parity.sample", "", warned(_REASON, hint=_HINT)))
    builder.add(*(result(f"parity.{name}", "", not_applicable(_REASON)) for name in _INCOMPARABLE))
    with builder.stage("sample"), builder.guarding("smoke.batch", "onnx"):
        first = runtime.predict(data.subject.head(1))
        _learn_task(context, native, data, first)
        base_runner = (
            BaselineRunner.of(base, builder.contract)
            if isinstance(base, BaseVersion) and builder.contract
            else None
        )
        measuring = Measuring.begin(context, base)
        batches = data.batches(settings.sample_rows, settings.target)
        read_through(batches, Alone(runtime=runtime), [measuring], base=base_runner)
        native.facts["n_outputs"] = first.n_predictions or 1
        builder.contract = infer_contract(context, data.observer, native.facts)
        data.subject = Subject(contract=builder.contract, rows=data.subject.rows)
    with builder.stage("quality"):
        if base_runner is not None and builder.change is not None:
            builder.change = base_runner.tell(builder.change)
        judge_quality(context, measuring, base, base_runner)


def _learn_task(context: Context, native: Native, data: Data, first: Outputs) -> None:
    """What the model does, told by the outputs it gives; the settings and the contract know better."""
    builder = context.builder
    task = agreed_task(context, _task_of(first), "ONNX model")
    builder.model = builder.model.model_copy(update={"task": task})
    builder.contract = infer_contract(context, data.observer, native.facts)


def _task_of(answer: Outputs) -> Task:
    if answer.probabilities is not None and answer.probabilities.ndim == 2:
        return "binary" if answer.probabilities.shape[1] == 2 else "multiclass"
    if answer.score is not None:
        return "ranking" if answer.label is None else "outlier"
    return "multiclass" if answer.label is not None else "regression"
