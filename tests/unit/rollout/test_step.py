"""What happens when something dies: a table of what goes wrong, and what must come of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.rollout.world import SCRAPE_S, World
from validator.rollout.run import one_step
from validator.rollout.state import InUseError, StateError, locked, read_state
from validator.rollout.step import roll_back


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests are about is not whether the disk keeps its promise, for which replacing a file can wait."""

    def replace(old: str | Path, new: str | Path) -> None:
        Path(new).unlink(missing_ok=True)
        Path(old).rename(new)

    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(os, "replace", replace)


@pytest.fixture
def world(tmp_path: Path) -> World:
    one = World(tmp_path)
    one.begin()
    return one


def test_a_good_candidate_is_promoted(world: World) -> None:
    state = world.live(12 * 3600, every=30)
    assert [event.after for event in state.history] == [
        "planned", "guard-5", "guard-25", "confirm-50", "full", "promoted",
    ]  # fmt: skip
    assert world.slots["green"].until is None, "nobody renews any more: it must not need a lease"
    assert (world.engine.now.blue, world.engine.now.green, world.engine.now.rescue) == (0, 100, "green")
    assert world.engine.file == world.engine.now


def test_the_shadow_comes_first_and_takes_no_traffic(tmp_path: Path) -> None:
    world = World(tmp_path, shadow=True)
    world.begin()
    world.to("shadow")
    assert world.engine.now.green == 0
    world.to("guard-5")
    assert world.state().history[-1].why.startswith("all metrics shown to be within their margins")


def test_what_answers_wrongly_in_the_shadow_never_answers_anybody(tmp_path: Path) -> None:
    world = World(tmp_path, shadow=True)
    world.begin()
    world.to("shadow")
    world.fails["green"] = {"shadow": 0.02}
    state = world.live(1800, every=30)
    assert state.state == "rolled_back"
    assert max(int(move.rpartition("/")[2]) for move in world.engine.log) == 0


def gone_wrong(name: str) -> Callable[[World], None]:
    """What is done to the world, by name."""

    def errors(world: World) -> None:
        world.fails["green"] = {"error": 0.3}

    def redispatched(world: World) -> None:
        world.fails["green"] = {"redispatched": 0.5}

    def slow(world: World) -> None:
        world.fails["green"] = {"slow": 0.3}

    def invalid(world: World) -> None:
        world.fails["green"] = {"invalid_output": 0.3}

    def refused(world: World) -> None:
        world.fails["green"] = {"refused": 0.3}

    def down(world: World) -> None:
        world.engine.up["green"] = False

    def unscraped(world: World) -> None:
        world.unscraped.add("green")

    def by_hand(world: World) -> None:
        world.engine.now = type(world.engine.now)(blue=100, green=0, rescue="blue")

    def lease_refused(world: World) -> None:
        world.slots["green"].refuses = True

    def prometheus(world: World) -> None:
        world.down = True

    return locals()[name]  # type: ignore[no-any-return]


STAGES = ("guard-5", "guard-25", "confirm-50", "full")


@pytest.mark.parametrize("stage", STAGES[1:])
@pytest.mark.parametrize(
    ("what", "within_s"),
    [
        ("errors", 120), ("redispatched", 120), ("slow", 120), ("invalid", 120), ("down", 15),
        ("unscraped", 120), ("by_hand", 10), ("lease_refused", 400), ("prometheus", 400),
    ],
)  # fmt: skip
def test_the_candidate_is_taken_out(world: World, what: str, within_s: float, stage: str) -> None:
    world.to(stage)
    gone_wrong(what)(world)
    state = world.live(within_s)
    assert state.state == "rolled_back", f"{state.stage}: {state.reason}"
    assert (world.engine.now.blue, world.engine.now.green) == (100, 0)
    assert world.engine.file == world.engine.now
    assert state.history[-1].why


#: What is seen of each, and the stages in which it can be seen: in full the champion has no requests, nor is judged.
ABSENCES = {
    "silence": ("", STAGES[1:]),
    "the proxy is not scraped": ("proxy's own counts", STAGES[1:]),
    "a third version": ("v3", STAGES[1:]),
    "the proxy is gone": ("cannot ask HAProxy", STAGES[1:]),
    "the champion is not scraped": ("champion was not scraped", STAGES[1:-1]),
}


