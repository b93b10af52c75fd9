"""Fifth stage: native and ONNX side by side on the whole sample and on rows made to tell them apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.change.baseline_runner import BaselineRunner
from validator.checks.check import Subject, not_applicable, run_check, seen
from validator.checks.context import Context
from validator.checks.convert import Converted
from validator.checks.load.model import Data, Native, infer_contract, onnx_runtime
from validator.checks.parity import rows as parity
from validator.checks.parity.casting import CastEffect
from validator.checks.parity.compare import OutputDifferences
from validator.checks.parity.leaves import Inside, compare_inside, judge_inside, marked_from
from validator.checks.parity.proof import Judge
from validator.checks.parity.tolerances import Tolerance, tolerance_for
from validator.checks.quality.measuring import Measuring, judge_quality
from validator.checks.sample_pass import read_through
from validator.outputs import Outputs
from validator.results import Parity
from validator.sandbox.packing import pack_table, unpack_table
from validator.sandbox.worker_pool import Raised
from validator.table import Table

_BATCH_ROWS = 16_384
_INSIDE_ROWS = 4_000
"""rows of the sample whose leaves are compared, before the boundary rows"""


def judge_parity(
    context: Context,
    native: Native,
    converted: Converted,
    judge: Judge,
    data: Data,
    base: BaseVersion | NoVersion | None = None,
) -> None:
    """Checks `parity.*` but the proof, and `quality.*`; completes the contract with the whole sample's ranges.

    The base version, if there is one, is asked the same rows, and `builder.change` told what that showed.
    """
    builder = context.builder
    first = _first_answer(native, data)
    tolerance = _tolerance(context, converted, judge, first)
    pair = parity.RuntimePair(native=native.runtime, onnx=converted.runtime, tolerance=tolerance.value)
    single = converted.input_dtype == "float32"
    cast = CastEffect(native=native.runtime, tolerance=tolerance.value) if single else None
    comparisons: list[OutputDifferences] = []
    base = base or NoVersion(reason="no base version to compare with")
    base_runner = (
        BaselineRunner.of(base, builder.contract)
        if isinstance(base, BaseVersion) and builder.contract
        else None
    )
    measuring = Measuring.begin(context, base)
    with builder.stage("sample parity"):
        check = run_check(
            "parity.sample",
            "",
            lambda: _on_sample(context, pair, data, measuring, base_runner, cast, comparisons),
        )
        builder.add(check)
        native.facts["n_outputs"] = first.n_predictions or native.facts.get("n_outputs")
        builder.contract = infer_contract(context, data.observer, native.facts)
        data.subject = Subject(contract=builder.contract, rows=data.subject.rows)
    with builder.stage("boundary parity"):
        breakpoints = native.facts.get("breakpoints") or []
        edges: list[Table] = []
        builder.add(
            run_check(
                "parity.boundary",
                "",
                lambda: _on_boundary(context, pair, judge, breakpoints, data, comparisons, edges),
            )
        )
        inside = Inside(tolerance=tolerance.value)
        tables = [data.subject.head(_INSIDE_ROWS), *edges]
        builder.add(
            run_check("parity.leaves", "", lambda: _inside(context, pair, converted, judge, tables, inside))
        )
        for special in (parity.missing_values, parity.unseen_categories):
            outcome, comparison = special(pair, data.subject)
            builder.add(outcome)
            comparisons += [comparison] if comparison is not None else []
    builder.add(parity.labels(comparisons, builder.model.task in ("binary", "multiclass", "outlier")))
    builder.parity = _summed(comparisons, judge, tolerance, inside, cast)
    with builder.stage("quality"):
        if base_runner is not None and builder.change is not None:
            builder.change = base_runner.tell(builder.change)
        judge_quality(context, measuring, base, base_runner)


def _first_answer(native: Native, data: Data) -> Outputs:
    """Native's answer to one row; an empty one where it gives none: the comparison will tell."""
    try:
        return native.runtime.predict(data.subject.head(1))
    except Raised:
        return Outputs()


def _tolerance(context: Context, converted: Converted, judge: Judge, first: Outputs) -> Tolerance:
    """By what the ONNX file computes in, and what the native library answers in."""
    single = [str(name) for name in judge.worker.call("single", [converted.onnx]).result["operators"]]
    dtype = str(first.numeric[1].dtype) if first.present.keys() - {"label"} else ""
    chosen = context.settings.tolerance
    return tolerance_for(converted.method, converted.input_dtype, chosen, single=single, native=dtype)


