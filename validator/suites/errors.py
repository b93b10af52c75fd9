"""The error suite: what happens when production gives the model what training never did.

Each scenario ends in one of four outcomes: a *named error*, a *declared result* (what the contract says happens),
*silent acceptance* of a wrong input, or a *crash*. The deployment must end in the first two. A raw runtime that
accepts silently is warned of where the deployment catches the same scenario, and fails where it does not. Where
there is no deployment, because an earlier step failed, that is not known: it blocks, but is no fault of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from validator.errors import WorkerError
from validator.outputs import Outputs, same
from validator.results import CheckResult, RuntimeName
from validator.runtimes.process import Raised
from validator.runtimes.runtime import WorkerRuntime
from validator.suites.common import Finding, Subject, failed, not_applicable, passed, result, seen, warned
from validator.suites.scenarios import SCENARIOS, Case, Scenario

OutcomeKind = Literal["named", "declared", "silent", "crash", "inapplicable"]
#: Exceptions that say nothing about the input: a library that stumbled rather than refused.
_STUMBLES = ("SystemError", "SystemExit", "KeyboardInterrupt", "RecursionError", "MemoryError")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one scenario ended on one runtime. `text` is for the report."""

    kind: OutcomeKind
    text: str
    seconds: float = 0.0


@dataclass(kw_only=True)
class Candidate:
    """One runtime under test. `revive` starts it anew after a crash; `broken` loads a broken copy of the model."""

    runtime: WorkerRuntime
    revive: Callable[[], WorkerRuntime]
    broken: Callable[[str], None]


def run(candidates: Mapping[RuntimeName, Candidate], subject: Subject) -> list[CheckResult]:
    """Every scenario on every runtime, in the catalogue's order."""
    results = []
    for scenario in SCENARIOS:
        outcomes = {name: _outcome(candidate, scenario, subject) for name, candidate in candidates.items()}
        guard = outcomes.get("deployment")
        for name, outcome in outcomes.items():
            raw = name in ("native", "onnx")
            if raw and outcome.kind == "silent" and guard is None:
                finding = _unguarded(outcome)
            else:
                finding = _judge(outcome, caught_by=guard if raw else None)
            results.append(result(scenario.id, name, finding, outcome.seconds))
    return results


def _judge(outcome: Outcome, *, caught_by: Outcome | None) -> Finding:
    evidence = seen("outcome", outcome.kind)
    if outcome.kind == "inapplicable":
        return not_applicable(outcome.text)
    if outcome.kind in ("named", "declared"):
        return passed(outcome.text, evidence)
    what = "accepted silently" if outcome.kind == "silent" else "crashed"
    message = f"{what}: {outcome.text}"
    if caught_by is not None and caught_by.kind in ("named", "declared"):
        return warned(
            f"{message}. The deployment catches it",
            evidence,
            hint="serve the model through the shipped Deployment, not through the bare runtime",
        )
    return failed(message, evidence)


def _unguarded(outcome: Outcome) -> Finding:
    return Finding(
        status="skip",
        message=f"accepted silently: {outcome.text}. Whether the deployment catches it is not known: there is none",
        evidence=(seen("outcome", outcome.kind),),
        hint="mend the first failure, then run again",
    )


def _outcome(candidate: Candidate, scenario: Scenario, subject: Subject) -> Outcome:
    started = time.perf_counter()
    kind, text = _tried(candidate, scenario, subject)
    return Outcome(kind=kind, text=text, seconds=time.perf_counter() - started)


def _tried(candidate: Candidate, scenario: Scenario, subject: Subject) -> tuple[OutcomeKind, str]:
    try:
        if scenario.broken:
            candidate.broken(scenario.broken)
            return "silent", f"the model loads although its file is {scenario.broken}"
        cases = scenario.cases(subject, candidate.runtime.name)
        if isinstance(cases, str):
            return "inapplicable", cases
        return _worst([_try_case(candidate, case) for case in cases])
    except Raised as error:
        return _named(error)
    except WorkerError as error:
        return "crash", error.message


def _worst(outcomes: Sequence[tuple[OutcomeKind, str]]) -> tuple[OutcomeKind, str]:
    """Of several cases of a scenario the worst counts."""
    order: tuple[OutcomeKind, ...] = ("crash", "silent", "declared", "named")
    return min(outcomes, key=lambda outcome: order.index(outcome[0]))


def _try_case(candidate: Candidate, case: Case) -> tuple[OutcomeKind, str]:
    try:
        answer = case.ask(candidate.runtime)
    except Raised as error:
        return _named(error)
    except WorkerError as error:
        candidate.runtime = candidate.revive()
        return "crash", error.message
    return _accepted(case, answer, candidate.runtime)


def _named(error: Raised) -> tuple[OutcomeKind, str]:
    if error.kind in _STUMBLES:
        return "crash", f"{error.kind}: {error.message[:300]}"
    first_line = error.message.strip().splitlines()[0] if error.message.strip() else "(no message)"
    return "named", f"{error.kind}: {first_line[:300]}"


def _accepted(case: Case, answer: Outputs, runtime: WorkerRuntime) -> tuple[OutcomeKind, str]:
    """An answer came. It is fine only when the case declares which answers are."""
    import numpy as np

    if case.expected_rows is not None and len(answer) == case.expected_rows:
        return "declared", f"{case.expected_rows} rows in, {case.expected_rows} answers out"
    if case.same_as is not None and same(answer, runtime.predict(case.same_as)):
        return "declared", case.declared
    finite = all(np.isfinite(array).all() for array in answer.present.values() if array.dtype.kind == "f")
    if case.finite_is_declared and finite:
        return "declared", case.declared
    return "silent", case.wrong if finite else f"{case.wrong}, and the answer holds NaN or Inf"
