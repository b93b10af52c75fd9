"""Faults that are meant to fool it: whatever Prometheus, the proxy, the disk or a person shows, none promotes."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
import pytest

from tests.unit.rollout.world import VERSIONS, World
from validator.errors import PreflightError
from validator.prometheus import Prometheus, Series, SourceError
from validator.rollout.run import one_step
from validator.rollout.settings import Slot
from validator.rollout.slots import SlotError, SlotServer
from validator.rollout.state import STATE_FILE, InUseError, Rollout, StateError, locked
from validator.rollout.step import Parts, roll_back
from validator.rollout.traffic import EngineError
from validator.rollout.traffic.haproxy import HAProxy


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests are about is not whether the disk keeps its promise."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    one = World(tmp_path)
    one.begin()
    return one


Bent = Callable[[str, list[Series]], list[Series]]


class Bending:
    """A source whose answers something bends on their way."""

    def __init__(self, world: World, bent: Bent) -> None:
        self.world, self.bent = world, bent

    def now(self) -> float:
        return self.world.now()

    def samples(self, metric: str, labels: Mapping[str, str], *, seconds: float, at: float) -> list[Series]:
        return self.bent(metric, self.world.samples(metric, labels, seconds=seconds, at=at))


def bend(world: World, bent: Bent) -> None:
    world.parts = Parts(
        engine=world.engine, source=Bending(world, bent), slots=world.slots, clock=world.clock
    )


def stays(world: World, seconds: float = 1800, every: float = 30.0) -> Rollout:
    """Lives on; the candidate's share of the traffic must not rise."""
    share = world.state().share
    end = world.clock.real + seconds
    while world.clock.real < end and not world.state().is_ended:
        world.tick(every)
        try:
            one_step(world.settings, world.parts)
        except PreflightError:
            continue
        finally:
            assert world.engine.now.green <= share
            assert world.engine.file.green <= share
    assert world.state().state != "promoted"
    return world.state()


STAGES = ("guard-5", "confirm-50", "full")


@pytest.mark.parametrize("stage", STAGES)
def test_a_prometheus_that_answers_stale_samples(world: World, stage: str) -> None:
    world.to(stage)
    since = world.clock.real
    bend(
        world,
        lambda _, found: [replace(one, samples=[s for s in one.samples if s[0] <= since]) for one in found],
    )
    state = stays(world)
    assert state.state == "rolled_back"


@pytest.mark.parametrize("stage", STAGES)
def test_versions_that_are_swapped_in_the_labels_of_a_bad_candidate(world: World, stage: str) -> None:
    """Its failures are then counted as the champion's; the proxy knows better."""
    world.to(stage)
    world.fails["green"] = {"error": 0.3}
    other = {"v1": "v2", "v2": "v1"}

    def swapped(_: str, found: list[Series]) -> list[Series]:
        return [
            replace(one, labels={**one.labels, "version": other[one.labels["version"]]})
            if one.labels.get("version") in other
            else one
            for one in found
        ]

    bend(world, swapped)
    stays(world)


def test_versions_that_have_the_same_name(world: World) -> None:
    world.to("guard-5")
    bend(
        world,
        lambda _, found: [
            replace(one, labels={**one.labels, "version": "v1"}) if "version" in one.labels else one
            for one in found
        ],
    )
    assert stays(world).state == "rolled_back", "the candidate is not scraped any more, the champion is"


@pytest.mark.parametrize("stage", STAGES)
def test_a_bad_candidate_that_restarts_again_and_again(world: World, stage: str) -> None:
    """With the same version, each time before its failures pile up."""
    world.to(stage)
    world.fails["green"] = {"error": 0.3}
    for _ in range(20):
        if world.state().is_ended:
            break
        world.restart_server("green")
        world.tick(15)
        one_step(world.settings, world.parts)
    assert stays(world, 300, 5).state == "rolled_back"


def test_a_champion_whose_counters_begin_anew_all_the_time_shows_no_failures_it_had_not(world: World) -> None:
    """A reset must not count as a flood of the champion's failures, beside which anything looks good."""
    world.to("confirm-50")
    world.fails["green"] = {"error": 0.05}
    for _ in range(40):
        world.restart_server("blue")
        world.tick(15)
        one_step(world.settings, world.parts)
    assert stays(world, 600, 15).state == "rolled_back"


