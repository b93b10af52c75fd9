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
