"""What a wrapper owes beyond answers, judged by what its worker tells: each promise kept and each broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from validator.checks.check import Subject
from validator.checks.wrapper import service
from validator.runtimes.replies import RuntimeFacts
from validator.sandbox.handle import WorkerAnswer

SHA = "0123456789abcdef" * 4
STATS = {"count": 3.0, "mean_ms": 0.2, "p99_ms": 0.4}


def trial(what: str = "NaN", method: str = "predict", **changes: Any) -> dict[str, Any]:
    return {"method": method, "what": what, "error": "ValueError", "message": "NaN", **changes}


def silent(**changes: Any) -> dict[str, Any]:
    return trial(**{"error": None, "unmoved": False, "sound": False, **changes})


GOOD: dict[str, Any] = {
    "sabotage": {"models": ["Booster"], "trials": [trial(), trial("1.5")]},
    "track": {"tracked": True, "growth": {"predict": [STATS, {**STATS, "count": 4.0}]}},
    "tell": {"metadata": {"sha256": SHA, "loaded_at": "2026-01-02T03:04:05Z"}},
}


@dataclass
class Telling:
    """A wrapper whose worker tells what the test says."""

    told: dict[str, Any]
    name: str = "wrapper"
    methods: dict[str, str] = field(default_factory=lambda: {"predict": "predict", "single": "predict_one"})
    facts: RuntimeFacts = field(default_factory=RuntimeFacts)

    @property
    def worker(self) -> Telling:
        return self

    def call(self, op: str, arrays: Any = (), **args: Any) -> WorkerAnswer:
        return WorkerAnswer(result=self.told[op], arrays=[], seconds=0.0, wall_seconds=0.0)


def judged(subject: Subject, facts: RuntimeFacts | None = None, **told: Any) -> dict[str, Any]:
    runtime = Telling({**GOOD, **told}, facts=facts or RuntimeFacts())
    return {check.id: check for check in service.run(runtime, subject, hashes=("f" * 64, SHA))}


def test_a_wrapper_that_keeps_its_promises_passes(subject):
    found = judged(subject)
    assert [check.status for check in found.values()] == ["pass"] * 3
    short = judged(subject, tell={"metadata": {"version": f"v_20260102T030405Z_{SHA[:8]}"}})
    assert short["version.metadata"].status == "pass"
    fallback = judged(
        subject, sabotage={"models": ["X"], "trials": [trial(error=None, sound=True, stated=True)]}
    )
    assert "a fallback" in fallback["errors.wrong_answer"].message


def test_what_moves_nothing_in_the_last_row_alone_says_nothing(subject):
    last = trial("NaN in the last row", error=None, unmoved=True)
    found = judged(subject, sabotage={"models": ["X"], "trials": [trial(), trial("1.5"), last]})
    assert found["errors.wrong_answer"].status == "pass"


BROKEN: list[tuple[str, str, Any, str]] = [
    (
        "errors.wrong_answer",
        "sabotage",
        {"models": ["X"], "trials": [trial(), trial("1.5"), silent(what="-0.5")]},
        "passed on even where it is -0.5",
    ),
    (
        "errors.wrong_answer",
        "sabotage",
        {"models": ["X"], "trials": [trial(), silent(what="NaN in the last row")]},
        "passed on even where it is NaN in the last row",
    ),
    (
        "errors.wrong_answer",
        "sabotage",
        {"models": ["X"], "trials": [trial(), silent(method="single")]},
        "even where it is NaN (predict_one)",
    ),
    ("errors.wrong_answer", "sabotage", {"models": [], "trials": []}, "cannot be seen"),
    (
        "errors.wrong_answer",
        "sabotage",
        {"models": ["X"], "trials": [trial(error=None, unmoved=True, sound=True)]},
        "cannot be seen",
    ),
    (
        "errors.wrong_answer",
        "sabotage",
        {"models": ["X"], "trials": [trial(error=None, sound=True)]},
        "replaced by something made up where it is NaN (predict)",
    ),
    ("latency.tracking", "track", {"tracked": False, "growth": {}}, "no latency tracking"),
    (
        "latency.tracking",
        "track",
        {"tracked": True, "growth": {"single": [STATS, STATS]}},
        "predict_one is not counted",
    ),
    (
        "latency.tracking",
        "track",
        {"tracked": True, "growth": {"predict": [{"mean_ms": 1.0}, {"mean_ms": 1.0}]}},
        "no count of calls: mean_ms",
    ),
    (
        "latency.tracking",
        "track",
        {"tracked": True, "growth": {"predict": [{"count": 1.0}, {"count": 2.0}]}},
        "hold no times",
    ),
    ("version.metadata", "tell", {"metadata": None}, "no version tracking"),
    (
        "version.metadata",
        "tell",
        {"metadata": {"version": "1.2"}},
        "no hash of the model file (ffffffff...) and no time",
    ),
    ("version.metadata", "tell", {"metadata": {"sha256": SHA}}, "no time"),
    ("version.metadata", "tell", {"metadata": {"trained": "2026-01-02"}}, "no hash"),
]


@pytest.mark.parametrize(("id", "op", "told", "message"), BROKEN)
def test_each_broken_promise_fails_its_own_check(id, op, told, message, subject):
    found = judged(subject, **{op: told})
    assert [check.id for check in found.values() if check.status == "fail"] == [id]
    assert message in found[id].message
    assert found[id].hint


def test_what_is_no_probability_may_be_a_regressions_answer(subject):
    told = {"models": ["X"], "trials": [trial(), silent(what="1.5")]}
    assert judged(subject, sabotage=told)["errors.wrong_answer"].status == "fail"
    contract = subject.contract.model_copy(update={"task": "regression"})
    regression = Subject(contract=contract, rows=subject.rows)
    assert judged(regression, sabotage=told)["errors.wrong_answer"].status == "pass"


def test_an_mlflow_flavour_has_no_place_to_time_calls_or_check_answers(subject):
    found = judged(subject, facts=RuntimeFacts(mlflow=True), track={"tracked": False})["latency.tracking"]
    assert (found.status, found.required) == ("skip", False)
    told = {"models": ["X"], "trials": [silent()]}
    found = judged(subject, facts=RuntimeFacts(mlflow=True), sabotage=told)["errors.wrong_answer"]
    assert (found.status, "PythonModel" in found.hint) == ("warn", True)


@pytest.mark.parametrize(
    "told", [None, [], {"growth": {"predict": "soon"}, "tracked": True}, {"tracked": {}}]
)
def test_a_worker_that_babbles_is_named(told, subject):
    found = judged(subject, track=told)["latency.tracking"]
    assert found.status == "error"
    assert "the wrapper worker sent a malformed answer" in found.message