@pytest.mark.parametrize("stage", STAGES)
def test_each_series_answered_twice(world: World, stage: str) -> None:
    """As two scrape jobs of the same servers do: shares stay what they are, a bad candidate goes."""
    world.to(stage)
    world.fails["green"] = {"error": 0.3}
    bend(
        world,
        lambda _, found: [*found, *(replace(one, labels={**one.labels, "job": "again"}) for one in found)],
    )
    assert stays(world, 300, 5).state == "rolled_back"


def rarely(world: World, every: int, *, always: bool = False) -> None:
    """From now on Prometheus scrapes so rarely, or did so always."""
    since = 0.0 if always else world.clock.real
    bend(
        world,
        lambda _, found: [
            replace(one, samples=[s for s in one.samples if s[0] <= since or round(s[0]) % every < 15])
            for one in found
        ],
    )


@pytest.mark.parametrize(("stage", "fails"), [("guard-5", 0.0), ("confirm-50", 0.05), ("full", 0.05)])
def test_scrapes_that_become_rare_in_a_stage(world: World, stage: str, fails: float) -> None:
    """Every five minutes instead of every fifteen seconds: nothing can be judged, so the candidate goes, soon."""
    world.to(stage)
    world.fails["green"] = {"error": fails}
    rarely(world, 300)
    since = world.clock.real
    state = stays(world, 9000, 30)
    assert state.state == "rolled_back"
    allowed = world.settings.lease_s + world.settings.warmup_s + 60 + 2.5 * 15
    assert world.clock.real - since <= allowed + 120


def test_steady_but_rare_scrapes_judge_later_and_rightly(tmp_path: Path) -> None:
    every = 60
    for name, fails in (("good", 0.0), ("bad", 0.05)):
        world = World(tmp_path / name)
        rarely(world, every, always=True)
        world.begin()
        world.advance(4 * every)
        world.to("guard-5")
        assert world.state().scrape_s == every
        world.fails["green"] = {"error": fails}
        begun, state = world.clock.real, world.live(6 * 3600, 60)
        assert state.state == ("rolled_back" if fails else "promoted"), state.reason
        if fails:
            assert world.clock.real - begun <= 30 + 5 * max(60, 2 * every) + 5 * every + 60


def test_a_champion_that_is_scraped_no_more_leaves_no_candidate_unjudged(world: World) -> None:
    world.to("guard-25")
    world.unscraped.add("blue")
    state = stays(world, 3600, 15)
    assert state.state == "rolled_back"
    assert "the champion was not scraped throughout" in state.reason


def test_a_prometheus_that_lost_its_past_is_given_time(world: World) -> None:
    """It comes back empty long after the stage began: that is not the same as seeing nothing for so long."""
    world.to("guard-25")
    world.per_second = 2.0  # a stage that lasts
    world.live(600, 60)
    assert world.state().stage == "guard-25"
    since = world.clock.real
    bend(
        world,
        lambda _, found: [replace(one, samples=[s for s in one.samples if s[0] > since]) for one in found],
    )
    world.advance(30)
    assert world.live(3600, 60).state != "rolled_back", world.state().reason


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1e300", "many"])
def test_samples_that_are_no_counts(value: str) -> None:
    body = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1.0, "0"], [16.0, value]]}]},
    }
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
    with httpx.Client(transport=transport) as client:
        source = Prometheus(url="http://p", client=client)
        with pytest.raises(SourceError, match="samples that are no numbers"):
            source.samples("x", {}, seconds=60, at=math.floor(1e9))


def test_an_hour_that_prometheus_answers_in_part() -> None:
    body = {
        "status": "success",
        "warnings": ["a store is gone"],
        "data": {"resultType": "matrix", "result": []},
    }
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
    with httpx.Client(transport=transport) as client, pytest.raises(SourceError, match="incomplete"):
        Prometheus(url="http://p", client=client).samples("x", {}, seconds=60, at=1e9)


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
@pytest.mark.parametrize("stage", STAGES)
def test_prometheus_clock_that_is_set_in_a_stage(world: World, stage: str, jump: float) -> None:
    world.to(stage)
    world.fails["green"] = {"error": 0.05}
    state = world.state()
    kept = world.now

    def stepped() -> float:
        return kept() + jump

    world.now = stepped  # type: ignore[method-assign]
    assert state.stage == stage
    stays(world, 3600)


