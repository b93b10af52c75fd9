"""What a pull request or push changes, asked of GitHub; not known is an answer, never an error."""

from __future__ import annotations

from typing import Any

import pytest

from validator.github.changed import WatchedModel, changed_files, touched
from validator.github.deciding import Names


def ask(job: Any) -> Any:
    with job.api() as api:
        return changed_files(api, job.target)


def test_all_pages_and_old_names(make_job, peer):
    files = [{"filename": f"f{i}", "status": "added"} for i in range(250)]
    moved = {"filename": "new.pkl", "previous_filename": "old.pkl", "status": "renamed"}
    peer.seed({"files": {"1": [*files, moved]}})
    found = ask(make_job())
    assert found.paths is not None
    assert found.paths >= {"f0", "f249", "new.pkl", "old.pkl"}
    watched = [WatchedModel(path=name, names=Names(files=frozenset({name}))) for name in ("old.pkl", "x")]
    assert [one.path for one in touched(watched, found)] == ["old.pkl"]


@pytest.mark.parametrize("kind", ["read_only", "not_found", "server_error", "garbage", "drop"])
def test_what_cannot_be_asked_is_not_known(make_job, peer, kind):
    peer.fault(kind, times=-1)
    found = ask(make_job())
    assert found.paths is None
    assert found.reason


def test_a_list_that_may_be_cut_is_not_known(make_job, peer, monkeypatch):
    monkeypatch.setattr("validator.github.changed.MOST_PULL_FILES", 150)
    peer.seed({"files": {"1": [{"filename": f"f{i}", "status": "added"} for i in range(320)]}})
    assert ask(make_job()).paths is None


def test_a_push_is_compared(make_job, peer):
    before, after = peer.s["refs"]["feature"], peer.s["refs"]["main"]
    for status, known in (("ahead", True), ("diverged", False), ("behind", False), ("identical", False)):
        peer.seed({"comparisons": {f"{before}...{after}": {"status": status, "files": []}}})
        event = peer.event("push", before=before)
        assert (ask(make_job(event, name="push")).paths is not None) == known, status


@pytest.mark.parametrize(
    "reply",
    [
        {"files": []},
        {"status": "ahead", "base_commit": {"sha": "e" * 40}, "total_commits": 0, "commits": [], "files": []},
        {"status": "ahead", "total_commits": 1, "commits": [{"sha": "e" * 40}], "files": []},
        {"status": "ahead", "total_commits": 0, "commits": []},
    ],
)
def test_a_comparison_of_other_commits_says_nothing(make_job, peer, reply):
    """And neither does one that lists no files, or of which it is not known how the two commits are related."""
    base = {"base_commit": {"sha": peer.s["refs"]["main"]}}
    peer.fault("not_found", path="/compare/", status=200, body=base | reply, times=-1)
    assert ask(make_job()).paths is None


def test_a_pull_request_that_has_moved_on_is_asked_about_its_judged_commit(make_job, peer):
    """Commit A was bad, and the pull request moves on to B before A's run asks."""
    event = peer.event("pull-request-synchronize")
    event["pull_request"]["head"]["sha"] = "a" * 40
    compared = f"{event['pull_request']['base']['sha']}...{'a' * 40}"
    bad = [{"filename": "bad.pkl", "status": "modified"}]
    peer.seed({"commits": ["a" * 40], "comparisons": {compared: {"files": bad}}, "files": {"1": []}})
    assert ask(make_job(event)).paths == {"bad.pkl"}
    many = [{"filename": f"f{i}", "status": "added"} for i in range(300)]
    peer.seed({"comparisons": {compared: {"files": many}}})
    assert "moved on" in ask(make_job(event)).reason


def test_a_long_list_is_the_pull_requests_own(make_job, peer):
    files = [{"filename": f"f{i}", "status": "added"} for i in range(2_999)]
    peer.seed({"files": {"1": files}})
    assert len(ask(make_job()).paths) == 2_999


def test_a_new_branch_and_a_manual_run_are_not_known(make_job, peer):
    assert ask(make_job(peer.event("push"), name="push")).paths is None
    assert ask(make_job(peer.event("workflow-dispatch"), name="workflow_dispatch")).paths is None
