"""Fifth stage: native and ONNX side by side on the whole sample and on rows made to tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from validator.outputs import Outputs
from validator.results import MetricResult, Parity
from validator.stages.context import Context
from validator.stages.conversion import Converted
from validator.stages.loading import Data, Native, infer_contract
from validator.stages.proving import Judge
from validator.suites import parity
from validator.suites.common import Subject, not_applicable, result, run_check
from validator.suites.compare import Comparison
from validator.suites.quality import judge_limits, needs_answers
from validator.table import Column, Table
from validator.worker import wire

#: Largest relative difference of an output by how it was computed, and why.
_TOLERANCES = {
    ("exact", "float64"): 1e-9,  # the same sums in double; the transform's exp may differ by some ulps
    ("exact", "float32"): 1e-5,  # sums of float32 leaves, in another order
    ("none", "float64"): 1e-7,  # made elsewhere
    ("none", "float32"): 1e-4,
    ("skl2onnx", "float64"): 1e-7,  # matrix products in double, in another order
    ("skl2onnx", "float32"): 1e-4,  # as before, in float32
}
_BATCH_ROWS = 16_384


def tolerance_for(converted: Converted, chosen: float | None) -> float:
    """The user's tolerance, else the one for this kind of conversion."""
    return chosen or _TOLERANCES.get((converted.method, converted.input_dtype), 1e-4)


@dataclass(kw_only=True)
class Answers:
    """What quality is measured on: true answers, labels and numbers of the sample's rows, from the ONNX model."""

    truth: list[Any] = field(default_factory=list)
    label: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    n_outputs: int | None = None

    def add(self, truth: Any, onnx: Outputs) -> None:
        self.truth.append(truth)
        if onnx.label is not None:
            self.label.append(onnx.label)
        self.values.append(onnx.numeric[1])

    def arrays(self) -> list[Any]:
        import numpy as np

        parts = [self.truth, self.values, self.label] if self.label else [self.truth, self.values]
        return [np.concatenate(part) for part in parts]


def judge_parity(context: Context, native: Native, converted: Converted, judge: Judge, data: Data) -> None:
    """Checks `parity.*` but the proof, and `quality.*`; completes the contract with the whole sample's ranges."""
    draft, settings = context.draft, context.settings
    pair = parity.Pair(
        native=native.runtime, onnx=converted.runtime, tolerance=tolerance_for(converted, settings.tolerance)
    )
    comparisons: list[Comparison] = []
    answers = Answers()
    with draft.stage("sample parity"):
        check = run_check("parity.sample", "", lambda: _on_sample(context, pair, data, comparisons, answers))
        draft.add(check)
        native.facts["n_outputs"] = answers.n_outputs or native.facts.get("n_outputs")
        draft.contract = infer_contract(context, data.observer, native.facts)
        data.subject = Subject(contract=draft.contract, rows=data.subject.rows)
    with draft.stage("boundary parity"):
        knees = native.facts.get("knees") or []
        draft.add(
            run_check(
                "parity.boundary", "", lambda: _on_boundary(context, pair, judge, knees, data, comparisons)
            )
        )
        for special in (parity.missing_values, parity.unseen_categories):
            outcome, comparison = special(pair, data.subject)
            draft.add(outcome)
            comparisons += [comparison] if comparison is not None else []
    draft.add(parity.labels(comparisons, draft.model.task in ("binary", "multiclass", "outlier")))
    draft.parity = _summed(comparisons, judge, pair.tolerance)
    with draft.stage("quality"):
        _judge_quality(context, judge, answers)


def _on_sample(
    context: Context, pair: parity.Pair, data: Data, kept: list[Comparison], answers: Answers
) -> Any:
    target = context.settings.target
    truths: list[Any] = []

    def tables() -> Iterator[Table]:
        for _, rows, truth in data.batches(context.settings.sample_rows, target):
            data.observer.observe(rows)
            truths.append(truth)
            yield rows

    def sink(_rows: Table, native: Outputs, onnx: Outputs) -> None:
        if native.prediction is not None:
            answers.n_outputs = native.prediction.shape[1] if native.prediction.ndim == 2 else 1
        if target is not None and onnx.present.keys() - {"label"}:
            answers.add(truths[-1], onnx)
        truths[:-1] = []

    comparison = pair.compare(tables(), sink)
    kept.append(comparison)
    return parity.judge(comparison, "sample rows")


def _on_boundary(
    context: Context, pair: parity.Pair, judge: Judge, knees: list[Any], data: Data, kept: list[Comparison]
) -> Any:
    """Rows at the model's own thresholds if it has trees, else at its knees and across its features' ranges."""
    rows = data.subject.rows
    if not rows.is_numeric:
        return not_applicable("the model takes text or categories: see missing values and unseen categories")
    meta, arrays = wire.pack_table(rows)
    reply = judge.worker.call(
        "boundary",
        arrays,
        table=meta,
        limit=context.settings.boundary_rows,
        knees=knees,
        input_dtype=pair.onnx.facts["input_dtype"],
    )
    matrix = reply.arrays[0]
    if not len(matrix):
        return not_applicable("the model has no thresholds")
    comparison = pair.compare(_as_tables(matrix, rows))
    kept.append(comparison)
    return parity.judge(comparison, "boundary rows")


def _as_tables(matrix: Any, like: Table) -> Iterator[Table]:
    """Float columns named as the sample's; integer and boolean features become floats, as a model's user may pass."""
    for start in range(0, len(matrix), _BATCH_ROWS):
        part = matrix[start : start + _BATCH_ROWS]
        yield Table(
            tuple(Column(column.name, part[:, i]) for i, column in enumerate(like.columns)), len(part)
        )


def _summed(comparisons: list[Comparison], judge: Judge, tolerance: float) -> Parity:
    proof = judge.proof
    proved = proof is not None and proof.proved
    rows = sum(comparison.rows for comparison in comparisons)
    return Parity(
        level="proved" if proved else "measured",
        rows=comparisons[0].rows if comparisons else 0,
        boundary_rows=rows - (comparisons[0].rows if comparisons else 0),
        max_abs_diff=max((comparison.max_abs_diff for comparison in comparisons), default=None),
        max_ulp_diff=max((comparison.max_ulp_diff for comparison in comparisons), default=None),
        label_flips=sum(comparison.label_flips for comparison in comparisons),
        leaf_mismatches=0 if proved else None,
        bound=proof.bound if proof else None,
        splits=proof.splits if proof else None,
        tolerance=tolerance,
        reason="" if proved or proof is None else proof.reason,
    )


def _judge_quality(context: Context, judge: Judge, answers: Answers) -> None:
    draft, settings = context.draft, context.settings
    unable = needs_answers(settings.target, draft.model.task, bool(answers.truth))
    if unable is not None:
        finding = unable if not settings.quality else judge_limits({}, settings.quality)
        draft.add(result("quality.limits", "", finding))
        draft.add(result("quality.base", "", not_applicable("nothing to compare with")))
        return
    arrays = answers.arrays()
    with draft.guarding("quality.limits"):
        contract = draft.contract
        classes = list(contract.classes) if contract else []
        measured = judge.worker.call("quality", arrays, task=draft.model.task, classes=classes).result
    metrics = {str(name): value for name, value in measured.items()}
    draft.quality = tuple(
        MetricResult(name=name, rows=len(arrays[0]), value=value) for name, value in metrics.items()
    )
    draft.add(result("quality.limits", "", judge_limits(metrics, settings.quality)))
    draft.add(result("quality.base", "", not_applicable("no base version to compare with")))