@pytest.mark.parametrize("share", [0.2, 0.9])
@pytest.mark.parametrize("stage", STAGES)
def test_a_state_that_was_half_written(world: World, stage: str, share: float) -> None:
    world.to(stage)
    path = world.settings.directory / STATE_FILE
    text = path.read_bytes()
    path.write_bytes(text[: int(len(text) * share)])
    weights, until = world.engine.now, world.slots["green"].until
    for _ in range(5):
        world.tick(5)
        with pytest.raises(PreflightError, match="damaged"):
            one_step(world.settings, world.parts)
    assert (world.engine.now, world.slots["green"].until) == (weights, until), (
        "nothing moved, no lease renewed"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_an_older_state_that_somebody_put_back(world: World, stage: str) -> None:
    """What the proxy shows wins: it stands, until a person says what is meant."""
    world.to("guard-5")
    old = (world.settings.directory / STATE_FILE).read_bytes()
    world.to("guard-25" if stage == "guard-5" else stage)
    (world.settings.directory / STATE_FILE).write_bytes(old)
    assert stays_held(world).held_for == "engine"


def stays_held(world: World) -> Rollout:
    weights = world.engine.now
    for _ in range(20):
        world.tick(30)
        one_step(world.settings, world.parts)
        assert world.engine.now == weights
    return world.state()


def test_two_at_once_move_once(world: World) -> None:
    world.to("guard-25")
    world.advance(1200)
    with locked(world.settings.directory):
        for _ in range(3):
            with pytest.raises(InUseError):
                one_step(world.settings, world.parts)
    assert world.state().stage == "guard-25"


def test_evidence_that_cannot_be_written_promotes_nothing(world: World) -> None:
    world.to("guard-25")
    folder = world.settings.directory / "evidence"
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("no folder")
    assert stays(world, 1200).share <= 25


def test_a_socket_on_which_nothing_is_answered(world: World, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    proxy = world.settings.haproxy.model_copy(update={"socket": path})
    engine = HAProxy(world.settings.model_copy(update={"haproxy": proxy}), timeout_s=0.05)
    with listener, pytest.raises(EngineError, match="cannot ask HAProxy"):
        engine.read()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"two\nlines"])
def test_a_lease_token_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    slot = Slot(address="g:1", url="http://g", token_file=path)
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=transport) as client, pytest.raises(SlotError):
        SlotServer(name="green", slot=slot, client=client).renew(60)


@pytest.mark.parametrize("stage", STAGES)
def test_a_lease_that_is_refused_promotes_nothing(world: World, stage: str) -> None:
    world.to(stage)
    world.slots["green"].refuses = True
    assert stays(world).state == "rolled_back"


def test_the_worlds_versions_are_two() -> None:
    assert len(set(VERSIONS.values())) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 300),
        ("share", -5),
        ("planned_requests", 0),
        ("spent_s", -1e9),
        ("spent_s", "Infinity"),
        ("scrape_s", 0),
        ("candidate", {"slot": "blue", "version": "v2", "digest": "sha256:0"}),
        ("intent", {"state": "full", "share": 101, "why": "x"}),
        ("history", "none"),
        ("id", "../../elsewhere"),
    ],
)
def test_a_state_with_values_that_cannot_be(world: World, name: str, value: object) -> None:
    world.to("guard-5")
    path = world.settings.directory / STATE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    weights = world.engine.now
    world.tick(5)
    with pytest.raises(PreflightError, match="is damaged"):
        one_step(world.settings, world.parts)
    assert world.engine.now == weights


@pytest.mark.parametrize("started", [-1e9, -1e300, 1e300])
def test_a_stage_that_began_in_another_age(world: World, started: float) -> None:
    """Neither memory nor patience is used up by it."""
    world.to("guard-5")
    path = world.settings.directory / STATE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stage_started": started}))
    world.tick(30)
    done = one_step(world.settings, world.parts)
    assert done is not None
    assert done.state.share <= 5
    assert done.state.state != "promoted"


