"""Fourth stage: the proof that native trees and ONNX trees are the same, over all inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from validator.runtimes.process import Worker
from validator.stages.context import Context
from validator.stages.conversion import Converted
from validator.suites.common import Finding, failed, not_applicable, passed, result, run_check, seen


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the judging worker found. `bound` is on raw scores, `output_bound` on outputs, over all inputs."""

    proved: bool
    reason: str
    bound: float | None
    output_bound: float | None
    splits: int
    counter_example: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The worker that knows the model's trees, if it has any, and what it proved."""

    worker: Worker
    proof: Proof | None


def prove(context: Context, converted: Converted) -> Judge:
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
        kept.append(Proof(**worker.call("prove", [converted.onnx]).result))
        return _judge(kept[0], given=converted.method == "none")

    with draft.stage("prove"):
        draft.add(run_check("parity.proof", "", check))
    return Judge(worker=worker, proof=kept[0] if kept else None)


def _judge(proof: Proof, *, given: bool) -> Finding:
    if proof.proved:
        return passed(
            f"all {proof.splits} splits and every leaf are the same; raw scores differ by at most {proof.bound:.3g}",
            seen("splits", proof.splits),
            seen("bound on raw scores", proof.bound),
            seen("bound on outputs", proof.output_bound),
        )
    if given and proof.counter_example is None:
        return not_applicable(f"the given ONNX file cannot be proved, so it is measured: {proof.reason}")
    evidence = [seen(str(key), str(value)[:2000]) for key, value in (proof.counter_example or {}).items()]
    return failed(proof.reason, *evidence)
