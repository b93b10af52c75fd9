"""An ONNX file without the model that it was made from: judged for itself, and compared with nothing.

Everything else holds for it as for any model: smoke, errors and latency, on ONNX Runtime and in the deployment. Its
parity cannot be told, and that is not hidden: `parity.sample` warns of it, and the parity level is "none".
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from validator.checks.check import not_applicable, passed, result, seen, warned
from validator.checks.context import Context
from validator.checks.load.model import Native, agreed_task, load_onnx, onnx_facts
from validator.errors import UsageError
from validator.model.safety import SafetyReport
from validator.outputs import Outputs
from validator.results import CheckResult, Conversion, ModelInfo, Parity, Task
from validator.runtimes.runtime import WorkerRuntime
from validator.settings.table import Settings
from validator.table import Table

_REASON = "the model is an ONNX file alone: there is no native model to compare it with"
_HINT = "to have its parity judged, give the model that it was made from, and this file as `onnx`"
_INCOMPARABLE = ("proof", "boundary", "leaves", "missing", "categories", "labels")
PARITY = Parity(level="none", reason=_REASON)


@dataclass(frozen=True, kw_only=True)
class Alone:
    """ONNX Runtime where a pair of runtimes is asked: it stands for both."""

    runtime: WorkerRuntime

    def post(self, rows: Table) -> None:
        self.runtime.post(rows)

    def answer(self, rows: int) -> tuple[Outputs, Outputs]:
        answer = self.runtime.answer(rows)
        return answer, answer


def refuse_second_file(settings: Settings) -> None:
    """Raises UsageError where another ONNX file is given to compare with."""
    if settings.onnx:
        raise UsageError(
            "the model is an ONNX file itself, and `onnx` names another one to compare it with",
            hint="give the native model as the model, and its ONNX file as `onnx`",
        )


def load(context: Context) -> Native:
    """ONNX Runtime in the native model's place. Raises CheckFailedError (`load.model`) when it refuses the file."""
    runtime, check = load_onnx(context, context.data)
    facts = onnx_facts(runtime)
    model = context.model.model_copy(
        update={
            "framework": facts.library,
            "framework_version": metadata.version("onnx"),
            "model_class": facts.model_class,
            "n_features": facts.n_features,
        }
    )
    return Native(exporter=runtime.worker, facts=facts, model=model, check=check, load=lambda: runtime)


def judge_versions(report: SafetyReport) -> CheckResult:
    """Check `load.versions`."""
    written = [seen(f"written by {name}", version) for name, version in report.versions[:10]]
    return result("load.versions", "", passed("the file needs ONNX Runtime and nothing else", *written))


def conversion_of(context: Context, model: Native) -> Conversion:
    """There was none."""
    return Conversion(
        method="none",
        onnx_sha256=context.file.loadable.sha256,
        onnx_bytes=len(context.data),
        input_dtype=model.runtime.facts.input_dtype,
        reason="the model is an ONNX file, and judged as it is",
    )


def judge_conversion(conversion: Conversion) -> tuple[CheckResult, ...]:
    """Checks `convert.*`."""
    return (
        result("convert.onnx", "", passed(conversion.reason)),
        result("convert.hazards", "", not_applicable("nothing was converted")),
    )


def judge_parity() -> tuple[CheckResult, ...]:
    """Checks `parity.*`, which have nothing to compare."""
    return (
        result("parity.sample", "", warned(_REASON, hint=_HINT)),
        *(result(f"parity.{name}", "", not_applicable(_REASON)) for name in _INCOMPARABLE),
    )


def learn_task(settings: Settings, model: ModelInfo, first: Outputs) -> ModelInfo:
    """What the model does, told by its first answer; the settings and the contract know better."""
    task = agreed_task(settings, _task_of(first), "ONNX model")
    return model.model_copy(update={"task": task})


def _task_of(answer: Outputs) -> Task:
    if answer.probabilities is not None and answer.probabilities.ndim == 2:
        return "binary" if answer.probabilities.shape[1] == 2 else "multiclass"
    if answer.score is not None:
        return "ranking" if answer.label is None else "outlier"
    return "multiclass" if answer.label is not None else "regression"
