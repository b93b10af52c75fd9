"""The two-workflow pattern: a folder that a fork's run has made is published, and believed as far as is right."""

from __future__ import annotations

import os
from typing import Any

import pytest

from validator.github.marker import parse

HEAD = "4b7615dce52c4c05ce4e1d374e9c61a13717ac7c"


@pytest.fixture
def fork(peer: Any) -> Any:
    """Pull request 1 comes from octocat/models and touches a model only."""
    peer.seed(
        {
            "pulls": [{**peer.s["pulls"][0], "fork": True}],
            "files": {"1": [{"filename": "models/churn.pkl", "status": "modified"}]},
        }
    )
    return peer


def run_event(peer: Any, *, fork: bool = True, **changes: Any) -> dict[str, Any]:
    run = {
        "id": 5,
        "run_attempt": 1,
        "event": "pull_request",
        "head_sha": peer.s["refs"]["feature"],
        "head_branch": "feature",
        "head_repository": {"full_name": "octocat/models" if fork else peer.repo},
        "conclusion": "success",
        "path": ".github/workflows/validate.yml",
        "pull_requests": [],
    }
    return {"action": "completed", "workflow_run": run | changes}


def the_status(peer: Any) -> dict[str, Any]:
    (status,) = peer.statuses(peer.s["refs"]["feature"])
    return status


def test_a_forks_pass_is_green_and_says_where_it_came_from(
    make_job, fork, make_result, write_result, tmp_path
):
    folder = write_result(tmp_path / "preflight", make_result())
    job = make_job(run_event(fork), name="workflow_run", run_id=99)
    report = job.publish_folder(folder)
    assert report.failed == ()
    assert report.exit_code(require_publish=True) == 0
    status = the_status(fork)
    assert status["state"] == "success"
    assert status["description"] == "pass: churn: 1 checks, parity proved (fork octocat/models, run 5)"
    assert "/actions/runs/5/attempts/1" in status["target_url"]
    (comment,) = fork.comments(1)
    assert (
        "fork's own run [5](https://github.com/octo/models/actions/runs/5/attempts/1) of `octocat/models`"
        in (comment["body"])
    )
    assert "forged" not in comment["body"]
    assert parse(comment["body"]).run.run_id == 5


def test_a_forks_fail_is_red(make_job, fork, make_result, write_result, tmp_path):
    folder = write_result(tmp_path / "preflight", make_result("fail"))
    report = make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert report.exit_code(require_publish=True) == 1
    assert the_status(fork)["state"] == "failure"


@pytest.mark.parametrize(
    ("files", "event", "why"),
    [
        ([".github/workflows/validate.yml"], {}, "changes `.github/workflows/validate.yml`"),
        (["models/preflight.toml"], {}, "changes `models/preflight.toml`"),
        (["pyproject.toml"], {}, "changes `pyproject.toml`"),
        ([], {"conclusion": "failure"}, "the run ended as failure"),
        ([], {"conclusion": None}, "the run ended as unknown"),
        ([], {"head_branch": "other", "head_sha": "a" * 40}, "no open pull request"),
        ([], {"head_repository": None}, "no open pull request"),
    ],
)
def test_a_forks_pass_that_cannot_be_believed_is_not_green(
    make_job, fork, make_result, write_result, tmp_path, files, event, why
):
    listed = [{"filename": name, "status": "modified"} for name in ["models/churn.pkl", *files]]
    fork.seed({"files": {"1": listed}, "commits": ["a" * 40]})
    head = event.get("head_sha", fork.s["refs"]["feature"])
    folder = write_result(tmp_path / "preflight", make_result(), head_sha=head)
    job = make_job(run_event(fork, **event), name="workflow_run")
    report = job.publish_folder(folder)
    assert report.exit_code(require_publish=False) == 2
    statuses = fork.statuses()
    assert [s["state"] for s in statuses] == ["error"]
    assert statuses[0]["description"].startswith("not accepted: ")
    assert why in job.log.getvalue()
    assert job.outputs["verdict"] == "error"


def test_a_renamed_workflow_counts_by_its_old_name(make_job, fork, make_result, write_result, tmp_path):
    moved = {"filename": "x.yml", "previous_filename": ".github/workflows/validate.yml", "status": "renamed"}
    fork.seed({"files": {"1": [moved]}})
    folder = write_result(tmp_path / "preflight", make_result())
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "error"


@pytest.mark.parametrize("path", ["/compare/", "/pulls/1$", "/pulls$"])
@pytest.mark.parametrize("kind", ["read_only", "server_error", "not_found", "garbage"])
def test_what_github_does_not_confirm_is_not_green(
    make_job, fork, make_result, write_result, tmp_path, path, kind
):
    fork.fault(kind, method="GET", path=path, times=-1)
    folder = write_result(tmp_path / "preflight", make_result())
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "error"


