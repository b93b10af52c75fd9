"""A deployment for each rollout, found again by its key, with a status a stage."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.peers.github_api_server import GitHub
from validator.answers import Effects
from validator.cli.rollout_job import Deploying, Job, job_of, summarize
from validator.errors import UsageError
from validator.github.api import GitHubApi
from validator.github.deployments import Deployment, open_deployment, set_deployment_status
from validator.rollout.state import Rollout, ServedVersion


@pytest.fixture
def peer() -> Iterator[Any]:
    with GitHub() as one:  # type: ignore[no-untyped-call]
        yield one


class Time:
    """No test waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def effects(self) -> Effects:
        return Effects(clock=lambda: self.seconds, now=lambda: datetime.now(UTC), sleep=self.sleep)


def commit(peer: Any) -> str:
    return str(peer.s["refs"]["main"])


def rollout(state: str = "guard", share: int = 5, **changes: Any) -> Rollout:
    arm = {"digest": "sha256:0"}
    made = Rollout(
        schema_version=1, id="20261129T000000-ab12", model="trading", state="guard", share=5, stage_started=None,
        champion=ServedVersion(slot="blue", version="v1", **arm), planned_requests=300, strikes=0, seq=0, intent=None,
        candidate=ServedVersion(slot="green", version="v2", **arm), held_for="", resume=None, reason="why it ended",
        deadline_s=1.0, spent_s=0.0, last_step=0.0, seen=("b", 0.0), history=(),
    )  # fmt: skip
    return dataclasses.replace(made, state=state, share=share, **changes)


def job(peer: Any, token: str = "t") -> Job:
    return Job(
        environment="production", repository=peer.repo, sha=commit(peer), api_url=peer.url,
        run_url="https://github.com/o/r/actions/runs/7", token=token,
    )  # fmt: skip


def test_a_status_a_stage_and_one_deployment_a_rollout(peer: Any) -> None:
    log = io.StringIO()
    one = Deploying(job(peer), log, effects=Time().effects())
    way = (("planned", 0), ("guard", 5), ("guard", 5), ("guard", 25), ("held", 25), ("promoted", 100))
    for name, share in way:
        one.tell(rollout(name, share))
    (deployment,) = peer.deployments()
    statuses = peer.deployment_statuses(deployment["id"])
    assert [status["state"] for status in statuses] == [
        "queued",
        "in_progress",
        "in_progress",
        "pending",
        "success",
    ]
    assert statuses[1]["description"] == "guard-5: 5 % of the traffic"
    assert statuses[-1]["description"] == "promoted: why it ended"
    assert statuses[-1]["log_url"].endswith("/actions/runs/7")
    assert (deployment["environment"], deployment["task"], deployment["sha"]) == (
        "production",
        "rollout",
        commit(peer),
    )
    assert peer.problems == []
    assert log.getvalue() == ""
    # another job that waits for the same rollout finds it, and says nothing twice
    Deploying(job(peer), log, effects=Time().effects()).tell(rollout("promoted", 100))
    assert len(peer.deployments()) == 1
    assert len(peer.deployment_statuses(deployment["id"])) == 5
    Deploying(job(peer), log, effects=Time().effects()).tell(rollout("rolled_back", 0, id="another"))
    assert len(peer.deployments()) == 2


def test_what_github_cannot_be_told_now_is_told_later(peer: Any) -> None:
    peer.fault("server_error", method="POST", path=r"/deployments", times=50)
    log, time = io.StringIO(), Time()
    one = Deploying(job(peer), log, clock=lambda: time.seconds, effects=time.effects())
    one.tell(rollout())
    assert "the rollout goes on, but" in log.getvalue()
    calls = len(peer.calls)
    one.tell(rollout())
    assert len(peer.calls) == calls, "it is left alone for a while"
    peer.faults.clear()
    time.seconds += 61
    one.tell(rollout("guard", 25))
    (deployment,) = peer.deployments()
    assert [s["description"] for s in peer.deployment_statuses(deployment["id"])] == [
        "guard-25: 25 % of the traffic"
    ]


def test_a_token_that_may_not_is_told_and_changes_nothing(peer: Any) -> None:
    log = io.StringIO()
    Deploying(job(peer, token="read-only"), log, effects=Time().effects()).tell(rollout("promoted", 100))
    assert "deployments: write" in log.getvalue()
    assert peer.deployments() == []


def test_a_deployment_whose_reply_was_lost_is_not_made_twice(peer: Any) -> None:
    peer.fault("drop_after", method="POST", path=r"/deployments$", times=1)
    with GitHubApi(base_url=peer.url, token="t", user_agent="test", effects=Time().effects()) as api:
        found = open_deployment(
            api, peer.repo, sha=commit(peer), environment="e", task="rollout", key="k", description="d" * 500
        )
        set_deployment_status(api, peer.repo, found, state="in_progress", description="x" * 500)
    assert len(peer.deployments()) == 1
    assert len(peer.deployment_statuses(found.id)[0]["description"]) <= 140


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ({"model-preflight": "a"}, "a"),
        (json.dumps({"model-preflight": "a"}), "a"),
        ("", ""),
        ("[1]", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_only_ours_have_a_key(payload: Any, key: str) -> None:
    assert Deployment(id=1, payload=payload).key == key


ENVIRON = {
    "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "a" * 40, "GITHUB_TOKEN": "secret", "GITHUB_RUN_ID": "7",
    "GITHUB_API_URL": "https://ghe/api/v3", "GITHUB_SERVER_URL": "https://ghe",
}  # fmt: skip


def test_the_job_comes_from_the_environment_and_hides_its_token() -> None:
    found = job_of("production", ENVIRON)
    assert found.run_url == "https://ghe/o/r/actions/runs/7"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("environment", "change"),
    [
        ("", {}),
        ("a\nb", {}),
        ("p", {"GITHUB_TOKEN": " "}),
        ("p", {"GITHUB_SHA": "main"}),
        ("p", {"GITHUB_REPOSITORY": "../x/y"}),
    ],
)
def test_no_job_no_deployment(environment: str, change: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        job_of(environment, ENVIRON | change)


def test_the_summary_gets_the_log(tmp_path: Path) -> None:
    log, summary, markdown = io.StringIO(), tmp_path / "summary", tmp_path / "rollout.md"
    summarize(summary, markdown, log)
    assert "cannot be written" in log.getvalue()
    markdown.write_text("## Rollout\n")
    summarize(summary, markdown, log)
    assert summary.read_text() == "## Rollout\n\n"
