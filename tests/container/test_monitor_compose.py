"""`monitor init --compose` comes up, serves and watches; a good version takes over, a bad one is taken out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.container.compose import PATIENT, QUICK, Clients, Compose, asked, project, until
from tests.container.conftest import running
from tests.monitoring.hook import Hook
from tests.unit.monitoring.conftest import NAMES, make_artifact
from validator.cli.main import main
from validator.integration.rehearsal import free_ports
from validator.monitoring.compose import first_haproxy

#: For which the bad version answers NaN.
ROW = dict.fromkeys(NAMES, -3.0)
ALWAYS_NAN = [("Add", ["p", "nan"], ["probabilities"], {})]


@dataclass(frozen=True, kw_only=True)
class Site:
    compose: Compose
    hook: Hook
    artifacts: dict[str, Path]
    state: Path

    def rollout(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found

    def roll_out(self, prometheus: str, version: str) -> dict[str, Any]:
        """A rollout of what the free slot serves, to its end."""
        query = f'preflight_model_info{{version="{version}"}}'
        until(lambda: asked(prometheus, query), 60, f"{version} to be scraped")
        digest = asked(prometheus, query)[0]["metric"]["digest"]
        start = ("rollout", "start", "churn", "--config", "/rollout/rollout.toml", "--force")
        until(
            lambda: self.compose.inside(*start, "--candidate", digest, wanted=None).returncode == 0,
            60,
            "the start of the rollout",
        )
        until(lambda: self.rollout()["state"] in ("promoted", "rolled_back", "held"), 240, "its end")
        return self.rollout()


@pytest.fixture
def site(docker: str, image: str, serving_image: str, tmp_path: Path) -> Iterator[Site]:
    artifacts = {
        name: make_artifact(tmp_path / name, day=day, tail=tail)
        for name, day, tail in (("first", 5, ()), ("second", 6, ()), ("bad", 7, ALWAYS_NAN))
    }
    (port,) = free_ports(1)
    hook = Hook(port, "0.0.0.0")
    (tmp_path / "monitor.toml").write_text(
        "scrape_interval_s = 1\nslo_ms = 1000\nslo_percent = 98\nslow_percent = 96\nretrain_after_days = 3650\n"
        f'[webhook]\nurl = "http://host.docker.internal:{port}/people"\ntoken_file = "{tmp_path}/relay"\n'
        f'[watchdog]\nurl = "http://host.docker.internal:{port}/watchdog"\n'
    )
    (tmp_path / "relay").write_text("t0ken")
    out = tmp_path / "monitoring"
    given = ["--artifact", str(artifacts["first"]), "--config", str(tmp_path / "monitor.toml")]
    assert main(["monitor", "init", *given, "--compose", "--out", str(out)]) == 0
    toml = out / "rollout" / "rollout.toml"
    toml.write_text(QUICK + toml.read_text() + PATIENT)
    (out / "rollout" / "haproxy" / "haproxy.cfg").write_text(first_haproxy(toml.read_text()))
    (out / "lease.token").write_text("5ecret" * 4)
    user = os.geteuid() or 1000
    if os.geteuid() == 0:
        for path in (out / "rollout", *(out / "rollout").rglob("*")):
            os.chown(path, user, user)
    environ = os.environ | {
        "RUN_AS": f"{user}:{user}", "SERVE_IMAGE": serving_image, "PREFLIGHT_IMAGE": image,
        "GREEN_ARTIFACT": str(artifacts["second"]), "COMPOSE_PROJECT_NAME": f"preflight-test-{os.getpid()}",
    }  # fmt: skip
    override = {"alertmanager": {"extra_hosts": ["host.docker.internal:host-gateway"]}}
    with project(docker, out, out / "compose.yaml", environ, override) as compose:
        state = out / "rollout" / "state" / "rollout.json"
        yield Site(compose=compose, hook=hook, artifacts=artifacts, state=state)
    hook.close()


def test_the_whole_comes_up_and_versions_come_and_go(site: Site) -> None:
    compose = site.compose
    compose.run("up", "-d", "--quiet-pull")
    prometheus = compose.url("prometheus", 9090)
    until(lambda: len(asked(prometheus, "up == 1")) == 4, 90, "slots, proxy and rollout to be scraped")
    champion = 'haproxy_server_status{server=~"blue|rescue-blue", state="UP"} == 1'
    until(lambda: len(asked(prometheus, champion)) == 2, 90, "the champion, and it behind as the backup")
    with ExitStack() as holding, Clients(compose.url("proxy", 8080), ROW) as clients:
        first, second, bad = (site.artifacts[name].name for name in ("first", "second", "bad"))
        until(lambda: clients.answers[first, 200] > 50, 60, "the champion's answers")
        until(lambda: "PreflightWatchdog" in site.hook.names("/watchdog"), 120, "the watchdog")
        ended = site.roll_out(prometheus, second)
        assert ended["state"] == "promoted", ended["reason"]
        until(lambda: clients.answers[second, 200] > 50, 60, "the second version's answers")
        assert not clients.lost()

        # Another version in the free slot, at another address: what was its own is somebody else's by then.
        compose.environ["BLUE_ARTIFACT"] = str(site.artifacts["bad"])
        before = compose.address("blue")
        compose.run("rm", "--stop", "--force", "blue")
        stranger = ("--network", f"{compose.environ['COMPOSE_PROJECT_NAME']}_inside", "--entrypoint=sleep")
        holding.enter_context(running(compose.docker, *stranger, compose.environ["SERVE_IMAGE"], "900"))
        compose.run("up", "-d", "--no-deps", "blue")
        assert compose.address("blue") != before
        clients.answers.clear()
        ended = site.roll_out(prometheus, bad)
        assert ended["state"] == "rolled_back", ended["reason"]
        until(lambda: clients.answers[second, 200] > 50, 60, "the second version's answers")
        assert clients.answers["error", 500] < 200
        assert not clients.lost()
    until(lambda: "PreflightInvalidOutput" in site.hook.names("/people"), 120, "the alert")
    listed = compose.run("ps", "--format", "json").stdout.splitlines()
    states = {one["Service"]: one["State"] for one in map(json.loads, listed)}
    needed = ("blue", "green", "proxy", "rollout", "prometheus", "alertmanager")
    assert {states.get(name) for name in needed} == {"running"}, states
