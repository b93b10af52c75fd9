"""The contract between the model and its sample: what each of them tells, and where they differ."""

from __future__ import annotations

from dataclasses import replace

from validator.checks.check import passed, result, seen, warned
from validator.checks.load.sample import Data
from validator.model import contract as contracts
from validator.model.knowledge import Knowledge, Known, only_known, only_promised, only_seen
from validator.results import CheckResult, Contract, Task
from validator.runtimes.replies import NativeFacts
from validator.settings.table import Settings

#: Differences between model and sample that are told one by one.
_TOLD = 10
_PROMISED = (
    "leave that out of [contract], or train with it: what the model answers there is its library's accident"
)


def infer_contract(
    settings: Settings, facts: NativeFacts, data: Data, *, task: Task, n_outputs: int | None = None
) -> Contract:
    """The contract as far as the sample has been seen; `n_outputs` where the answers have told it better."""
    contract = contracts.make_contract(
        data.observer.features,
        task=task,
        classes=facts.classes or (),
        n_outputs=n_outputs or facts.n_outputs or 1,
        sums_to_one=facts.sums_to_one,
        fixed=settings.contract.model_dump(exclude_unset=True),
        known=known_of(facts, data),
    )
    return contract.model_copy(update={"reading": facts.reading, "onnx_outputs": settings.onnx_outputs})


def known_of(facts: NativeFacts, data: Data) -> Knowledge:
    """What the model tells of its columns, by the sample's names of them."""
    features = data.features
    known = {
        features[one.column]: Known(
            values=one.values,
            missing=one.missing,
            answers_others=one.answers_others,
            numbers=one.numbers,
        )
        for one in facts.trained_on
        if one.column < len(features)
    }
    for name, values in data.categories.items():
        known[name] = replace(known.get(name, Known()), values=values)
    for name in data.observer.fractional:
        known[name] = replace(known.get(name, Known()), whole=False)
    for name, used in data.observer.used.items():
        known[name] = replace(known.get(name, Known()), used=frozenset(used))
    return known


def judge_knowledge(facts: NativeFacts, data: Data, contract: Contract | None = None) -> CheckResult:
    """Check `load.knowledge`: what the sample does not show of the model, and what in it the model never saw.

    `contract` may promise what neither of them does.
    """
    shown, known = data.observer.features, known_of(facts, data)
    more, odd = only_known(shown, known), only_seen(shown, known)
    promised = [] if contract is None else only_promised(contract.features, shown, known)
    evidence = (
        *(seen("only the model knows", one) for one in more[:_TOLD]),
        *(seen("only the sample shows", one) for one in odd[:_TOLD]),
        *(seen("only the contract promises", one) for one in promised[:_TOLD]),
    )
    if promised and not odd:
        message = f"[contract] allows what the model was not trained on: {'; '.join(promised[:_TOLD])}"
        return result("load.knowledge", "", warned(message, *evidence, hint=_PROMISED))
    if odd:
        return result(
            "load.knowledge",
            "",
            warned(
                f"the sample holds what the model was not trained on: {'; '.join(odd[:_TOLD])}", *evidence
            ),
        )
    if more:
        told = (
            f"the contract has what the model knows and the sample does not show: {'; '.join(more[:_TOLD])}"
        )
        return result("load.knowledge", "", passed(told, *evidence))
    return result("load.knowledge", "", passed("the sample shows what the model tells of its training"))
