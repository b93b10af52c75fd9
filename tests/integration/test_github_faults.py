"""Whatever GitHub does, the verdict stays what it is, red stays red, and the summary tells what was not published."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest

from tests.integration.conftest import FastClock
from validator.answers import Effects
from validator.github.marker import parse
from validator.github.outcome import Outcome

TRANSIENT = [
    "secondary_limit",
    "secondary_limit_403",
    "primary_limit",
    "abuse_422",
    "server_error",
    "bad_gateway",
    "unavailable",
    "drop",
    "drop_after",
    "truncate",
    "garbage",
]
FINAL = ["read_only", "bad_credentials", "not_found", "gone", "conflict", "validation"]


def times_within_the_deadline(kind: str) -> int:
    """A limit that does not say how long it lasts is waited for a minute, then two: only one fits."""
    return 1 if kind == "abuse_422" else 2


def states(peer: Any) -> list[str]:
    return [s["state"] for s in peer.statuses(peer.s["refs"]["feature"])]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_passing_fault_leaves_no_trace(make_job, peer, make_result, kind, method):
    """A run that has a comment to update and a duplicate to delete meets each fault once per kind of request."""
    make_job(run_id=5).publish(Outcome.judged([make_result("fail")]), status=False)
    body = peer.comments(1)[0]["body"]
    peer.seed({"comments": {"1": [{"body": body}]}})
    peer.fault(kind, method=method, times=times_within_the_deadline(kind))
    job = make_job(run_id=7)
    report = job.publish(Outcome.judged([make_result("fail")]), check_run=True)
    assert report.failed == ()
    (comment,) = peer.comments(1)
    assert parse(comment["body"]).run.run_id == 7
    assert states(peer) == ["failure"]
    assert [r["conclusion"] for r in peer.check_runs()] == ["failure"]
    assert "Not published" not in job.summary
    assert peer.made(method)


@pytest.mark.parametrize("kind", TRANSIENT)
def test_a_fault_on_the_first_comment_makes_no_second(make_job, peer, make_result, kind):
    peer.fault(kind, method="POST", path="/comments$", times=times_within_the_deadline(kind))
    report = make_job().publish(Outcome.judged([make_result()]))
    assert report.failed == ()
    assert len(peer.comments(1)) == 1


def test_what_ends_the_run_in_3_is_an_error_and_no_mere_warning(make_job, peer, make_result):
    peer.fault("read_only", times=-1)
    for verdict, level in (("pass", "error"), ("fail", "warning")):
        job = make_job()
        job.publish(Outcome.judged([make_result(verdict)]), require_publish=True)
        (line,) = [line for line in job.log.getvalue().splitlines() if "Not published" in line]
        assert line.startswith(f"::{level} ")
        assert ("exit code 3" in line) is (verdict == "pass")
        assert "{ contents: read, pull-requests: write, statuses: write }" in line or "workflow_run" in line


@pytest.mark.parametrize("verdict", ["pass", "fail"])
@pytest.mark.parametrize("kind", [*TRANSIENT, *FINAL])
def test_a_lasting_fault_never_moves_the_verdict(make_job, peer, make_result, kind, verdict):
    peer.fault(kind, times=-1)
    job = make_job()
    report = job.publish(Outcome.judged([make_result(verdict)]), check_run=True)
    assert report.verdict == verdict
    assert report.exit_code(require_publish=False) == (0 if verdict == "pass" else 1)
    assert report.exit_code(require_publish=True) == (3 if verdict == "pass" else 1)
    assert {s.name for s in report.failed} == {"status", "comment", "check run"}
    assert job.outputs["verdict"] == verdict
    assert "churn" in job.summary
    assert "Not published" in job.summary
    assert job.log.getvalue().count("::warning title=Not published%3A status%2C comment%2C check run") == 1
    assert "success" not in states(peer) or verdict == "pass"
    assert sum(job.clock.slept) < 125


@pytest.mark.parametrize("kind", FINAL)
def test_a_final_refusal_is_asked_once(make_job, peer, make_result, kind):
    peer.fault(kind, method="POST", path="/statuses/", times=-1)
    report = make_job().publish(Outcome.judged([make_result()]), comment=False)
    assert len(peer.made("POST", "/statuses/")) == 1
    (step,) = report.failed
    assert step.name == "status"


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("read-only", "could not set the commit status: GitHub said 403", "statuses: write"),
        ("bad", "could not read the commit's statuses: GitHub said 401", "the token is invalid"),
    ],
)
def test_a_refused_token_names_what_is_missing(make_job, peer, make_result, token, status, words):
    job = make_job()
    report = job.publish(Outcome.judged([make_result()]), github_token=token, check_run=True)
    by_name = {step.name: step for step in report.failed}
    assert by_name["status"].detail.startswith(status)
    assert words in by_name["status"].hint
    if token == "read-only":
        assert "pull-requests: write" in by_name["comment"].hint
        assert "checks: write" in by_name["check run"].hint
        assert "pull-requests: write" in job.summary
    assert peer.comments(1) == []


def test_each_missing_permission_fails_its_own_step_only(make_job, peer, make_result):
    peer.seed({"tokens": {"t": {"pull_requests": "write", "contents": "read"}}})
    report = make_job().publish(Outcome.judged([make_result("fail")]), github_token="t", check_run=True)
    assert {s.name for s in report.failed} == {"status", "check run"}
    assert len(peer.comments(1)) == 1
    peer.reset()
    peer.seed({"tokens": {"t": {"statuses": "write"}}})
    report = make_job().publish(Outcome.judged([make_result("fail")]), github_token="t")
    (failed,) = report.failed
    assert failed.name == "comment"
    assert "pull-requests: read" in failed.hint
    assert states(peer) == ["failure"]


def test_a_fork_is_told_of_the_second_workflow(make_job, peer, make_result):
    peer.seed({"pulls": [{**peer.s["pulls"][0], "fork": True}]})
    report = make_job().publish(Outcome.judged([make_result("fail")]), github_token="read-only")
    assert all("workflow_run" in step.hint for step in report.failed)


def test_a_locked_conversation(make_job, peer, make_result):
    peer.seed({"pulls": [{**peer.s["pulls"][0], "locked": True}]})
    (step,) = make_job().publish(Outcome.judged([make_result()])).failed
    assert "locked" in step.hint


def test_red_is_set_although_the_present_status_cannot_be_read_green_is_not(make_job, peer, make_result):
    for verdict, expected in (("fail", ["failure"]), ("pass", [])):
        peer.reset()
        peer.fault("read_only", method="GET", path="/statuses$", times=-1)
        make_job().publish(Outcome.judged([make_result(verdict)]), comment=False)
        assert states(peer) == expected


def test_waits_are_honoured(make_job, peer, make_result):
    peer.fault("secondary_limit", method="POST", path="/statuses/", retry_after=33)
    job = make_job()
    assert job.publish(Outcome.judged([make_result()]), comment=False).failed == ()
    assert 33 in job.clock.slept


def test_a_wait_past_the_deadline_is_not_begun(make_job, peer, make_result):
    peer.fault("secondary_limit", method="POST", path="/statuses/", retry_after=3_600)
    job = make_job()
    (step,) = job.publish(Outcome.judged([make_result()]), comment=False).failed
    assert "rate limit" in step.detail
    assert sum(job.clock.slept) < 10


class Scripted(FastClock, httpx.HTTPTransport):
    """Also the transport, which notes when each write is sent."""

    def __init__(self) -> None:
        FastClock.__init__(self)
        httpx.HTTPTransport.__init__(self)
        self.writes: list[float] = []

    def clock(self) -> float:
        return self._offset

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.writes.append(self._offset)
        return super().handle_request(request)

    @property
    def effects(self) -> Effects:
        return Effects(transport=self, clock=self.clock, now=self.now, sleep=self.sleep)


def test_writes_are_a_second_apart(make_job, peer, make_result):
    """By a clock that nothing but waiting moves."""
    job = make_job()
    job.clock = Scripted()
    job.publish(Outcome.judged([make_result()]), check_run=True)
    assert len(job.clock.writes) == 3
    assert all(b - a >= 1 for a, b in itertools.pairwise(job.clock.writes))


def test_a_slow_reply_is_waited_for(make_job, peer, make_result):
    peer.fault("slow", method="POST", seconds=0.5, times=2)
    assert make_job().publish(Outcome.judged([make_result()])).failed == ()
    assert len(peer.comments(1)) == 1


class OverdueServer(Scripted):
    """Nothing comes from it: each request takes all the time that it is given, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.patience: list[float] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        seconds = request.extensions["timeout"]["read"]
        self.patience.append(seconds)
        self._offset += seconds
        raise httpx.ReadTimeout("no answer", request=request)


