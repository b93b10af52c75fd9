"""The whole life of a model in one container: `docker compose up`, as docs/life.md has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.container.compose import project
from tests.container.conftest import ROOT
from tests.rollout.test_life import PAGES, TOLD


@pytest.mark.timeout(1_800)
def test_it_ends_as_its_summary_says(docker: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    user = os.geteuid() or 1000
    os.chown(out, user, user if os.geteuid() == 0 else -1)
    environ = os.environ | {
        "RUN_AS": f"{user}:{user}",
        "COMPOSE_PROJECT_NAME": f"preflight-test-life-{os.getpid()}",
    }
    file = ROOT / "examples" / "life" / "compose.yaml"
    override = {"life": {"volumes": [f"{out}:/life"]}}
    with project(docker, tmp_path, file, environ, override) as compose:
        done = compose.run("up", "--build", "--exit-code-from", "life", wanted=None, seconds=1_700)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-3_000:]
    for told in TOLD:
        assert told in done.stdout
    for name in PAGES:
        assert (out / "life" / name).stat().st_size > 2_000
    assert {path.stat().st_uid for path in out.rglob("*")} == {user}