@pytest.mark.parametrize(
    ("what", "named", "stage"),
    [(what, named, stage) for what, (named, stages) in ABSENCES.items() for stage in stages],
)
def test_nothing_is_promoted_without_counts(world: World, what: str, named: str, stage: str) -> None:
    world.to(stage)
    if what == "silence":
        world.per_second = 0.0
    elif what == "the proxy is not scraped":
        world.unscraped.add("proxy")
        world.advance(3 * 3600)  # until its last counts are out of sight
    elif what == "a third version":
        world.extra_version = "v3"
        world.advance(30)
    elif what == "the proxy is gone":
        world.engine.gone = True
    else:
        world.unscraped.add("blue")
        world.advance(120)
    promoted = {"guard-5": "guard-25", "guard-25": "confirm-50", "confirm-50": "full", "full": "promoted"}[
        stage
    ]
    reasons = set()
    for _ in range(40):
        world.tick(30)
        done = world.step()
        reasons.add(done.state.reason)
        reasons.update(error.message for error in done.trouble)
        assert done.state.stage != promoted, done.state.reason
        if done.state.is_ended:
            break
    assert any(named in reason for reason in reasons), reasons


def test_refusals_take_the_candidate_out(world: World) -> None:
    world.to("guard-25")
    world.fails["green"] = {"refused": 0.3}
    assert world.live(120).state == "rolled_back"


def test_undecided_at_the_deadline_is_rolled_back_or_held(tmp_path: Path) -> None:
    for choice, state_after in (("rollback", "rolled_back"), ("hold", "held")):
        world = World(tmp_path / choice, on_deadline=choice, deadline_hours=0.3)
        world.begin()
        world.to("guard-5")
        world.per_second = 0.0
        state = world.live(2000, every=60)
        assert state.state == state_after
        if choice == "hold":
            assert world.slots["green"].until is not None
            assert world.slots["green"].until > world.clock.real, "what is held goes on serving"


def test_an_outage_of_the_clock_changes_no_deadline(world: World) -> None:
    world.to("guard-5")
    world.clock.set_by += 30 * 24 * 3600
    world.tick(5)
    assert world.step().state.state == "guard"
    world.clock.set_by -= 60 * 24 * 3600
    world.tick(5)
    done = world.step()
    assert done.state.state == "guard"
    assert done.state.spent_s < 3600


def test_after_the_machine_started_again_the_wall_counts(world: World) -> None:
    world.to("guard-5")
    world.clock.started = "second"
    world.clock.real += 23.9 * 3600
    world.step()
    assert world.state().spent_s > 23.9 * 3600


@pytest.mark.parametrize("stage", ["guard-25", "confirm-50"])
def test_without_the_champion_it_is_held_until_it_is_back(world: World, stage: str) -> None:
    world.to(stage)
    world.engine.up["blue"] = False
    state = world.live(1200, every=30)
    assert (state.state, state.held_for, state.share) == (
        "held",
        "champion",
        25 if stage == "guard-25" else 50,
    )
    until = world.slots["green"].until
    assert until is not None
    assert until > world.clock.real, "the candidate answers for it: its lease is renewed"
    world.engine.up["blue"] = True
    assert world.live(10).stage == stage
    assert world.state().history[-1].why == "the champion is back: measured anew"


def test_in_full_without_the_champion_nothing_is_promoted(world: World) -> None:
    world.to("full")
    world.engine.up["blue"] = False
    assert world.live(1200, every=30).state == "held"


def test_a_loop_that_was_away_gives_the_candidate_time_to_become_ready(world: World) -> None:
    world.to("guard-25")
    world.tick(world.settings.lease_s + 60)
    assert not world.engine.up["green"], "the lease ended: only the champion answers"
    world.step()
    assert world.slots["green"].until is not None
    world.engine.up["green"] = True
    assert world.live(60).stage == "guard-25"
    assert world.live(12 * 3600, every=30).state == "promoted"


def test_a_server_that_restarts_is_counted_on(world: World) -> None:
    world.to("guard-25")
    world.fails["green"] = {"error": 0.004}
    world.advance(60)
    world.restart_server("green")
    assert world.live(12 * 3600, every=30).state == "promoted"