def test_a_list_of_files_that_may_be_cut_is_not_believed(make_job, fork, make_result, write_result, tmp_path):
    fork.seed({"files": {"1": [{"filename": f"f{i}", "status": "added"} for i in range(3_001)]}})
    folder = write_result(tmp_path / "preflight", make_result())
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "error"


def test_a_commit_that_was_replaced_meanwhile(make_job, fork, make_result, write_result, tmp_path):
    """The branch moves on: the status stays on the judged commit, the newer commit's comment is left alone."""
    fork.seed({"commits": ["a" * 40]})
    folder = write_result(tmp_path / "preflight", make_result("fail"), head_sha="a" * 40)
    report = make_job(run_event(fork, head_sha="a" * 40), name="workflow_run").publish_folder(folder)
    assert report.failed == ()
    assert [s["state"] for s in fork.statuses("a" * 40)] == ["failure"]
    assert fork.comments(1) == []


@pytest.mark.parametrize("conclusion", ["failure", "startup_failure", None])
def test_a_pass_of_our_own_run_that_did_not_end_in_success_is_not_green(
    make_job, peer, make_result, write_result, tmp_path, conclusion
):
    """What was uploaded may be a folder that somebody committed: the run itself judged nothing."""
    folder = write_result(tmp_path / "preflight", make_result())
    job = make_job(run_event(peer, fork=False, conclusion=conclusion), name="workflow_run")
    assert job.publish_folder(folder).exit_code(require_publish=False) == 2
    status = the_status(peer)
    assert status["state"] == "error"
    assert f"run 5 ended as {conclusion or 'unknown'}; mend" in status["description"]
    assert "A pass is not accepted" in peer.comments(1)[0]["body"]


def test_a_fail_of_our_own_run_needs_no_notice(make_job, peer, make_result, write_result, tmp_path):
    folder = write_result(tmp_path / "preflight", make_result("fail"))
    make_job(run_event(peer, fork=False, conclusion="failure"), name="workflow_run").publish_folder(folder)
    assert the_status(peer)["state"] == "failure"
    assert "not accepted" not in peer.comments(1)[0]["body"]


def test_dependabots_pass_is_ours(make_job, peer, make_result, write_result, tmp_path):
    folder = write_result(tmp_path / "preflight", make_result())
    job = make_job(run_event(peer, fork=False), name="workflow_run", actor="dependabot[bot]")
    assert job.publish_folder(folder).failed == ()
    assert the_status(peer)["state"] == "success"
    assert the_status(peer)["description"].startswith("pass: churn")
    assert len(peer.comments(1)) == 1


def test_pull_request_target_publishes_red_and_never_green_for_a_fork(
    make_job, fork, make_result, write_result, tmp_path
):
    job = make_job(name="pull_request_target", run_id=5)
    assert job.target.why_not_load
    job.publish_folder(write_result(tmp_path / "a", make_result()))
    assert the_status(fork)["state"] == "error"


@pytest.mark.parametrize(
    ("event", "files", "state", "words"),
    [
        ({}, ["README.md"], "success", "pass: no model changed (fork octocat/models, run 5)"),
        ({"conclusion": "failure"}, ["README.md"], "error", "the run ended as failure"),
        ({}, [".github/workflows/validate.yml"], "error", "changes `.github/workflows/validate.yml`"),
        ({}, ["models/churn.pkl"], "error", "changes `models/churn.pkl`, and churn was not judged"),
        ({}, ["models"], "error", "changes `models`, and churn was not judged"),
    ],
)
def test_a_forks_word_that_no_model_changed_is_believed_as_a_pass_is(
    make_job, fork, write_result, tmp_path, event, files, state, words
):
    """With `only-changed` the first workflow has no result to upload, and the required status must arrive."""
    fork.seed({"files": {"1": [{"filename": name, "status": "modified"} for name in files]}})
    folder = write_result(tmp_path / "preflight", {}, unchanged=["churn"])
    make_job(run_event(fork, **event), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == state
    assert words in the_status(fork)["description"]
    assert fork.comments(1) == []


def test_a_result_outweighs_the_word_that_nothing_changed(
    make_job, fork, make_result, write_result, tmp_path
):
    folder = write_result(tmp_path / "p", {"a": make_result("fail", name="a")}, unchanged=["churn"])
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "failure"


def test_a_model_that_the_run_did_not_judge_is_no_pass(make_job, peer, make_result, write_result, tmp_path):
    """The step went on after its failure, so that the run ended in success."""
    folder = write_result(tmp_path / "p", {"a": make_result(name="a")}, unjudged=["gone"])
    report = make_job(run_event(peer, fork=False), name="workflow_run").publish_folder(folder)
    assert report.verdict == "error"
    assert the_status(peer)["state"] == "error"
    assert the_status(peer)["description"].startswith("could not judge: gone: it was not judged")
    assert "`a`" in peer.comments(1)[0]["body"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run_id": 4}, "is of run 4, attempt 1, not of run 5"),
        ({"run_id": 0}, "is of no run on GitHub"),
        ({"run_attempt": 2}, "not of run 5, attempt 1"),
        ({"head_sha": "b" * 40}, "is of another commit"),
        ({"models": ()}, "names no model and no error"),
    ],
)
def test_the_index_of_another_run_is_refused(
    make_job, fork, make_result, write_result, tmp_path, changes, words
):
    """A folder that lies in the repository, or that another run has uploaded, says nothing about this commit."""
    folder = write_result(tmp_path / "p", make_result(), **changes)
    job = make_job(run_event(fork), name="workflow_run")
    assert job.publish_folder(folder).verdict == "error"
    assert the_status(fork)["state"] == "error"
    assert words in fork.comments(1)[0]["body"].replace("\\", "")


