"""Fourth stage: the proof that native trees and ONNX trees are the same, over all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from validator.results import Evidence
from validator.runtimes.process import Raised, Worker
from validator.runtimes.runtime import WorkerRuntime
from validator.stages.context import Context
from validator.stages.conversion import Converted
from validator.suites.common import Finding, failed, not_applicable, passed, result, run_check, seen
from validator.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the judging worker found: `proved`, `different` or `unproved`.

    `bound` is on raw scores and `output_bound` on outputs, over all inputs; None where rounding has no bound.
    `row` [F] is an input on which the two differ, where they do.
    """

    status: str
    reason: str
    splits: int
    bound: float | None
    output_bound: float | None
    labels_exact: bool
    row: NDArray[Any] | None = None

    @property
    def proved(self) -> bool:
        return self.status == "proved"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The worker that knows the model's trees, if it has any, and what it proved."""

    worker: Worker
    proof: Proof | None


def prove(context: Context, native: WorkerRuntime, converted: Converted, names: Sequence[str]) -> Judge:
    """Check `parity.proof`. Not applicable where the model is not made of trees alone: then it is measured."""
    draft = context.draft
    worker = context.start("judge")
    export = converted.export
    if not export.has_trees or converted.method == "skl2onnx":
        draft.add(result("parity.proof", "", not_applicable("not made of trees alone, so it is measured")))
        return Judge(worker=worker, proof=None)
    kept: list[Proof] = []

    def check() -> Finding:
        worker.call("trees", export.arrays, **export.args())
        reply = worker.call("prove", [converted.onnx])
        proof = Proof(**reply.result, row=reply.arrays[0] if reply.arrays else None)
        kept.append(proof)
        finding = _judge(proof, given=converted.method == "none")
        if proof.row is None:
            return finding
        return replace(
            finding, evidence=(*finding.evidence, *_shown(proof.row, native, converted.runtime, names))
        )

    with draft.stage("prove"):
        draft.add(run_check("parity.proof", "", check))
    return Judge(worker=worker, proof=kept[0] if kept else None)


def _judge(proof: Proof, *, given: bool) -> Finding:
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


def _shown(
    row: NDArray[Any], native: WorkerRuntime, onnx: WorkerRuntime, names: Sequence[str]
) -> list[Evidence]:
    """The counter-example, and what both runtimes answer to it."""
    table = Table.from_matrix(row.reshape(1, -1), names)
    values = ", ".join(f"{name}={value!r}" for name, value in zip(names, row.tolist(), strict=True))
    evidence = [seen("counter-example", values[:5_000])]
    for runtime in (native, onnx):
        try:
            answer = {
                name: array.reshape(-1).tolist() for name, array in runtime.predict(table).present.items()
            }
            evidence.append(seen(f"{runtime.name} answers", str(answer)[:1_000]))
        except Raised as error:
            evidence.append(seen(f"{runtime.name} answers", f"{error.kind}: {error.message}"[:1_000]))
    return evidence
