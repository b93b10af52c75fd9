"""A finished result reaches GitHub: the comment, the status, the check run, the summary, the outputs."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from validator.errors import SampleError
from validator.github.marker import parse
from validator.github.outcome import Outcome


def latest(peer: Any, sha: str, context: str = "model-preflight") -> dict[str, Any]:
    found = [s for s in peer.statuses(sha) if s["context"] == context]
    return found[-1]


def test_a_pass_on_a_pull_request(make_job, peer, make_result):
    job = make_job()
    report = job.publish(Outcome.judged([make_result()]))
    assert report.failed == ()
    assert report.exit_code(require_publish=True) == 0
    head = peer.s["refs"]["feature"]
    status = latest(peer, head)
    assert status["state"] == "success"
    assert status["description"] == "pass: churn: 1 checks, parity proved"
    assert status["target_url"].startswith("https://github.com/octo/models/actions/runs/7/attempts/1")
    (comment,) = peer.comments(1)
    assert "churn" in comment["body"]
    marker = parse(comment["body"])
    assert marker is not None
    assert (marker.key, marker.run.head_sha, marker.run.run_id) == ("default", head, 7)
    assert job.outputs == {
        "verdict": "pass",
        "version": "v_20251105T093000Z_0a1b2c3d",
        "report-path": "preflight/report.md",
        "result-path": "preflight/result.json",
        "artifact-path": "",
        "parity": "proved",
        "speedup": "",
        "comment-url": comment["html_url"],
    }
    assert "churn" in job.summary
    assert peer.check_runs() == []
    assert "::" not in job.log.getvalue()


def test_a_fail_on_a_pull_request(make_job, peer, make_result):
    job = make_job()
    report = job.publish(Outcome.judged([make_result("fail")]), check_run=True)
    assert report.failed == ()
    assert report.exit_code(require_publish=False) == 1
    head = peer.s["refs"]["feature"]
    assert latest(peer, head)["state"] == "failure"
    assert latest(peer, head)["description"] == "fail: churn: No NaN, no Inf (onnx)"
    (run,) = peer.check_runs(head)
    assert run["conclusion"] == "failure"
    (annotation,) = peer.annotations[run["id"]]
    assert annotation["path"] == "models/churn.pkl"
    assert annotation["annotation_level"] == "failure"
    assert job.outputs["verdict"] == "fail"
    assert (
        "::error file=models/churn.pkl,title=churn%3A No NaN%2C no Inf [ONNX]::3 of 100 rows gave NaN, 0 are allowed"
        "%0Adeclare missing values or repair the model\n"
    ) in job.log.getvalue()


def test_two_runs_one_comment_and_the_second_stands(make_job, peer, make_result):
    make_job(run_id=7).publish(Outcome.judged([make_result("fail")]))
    first = peer.comments(1)[0]["id"]
    make_job(run_id=8).publish(Outcome.judged([make_result()]))
    (comment,) = peer.comments(1)
    assert comment["id"] == first
    assert parse(comment["body"]).run.run_id == 8
    assert latest(peer, peer.s["refs"]["feature"])["state"] == "success"


def test_a_second_attempt_replaces_the_first(make_job, peer, make_result):
    make_job().publish(Outcome.judged([make_result("fail")]))
    make_job(run_attempt=2).publish(Outcome.judged([make_result()]))
    (comment,) = peer.comments(1)
    assert "✅" in comment["body"]
    assert latest(peer, peer.s["refs"]["feature"])["state"] == "success"


def test_an_older_run_changes_nothing(make_job, peer, make_result):
    make_job(run_id=8).publish(Outcome.judged([make_result("fail")]))
    body = peer.comments(1)[0]["body"]
    report = make_job(run_id=7).publish(Outcome.judged([make_result()]))
    assert [c["body"] for c in peer.comments(1)] == [body]
    assert latest(peer, peer.s["refs"]["feature"])["state"] == "failure"
    assert {s.name for s in report.steps if s.state == "skipped"} >= {"status", "comment"}
    assert report.comment_url == peer.comments(1)[0]["html_url"]
    assert report.failed == ()


def test_a_rerun_of_an_older_run_on_the_same_commit_counts(make_job, peer, make_result):
    make_job(run_id=8).publish(Outcome.judged([make_result("fail")]))
    make_job(run_id=7, run_attempt=2).publish(Outcome.judged([make_result()]))
    assert "✅" in peer.comments(1)[0]["body"]


def test_green_does_not_cover_another_jobs_red(make_job, peer, make_result):
    make_job().publish(Outcome.judged([make_result("fail", name="a")]))
    report = make_job().publish(Outcome.judged([make_result("pass", name="b")]))
    assert latest(peer, peer.s["refs"]["feature"])["state"] == "failure"
    (step,) = [s for s in report.steps if s.name == "status"]
    assert "instance-key" in step.detail


def test_instances_have_their_own_comment_and_status(make_job, peer, make_result):
    make_job().publish(Outcome.judged([make_result("fail", name="a")]), instance_key="a-->x")
    make_job().publish(Outcome.judged([make_result("pass", name="b")]), instance_key="b")
    assert {parse(c["body"]).key for c in peer.comments(1)} == {"a-->x", "b"}
    head = peer.s["refs"]["feature"]
    assert latest(peer, head, "model-preflight (a-->x)")["state"] == "failure"
    assert latest(peer, head, "model-preflight (b)")["state"] == "success"


def test_the_comment_is_found_past_page_one_and_duplicates_go(make_job, peer, make_result):
    job = make_job()
    job.publish(Outcome.judged([make_result("fail")]))
    ours = peer.comments(1)[0]
    chatter = [{"user": "octocat", "body": f"c{i}"} for i in range(230)]
    peer.reset()
    peer.seed({"comments": {"1": [*chatter, {"body": ours["body"]}, {"body": "x"}, {"body": ours["body"]}]}})
    make_job(run_id=8).publish(Outcome.judged([make_result()]))
    found = [c for c in peer.comments(1) if parse(c["body"])]
    assert len(found) == 1
    assert parse(found[0]["body"]).run.run_id == 8
    assert len(peer.comments(1)) == 232


def test_a_strangers_comment_with_our_marker_is_left_alone(make_job, peer, make_result):
    forged = "<!-- model-preflight key=default sha=" + "0" * 40 + " run=999999 attempt=1 -->\n✅ all fine"
    peer.seed({"comments": {"1": [{"user": "mallory", "body": forged}]}})
    make_job().publish(Outcome.judged([make_result("fail")]))
    theirs, ours = peer.comments(1)
    assert theirs["body"] == forged
    assert "❌" in ours["body"]


def test_a_minimised_comment_is_not_reused(make_job, peer, make_result):
    make_job().publish(Outcome.judged([make_result("fail")]))
    peer.comments(1)[0]["minimized"] = {"reason": "outdated"}
    make_job(run_id=8).publish(Outcome.judged([make_result()]))
    assert [parse(c["body"]).run.run_id for c in peer.comments(1)] == [7, 8]


def test_a_personal_token_knows_its_own_comments(make_job, peer, make_result):
    for run_id in (7, 8):
        report = make_job(run_id=run_id).publish(
            Outcome.judged([make_result()]), github_token="ghp_abc", check_run=True
        )
    (comment,) = peer.comments(1)
    assert comment["user"]["login"] == "octocat"
    (failed,) = report.failed
    assert failed.name == "check run"
    assert "personal tokens" in failed.hint


@pytest.mark.parametrize("ids", [range(10, 20), [7] * 10], ids=["ten runs", "one run ten times"])
def test_ten_at_once_leave_one_comment(make_job, peer, make_result, ids):
    jobs = [make_job(run_id=run_id) for run_id in ids]
    for job in jobs:
        job.clock._ratio = 0.03
    barrier = threading.Barrier(len(jobs))

    def work(job: Any) -> None:
        barrier.wait()
        job.publish(Outcome.judged([make_result()]), status=False)

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (comment,) = peer.comments(1)
    assert parse(comment["body"]).run.run_id == max(ids)
    assert all(job.outputs["comment-url"] == comment["html_url"] for job in jobs)


def test_no_model_changed_is_green_and_quiet(make_job, peer):
    report = make_job().publish(Outcome.no_model_changed(["models/churn.pkl"]))
    assert report.exit_code(require_publish=True) == 0
    assert latest(peer, peer.s["refs"]["feature"])["description"] == "pass: no model changed"
    assert peer.comments(1) == []


def test_no_model_changed_brings_an_old_comment_up_to_date(make_job, peer, make_result):
    make_job().publish(Outcome.judged([make_result("fail")]))
    make_job(run_id=8).publish(Outcome.no_model_changed(["models/churn.pkl"]))
    (comment,) = peer.comments(1)
    assert "No model changed" in comment["body"]


def test_what_could_not_be_judged_blocks_and_says_why(make_job, peer):
    job = make_job()
    report = job.publish(Outcome.could_not_judge(SampleError("s.csv: no column `a|b`", hint="check --data")))
    assert report.exit_code(require_publish=False) == 2
    status = latest(peer, peer.s["refs"]["feature"])
    assert (status["state"], status["description"]) == ("error", "could not judge: s.csv: no column `a|b`")
    assert "check --data" in peer.comments(1)[0]["body"]
    assert "check --data" in job.summary
    assert job.outputs["verdict"] == "error"


def test_a_pass_that_its_checks_contradict_is_red(make_job, peer, make_result, make_check):
    lying = make_result("pass", checks=(make_check("fail"),))
    report = make_job().publish(Outcome.judged([lying]))
    assert report.verdict == "fail"
    assert latest(peer, peer.s["refs"]["feature"])["state"] == "failure"


def test_a_push_gets_a_status_and_no_comment(make_job, peer, make_result):
    job = make_job(peer.event("push"), name="push")
    report = job.publish(Outcome.judged([make_result()]))
    assert latest(peer, peer.s["refs"]["main"])["state"] == "success"
    assert peer.comments(1) == []
    assert report.failed == ()


def test_a_merge_group_gets_a_status_on_its_head(make_job, peer, make_result):
    head = "a" * 40
    peer.seed({"commits": [head]})
    job = make_job({"merge_group": {"head_sha": head, "base_sha": "b" * 40}}, name="merge_group")
    assert job.publish(Outcome.judged([make_result()])).failed == ()
    assert latest(peer, head)["state"] == "success"


@pytest.mark.parametrize("name", ["issue_comment", "release", ""])
def test_an_unknown_event_skips_what_has_no_place(make_job, peer, make_result, name):
    job = make_job(peer.event("issue-comment-created"), name=name)
    before = len(peer.comments(1))
    report = job.publish(Outcome.judged([make_result("fail")]))
    assert report.exit_code(require_publish=True) == 1
    assert report.failed == ()
    assert (len(peer.comments(1)), peer.statuses()) == (before, [])
    assert "churn" in job.summary


def test_an_enterprise_server(make_job, peer, make_result):
    job = make_job(api_url=peer.url + "/api/v3/", server_url="https://github.example.org")
    assert job.publish(Outcome.judged([make_result()]), check_run=True).failed == ()
    status = latest(peer, peer.s["refs"]["feature"])
    assert status["target_url"].startswith("https://github.example.org/octo/models/")
    assert len(peer.comments(1)) == 1


def test_many_annotations_go_fifty_a_request(make_job, peer, make_result, make_check):
    checks = tuple(make_check("fail", id=f"smoke.c{i}", title=f"Check {i}") for i in range(120))
    job = make_job()
    report = job.publish(Outcome.judged([make_result("fail", checks=checks)]), check_run=True)
    assert report.failed == ()
    (run,) = peer.check_runs()
    assert len(peer.annotations[run["id"]]) == 120
    log = job.log.getvalue()
    assert log.count("::error") == 8
    assert "113 more" in log


def test_a_report_over_the_limit_is_cut_and_says_so(make_job, peer, make_result, make_check):
    checks = tuple(
        make_check("fail", id=f"smoke.c{i}", title=f"Check {i}", message="long " * 500) for i in range(400)
    )
    job = make_job()
    report = job.publish(Outcome.judged([make_result("fail", checks=checks)]), check_run=True)
    assert report.failed == ()
    (comment,) = peer.comments(1)
    assert 1_000 < len(comment["body"]) <= 65_536
    assert "actions/runs/7" in comment["body"]
    assert len(job.summary.encode()) <= 1024 * 1024


def test_without_a_token_all_is_in_the_summary(make_job, peer, make_result):
    job = make_job()
    report = job.publish(Outcome.judged([make_result()]), github_token=None)
    assert {s.name for s in report.failed} == {"status", "comment"}
    assert report.exit_code(require_publish=False) == 0
    assert report.exit_code(require_publish=True) == 3
    assert "Not published" in job.summary
    assert "github-token" in job.summary
    assert peer.calls == []


def test_unwritable_runner_files_do_not_stop_the_rest(make_job, peer, make_result):
    job = make_job()
    job.environ["GITHUB_OUTPUT"] = job.environ["GITHUB_STEP_SUMMARY"] = str(job.folder / "none" / "file")
    report = job.publish(Outcome.judged([make_result("fail")]))
    assert {s.name for s in report.failed} == {"outputs", "summary"}
    assert len(peer.comments(1)) == 1
    assert report.exit_code(require_publish=True) == 1