@pytest.mark.parametrize(
    ("index", "files", "words"),
    [
        ({"rules": ("ci/gate.toml",)}, ["ci/gate.toml"], "changes `ci/gate.toml`"),
        ({"rules": ("conf/gate.toml",)}, ["conf"], "changes `conf`"),
        ({"doubt": "no Git repository"}, ["models/churn.pkl"], "it is not known which configuration"),
    ],
)
def test_a_fork_that_changes_the_configuration_in_force_is_not_believed(
    make_job, fork, make_result, write_result, tmp_path, index, files, words
):
    fork.seed({"files": {"1": [{"filename": name, "status": "modified"} for name in files]}})
    folder = write_result(tmp_path / "p", make_result(), **index)
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "error"
    assert words in the_status(fork)["description"]


def test_a_forged_result_beside_the_runs_own_is_refused_by_name(
    make_job, fork, make_result, write_result, tmp_path
):
    folder = write_result(tmp_path / "p", make_result())
    (folder / "evil").mkdir()
    (folder / "evil" / "result.json").write_text(" " * 300 + make_result().model_dump_json())
    make_job(run_event(fork), name="workflow_run").publish_folder(folder)
    assert the_status(fork)["state"] == "error"
    assert "evil is not among what" in the_status(fork)["description"]


def test_a_long_fork_name_leaves_room_for_the_reason(make_job, fork, make_result, write_result, tmp_path):
    name = "o" * 39 + "/" + "r" * 100
    event = run_event(fork, head_repository={"full_name": name}, conclusion="failure")
    folder = write_result(tmp_path / "p", make_result())
    make_job(event, name="workflow_run").publish_folder(folder)
    description = the_status(fork)["description"]
    assert description.startswith("not accepted: the run ended as failure (fork ooo")
    assert "run 5)" in description
    assert len(description) <= 140


def test_several_results_in_one_folder(make_job, peer, make_result, write_result, tmp_path):
    folder = write_result(tmp_path / "p", {"a": make_result(name="a"), "b": make_result("fail", name="b")})
    report = make_job(run_event(peer, fork=False), name="workflow_run").publish_folder(folder)
    assert report.verdict == "fail"
    assert the_status(peer)["description"].startswith("fail: 1 of 2 models: b: No NaN")
    (comment,) = peer.comments(1)
    assert "models/a.pkl" in comment["body"] or "`a`" in comment["body"]


@pytest.mark.parametrize("kind", ["missing", "empty", "symlink", "not json", "pipe"])
def test_a_folder_that_is_refused_blocks_and_says_why(make_job, fork, kind, tmp_path):
    folder = tmp_path / "preflight"
    secret = tmp_path / "secret"
    secret.write_text("the-secret")
    if kind != "missing":
        folder.mkdir()
    if kind == "symlink":
        (folder / "result.json").symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(folder / "result.json")
    elif kind == "not json":
        (folder / "result.json").write_text("::error::x\n" * 100)
    job = make_job(run_event(fork), name="workflow_run")
    report = job.publish_folder(folder)
    assert report.exit_code(require_publish=False) == 2
    assert (job.outputs["result-path"], job.outputs["report-path"]) == ("", "")
    assert the_status(fork)["state"] == "error"
    (comment,) = fork.comments(1)
    assert "Could not judge" in comment["body"]
    assert "the-secret" not in comment["body"] + job.log.getvalue()