@pytest.mark.parametrize(
    ("guards", "then"), [((10, 30), "guard-10"), ((), "confirm-50"), ((3, 4), "confirm-50")]
)
def test_stages_that_somebody_changes_while_it_is_under_way(
    world: World, guards: tuple[int, ...], then: str
) -> None:
    world.to("guard-5")
    world.settings = world.settings.model_copy(update={"guards": guards})
    world.to(then)


def test_a_candidate_of_the_right_version_from_another_artifact_goes_at_once(world: World) -> None:
    """Its server was started again with other bytes under the same name."""
    world.to("guard-25")
    world.digests["green"] = "sha256:f"
    state = world.live(60, 15)
    assert state.state == "rolled_back"
    assert state.reason == (
        "version v2 is served from the artifact sha256:f, not from sha256:0, with which the rollout began"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_champion_from_another_artifact_is_compared_with_nothing(world: World, stage: str) -> None:
    world.to(stage)
    world.digests["blue"] = "sha256:f"
    world.advance(15)
    assert "version v1 is served from the artifact sha256:f" in stays(world, 300).reason


@pytest.mark.parametrize("slot", ["blue", "green"])
@pytest.mark.parametrize("stage", STAGES[:2])
def test_requests_that_do_not_come_by_the_proxy_thin_nothing_out(
    world: World, stage: str, slot: Literal["blue", "green"]
) -> None:
    """As another site's server of the same version would, scraped by the same Prometheus."""
    world.to(stage)
    world.besides[slot] = 1.0
    assert "and the proxy gave it" in stays(world, 600, 60).reason


def test_a_few_requests_from_elsewhere_keep_nobody_from_promotion(world: World) -> None:
    world.besides = {"blue": 0.1, "green": 0.1}
    world.to("guard-25")


def test_the_rollout_of_another_model_is_not_touched(world: World) -> None:
    world.to("guard-5")
    weights = world.engine.now
    world.settings = world.settings.model_copy(update={"model": "other"})
    for act in (
        lambda: world.step(),
        lambda: roll_back(world.settings, world.parts, world.state(), why="no", by="somebody"),
    ):
        with pytest.raises(StateError, match="is of the model m, not of other"):
            act()
    assert world.engine.now == weights


@pytest.mark.parametrize(
    "values",
    [
        [[16.0, "1"], [1.0, "0"]],
        [[1.0, "0"], [1.0, "1"]],
        [[1.0, "0"], [1000.5, "1"]],
        [[-100.0, "0"], [1.0, "1"]],
    ],
    ids=["backwards", "twice", "of the future", "of long ago"],
)
def test_samples_of_other_times(values: list[list[object]]) -> None:
    body = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]},
    }
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(SourceError, match="out of order, or of other"),
    ):
        Prometheus(url="http://p", client=client).samples("x", {}, seconds=60, at=17.0)


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("validator.answers._LONGEST_S", 0.01)

    def drips() -> Iterator[bytes]:
        for _ in range(10_000):
            time.sleep(0.001)
            yield b" "

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=drips()))
    with httpx.Client(transport=transport) as client, pytest.raises(SourceError, match="does not end within"):
        Prometheus(url="http://p", client=client).now()


@pytest.mark.parametrize(
    ("ready", "told"),
    [
        (lambda _: True, "stays ready when its lease has ended"),
        (lambda _: False, "is not ready, though"),
        (lambda lease: lease > 1, ""),
    ],
)
def test_whether_a_candidate_heeds_its_lease_is_tried(ready: Callable[[float], bool], told: str) -> None:
    leases: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/lease":
            leases.append(json.loads(request.content)["seconds"])
            return httpx.Response(200)
        return httpx.Response(200 if ready(leases[-1]) else 503)

    slot = Slot(address="g:1", url="http://g")
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        server = SlotServer(name="green", slot=slot, client=client)
        if told:
            with pytest.raises(SlotError, match=told):
                server.rehearse_lease(60)
        else:
            server.rehearse_lease(60)
    assert [lease > 1 for lease in leases] == [False, True]
