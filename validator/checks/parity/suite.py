"""Native and ONNX side by side: on the whole sample, then on rows made to tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from validator.checks.check import CheckOutcome, Subject, not_applicable, run_check, seen
from validator.checks.context import Context
from validator.checks.convert import Converted
from validator.checks.load.model import Native, onnx_runtime
from validator.checks.load.sample import Data
from validator.checks.parity import rows as parity
from validator.checks.parity.casting import CastEffect
from validator.checks.parity.compare import OutputDifferences
from validator.checks.parity.leaves import Inside, compare_inside, judge_inside, marked_from
from validator.checks.parity.proof import Judge, ProofReply
from validator.checks.parity.tolerances import Tolerance, tolerance_for
from validator.checks.sample_pass import Base, Observer, read_through
from validator.outputs import Outputs
from validator.results import CheckResult, Parity, ParityLevel
from validator.sandbox.packing import pack_table, unpack_table
from validator.sandbox.worker_pool import Raised
from validator.table import Table

_BATCH_ROWS = 16_384
_INSIDE_ROWS = 4_000
"""rows of the sample whose leaves are compared, before the boundary rows"""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both runtimes of a model, how far apart they may be, and the worker that knows its trees.

    `n_outputs` is how many numbers native was seen to predict for a row; None for models that predict none.
    """

    native: Native
    converted: Converted
    judge: Judge
    tolerance: Tolerance
    n_outputs: int | None

    @property
    def pair(self) -> parity.RuntimePair:
        return parity.RuntimePair(
            native=self.native.runtime, onnx=self.converted.runtime, tolerance=self.tolerance.value
        )


@dataclass(frozen=True, kw_only=True)
class OnSample:
    """The check `parity.sample`, and what it saw: no `differences` where the pass over the sample broke off."""

    check: CheckResult
    differences: OutputDifferences | None
    cast: CastEffect | None


@dataclass(frozen=True, kw_only=True)
class OnMadeRows:
    """The checks on rows that were made, and how alike the two are over all rows."""

    checks: tuple[CheckResult, ...]
    parity: Parity


def set_beside(context: Context, native: Native, converted: Converted, judge: Judge, data: Data) -> Sides:
    """Native and ONNX, with the tolerance for what the file computes in and what the native library answers in."""
    operators = judge.worker.call("single", [converted.onnx]).result["operators"]
    try:
        first = native.runtime.predict(data.rows.take(slice(0, 1)))
    except Raised:
        first = Outputs()  # the comparison will tell
    tolerance = tolerance_for(
        converted.conversion.method,
        converted.conversion.input_dtype,
        context.settings.tolerance,
        most=context.settings.most_tolerance,
        single=[str(name) for name in operators],
        native=str(first.numeric[1].dtype) if first.present.keys() - {"label"} else "",
        inside=native.facts.single,
    )
    return Sides(
        native=native,
        converted=converted,
        judge=judge,
        tolerance=tolerance,
        n_outputs=first.n_predictions,
    )


def on_sample(
    context: Context, sides: Sides, data: Data, observers: Sequence[Observer] = (), base: Base | None = None
) -> OnSample:
    """Compare on the whole sample. `observers` see every batch too; the base version is asked for the same rows."""
    pair, kept = sides.pair, OutputDifferences(tolerance=sides.tolerance.value)
    single = sides.converted.conversion.input_dtype == "float32"
    cast = CastEffect(native=pair.native, tolerance=pair.tolerance) if single else None
    done: list[OutputDifferences] = []

    def check() -> CheckOutcome:
        asking = [] if cast is None else [cast]
        read_through(data.batches(context.settings), pair, [kept, *observers], base=base, asking=asking)
        done.append(kept)
        outcome = parity.judge(kept, "sample rows")
        return outcome if cast is None else replace(outcome, evidence=(*outcome.evidence, *cast.evidence))

    found = run_check("parity.sample", "", check)
    return OnSample(check=found, differences=done[0] if done else None, cast=cast)


def on_made_rows(context: Context, sides: Sides, subject: Subject, sample: OnSample) -> OnMadeRows:
    """Compare at the model's own thresholds and leaves, on missing values and on categories never seen."""
    pair = sides.pair
    seen_so_far = [] if sample.differences is None else [sample.differences]
    edges: list[Table] = []
    inside = Inside(tolerance=pair.tolerance)
    checks = [
        run_check("parity.boundary", "", lambda: _on_boundary(context, sides, subject, seen_so_far, edges)),
        run_check(
            "parity.leaves",
            "",
            lambda: _inside(context, sides, [subject.head(_INSIDE_ROWS), *edges], inside),
        ),
    ]
    library = sides.native.facts.library
    refusing = context.settings.serves == "deployment"
    for special in (
        partial(parity.missing_values, refusing=refusing),
        partial(parity.unseen_categories, library=library),
    ):
        check, differences = special(pair, subject)
        checks.append(check)
        seen_so_far += [] if differences is None else [differences]
    gives_labels = sides.native.model.task in ("binary", "multiclass", "outlier")
    checks.append(parity.labels(seen_so_far, gives_labels))
    return OnMadeRows(checks=tuple(checks), parity=_summed(seen_so_far, sides, inside, sample.cast))


def _on_boundary(
    context: Context,
    sides: Sides,
    subject: Subject,
    kept: list[OutputDifferences],
    edges: list[Table],
) -> CheckOutcome:
    """Rows at the model's own thresholds if it has trees, else at its breakpoints and across its features' ranges.

    Text and category columns keep values that they have in the sample or in the model. `edges` gets the rows.
    """
    pair, proof = sides.pair, sides.judge.proof
    meta, arrays = pack_table(subject.rows)
    reply = sides.judge.worker.call(
        "boundary",
        arrays,
        table=meta,
        limit=context.settings.boundary_rows,
        breakpoints=[one.model_dump() for one in sides.native.facts.breakpoints],
        input_dtype=pair.onnx.facts.input_dtype,
        missing=None if proof is None or proof.missing is None else list(proof.missing),
    )
    rows = unpack_table(reply.result["table"], reply.arrays)
    edges += parity.known_categories(subject)
    if not len(rows) and not edges:
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


def _inside(context: Context, sides: Sides, tables: list[Table], found: Inside) -> CheckOutcome:
    """Leaves and raw scores on rows of the sample and at the thresholds. `found` gets what was seen."""
    worker = sides.judge.worker
    reply = worker.call("marked", [sides.converted.onnx])
    marked = marked_from(reply, lambda data: onnx_runtime(context, data))
    compare_inside(sides.native.runtime, worker, marked, tables, found)
    return judge_inside(found)


def _summed(
    comparisons: list[OutputDifferences], sides: Sides, inside: Inside, cast: CastEffect | None
) -> Parity:
    proof, tolerance = sides.judge.proof, sides.tolerance
    rows = sum(comparison.rows for comparison in comparisons)
    worst = max(comparisons, key=lambda comparison: comparison.max_relative, default=None)
    return Parity(
        level=_level(proof),
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
        reason="" if proof is None or proof.proved else proof.reason,
    )


def _level(proof: ProofReply | None) -> ParityLevel:
    if proof is None or not proof.proved:
        return "measured"
    return "proved" if proof.missing is None else "proved for rows without missing values"
