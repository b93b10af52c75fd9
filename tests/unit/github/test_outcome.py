from __future__ import annotations

from typing import Any

import pytest

from validator.errors import SampleError
from validator.github.event import Target
from validator.github.hostile import UploadedRun
from validator.github.outcome import Outcome
from validator.github.publication import PublishReport, Step
from validator.github.trust import origin_of_fork
from validator.results import IndexedModel, RunIndex

ERROR = SampleError("s.csv: no column `a`", hint="check --data")


def fork(**changes: Any) -> Target:
    fields: dict[str, Any] = {
        "kind": "workflow_run",
        "event_name": "workflow_run",
        "repository": "octo/models",
        "api_url": "https://api.github.com",
        "server_url": "https://github.com",
        "run_id": 5,
        "run_attempt": 1,
        "head_sha": "a" * 40,
        "head_repository": "mallory/models",
        "fork": True,
    }
    return Target(**fields | changes)


def body(outcome: Outcome, **limits: int) -> str:
    return outcome.body(tool_version="0.1.0", url="https://github.com/octo/models/actions/runs/5", **limits)


def test_verdict_and_state(make_result: Any):
    assert (Outcome.judged([make_result()]).verdict, Outcome.judged([make_result()]).state) == (
        "pass",
        "success",
    )
    assert Outcome.judged([make_result(), make_result("fail")]).state == "failure"
    assert Outcome.judged([]).verdict == "fail"
    assert Outcome.no_model_changed(["m"]).state == "success"
    assert Outcome.could_not_judge(ERROR).state == "error"


def test_an_error_beside_results_is_never_green_and_red_stays_red(make_result: Any):
    beside_pass = Outcome.could_not_judge(ERROR, [make_result()])
    beside_fail = Outcome.could_not_judge(ERROR, [make_result("fail")])
    assert (beside_pass.state, beside_fail.state) == ("error", "failure")
    assert beside_pass.line.startswith("could not judge")
    assert beside_fail.line.startswith("fail: churn")
    for outcome in (beside_pass, beside_fail):
        text = body(outcome, limit_chars=5_000)
        assert "Could not judge" in text
        assert "churn" in text
        assert len(text) <= 5_000


def test_an_uploaded_pass_is_nothing_until_its_origin_is_known(make_result: Any):
    uploaded = Outcome(results=(make_result(),), uploaded=True)
    assert uploaded.verdict == "error"
    assert Outcome(results=(make_result("fail"),), uploaded=True).verdict == "fail"
    believed = uploaded.from_origin(origin_of_fork(fork(), None))
    assert believed.state == "success"
    assert believed.line.startswith("pass: churn")
    assert believed.line.endswith(" (fork mallory/models, run 5)")
    assert (believed.kind, uploaded.kind) == ("verdict", "unaccepted")
    doubted = uploaded.from_origin(origin_of_fork(fork(), "the run ended as failure"))
    assert doubted.state == "error"
    assert doubted.line == (
        "not accepted: the run ended as failure (fork mallory/models, run 5); "
        "a maintainer can judge it: push this commit to a branch of this repository"
    )


def test_the_notice_counts_towards_the_limit_and_is_escaped(make_result: Any):
    origin = origin_of_fork(fork(), "the pull request changes `<script>|@octocat`")
    outcome = Outcome(results=(make_result("fail"),), origin=origin)
    text = body(outcome, limit_chars=2_000, limit_bytes=2_000)
    assert text.startswith("> [!WARNING]\n")
    assert "`<script>¦@octocat`" in text
    assert len(text.encode()) <= 2_000


def test_a_deleted_fork_has_no_name():
    assert "a deleted fork" in origin_of_fork(fork(head_repository=None), "why").label


@pytest.mark.parametrize(
    ("verdict", "failed", "required", "code"),
    [
        ("pass", False, True, 0),
        ("pass", True, False, 0),
        ("pass", True, True, 3),
        ("fail", True, True, 1),
        ("fail", False, False, 1),
        ("error", True, True, 2),
    ],
)
def test_publishing_moves_no_verdict(verdict: Any, failed: bool, required: bool, code: int):
    step = Step(name="status", state="failed" if failed else "done")
    assert PublishReport(verdict=verdict, steps=(step,)).exit_code(require_publish=required) == code


def test_a_long_name_leaves_room_for_the_reason_that_a_model_was_not_judged():
    index = RunIndex(
        tool_version="0.1.0",
        models=(
            IndexedModel(name="m" * 900, path="m.pkl", folder=".", status="unjudged", reason="no sample"),
        ),
    )
    assert "no sample" in Outcome.of_run(UploadedRun(index=index, results=())).line[:140]
