"""The workflows of examples/life, the action from its image as GitHub's runner starts it, with a real registry."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.container.conftest import PEERS, ROOT, Container
from tests.integration.command import Ran
from tests.integration.conftest import Job, make_job, peer, shared_peer
from tests.integration.test_life_workflows import Repository, founded, live
from tests.registry.real import registry

__all__ = ["make_job", "peer", "shared_peer"]  # fixtures


@dataclass
class Hosted(Repository):
    """Our action's steps run in its container."""

    container: Container | None = None
    host: str = ""

    @property
    def registry(self) -> str:
        return f"oci://{self.host}/acme/models/trading"

    def ours(
        self, given: dict[str, Any], environ: dict[str, str], workspace: Path, context: dict[str, Any]
    ) -> Ran:
        assert self.container is not None
        output = Path(environ["GITHUB_OUTPUT"])
        told = output.with_suffix(".json")
        github = context["github"]
        values = {name: self.filled(value, context) for name, value in given.items()}
        done = subprocess.run(
            [sys.executable, PEERS / "run_as_action.py", ROOT, "--image", self.container.image,
             "--event", environ["GITHUB_EVENT_PATH"], "--event-name", github["event_name"], "--sha", github["sha"],
             "--workspace", workspace, "--api-url", self.peer.url, "--token", github["token"], "--json", told,
             "--env=PREFLIGHT_LATENCY_BUDGET_S=0.3", *(f"--with={name}={value}" for name, value in values.items())],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert told.exists(), done.stderr
        step = json.loads(told.read_text())
        assert not [note for note in step["problems"] if not note.startswith("note:")]
        output.write_text("".join(f"{name}<<END\n{value}\nEND\n" for name, value in step["outputs"].items()))
        with Path(environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
            summary.write(step["summary"])
        return Ran(code=step["exit_code"], out=step["log"], err=done.stderr, folder=workspace / "preflight")


def test_the_whole_life_on_github_from_the_image(
    peer: Any, make_job: Callable[..., Job], container: Container, tmp_path: Path
) -> None:
    if shutil.which("docker-registry") is None:
        pytest.skip("there is no docker-registry on this machine")
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as real:
        live(founded(Hosted(peer, make_job, tmp_path, container=container, host=real.host)))
