"""Whatever order writes land in, the newest run and the worst verdict stand."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from tests.integration.test_github_forks import run_event
from validator.github.outcome import Outcome


def shown(peer: Any, *, check_run: bool = False) -> str:
    if check_run:
        return str(peer.check_runs()[-1]["conclusion"])
    return str(peer.statuses(peer.s["refs"]["feature"])[-1]["state"])


@pytest.mark.parametrize("check_run", [False, True], ids=["status", "check run"])
@pytest.mark.parametrize("run_ids", [(10, 11), (5, 5)], ids=["an older run", "another job of the run"])
def test_green_that_lands_late_does_not_cover_red(make_job, peer, make_result, check_run, run_ids):
    """The green job has looked, and its write is under way, when red is set."""
    path = "/check-runs$" if check_run else "/statuses/"
    settings = {"comment": False, "status": not check_run, "check_run": check_run}
    peer.fault("slow", method="POST", path=path, seconds=1.0, times=1)
    late, red = (make_job(run_id=run_id) for run_id in run_ids)
    thread = threading.Thread(target=late.publish, args=(Outcome.judged([make_result()]),), kwargs=settings)
    thread.start()
    while not peer.made("POST", path):
        time.sleep(0.01)
    red.publish(Outcome.judged([make_result("fail", name="b")]), **settings)
    thread.join()
    assert shown(peer, check_run=check_run) == "failure"


def test_an_older_check_run_does_not_cover_a_newer(make_job, peer, make_result):
    settings = {"comment": False, "status": False, "check_run": True}
    make_job(run_id=8).publish(Outcome.judged([make_result("fail")]), **settings)
    make_job(run_id=7).publish(Outcome.judged([make_result()]), **settings)
    assert shown(peer, check_run=True) == "failure"
    make_job(run_id=8, run_attempt=2).publish(Outcome.judged([make_result()]), **settings)
    assert shown(peer, check_run=True) == "success"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_two_pull_requests_with_one_head(make_job, peer, make_result, order):
    """The first fails against its base. The commit has one status, and it names the pull request."""
    pull = peer.s["pulls"][0]
    peer.seed(
        {"pulls": [pull, {**pull, "number": 2, "base": "exp"}], "refs": {**peer.s["refs"], "exp": "e" * 40}}
    )
    for number in order:
        job = make_job(peer.event("pull-request-synchronize", number=number), run_id=4 + number)
        report = job.publish(Outcome.judged([make_result("fail" if number == 1 else "pass")]), comment=False)
        assert report.failed == ()
    last = peer.statuses(peer.s["refs"]["feature"])[-1]
    assert (last["state"], last["description"][:8]) == ("failure", "#1: fail")
    peer.seed({"pulls": [{**pull, "state": "closed"}, {**pull, "number": 2, "base": "exp"}]})
    again = make_job(peer.event("pull-request-synchronize", number=2), run_id=9)
    again.publish(Outcome.judged([make_result()]), comment=False)
    assert shown(peer) == "success"


def test_publishing_again_with_the_artifact_that_was_missing(
    make_job, peer, make_result, write_result, tmp_path
):
    event = run_event(peer, fork=False)
    make_job(event, name="workflow_run", run_id=99).publish_folder(tmp_path / "nothing")
    assert shown(peer) == "error"
    folder = write_result(tmp_path / "p", make_result())
    make_job(event, name="workflow_run", run_id=99, run_attempt=2).publish_folder(folder)
    assert shown(peer) == "success"
    assert "✅" in peer.comments(1)[0]["body"]


def test_which_of_two_pull_requests_a_forks_run_judged(make_job, peer, make_result, write_result, tmp_path):
    pull = {**peer.s["pulls"][0], "fork": True}
    refs = {**peer.s["refs"], "exp": "e" * 40}
    peer.seed({"pulls": [pull, {**pull, "number": 2, "base": "exp"}], "refs": refs})
    for number, verdict in ((1, "fail"), (2, "pass")):
        folder = write_result(tmp_path / str(number), make_result(verdict), run_id=4 + number, pull=number)
        make_job(run_event(peer, id=4 + number), name="workflow_run").publish_folder(folder)
    last = peer.statuses(peer.s["refs"]["feature"])[-1]
    assert (last["state"], last["description"][:8]) == ("failure", "#1: fail")
    assert ["❌" in peer.comments(number)[0]["body"] for number in (1, 2)] == [True, False]
    unsaid = write_result(tmp_path / "unsaid", make_result(), run_id=7, pull=3)
    make_job(run_event(peer, id=7), name="workflow_run").publish_folder(unsaid)
    assert shown(peer) != "success"


@pytest.mark.parametrize("settings", [{"instance_key": "b"}, {"status_context": "other"}])
def test_unchanged_since_another_status_says_nothing(
    make_job, peer, make_result, write_result, tmp_path, settings
):
    """The run looked for a red verdict under a name that the publishing one does not write to."""
    folder = write_result(tmp_path / "p", {}, unchanged=["churn"])
    job = make_job(run_event(peer, fork=False), name="workflow_run")
    report = job.publish_folder(folder, **settings)
    assert report.verdict == "error"
    (status,) = peer.statuses(peer.s["refs"]["feature"])
    assert (status["state"], "says nothing about" in status["description"]) == ("error", True)
    assert job.publish_folder(write_result(tmp_path / "q", make_result()), **settings).verdict == "pass"


def test_a_result_of_another_repository_is_refused(make_job, peer, make_result, write_result, tmp_path):
    folder = write_result(tmp_path / "p", make_result(), repository="octocat/models")
    assert (
        make_job(run_event(peer, fork=False), name="workflow_run").publish_folder(folder).verdict == "error"
    )


@pytest.mark.parametrize("first_seat", ["GitHub Actions 1", "GitHub Actions 2"])
def test_the_green_job_of_a_matrix_run_again_does_not_cover_the_red_one(
    make_job, peer, make_result, first_seat
):
    """Jobs with the same inputs: the action tells them apart by the matrix, whatever machine runs them."""

    def job(version: str, attempt: int, seat: str) -> Any:
        found = make_job(run_id=5, run_attempt=attempt)
        found.environ |= {"INPUT_MATRIX": f'{{"python": "{version}"}}', "RUNNER_NAME": seat}
        return found

    red, green = Outcome.judged([make_result("fail")]), Outcome.judged([make_result()])
    job("3.11", 1, "GitHub Actions 1").publish(red, comment=False)
    job("3.12", 1, "GitHub Actions 2").publish(green, comment=False)
    job("3.12", 2, first_seat).publish(green, comment=False)
    assert shown(peer) == "failure"
    job("3.11", 3, "GitHub Actions 9").publish(green, comment=False)
    assert shown(peer) == "success"


def test_jobs_that_nothing_tells_apart_are_replaced_by_all_of_them(make_job, peer, make_result):
    def job(attempt: int, seat: str) -> Any:
        found = make_job(run_id=5, run_attempt=attempt)
        found.environ |= {"RUNNER_NAME": seat}
        return found

    red, green = Outcome.judged([make_result("fail")]), Outcome.judged([make_result()])
    job(1, "a").publish(red, comment=False)
    job(1, "b").publish(green, comment=False)
    report = job(2, "c").publish(green, comment=False)
    assert shown(peer) == "failure"
    assert "instance-key" in next(step.detail for step in report.steps if step.name == "status")
    for seat in ("d", "e"):
        job(3, seat).publish(green, comment=False)
    assert shown(peer) == "success"


def test_a_green_workflow_does_not_cover_anothers_red(make_job, peer, make_result):
    """Two workflows of one pull request report under one name, each on a model of its own."""

    def job(name: str, run_id: int, **variables: Any) -> Any:
        return make_job(
            run_id=run_id,
            workflow_ref=f"{peer.repo}/.github/workflows/{name}.yml@refs/pull/1/merge",
            **variables,
        )

    red, green = Outcome.judged([make_result("fail")]), Outcome.judged([make_result()])
    job("a", 5).publish(red, comment=False)
    report = job("b", 6).publish(green, comment=False)
    assert shown(peer) == "failure"
    assert "another workflow" in next(step.detail for step in report.steps if step.name == "status")
    published = run_event(peer, fork=False, id=7, path=".github/workflows/a.yml")
    assert make_job(published, name="workflow_run", run_id=8).target.workflow == job("a", 9).target.workflow
    job("a", 9).publish(green, comment=False)
    assert shown(peer) == "success"
