"""The action, started from its image as GitHub's runner does, against a local GitHub API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.container.conftest import PEERS, ROOT, Container

Fetch = Callable[[str], bytes]
EVENT = "/_fake/event/pull-request-synchronize?number=1"


def run_action(
    container: Container, api: Fetch, workspace: Path, folder: Path, **inputs: str
) -> dict[str, Any]:
    """One step of a job on a pull request: what the runner saw of it."""
    runner = PEERS / "run_as_action.py"
    event, result = folder / "event.json", folder / "step.json"
    event.write_bytes(api(EVENT))
    given = {
        "model": "trading/model.pkl",
        "data": "trading/sample.parquet",
        "latency-budget-s": "1",
        **inputs,
    }
    arguments = [f"--with={name.replace('_', '-')}={value}" for name, value in given.items()]
    subprocess.run(
        [sys.executable, runner, ROOT, "--image", container.image, "--event", event, "--workspace", workspace,
         "--api-url", api("").decode(), "--json", result, "--secret=github-token=t0ken", *arguments],
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def posted(api: Fetch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The comments and statuses that the API holds; nobody has sent it anything that GitHub would refuse."""
    assert json.loads(api("/_fake/problems")) == []
    state = json.loads(api("/_fake/state"))
    comments = [item for item in state["comment"] if "model-preflight" in str(item.get("body"))]
    return comments, state["status"]


def test_a_model_that_passes(
    container: Container, github_api: Fetch, workspace: Path, tmp_path: Path
) -> None:
    step = run_action(container, github_api, workspace, tmp_path)
    assert step["exit_code"] == 0, step["log"]
    assert step["outputs"]["verdict"] == "pass"
    assert (workspace / step["outputs"]["report-path"]).is_file()
    assert (workspace / step["outputs"]["result-path"]).is_file()
    assert "✅ Ready to ship" in step["summary"]
    assert not [note for note in step["problems"] if not note.startswith("note:")]
    comments, statuses = posted(github_api)
    assert len(comments) == 1
    assert "✅ Ready to ship" in comments[0]["body"]
    assert statuses[-1]["state"] == "success"


def test_a_model_that_must_be_blocked_twice_over_still_has_one_comment(
    container: Container, github_api: Fetch, workspace: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        step = run_action(container, github_api, workspace, tmp_path, quality="auc=0.99")
        assert step["exit_code"] == 1, step["log"]
        assert step["outputs"]["verdict"] == "fail"
    assert any(note["level"] == "error" for note in step["annotations"])
    comments, statuses = posted(github_api)
    assert len(comments) == 1
    assert "❌ Blocked" in comments[0]["body"]
    assert "quality.limits" in comments[0]["body"]
    assert statuses[-1]["state"] == "failure"
    assert "t0ken" not in step["log"] + step["summary"] + comments[0]["body"]
