"""Fourth stage: the proof that native trees and ONNX trees are the same, over all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from validator.checks.check import CheckOutcome, failed, not_applicable, passed, result, run_check, seen
from validator.checks.context import Context
from validator.checks.convert import Converted
from validator.checks.load.model import Native
from validator.checks.parity.compare import OutputDifferences, in_words
from validator.results import Evidence
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.packing import unpack_table
from validator.sandbox.worker_pool import Raised, Worker
from validator.table import Table


@dataclass(frozen=True, kw_only=True)
class ProofReply:
    """What the judging worker found: `proved`, `different` or `unproved`.

    `bound` is on raw scores and `output_bound` on outputs, over all inputs; None where rounding has no bound.
    `row`, a table of one row, is an input on which the two differ, where they do.
    """

    status: str
    reason: str
    splits: int
    bound: float | None
    output_bound: float | None
    labels_exact: bool
    row: Table | None = None

    @property
    def proved(self) -> bool:
        return self.status == "proved"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The worker that knows the model's trees, if it has any, and what it proved."""

    worker: Worker
    proof: ProofReply | None


def prove(context: Context, native: Native, converted: Converted, names: Sequence[str]) -> Judge:
    """Check `parity.proof`. Not applicable where the model is not made of trees alone: then it is measured."""
    builder = context.builder
    worker = context.start("judge")
    export = converted.export
    if not export.has_trees or converted.method == "skl2onnx":
        builder.add(result("parity.proof", "", not_applicable("not made of trees alone, so it is measured")))
        return Judge(worker=worker, proof=None)
    kept: list[ProofReply] = []

    def check() -> CheckOutcome:
        worker.call("trees", export.arrays, **export.args())
        reply = worker.call("prove", [converted.onnx], names=list(names))
        told = dict(reply.result)
        row = told.pop("row")
        proof = ProofReply(**told, row=None if row is None else unpack_table(row, reply.arrays))
        kept.append(proof)
        finding = _judge(proof, given=converted.method == "none")
        if proof.row is None:
            return finding
        return replace(
            finding, evidence=(*finding.evidence, *_shown(proof.row, native.runtime, converted.runtime))
        )

    with builder.stage("prove"):
        builder.add(run_check("parity.proof", "", check))
    return Judge(worker=worker, proof=kept[0] if kept else None)


def _judge(proof: ProofReply, *, given: bool) -> CheckOutcome:
    if proof.proved:
        bound = (
            "without a bound on rounding"
            if proof.bound is None
            else f"within {proof.bound:.3g} in raw scores"
        )
        return passed(
            f"all {proof.splits} splits and every leaf are the same, {bound}",
            seen("splits", proof.splits),
            seen("bound on raw scores", proof.bound),
            seen("bound on outputs", proof.output_bound),
            seen("labels exact, ties included", proof.labels_exact),
        )
    if given and proof.status == "unproved":
        return not_applicable(f"the given ONNX file cannot be proved, so it is measured: {proof.reason}")
    return failed(proof.reason)


def _shown(row: Table, native: WorkerRuntime, onnx: WorkerRuntime) -> list[Evidence]:
    """The counter-example, what both runtimes answer to it, and how far apart that is."""
    evidence = [seen("counter-example", in_words(row, 0))]
    answers = []
    for runtime in (native, onnx):
        try:
            answers.append(runtime.predict(row))
        except Raised as error:
            evidence.append(seen(f"{runtime.name} answers", f"{error.kind}: {error.message}"[:1_000]))
            continue
        told = {name: array.reshape(-1).tolist() for name, array in answers[-1].present.items()}
        evidence.append(seen(f"{runtime.name} answers", str(told)[:1_000]))
    if len(answers) == 2:
        comparison = OutputDifferences(tolerance=0.0)
        comparison.add(answers[0], answers[1], 1)
        evidence.append(seen("difference", comparison.max_abs_diff, "0"))
        evidence.append(seen("label flips", comparison.label_flips, "0"))
    return evidence