def _on_sample(
    context: Context,
    pair: parity.RuntimePair,
    data: Data,
    measuring: Measuring,
    base_runner: BaselineRunner | None,
    cast: CastEffect | None,
    kept: list[OutputDifferences],
) -> Any:
    """The whole sample: both runtimes and the base version are asked, quality is measured beside."""
    comparison = OutputDifferences(tolerance=pair.tolerance)
    batches = data.batches(context.settings.sample_rows, context.settings.target)
    asking = [] if cast is None else [cast]
    read_through(batches, pair, [comparison, measuring], base=base_runner, asking=asking)
    kept.append(comparison)
    finding = parity.judge(comparison, "sample rows")
    return finding if cast is None else replace(finding, evidence=(*finding.evidence, *cast.evidence))


def _on_boundary(
    context: Context,
    pair: parity.RuntimePair,
    judge: Judge,
    breakpoints: list[Any],
    data: Data,
    kept: list[OutputDifferences],
    edges: list[Table],
) -> Any:
    """Rows at the model's own thresholds if it has trees, else at its breakpoints and across its features' ranges.

    Text and category columns keep values that they have in the sample or in the model. `edges` gets the rows.
    """
    meta, arrays = pack_table(data.subject.rows)
    reply = judge.worker.call(
        "boundary",
        arrays,
        table=meta,
        limit=context.settings.boundary_rows,
        breakpoints=breakpoints,
        input_dtype=pair.onnx.facts["input_dtype"],
    )
    rows = unpack_table(reply.result["table"], reply.arrays)
    if not len(rows):
        return not_applicable("the model has no thresholds")
    edges += [rows.take(slice(start, start + _BATCH_ROWS)) for start in range(0, len(rows), _BATCH_ROWS)]
    refused = 0
    try:
        comparison = pair.compare(edges)
    except Raised:
        # An encoder may refuse a number between its categories: such rows have no native answer to compare with.
        edges[:], refused = parity.accepted(pair.native, edges)
        if not edges:
            return not_applicable("the native model refuses every row between its own values")
        comparison = pair.compare(edges)
    kept.append(comparison)
    finding = parity.judge(comparison, "boundary rows")
    return replace(finding, evidence=(*finding.evidence, seen("rows that native refuses", refused)))


def _inside(
    context: Context,
    pair: parity.RuntimePair,
    converted: Converted,
    judge: Judge,
    tables: list[Table],
    found: Inside,
) -> Any:
    """Leaves and raw scores on rows of the sample and at the thresholds. `found` gets what was seen."""
    reply = judge.worker.call("marked", [converted.onnx])
    marked = marked_from(reply, lambda data: onnx_runtime(context, data))
    compare_inside(pair.native, judge.worker, marked, tables, found)
    return judge_inside(found)


def _summed(
    comparisons: list[OutputDifferences],
    judge: Judge,
    tolerance: Tolerance,
    inside: Inside,
    cast: CastEffect | None,
) -> Parity:
    proof = judge.proof
    proved = proof is not None and proof.proved
    rows = sum(comparison.rows for comparison in comparisons)
    worst = max(comparisons, key=lambda comparison: comparison.max_relative, default=None)
    return Parity(
        level="proved" if proved else "measured",
        rows=comparisons[0].rows if comparisons else 0,
        boundary_rows=rows - (comparisons[0].rows if comparisons else 0),
        max_abs_diff=max((comparison.max_abs_diff for comparison in comparisons), default=None),
        max_ulp_diff=max((comparison.max_ulp_diff for comparison in comparisons), default=None),
        max_raw_diff=inside.max_raw_diff,
        max_raw_ulps=inside.max_raw_ulps,
        label_flips=sum(comparison.label_flips for comparison in comparisons),
        leaf_mismatches=inside.leaf_mismatches,
        leaf_rows=inside.rows if inside.leaf_mismatches is not None else 0,
        bound=proof.bound if proof else None,
        splits=proof.splits if proof else None,
        tolerance=tolerance.value,
        tolerance_reason=tolerance.reason,
        passing_tolerance=None if worst is None else worst.max_relative,
        worst="" if worst is None or worst.worst is None else worst.worst.text,
        cast_changes=None if cast is None else cast.changed,
        cast_rows=0 if cast is None else cast.rows,
        cast_examples=() if cast is None else tuple(cast.examples),
        reason="" if proved or proof is None else proof.reason,
    )
