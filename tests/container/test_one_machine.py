"""examples/rollout/one-machine: its files bring the site up, and its workflow rolls a version out from beside it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.container.compose import PATIENT, QUICK, Clients, Compose, asked, project, until
from tests.container.conftest import ROOT
from tests.drill import job_environ
from tests.peers.github_api_server import GitHub
from tests.rollout.test_workflow import play
from tests.unit.monitoring.conftest import make_artifact

EXAMPLE = ROOT / "examples" / "rollout" / "one-machine"
NAMES = ("a", "b", "c", "d")
PROMETHEUS = "http://172.30.83.14:9090"
ROW = dict.fromkeys(NAMES, 0.1)
ALWAYS_NAN = [("Add", ["p", "nan"], ["probabilities"], {})]


@pytest.fixture
def place() -> Iterator[Path]:
    """What /srv/trading is; its path is short, since a socket lies in it."""
    folder = Path(tempfile.mkdtemp(prefix="srv"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def site(docker: str, image: str, serving_image: str, place: Path) -> Iterator[Compose]:
    for path in EXAMPLE.iterdir():
        text = path.read_text().replace("/srv/trading", str(place)).replace("--slo-ms 50", "--slo-ms 1000")
        (place / path.name).write_text(text.replace("scrape_interval: 15s", "scrape_interval: 1s"))
    toml = (place / "rollout.toml").read_text()
    for old, new in (("slo_ms = 50", "slo_ms = 1000"), ("99.5", "98.0"), ("99.0", "96.0")):
        toml = toml.replace(old, new)
    (place / "rollout.toml").write_text(QUICK + toml + PATIENT)
    (place / "lease-token").write_text("5ecret" * 4)
    for name, day, tail in (("first", 5, ()), ("second", 6, ()), ("bad", 7, ALWAYS_NAN)):
        made = make_artifact(place / "made", names=NAMES, name="trading", day=day, tail=tail)
        shutil.copytree(made, place / "artifacts" / name)
    for name in ("proxy", "state"):
        (place / name).mkdir()
    place.chmod(0o755)
    environ = os.environ | {
        "RUN_AS": f"{os.geteuid()}:{os.getegid()}", "SERVE_IMAGE": serving_image, "PREFLIGHT_IMAGE": image,
        "BLUE_ARTIFACT": "./artifacts/first", "GREEN_ARTIFACT": "./artifacts/second",
        "BLUE_LEASE": "", "GREEN_LEASE": "--lease 5m", "COMPOSE_PROJECT_NAME": f"preflight-test-{os.getpid()}",
    }  # fmt: skip
    emit = [sys.executable, "-m", "validator.cli", "rollout", "emit", "--engine", "haproxy", "--config"]
    written = subprocess.run([*emit, place / "rollout.toml"], capture_output=True, check=True)
    (place / "proxy" / "haproxy.cfg").write_bytes(written.stdout)
    with project(docker, place, place / "compose.yaml", environ, {}) as compose:
        yield compose


def ready(slot: str, artifact: Path) -> str:
    """The digest that the server shows, once the proxy sees it and its version is scraped."""
    version = json.loads((artifact / "manifest.json").read_text())["version"]
    until(lambda: asked(PROMETHEUS, f'preflight_model_info{{version="{version}"}}'), 90, f"{version}")
    until(
        lambda: asked(PROMETHEUS, f'haproxy_server_status{{server="{slot}", state="UP"}} == 1'), 60, f"{slot}"
    )
    return str(asked(PROMETHEUS, f'preflight_model_info{{version="{version}"}}')[0]["metric"]["digest"])


def test_its_workflow_rolls_out_and_takes_out(site: Compose, place: Path, tmp_path: Path) -> None:
    """The runner runs beside the containers, and has the folder and the private network's addresses alone."""
    (job,) = yaml.safe_load((EXAMPLE / "roll-out.yml").read_text())["jobs"].values()
    (step,) = job["steps"]
    site.run("up", "-d", "blue", "haproxy", "prometheus", "rollout")
    with (
        GitHub() as peer,  # type: ignore[no-untyped-call]
        Clients(site.url("haproxy", 8080), ROW) as clients,
    ):
        first = ready("blue", place / "artifacts" / "first")
        until(lambda: clients.answers.total() > 200, 60, "answers of the first version")
        site.run("up", "-d", "green")
        clients.answers.clear()
        second = ready("green", place / "artifacts" / "second")
        environ = job_environ(peer, tmp_path)
        step["env"]["CONFIG"] = str(place / "rollout.toml")
        # The champion was asked for seconds, not for an hour: no plan can be made of that.
        step["run"] = step["run"].replace("rollout start", "rollout start --force")
        values = {"inputs.candidate": second, "github.token": "t0ken"}
        log = tmp_path / "job.log"
        assert play(step, values, environ, tmp_path) == 0, log.read_text()
        (deployment,) = peer.deployments()
        assert peer.deployment_statuses(deployment["id"])[-1]["state"] == "success"
        assert not clients.lost()

        site.environ.update(BLUE_ARTIFACT="./artifacts/bad", BLUE_LEASE="--lease 5m", GREEN_LEASE="")
        site.run("up", "-d", "blue")
        bad = ready("blue", place / "artifacts" / "bad")
        assert bad != first
        assert play(step, values | {"inputs.candidate": bad}, environ, tmp_path) == 1, log.read_text()
        (other,) = (one for one in peer.deployments() if one["id"] != deployment["id"])
        assert peer.deployment_statuses(other["id"])[-1]["state"] == "failure"
        assert not clients.lost()
        clients.answers.clear()
        until(lambda: clients.answers.total() > 100, 30, "answers after the rollback")
        assert {status for _, status in clients.answers} == {200}
    assert stat.S_IMODE((place / "proxy" / "admin.sock").stat().st_mode) == 0o600
