"""The documented workflow of one machine, played as GitHub's runner would: its commands, its token, its summary."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drill import drilled, job_environ
from tests.peers.github_api_server import GitHub
from tests.rollout.site import TOOLS, site

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / "examples/rollout/one-machine/roll-out.yml"
pytestmark = drilled(TOOLS)


def filled(text: str, values: dict[str, str]) -> str:
    """GitHub's expressions, of which the workflow uses plain names."""
    return re.sub(r"\$\{\{\s*([\w.]+)\s*\}\}", lambda match: values[match[1]], text)


def play(step: dict[str, Any], values: dict[str, str], environ: dict[str, str], folder: Path) -> int:
    """A `run` step, by the runner's shell."""
    own = {name: filled(str(value), values) for name, value in step.get("env", {}).items()}
    assert "${{" not in step["run"], "expressions belong into `env`: elsewhere they are code"
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    with (folder / "job.log").open("ab") as log:
        return subprocess.run(
            command, cwd=folder, env=environ | own, stdout=log, stderr=log, check=False, timeout=280
        ).returncode


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_the_workflow_waits_for_the_end_and_github_shows_it(tmp_path: Path, good: bool) -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    (job,) = workflow["jobs"].values()
    (step,) = job["steps"]
    assert step["env"]["CONFIG"].startswith("/etc/")
    with GitHub() as peer, site(tmp_path) as place:  # type: ignore[no-untyped-call]
        permissions = {name.replace("-", "_"): how for name, how in workflow["permissions"].items()}
        peer.seed({"tokens": {"t0ken": permissions}})
        place.reset()
        if not good:
            place.fault("green", error=0.3)
        place.command("run", name="run")
        step["env"]["CONFIG"] = str(place.config)
        # The champion was asked for seconds, not for an hour: no plan can be made of that.
        step["run"] = step["run"].replace("rollout start", "rollout start --force")
        environ = job_environ(peer, tmp_path)
        values = {"inputs.candidate": f"sha256:{place.candidate * 8}", "github.token": "t0ken"}
        code = play(step, values, environ, tmp_path)
        log = (tmp_path / "job.log").read_text()
        assert code == (0 if good else 1), log
        assert place.state().state == ("promoted" if good else "rolled_back")
        assert place.state().history[0].by == "octocat"
        (deployment,) = peer.deployments()
        states = [one["state"] for one in peer.deployment_statuses(deployment["id"])]
        assert states[-1] == ("success" if good else "failure"), log
        assert "in_progress" in states
        assert peer.problems == []
        assert "t0ken" not in log
        assert place.candidate in (tmp_path / "summary.md").read_text()
        assert not place.lost()
