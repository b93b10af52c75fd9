"""What Prometheus may know of a rollout, read back by a parser that is not ours."""

from __future__ import annotations

import dataclasses
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.rollout.world import World
from validator.errors import UsageError
from validator.rollout.metrics import METRICS_FILE, exposition, served
from validator.rollout.step import Step


@pytest.fixture
def world(tmp_path: Path) -> World:
    one = World(tmp_path)
    one.begin()
    one.to("guard-25")
    one.step()
    one.tick(200)
    return one


@pytest.fixture
def done(world: World) -> Step:
    return world.step()


def values(text: str, name: str, label: str) -> dict[str, float]:
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return {sample.labels[label]: sample.value for sample in families[name].samples}


def test_states_weights_and_verdicts(done: Step) -> None:
    text = exposition(done.state, done.verdict)
    states = values(text, "preflight_rollout_state", "state")
    assert [name for name, value in states.items() if value] == ["guard"]
    assert values(text, "preflight_rollout_weight", "version") == {"v1": 75, "v2": 25}
    assert values(text, "preflight_rollout_last_step_timestamp_seconds", "model") == {
        "m": pytest.approx(done.state.last_step, abs=1e-3)
    }
    assert 'preflight_rollout_verdict{model="m",metric="error",verdict="promote"} 1' in text


def test_hostile_versions_stay_labels(done: Step) -> None:
    hostile = 'v"} 1\nup{a="\\'
    arm = dataclasses.replace(done.state.candidate, version=hostile)
    text = exposition(dataclasses.replace(done.state, candidate=arm), None)
    assert values(text, "preflight_rollout_weight", "role") == {"champion": 75, "candidate": 25}
    assert hostile in values(text, "preflight_rollout_weight", "version")


def test_each_step_writes_them_and_they_are_served(world: World, done: Step) -> None:
    path = world.settings.directory / METRICS_FILE
    assert path.read_text() == exposition(done.state, done.verdict)
    with (
        served(path, "127.0.0.1", 0) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response,
    ):
        assert response.read() == path.read_bytes()


def test_a_port_that_somebody_has_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"),
            served(tmp_path / "rollout.prom", "127.0.0.1", port),
        ):
            pass
