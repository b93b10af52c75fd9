"""The error suite: what happens when production gives the model what training never did.

Each scenario ends in a *named error* or a *declared result* (what the contract says happens), which pass; or in
*silent acceptance* of a wrong input, a *wrong answer*, or a *crash* or hang, which fail. The deployment and the
user's own wrapper must besides say what is wrong: an error that only shows where code stumbled is *unnamed*. A raw
runtime that fails is warned of where the deployment passes the same scenario, and fails where it does not. Where
there is no deployment, because an earlier step failed, that is not known: it blocks, but is no fault of its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

from validator.checks.check import (
    CheckOutcome,
    Subject,
    failed,
    not_applicable,
    noted,
    passed,
    result,
    seen,
    warned,
)
from validator.checks.errors.cases import Case, EachFeature, Ending, OutcomeKind
from validator.checks.errors.scenarios import SCENARIOS, Scenario
from validator.errors import WorkerError
from validator.results import CheckResult, RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import Raised

#: Exceptions that say nothing about the input: a library that stumbled rather than refused.
_STUMBLES = ("SystemError", "SystemExit", "KeyboardInterrupt", "RecursionError", "MemoryError")
#: Those of a wrapper that never looked: it promises to say what is wrong.
_SLIPS = (
    "AttributeError",
    "IndexError",
    "NameError",
    "UnboundLocalError",
    "ZeroDivisionError",
    "AssertionError",
)
_EXIT = "raise an error that says what is wrong with the input: sys.exit ends the process that serves"
_GOOD = ("named", "declared")
_BARE = "check the input before this runtime sees it, or serve the shipped Deployment, which does"
_NOTE = (
    "nothing, as long as the shipped Deployment is served; whoever serves this runtime says so with `serves`"
)
#: Characters of a feature's name that a message must hold: it may cut one that is longer.
_LONG = 150
_WHAT = {
    "crash": "crashed",
    "wrong": "answered wrongly",
    "silent": "accepted silently",
    "unnamed": "refused without saying what is wrong",
}
_EVEN = "refuse every input of this kind, or say in the documentation which of them are passed over, and why"


@dataclass(frozen=True, kw_only=True)
class ScenarioOutcome:
    """How one scenario ended on one runtime. `text` is for the report."""

    kind: OutcomeKind
    text: str
    seconds: float = 0.0


@dataclass(kw_only=True)
class Candidate:
    """One runtime under test. `revive` starts it anew after a crash; `broken` loads a broken copy of the model, and
    says why that is right where it is.
    """

    runtime: WorkerRuntime
    revive: Callable[[], WorkerRuntime]
    broken: Callable[[str], str]


def run(
    candidates: Mapping[RuntimeName, Candidate], subject: Subject, *, serves: RuntimeName = "deployment"
) -> list[CheckResult]:
    """Every scenario on every runtime, in the catalogue's order.

    What a bare runtime lets through and the deployment catches is a warning where that runtime is what `serves`, and
    a note else.
    """
    results = []
    for scenario in SCENARIOS:
        outcomes = {name: _outcome(candidate, scenario, subject) for name, candidate in candidates.items()}
        guard = outcomes.get("deployment")
        for name, outcome in outcomes.items():
            raw = name in ("native", "onnx")
            if raw and outcome.kind == "silent" and guard is None:
                finding = _unguarded(outcome)
            else:
                finding = _judge(outcome, caught_by=guard if raw else None, is_served=name == serves)
            results.append(result(scenario.id, name, finding, outcome.seconds))
    return results


def _judge(outcome: ScenarioOutcome, *, caught_by: ScenarioOutcome | None, is_served: bool) -> CheckOutcome:
    evidence = seen("outcome", outcome.kind)
    if outcome.kind == "inapplicable":
        return not_applicable(outcome.text)
    if outcome.kind in _GOOD:
        return passed(outcome.text, evidence)
    if outcome.kind == "uneven":
        return warned(outcome.text, evidence, hint=_EVEN)
    message = f"{_WHAT[outcome.kind]}: {outcome.text}"
    if caught_by is not None and caught_by.kind in _GOOD:
        finding = warned if is_served else noted
        return finding(f"{message}. The deployment catches it", evidence, hint=_BARE if is_served else _NOTE)
    return failed(message, evidence, hint=_EXIT if "SystemExit" in outcome.text else "")


def _unguarded(outcome: ScenarioOutcome) -> CheckOutcome:
    return CheckOutcome(
        status="skip",
        message=f"accepted silently: {outcome.text}. Whether the deployment catches it is not known: there is none",
        evidence=(seen("outcome", outcome.kind),),
        hint="mend the first failure, then run again",
    )


def _outcome(candidate: Candidate, scenario: Scenario, subject: Subject) -> ScenarioOutcome:
    started = time.perf_counter()
    kind, text = _tried(candidate, scenario, subject)
    return ScenarioOutcome(kind=kind, text=text, seconds=time.perf_counter() - started)


def _tried(candidate: Candidate, scenario: Scenario, subject: Subject) -> Ending:
    if scenario.broken:
        return _try_broken(candidate, scenario.broken)
    if scenario.trial is not None:
        trial = scenario.trial
        return _surviving(candidate, lambda: [trial(subject, candidate.runtime)])[0]
    cases = scenario.cases(subject, candidate.runtime)
    if isinstance(cases, str):
        return "inapplicable", cases
    endings: list[Ending] = []
    for case in cases:
        endings += _surviving(candidate, partial(_try_case, candidate, case))
        if endings[-1][0] == "crash":
            break  # the runtime had to be started anew, and may have hung for long
    return _uneven(candidate.runtime, scenario, cases, endings) or _worst(endings)


def _uneven(
    runtime: WorkerRuntime, scenario: Scenario, cases: Sequence[Case | EachFeature], endings: Sequence[Ending]
) -> Ending | None:
    """For a wrapper's method that does well with every input, but with some in one way and with some in another."""
    if not scenario.uneven or any(kind not in _GOOD for kind, _ in endings):
        return None
    for role, name in runtime.methods.items():
        told = {kind for case, (kind, _) in zip(cases, endings, strict=True) if case.method == role}
        if len(told) > 1:
            return "uneven", f"{name} {scenario.uneven}"
    return None


