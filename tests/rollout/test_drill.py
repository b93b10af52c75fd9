"""The drill: real proxy and Prometheus, servers that fail. Each end must be in the history, and nobody may notice."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.drill import drilled
from tests.rollout.site import TOOLS, Site, until
from validator.rollout.stages import weights

pytestmark = drilled(TOOLS)


def follows(one: Site) -> list[str]:
    """The states that the history shows."""
    return [event.after for event in one.state().history]


def begin(one: Site, **overrides: object) -> None:
    one.reset(**overrides)
    one.start()
    one.command("run", name="run")


def test_a_good_candidate_is_promoted_and_the_roles_are_swapped(place: Site) -> None:
    place.reset(guards=[5, 25])
    until(lambda: place.done("plan").returncode == 0, 30, "a plan")
    place.start(force=False)
    place.command("run", "--until-ended", name="run")
    place.reaches("promoted", "rolled_back", seconds=240)
    assert follows(place) == ["planned", "guard-5", "guard-25", "confirm-50", "full", "promoted"]
    assert place.processes["run"].wait(20) == 0
    assert not place.lost()
    assert place.done("status").returncode == 0
    assert place.done("wait").returncode == 0
    time.sleep(0.5)
    place.answers.clear()
    time.sleep(1)
    assert {version for version, _ in place.answers} == {place.candidate}, "all traffic is the candidate's"
    text = place.settings.haproxy.config.read_text()
    assert "server green" in text
    assert "weight 100" in next(line for line in text.splitlines() if "server green" in line)
    assert next(line for line in text.splitlines() if "rescue-blue" in line).endswith("disabled")
    for path in sorted((place.settings.directory / "evidence").iterdir()):
        judged = subprocess.run(
            [*_judge_command(), str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert judged.returncode in (0, 4), judged.stderr
    # nobody renews a lease any more, and it serves on
    time.sleep(place.settings.lease_s + 2)
    assert not place.lost()


def _judge_command() -> list[str]:
    import sys

    return [sys.executable, "-m", "validator.cli", "rollout", "judge"]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"error": 0.3}, "error"),
        ({"invalid": 0.3}, "error"),
        ({"slow": 0.5}, "slow"),
        ({"refused": 0.3}, "refused"),
    ],
    ids=["errors", "NaN answers", "slowness", "refusals"],
)
def test_a_candidate_that_fails_is_rolled_back(place: Site, fault: dict[str, float], named: str) -> None:
    begin(place)
    place.reaches("guard-25")
    place.fault("green", **fault)
    state = place.reaches("rolled_back", "promoted")
    assert state.state == "rolled_back"
    assert state.history[-1].why.startswith(named)
    assert state.history[-1].evidence
    seen = place.proxy.read()
    assert (seen["blue"].weight, seen["green"].weight) == (100, 0)
    assert place.done("status").returncode == 1
    assert not place.lost()


def test_without_traffic_nothing_is_promoted_and_the_deadline_rolls_back(place: Site) -> None:
    begin(place, deadline_hours=25 / 3600)
    place.silence()
    state = place.reaches("rolled_back", "promoted", "confirm-50")
    assert state.state == "rolled_back"
    assert state.reason == "undecided at the deadline"


def test_at_the_deadline_it_can_be_held_for_a_person(place: Site) -> None:
    begin(place, deadline_hours=12 / 3600, on_deadline="hold")
    place.silence()
    place.reaches("held")
    time.sleep(2)
    assert place.done("step").returncode in (2, 4)
    assert place.done("abort", "--reason", "not today").returncode == 0
    assert place.state().state == "aborted"
    assert place.state().history[-1].why == "not today"
    assert place.proxy.read()["green"].weight == 0


@pytest.mark.parametrize("stage", ["guard-25", "full"])
def test_without_prometheus_nothing_is_promoted_and_the_lease_ends(place: Site, stage: str) -> None:
    begin(place)
    place.reaches(stage, seconds=120)
    place.stop("prometheus")
    state = place.reaches("rolled_back", "promoted")
    assert state.state == "rolled_back"
    assert "checks in a row" in state.history[-1].why
    assert not place.lost()


@pytest.mark.parametrize("stage", ["guard-25", "confirm-50", "full"])
def test_when_the_judge_dies_the_candidate_leaves_and_nobody_notices(place: Site, stage: str) -> None:
    begin(place)
    place.reaches(stage, seconds=120)
    place.stop("run")
    until(lambda: not place.proxy.read()["green"].up, 30, "the lease to end")
    place.answers.clear()
    time.sleep(1.5)
    assert {version for version, _ in place.answers} == {place.champion}
    assert not place.lost()
    assert place.state().stage == stage, "nobody wrote anything"
    place.command("run", name="run")
    until(lambda: place.proxy.read()["green"].up, 30, "the candidate to be ready again")
    assert place.state().state in (stage.partition("-")[0], "confirm"), "it goes on from where it was"
    assert not place.lost()


def test_what_a_candidate_has_in_hand_when_its_lease_ends_is_answered(place: Site) -> None:
    place.reset()
    place.proxy.move(weights("blue", 100), safer_first=False)
    place.fault("green", slow=1)  # so that each client is waiting for an answer whenever it is
    place.lease("green", 60)
    place.answers.clear()
    until(lambda: place.answers[place.candidate, 200] >= 6, 20, "answers of the candidate")
    place.lease("green", 0)
    until(lambda: place.answers[place.champion, 200], 20, "the champion to answer")
    assert not place.proxy.read()["green"].up
    time.sleep(2)
    assert not place.lost()
    assert {version for version, _ in place.answers} == {place.candidate, place.champion}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_dead_candidate_is_out_within_three_checks(place: Site, how: signal.Signals) -> None:
    begin(place)
    place.reaches("guard-25")
    time.sleep(2)
    if how == signal.SIGKILL:
        place.stop("green")
    else:
        place.processes["green"].send_signal(how)
    state = place.reaches("rolled_back", "promoted", seconds=40)
    if how == signal.SIGSTOP:
        place.processes["green"].send_signal(signal.SIGCONT)
    assert state.state == "rolled_back"
    lost = place.lost()
    # What each of the six clients had under way; a hung server also holds the next, until the checks find it.
    assert sum(lost.values()) <= (6 if how == signal.SIGKILL else 18)
    assert {status for _, status in lost} <= {502, 504, 0}


def test_without_the_champion_it_is_held_and_goes_on_when_it_is_back(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.stop("blue")
    state = place.reaches("held", "promoted", "confirm-50", "rolled_back")
    assert (state.state, state.held_for) == ("held", "champion")
    time.sleep(place.settings.lease_s + 2)
    assert place.state().state == "held"
    lost = place.lost()
    assert sum(lost.values()) <= 6, "the candidate answers for it, its lease renewed"
    place.server("blue", place.champion)
    place.reaches("guard-25")
    assert place.reaches("promoted", "rolled_back", seconds=150).state == "promoted"


def test_a_rollback_survives_a_proxy_that_restarts_in_its_middle(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.stop("run")
    place.stop("haproxy")
    result = place.done("abort", "--reason", "a drill")
    assert result.returncode == 2, result.stdout
    assert place.state().state == "rolling_back"
    assert "cannot ask HAProxy" in result.stdout
    place.haproxy()
    seen = place.proxy.read()
    assert (seen["blue"].weight, seen["green"].weight) == (100, 0), (
        "the file is safe before the proxy can be told"
    )
    assert place.done("step").returncode == 1
    assert place.state().state == "aborted"


def test_a_proxy_that_restarts_in_a_stage_comes_back_with_its_weights(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.stop("haproxy")
    place.haproxy()
    seen = place.proxy.read()
    assert (seen["blue"].weight, seen["green"].weight) == (75, 25)
    assert place.reaches("confirm-50", "rolled_back", "held").state == "confirm"


def test_weights_set_by_hand_win(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.proxy.command("set weight model/green 40")
    assert place.reaches("held", "promoted").held_for == "engine"
    place.proxy.command("set weight model/green 0")
    assert place.done("abort", "--reason", "by hand").returncode == 0


def test_a_candidate_taken_out_by_hand_stays_out(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    place.proxy.command("set weight model/green 0")
    assert "took the candidate out" in place.reaches("rolled_back", "promoted").history[-1].why


def test_on_a_full_disk_nothing_moves_and_the_lease_takes_the_candidate_out(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")
    before = place.state()
    _, most = resource.prlimit(place.processes["run"].pid, resource.RLIMIT_FSIZE)
    resource.prlimit(place.processes["run"].pid, resource.RLIMIT_FSIZE, (0, most))
    until(lambda: not place.proxy.read()["green"].up, 30, "the lease to end")
    assert place.state().stage == before.stage
    assert not place.lost()


def test_only_one_loop_runs(place: Site) -> None:
    begin(place)
    place.reaches("guard-25")  # the first has the lock by then
    second = place.done("run")
    assert second.returncode == 2
    assert "another process holds" in second.stderr


def test_the_page_and_the_log_are_written(place: Site, tmp_path: Path) -> None:
    begin(place)
    place.reaches("guard-25")
    until(lambda: (place.settings.directory / "rollout.html").exists(), 20, "the page")
    page = (place.settings.directory / "rollout.html").read_text()
    assert place.candidate in page
    assert "<script" not in page
    assert "guard" in (place.settings.directory / "rollout.md").read_text()
