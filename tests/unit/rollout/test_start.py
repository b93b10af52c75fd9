"""What may begin: only what passed, only what was named by digest, only one at a time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rollout.world import World
from validator.errors import UsageError
from validator.rollout.slots import Identity
from validator.rollout.stages import weights
from validator.rollout.start import start

DIGEST = f"sha256:{'2' * 64}"


@dataclasses.dataclass
class Server:
    """A server that says who it is, and takes a lease."""

    says: Identity
    leased: float = 0.0

    def identity(self) -> Identity:
        return self.says

    def rehearse_lease(self, seconds: float) -> None:
        self.leased = seconds


def servers(**changes: str) -> dict[str, Any]:
    new = Identity(model="m", version="v2", digest=DIGEST, verdict="pass", override="")
    old = Identity(model="m", version="v1", digest="sha256:1", verdict="pass", override="")
    return {"blue": Server(old), "green": Server(dataclasses.replace(new, **changes))}


def begin(world: World, both: dict[str, Any], candidate: str = f"ghcr.io/a/b@{DIGEST}") -> Any:
    return start(world.settings, world.parts, both, candidate=candidate, by="somebody")


def test_it_begins_with_who_serves_and_who_comes(tmp_path: Path) -> None:
    world, both = World(tmp_path), servers()
    state = begin(world, both)
    assert (state.champion.slot, state.candidate.slot) == ("blue", "green")
    assert (state.state, state.share) == ("planned", 0)
    assert both["green"].leased == world.settings.lease_s
    assert state.history[0].by == "somebody"
    with pytest.raises(UsageError, match="is in state planned"):
        begin(world, both)


@pytest.mark.parametrize(
    ("changes", "candidate", "told"),
    [
        ({}, "ghcr.io/a/b:latest", "names no digest"),
        ({}, f"sha256:{'3' * 64}", "serves digest"),
        ({"verdict": "fail"}, DIGEST, "with the verdict 'fail'"),
        ({"verdict": ""}, DIGEST, "with the verdict ''"),
        ({"override": "we must"}, DIGEST, "by an override"),
        ({"model": "other"}, DIGEST, "serves the model 'other'"),
        ({"version": "v1"}, DIGEST, "both slots serve version v1"),
    ],
)
def test_what_may_not_begin(tmp_path: Path, changes: dict[str, str], candidate: str, told: str) -> None:
    world, both = World(tmp_path), servers(**changes)
    with pytest.raises(UsageError, match=told):
        begin(world, both, candidate)
    assert not (tmp_path / "rollout.json").exists()
    assert both["green"].leased == 0


def test_nothing_begins_in_the_middle_of_something(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.engine.now = weights("blue", 25)
    with pytest.raises(UsageError, match="no slot has all the traffic"):
        begin(world, servers())
    world.engine.now = weights("blue", 0)
    world.engine.up["green"] = False
    with pytest.raises(UsageError, match="slot green is DOWN"):
        begin(world, servers())