def test_a_server_that_never_answers_ends_at_the_deadline(make_job, peer, make_result):
    job = make_job()
    job.deadline_seconds = 1.0
    job.clock = OverdueServer()
    report = job.publish(Outcome.judged([make_result("fail")]))
    assert {step.name for step in report.failed} == {"status", "comment"}
    assert 1 <= len(job.clock.patience) <= 3
    assert all(0 < seconds <= 1 for seconds in job.clock.patience)
    assert job.clock.clock() <= 1 + 0.1 * len(job.clock.patience)
    assert report.exit_code(require_publish=True) == 1


def test_nobody_listens(make_job, peer, make_result):
    job = make_job(api_url="http://127.0.0.1:9")
    report = job.publish(Outcome.judged([make_result("fail")]))
    assert {s.name for s in report.failed} == {"status", "comment"}
    assert "ConnectError" in job.summary


@pytest.mark.parametrize("kind", [*TRANSIENT, *FINAL])
def test_the_token_appears_nowhere(make_job, peer, make_result, kind, capfd):
    secret = "t0ken-of-the-test"
    peer.fault(kind, times=-1, **({"message": f"bad {secret}"} if kind in FINAL else {}))
    job = make_job()
    report = job.publish(Outcome.judged([make_result()]))
    shown = job.summary + job.log.getvalue() + repr(report) + str(capfd.readouterr()) + str(job.outputs)
    assert secret not in shown


def test_the_api_may_not_send_us_elsewhere(make_job, peer, make_result):
    peer.fault(
        "not_found", method="GET", times=-1, status=302, headers={"Location": "http://127.0.0.2:1/steal"}
    )
    job = make_job()
    report = job.publish(Outcome.judged([make_result("fail")]))
    assert "another server" in job.summary
    assert report.verdict == "fail"
