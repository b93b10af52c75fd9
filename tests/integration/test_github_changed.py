"""What a pull request or push changes, asked of GitHub; not known is an answer, never an error."""

from __future__ import annotations

from typing import Any

import pytest

from validator.cli.github_job import GitHubJob
from validator.github.changed import WatchedModel, changed_files, touched
from validator.settings.table import Settings


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
    assert touched([WatchedModel(path="old.pkl"), WatchedModel(path="x")], found)[0].path == "old.pkl"


@pytest.mark.parametrize("kind", ["read_only", "not_found", "server_error", "garbage", "drop"])
def test_what_cannot_be_asked_is_not_known(make_job, peer, kind):
    peer.fault(kind, times=-1)
    found = ask(make_job())
    assert found.paths is None
    assert found.reason


def test_a_list_that_may_be_cut_is_not_known(make_job, peer, monkeypatch):
    monkeypatch.setattr("validator.github.changed.MOST_PULL_FILES", 150)
    peer.seed({"files": {"1": [{"filename": f"f{i}", "status": "added"} for i in range(150)]}})
    assert ask(make_job()).paths is None


def test_a_push_is_compared(make_job, peer):
    event = peer.event("push", before=peer.s["refs"]["feature"])
    assert ask(make_job(event, name="push")).paths is not None


def test_a_new_branch_and_a_manual_run_are_not_known(make_job, peer):
    assert ask(make_job(peer.event("push"), name="push")).paths is None
    assert ask(make_job(peer.event("workflow-dispatch"), name="workflow_dispatch")).paths is None


@pytest.mark.parametrize(("changed", "judged"), [("m.pkl", ["strict", "lenient"]), ("other.py", [])])
def test_one_file_under_two_entries_is_judged_by_both(make_job, peer, changed, judged):
    """Entries of `[[models]]` that differ in limits alone: neither may stand for the other."""
    peer.seed({"files": {"1": [{"filename": changed, "status": "modified"}]}})
    around = make_job()
    settings = Settings(only_changed=True, github_token="t", model=("m.pkl",))
    entries = [
        settings.model_copy(update={"name": "strict", "max_latency_ms": 1.0}),
        settings.model_copy(update={"name": "lenient", "max_latency_ms": 1000.0}),
    ]
    job = GitHubJob(settings=settings, environ=around.environ, log=around.log, target=around.target)
    assert [one.name for one in job.to_judge(entries)] == judged
