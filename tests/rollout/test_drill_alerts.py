"""The drill, second part: who is told, both versions dead, a clock that is set, two loops at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drill import drilled
from tests.rollout.alerts import Receiver
from tests.rollout.site import TOOLS, Site, until

pytestmark = drilled(TOOLS)
#: Imported by Python before anything else: the clock on the wall is as much ahead as the file says.
SET_CLOCK = """
import os, time
real, file = time.time, os.environ["SET_CLOCK"]
def wall():
    try:
        return real() + float(open(file).read())
    except (OSError, ValueError):
        return real()
time.time = wall
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Receiver().listening() as receiver:
        one = Site(tmp_path_factory.mktemp("site"))
        one.receiver = receiver
        try:
            one.alertmanager()
            one.open()
            yield one
        finally:
            one.close()


def begin(one: Site, **overrides: object) -> None:
    one.reset(**overrides)
    one.start()
    run(one)


def run(one: Site) -> None:
    """The loop, which Prometheus scrapes."""
    one.command("run", "--metrics", f"127.0.0.1:{one.ports['run']}", name="run")


def receiver(one: Site) -> Receiver:
    assert one.receiver is not None
    return one.receiver


def test_people_are_told_of_what_died_and_when_it_is_back(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    until(lambda: place.known("preflight_rollout_last_step_timestamp_seconds"), 60, "the loop to be scraped")
    told, since = receiver(place), time.monotonic()
    place.stop("run")
    until(lambda: told.has("RolloutStalled", since=since), 120, "word of a rollout that stalls")
    run(place)
    until(lambda: told.has("RolloutStalled", "resolved", since=since), 60, "word that it goes on")
    until(lambda: place.proxy.read()["green"].up, 30, "the candidate to be ready again")
    since = time.monotonic()
    place.stop("green")
    until(lambda: told.has("TargetDown", since=since), 60, "word of a dead server")
    assert place.reaches("rolled_back", "promoted").state == "rolled_back"
    until(lambda: told.has("RolledBack", since=since), 60, "word of the rollback")


def test_without_alertmanager_the_rollout_goes_on_and_the_watchdog_is_missed(place: Site) -> None:
    begin(place)
    told = receiver(place)
    until(lambda: told.has("Watchdog"), 60, "the watchdog")
    place.stop("alertmanager")
    time.sleep(1)
    since = time.monotonic()
    assert place.reaches("promoted", "rolled_back", seconds=200).state == "promoted"
    assert not told.has("Watchdog", since=since), "whoever expects it notices that it does not come"
    assert not place.lost()
    place.alertmanager()
    until(lambda: told.has("Watchdog", since=since), 60, "the watchdog to be back")


def test_with_both_dead_clients_are_told_at_once_and_nothing_is_promoted(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.stop("blue")
    place.stop("green")
    until(lambda: not any(slot.up for slot in place.proxy.read().values()), 30, "the proxy to find both down")
    place.answers.clear()
    started = time.monotonic()
    until(lambda: place.answers["", 503] > 20, 30, "answers of 503")
    assert place.answers["", 503] / max(sum(place.answers.values()), 1) > 0.9
    assert time.monotonic() - started < 20
    time.sleep(3)
    assert place.state().state not in ("full", "promoted")
    place.server("blue", place.champion)
    place.reaches("rolled_back", "held", "guard-25")
    until(lambda: place.answers[place.champion, 200] > 20, 30, "the champion to answer")


def test_a_clock_that_is_set_changes_nothing(place: Site, tmp_path: Path) -> None:
    """A month ahead in one stage, two months back in the next: deadlines and stages run on other clocks."""
    (tmp_path / "sitecustomize.py").write_text(SET_CLOCK)
    ahead = tmp_path / "ahead"
    place.environ = {"PYTHONPATH": str(tmp_path), "SET_CLOCK": str(ahead)}
    try:
        begin(place, deadline_hours=0.2)
        place.reaches("guard-25")
        ahead.write_text(str(30 * 86400))
        before = time.time()
        until(lambda: place.state().last_step > before + 86400, 20, "a step by the clock that was set")
        place.reaches("confirm-50")
        ahead.write_text(str(-60 * 86400))
        assert place.reaches("promoted", "rolled_back", "held", seconds=200).state == "promoted"
        assert place.state().spent_s < 600
    finally:
        place.environ = {}
    assert not place.lost()


def test_two_loops_and_people_who_step_change_no_order_nor_does_a_job_that_dies(place: Site) -> None:
    """Whoever holds the lock steps; the others are told, and no state is skipped or entered twice."""
    begin(place)
    place.command("wait", name="wait")
    codes: list[int] = []

    def steps() -> None:
        while place.state().state not in ("promoted", "rolled_back"):
            codes.append(place.done("step").returncode)
            time.sleep(1)

    impatient = threading.Thread(target=steps)
    impatient.start()
    place.reaches("guard-25", "confirm-50")  # the first has the lock by then
    second = place.done("run", "--until-ended")
    assert second.returncode == 2
    assert "another process holds" in second.stderr
    place.stop("wait", signal.SIGKILL)
    state = place.reaches("promoted", "rolled_back", seconds=200)
    impatient.join(60)
    assert [event.after for event in state.history] == [
        "planned",
        "guard-25",
        "confirm-50",
        "full",
        "promoted",
    ]
    assert set(codes) <= {0, 2, 4}
    assert not place.lost()