def _try_broken(candidate: Candidate, how: str) -> Ending:
    try:
        declared = candidate.broken(how)
    except Raised as error:
        return _named(error, candidate.runtime, ("missing",) if how == "missing" else ())
    except WorkerError as error:
        return "crash", error.message
    return ("declared", declared) if declared else ("silent", f"the model loads although its file is {how}")


def _surviving(candidate: Candidate, trial: Callable[[], list[Ending]]) -> list[Ending]:
    """A crash or hang is an ending too; the runtime is then started anew."""
    try:
        return trial()
    except Raised as error:
        return [("wrong", f"fails on right rows: {error.kind}: {error.message[:300]}")]
    except WorkerError as error:
        candidate.runtime = candidate.revive()
        return [("crash", error.message)]


def _try_case(candidate: Candidate, case: Case | EachFeature) -> list[Ending]:
    runtime = candidate.runtime
    if isinstance(case, EachFeature):
        each = case.ask(runtime)
        found = [_named(one, runtime, ()) if isinstance(one, Raised) else one for one in each]
    else:
        found = [_try_one(runtime, case)]
    return [_by(runtime, case.method, ending) for ending in found]


def _try_one(runtime: WorkerRuntime, case: Case) -> Ending:
    try:
        answer = case.ask(runtime)
    except Raised as error:
        return _named(error, runtime, case.mentions)
    return case.rule(answer, lambda table: runtime.predict(table, case.method))


def _by(runtime: WorkerRuntime, method: str, ending: Ending) -> Ending:
    """With the method's name before what went wrong, where there are several."""
    kind, text = ending
    if kind in _GOOD or len(runtime.methods) < 2 or not method:
        return ending
    name = runtime.methods[method]
    return kind, f"{name} {text}" if kind == "silent" else f"{name}: {text}"


def _worst(endings: Sequence[Ending]) -> Ending:
    """Of several cases of a scenario the first of the worst kind counts; how many more there are is told."""
    order = get_args(OutcomeKind)
    kind, text = min(endings, key=lambda ending: order.index(ending[0]))
    more = sum(ending[0] == kind for ending in endings) - 1
    return (
        kind,
        text if kind in _GOOD or not more else f"{text} (and {more} more of {len(endings)} such calls)",
    )


def _named(error: Raised, runtime: WorkerRuntime, mentions: Sequence[str]) -> Ending:
    first_line = error.message.strip().splitlines()[0] if error.message.strip() else "(no message)"
    text = f"{error.kind}: {first_line[:300]}"
    if error.kind == "AnswerError":  # raised by whoever reads the wrapper's answers, not by the wrapper
        return "unnamed", f"no error is raised: {first_line[:300]}"
    if error.kind in _STUMBLES:
        return "crash", text
    if not runtime.methods:
        return "named", text
    if error.kind in _SLIPS:
        return "unnamed", text
    if mentions and not any(_holds(f"{error.message} {error.hint}", name) for name in mentions):
        return "unnamed", f"{text} (it does not name {mentions[0]!r})"
    return "named", text


def _holds(text: str, name: str) -> bool:
    """Whether the name stands there as a word of its own, plain or as `repr` has it; of a long one its beginning."""
    forms = {name, repr(name)[1:-1]}
    return any(
        re.search(rf"(?<!\w){re.escape(form[:_LONG])}" + ("" if len(form) > _LONG else r"(?!\w)"), text)
        for form in forms
    )