@pytest.mark.parametrize(
    ("writes", "restarts", "bad"),
    [
        (0, False, False),
        (1, True, False),
        (1, False, False),
        (0, False, True),
        (1, True, True),
        (1, False, True),
    ],
)
def test_a_move_that_breaks_off_is_made_good(world: World, writes: int, restarts: bool, bad: bool) -> None:
    world.to("guard-5")
    if bad:
        world.fails["green"] = {"error": 0.3}
    world.engine.breaks_after = writes
    for _ in range(100):
        world.tick(5)
        if world.step().trouble:
            break
        # at no moment does the file hold more for the candidate than the proxy
        assert world.engine.file.green <= world.engine.now.green
    if restarts:
        world.engine.restart()
    world.engine.breaks_after = None
    state = world.live(300) if bad else world.to("guard-25")
    assert state.stage == ("rolled_back" if bad else "guard-25"), state.reason
    assert world.engine.file == world.engine.now


def test_at_every_move_the_file_holds_the_safer_weights(world: World) -> None:
    world.live(12 * 3600, every=30)
    moves = world.engine.log
    for first, second in zip(moves[::2], moves[1::2], strict=True):
        assert (first.split()[0], second.split()[0]) == ("socket", "file"), moves
    again = World(world.settings.directory / "again")
    again.begin()
    again.to("guard-25")
    again.fails["green"] = {"error": 0.3}
    again.live(300)
    assert [entry.split()[0] for entry in again.engine.log[-2:]] == ["file", "socket"]


def test_weights_moved_by_hand_are_held(world: World) -> None:
    world.to("guard-5")
    world.engine.now = type(world.engine.now)(blue=60, green=40, rescue="blue")
    state = world.live(30)
    assert (state.state, state.held_for) == ("held", "engine")
    assert world.engine.now.green == 40, "what somebody set is not touched"
    done = roll_back(world.settings, world.parts, state, why="enough", by="somebody", final="aborted")
    assert done.state.state == "aborted"
    assert world.engine.now.green == 0


def test_on_a_full_disk_nothing_moves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.to("guard-5")
    world.fails["green"] = {"error": 0.3}
    world.advance(60)
    until, seen = world.slots["green"].until, list(world.engine.log)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="No space left on device; nothing was moved"):
        world.step()
    assert world.engine.log == seen
    assert world.slots["green"].until == until, "the lease is not renewed: it takes the candidate out"
    assert not [path for path in world.settings.directory.iterdir() if path.name.startswith(".rollout.json")]


def test_a_step_that_ended_changes_nothing(world: World) -> None:
    world.live(12 * 3600, every=30)
    before = world.state()
    world.step()
    assert world.state() == before


def test_two_at_once_are_told(world: World) -> None:
    with locked(world.settings.directory), pytest.raises(InUseError, match="another process holds"):
        one_step(world.settings, world.parts)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"schema_version": 1}', "\x00"])
def test_a_damaged_state_moves_nothing(world: World, text: str) -> None:
    (world.settings.directory / "rollout.json").write_text(text)
    with pytest.raises(StateError, match="damaged"):
        read_state(world.settings.directory)


def test_a_state_of_before_scrapes_were_noted_is_read(world: World) -> None:
    path = world.settings.directory / "rollout.json"
    older = {
        key: value
        for key, value in json.loads(path.read_text()).items()
        if key not in ("scrape_s", "counted")
    }
    path.write_text(json.dumps(older))
    state = read_state(world.settings.directory)
    assert state is not None
    assert (state.scrape_s, state.counted) == (None, None)


def test_a_rollout_waits_until_it_can_tell_how_often_it_is_scraped(tmp_path: Path) -> None:
    """Of a candidate that was scraped once or twice nobody knows that; windows of a guess would never end."""
    world = World(tmp_path)
    for key in [key for key in world._samples if ("version", "v2") in key]:
        del world._samples[key][:-1]
    world.begin()
    assert "too few times to tell how often" in world.step().state.reason
    world.advance(SCRAPE_S)
    assert world.step().state.stage == "planned"
    world.advance(SCRAPE_S)
    begun = world.step().state
    assert (begun.stage, begun.scrape_s) == ("guard-5", SCRAPE_S)


def test_a_rollout_that_is_told_the_interval_waits_for_no_scrape(tmp_path: Path) -> None:
    world = World(tmp_path, scrape_s=SCRAPE_S)
    for key in [key for key in world._samples if ("version", "v2") in key]:
        del world._samples[key][:-1]
    world.begin()
    assert world.step().state.stage == "guard-5"
