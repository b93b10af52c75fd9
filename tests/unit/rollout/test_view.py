"""What people watch: `rollout status --watch`, on a terminal and as lines."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from tests.unit.rollout.world import World
from validator.rollout.view import last_verdict, watch_rollout


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    one = World(tmp_path)
    one.begin()
    return one


def watched(world: World, monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> tuple[str, str]:
    """What was shown until the end, and the state at that end; the rollout goes on while the watcher pauses."""
    screen = io.StringIO()
    made = Console(force_terminal=terminal, file=screen, width=140, height=40, legacy_windows=False)
    monkeypatch.setattr("rich.console.Console", lambda: made)
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert len(pauses) < 3000
        world.live(120, every=30)

    state = watch_rollout(world.settings, world.state(), pause=pause)
    assert state == world.state()
    assert max(pauses) <= 2
    return screen.getvalue(), state.state


def test_on_a_terminal_it_moves_until_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, state = watched(world, monkeypatch, terminal=True)
    assert state == "promoted"
    for word in (
        "guard-5",
        "guard-25",
        "confirm-50",
        "full",
        "25 % v2, 75 % v1",
        "error",
        "slow",
        "refused",
        "┃",
        "●",
    ):
        assert word in shown, word
    assert shown.rindex("m: promoted") > shown.rindex("m: full") > shown.rindex("m: confirm-50")


def test_elsewhere_it_is_lines_of_what_changed(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.to("guard-25")
    world.fails["green"] = {"error": 0.3}
    _, state = watched(world, monkeypatch, terminal=False)
    shown = capsys.readouterr().out
    assert state == "rolled_back"
    assert shown.startswith("GUARD-25")
    assert "ROLLED_BACK" in shown
    assert "error: " in shown
    assert "\x1b" not in shown


def test_the_newest_evidence_is_the_last_by_number(world: World) -> None:
    world.to("guard-25")
    folder, state = world.settings.directory / "evidence", world.state()
    newest = last_verdict(world.settings, state)
    (only,) = folder.iterdir()
    only.rename(folder / f"{state.id}-100-guard-25.json")
    (folder / f"{state.id}-99-guard-25.json").write_text("{")
    assert last_verdict(world.settings, state) == newest


def test_evidence_that_is_being_replaced_stops_nobody_who_watches(world: World) -> None:
    world.to("guard-25")
    assert last_verdict(world.settings, world.state()) is not None
    for path in (world.settings.directory / "evidence").iterdir():
        path.write_text("{")
    assert last_verdict(world.settings, world.state()) is None


def test_names_that_others_chose_draw_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rich's markup nor a terminal's commands come through."""
    world = World(tmp_path, on_deadline="rollback", deadline_hours=0.01)
    world.begin()
    text = (tmp_path / "rollout.json").read_text().replace('"v2"', '"[red]v2[/red]"')
    (tmp_path / "rollout.json").write_text(text)
    world.per_second = 0.0
    shown, state = watched(world, monkeypatch, terminal=True)
    assert state == "rolled_back"
    assert "[red]v2[/red]" in shown
