"""The drill with parts that lie: whatever they say, none promotes, none loses a request, and the history says why."""

from __future__ import annotations

import re
import signal
import threading
import time
import urllib.request

import pytest

from tests.drill import drilled
from tests.rollout import between
from tests.rollout.site import TOOLS, Site, until

pytestmark = drilled(TOOLS)


def begin(one: Site, **overrides: object) -> None:
    one.reset(**overrides)
    one.start()
    one.command("run", name="run")
    one.reaches("guard-25")


def told(one: Site) -> str:
    return (one.folder / "run.log").read_text()


def is_out(one: Site) -> None:
    """The champion has all the traffic, and nobody has noticed."""
    one.answers.clear()
    time.sleep(1)
    assert {version for version, _ in one.answers} == {one.champion}
    assert not one.lost()


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (between.a_page, "no JSON"),
        (between.an_error, "context deadline exceeded"),
        (between.backwards, "out of order"),
        (between.not_a_number, "samples that are no numbers"),
        # Whichever comes first: its blindness is noticed, or its lease ends, since nobody who sees nothing renews it.
        (between.the_same_again(), "nothing was measured for|the proxy finds the candidate"),
    ],
    ids=["a page", "an error", "backwards", "NaN", "always the same"],
)
def test_a_prometheus_that_lies(place: Site, lie: between.Lie, why: str) -> None:
    with between.lying_prometheus(place.url("prometheus")) as liar:
        begin(place, prometheus=liar.url)
        liar.lie = lie
        state = place.reaches("rolled_back", "promoted", "confirm-50")
        assert state.state == "rolled_back"
        assert re.search(why, told(place)), told(place)
        is_out(place)


@pytest.mark.parametrize("lie", [*between.LyingSocket.LIES, "slowness"])
def test_a_proxys_socket_that_lies(place: Site, lie: str) -> None:
    """While nothing is known the lease is not renewed; when the truth is told again, it is judged as before."""
    begin(place, guard_requests=10_000)
    liar = between.LyingSocket(place.settings.haproxy.socket)
    liar.slow, liar.lie = lie == "slowness", liar.LIES.get(lie, between.honest)
    until(lambda: place.answers.clear() or time.sleep(1) or not place.answers[place.candidate, 200], 40)
    assert place.state().stage == "guard-25", "nobody moved anything"
    is_out(place)
    assert "HAProxy" in told(place) or "the answer on" in told(place)
    liar.slow, liar.lie = False, between.honest
    place.fault("green", error=0.5)
    assert place.reaches("rolled_back", "promoted", "confirm-50").state == "rolled_back"
    liar.close()
    assert not place.lost()


def test_another_artifact_under_the_same_version_is_out_at_once(place: Site) -> None:
    begin(place)
    place.fault("green", digest=1)
    state = place.reaches("rolled_back", "promoted", "confirm-50")
    assert f"version {place.candidate} is served from the artifact sha256:1, not from" in state.reason
    is_out(place)


def test_requests_past_the_proxy_thin_nothing_out(place: Site) -> None:
    """A candidate that fails for clients of the proxy alone, and is asked by somebody else ten times as often."""
    begin(place, guard_requests=300, deadline_hours=30 / 3600)
    asking = True

    def others() -> None:
        while asking:
            request = urllib.request.Request(place.url("green") + place.path, b"{}")
            urllib.request.urlopen(request, timeout=10).close()

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        state = place.reaches("rolled_back", "promoted", "confirm-50")
    finally:
        asking = False
        for thread in threads:
            thread.join()
    assert state.state == "rolled_back"
    assert "and the proxy gave it" in told(place)
    is_out(place)


def test_a_proxys_file_that_cannot_be_written_keeps_no_bad_candidate(place: Site) -> None:
    begin(place)
    file = place.settings.haproxy.config
    file.unlink()
    file.mkdir()  # nothing can take its place
    place.fault("green", error=0.5)
    state = place.reaches("rolling_back", "promoted", "confirm-50")
    assert state.state == "rolling_back"
    until(lambda: place.proxy.read()["green"].weight == 0, 10, "the proxy to be told")
    is_out(place)
    assert "has the old weights after a restart" in told(place)
    file.rmdir()
    assert place.reaches("rolled_back").state == "rolled_back"
    assert "weight 0" in next(line for line in file.read_text().splitlines() if "server green" in line)


def test_a_second_model_at_the_same_proxy_moves_nothing(place: Site) -> None:
    place.reset()
    before = place.settings.haproxy.config.read_text()
    own = place.config.read_text()
    try:
        text = own.replace('model = "trading"', 'model = "other"').replace('"state"', '"others"')
        place.config.write_text(text.replace('"haproxy.cfg"', '"other.cfg"'))
        result = place.done("start", "--candidate", f"sha256:{place.candidate * 8}", "--force")
    finally:
        place.config.write_text(own)
    assert result.returncode == 2
    assert "is that of the model 'trading'" in result.stderr
    assert not (place.folder / "other.cfg").exists()
    assert place.settings.haproxy.config.read_text() == before
    assert place.proxy.read()["blue"].weight == 100


def test_a_judge_that_is_stopped_for_longer_than_the_lease(place: Site) -> None:
    begin(place, guard_requests=10_000)
    judge = place.processes["run"]
    judge.send_signal(signal.SIGSTOP)
    until(lambda: not place.proxy.read()["green"].up, 30, "the lease to end")
    is_out(place)
    assert place.state().stage == "guard-25"
    judge.send_signal(signal.SIGCONT)
    until(lambda: place.proxy.read()["green"].up, 30, "the candidate to be ready again")
    place.fault("green", error=0.3)
    assert place.reaches("rolled_back", "promoted", "confirm-50").state == "rolled_back"
    assert not place.lost()


def test_a_candidate_that_is_ready_whatever_is_asked_may_not_begin(place: Site) -> None:
    place.reset()
    place.fault("green", ready=1)
    result = place.done("start", "--candidate", f"sha256:{place.candidate * 8}", "--force")
    assert result.returncode == 2
    assert "stays ready when its lease has ended" in result.stderr
    assert not (place.settings.directory / "rollout.json").exists()
    assert not place.lost()
