"""The proof that native trees and ONNX trees are the same, over all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from validator.checks.check import (
    CheckOutcome,
    failed,
    not_applicable,
    noted,
    passed,
    result,
    run_check,
    seen,
)
from validator.checks.context import Context
from validator.checks.convert import Converted
from validator.checks.load.model import Native
from validator.checks.parity.compare import OutputDifferences, in_words
from validator.results import CheckResult, Contract, Evidence
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.packing import unpack_table
from validator.sandbox.worker_pool import Raised, Worker
from validator.settings.table import Settings
from validator.table import Table

_REFUSED = "with missing values they differ, which the contract refuses before the model"
_SERVED_ELSEWHERE = (
    "nothing, as long as the shipped Deployment is served; "
    "whoever serves this file itself says so with `serves`"
)


@dataclass(frozen=True, kw_only=True)
class ProofReply:
    """What the judging worker found: `proved`, `different` or `unproved`; `called_otherwise` than what was proved.

    `bound` is on raw scores and `output_bound` on outputs, over all inputs; None where rounding has no bound.
    `row`, a table of one row, is an input on which the two differ, where they do. `missing` says which columns may
    hold NaN, where that was not asked of all.
    """

    status: str
    reason: str
    splits: int
    bound: float | None
    output_bound: float | None
    labels_exact: bool
    row: Table | None = None
    missing: tuple[bool, ...] | None = None

    @property
    def proved(self) -> bool:
        return self.status == "proved"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The worker that knows the model's trees, if it has any, what it proved, and the check `parity.proof`."""

    worker: Worker
    proof: ProofReply | None
    check: CheckResult


def measure_only(context: Context) -> Judge:
    """A model that is not made of trees alone: nothing is proved."""
    reason = not_applicable("not made of trees alone, so it is measured")
    return Judge(worker=context.start("judge"), proof=None, check=result("parity.proof", "", reason))


def prove(context: Context, native: Native, converted: Converted, names: Sequence[str]) -> Judge:
    """Prove the model's trees and the ONNX file's the same on all inputs, or find an input that tells them apart."""
    worker = context.start("judge")
    kept: list[ProofReply] = []

    def check() -> CheckOutcome:
        kept.append(_of_the_calls(_asked(worker, converted, names), converted))
        outcome = _judge(kept[0], given=converted.conversion.method == "none")
        row = kept[0].row
        if row is None:
            return outcome
        return replace(outcome, evidence=(*outcome.evidence, *_shown(row, native.runtime, converted.runtime)))

    found = run_check("parity.proof", "", check)
    return Judge(worker=worker, proof=kept[0] if kept else None, check=found)


def prove_as_served(
    settings: Settings, judge: Judge, converted: Converted, names: Sequence[str], contract: Contract
) -> Judge:
    """The proof anew for what the contract lets through, where that decides: it may refuse missing values.

    So it is for an ONNX file made elsewhere that differs from the model, and for the shipped Deployment alone, which
    keeps to the contract. Where the two differ all the same, the first proof's finding stays.
    """
    refusing = {one.name for one in contract.features if not one.missing}
    missing = tuple(name not in refusing for name in names)
    proof = judge.proof
    given = converted.conversion.method == "none"
    if proof is None or proof.status != "different" or not given or all(missing):
        return judge
    if settings.serves != "deployment":
        return judge

    def check() -> CheckOutcome:
        found = _of_the_calls(_proof(judge.worker, converted, names, missing), converted)
        kept.append(found)
        outcome = _judge(found, given=True)
        if not found.proved:
            return replace(outcome, message=f"{outcome.message}; {_REFUSED}: {proof.reason}")
        return noted(
            f"for rows without missing values {outcome.message}; {_REFUSED}",
            *outcome.evidence,
            seen("with missing values", proof.reason),
            *judge.check.evidence,
            hint=_SERVED_ELSEWHERE,
        )

    kept: list[ProofReply] = []
    found = run_check("parity.proof", "", check)
    if not kept or kept[0].status == "different":
        return judge
    return replace(judge, proof=kept[0], check=found)


def _asked(worker: Worker, converted: Converted, names: Sequence[str]) -> ProofReply:
    worker.call("trees", converted.export.arrays, **converted.export.args())
    return _proof(worker, converted, names)


def _proof(
    worker: Worker, converted: Converted, names: Sequence[str], missing: tuple[bool, ...] | None = None
) -> ProofReply:
    flags = None if missing is None else list(missing)
    reply = worker.call("prove", [converted.onnx], names=list(names), missing=flags)
    told = dict(reply.result)
    row = told.pop("row")
    return ProofReply(**told, row=None if row is None else unpack_table(row, reply.arrays), missing=missing)


def _of_the_calls(proof: ProofReply, converted: Converted) -> ProofReply:
    """A proof about trees says nothing of a model whose calls answer with something else than its trees."""
    otherwise = str(converted.export.header.get("called_otherwise") or "")[:500]
    if not proof.proved or not otherwise:
        return proof
    return replace(
        proof,
        status="called_otherwise",
        reason=f"the trees are the same, but {otherwise}: the answers are measured, not proved",
    )


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
    if proof.status == "called_otherwise":
        return not_applicable(proof.reason)
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
