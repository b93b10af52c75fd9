"""`--json`: one document on standard output and nothing else, with the exit code that the view has."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rollout.test_start import DIGEST, servers
from tests.unit.rollout.world import World
from validator.cli.main import main
from validator.rollout.parts import RealParts
from validator.rollout.settings import LoopSettings

CANDIDATE = ("--candidate", f"ghcr.io/a/b@{DIGEST}")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A site whose parts every command is handed in the place of the real ones."""
    one = World(tmp_path)
    one.advance(900)
    both = servers()
    for slot, server in both.items():
        one.slots[slot].identity = server.identity  # type: ignore[attr-defined]
    of_step = {field.name: getattr(one.parts, field.name) for field in dataclasses.fields(one.parts)}

    @contextmanager
    def opened(_: LoopSettings) -> Iterator[RealParts]:
        yield RealParts(**of_step, servers=one.slots)  # type: ignore[arg-type]

    monkeypatch.setattr("validator.rollout.parts.opened", opened)
    monkeypatch.setattr("validator.rollout.settings.read_settings", lambda _: one.settings)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return one


def document(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the one document, and what stands on standard error."""
    capsys.readouterr()
    code = main(["rollout", *words, "--json"])
    shown = capsys.readouterr()
    assert shown.out, shown.err
    return code, json.loads(shown.out), shown.err


def test_a_rollout_from_its_plan_to_its_end(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    code, plan, _ = document(capsys, "plan")
    assert (code, plan["refusal"]) == (0, "")
    assert plan["seconds"] == sum(stage["seconds"] for stage in plan["stages"]) > 0
    assert set(plan["traffic"]["shares"]) == {"error", "slow", "refused"}

    code, state, _ = document(capsys, "start", *CANDIDATE)
    assert (code, state["state"], state["candidate"]["digest"]) == (0, "planned", DIGEST)
    code, state, _ = document(capsys, "step")
    assert (code, state["state"]) == (4, world.state().state)
    code, state, _ = document(capsys, "wait", "--wait", "0s")
    assert (code, state) == (4, json.loads((world.settings.directory / "rollout.json").read_text()))
    code, state, _ = document(capsys, "status")
    assert (code, state["seq"]) == (4, world.state().seq)
    code, state, _ = document(capsys, "abort", "--reason", "wrong data")
    assert (code, state["state"], state["share"]) == (0, "aborted", 0)
    code, state, _ = document(capsys, "wait")
    assert (code, state["state"]) == (1, "aborted")


def test_a_plan_that_does_not_fit_is_a_document_and_an_error(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.settings = world.settings.model_copy(update={"deadline_hours": 0.001})
    code, plan, said = document(capsys, "plan")
    assert code == 2
    assert "longer than the deadline" in plan["refusal"]
    assert plan["refusal"] in said
    assert main(["rollout", "start", *CANDIDATE, "--json"]) == 2
    assert capsys.readouterr().out == "", "nothing began: there is no document"


def test_what_a_step_could_not_do_is_said_beside_the_document(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.begin()
    world.down = True
    code, state, said = document(capsys, "step")
    assert (code, state["state"]) == (2, "planned")
    assert "cannot ask Prometheus" in said


def test_what_goes_on_is_no_document(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.begin()
    assert main(["rollout", "status", "--watch", "--json"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
