"""The judge over HTTP: verdicts for whoever asks, undecided where counts are missing, no word for nonsense."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.unit.rollout.world import World
from validator.rollout.listen import Bench, server
from validator.rollout.stages import weights

ASK = {"stage": "guard", "share": "25", "champion": "v1", "candidate": "v2", "run": "abc"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    one = World(tmp_path)
    one.advance(600)  # the champion's traffic of today
    one.engine.now = weights("blue", 25)  # whoever asks has moved the traffic
    return one


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(settings=world.settings, source=world)


def test_a_good_candidate_passes_once_there_is_enough(world: World, bench: Bench) -> None:
    assert bench.verdict(ASK)["outcome"] == "undecided"
    world.advance(120)
    assert bench.verdict(ASK)["outcome"] == "undecided"
    world.advance(600)
    assert bench.verdict(ASK)["outcome"] == "promote"
    assert list((world.settings.directory / "evidence").iterdir())


def test_a_bad_one_fails_and_missing_counts_are_undecided(world: World, bench: Bench) -> None:
    bench.verdict(ASK)
    world.fails["green"] = {"error": 0.3}
    world.advance(120)
    assert bench.verdict(ASK)["outcome"] == "rollback"
    world.down = True
    answer = bench.verdict(ASK)
    assert (answer["outcome"], answer["reason"]) == ("undecided", "cannot ask Prometheus")


def test_another_run_is_measured_anew(world: World, bench: Bench) -> None:
    bench.verdict(ASK)
    world.advance(700)
    assert bench.verdict(ASK)["outcome"] == "promote"
    assert bench.verdict(ASK | {"run": "other"})["outcome"] == "undecided"


@pytest.fixture
def address(bench: Bench) -> Iterator[str]:
    httpd = server(bench, "127.0.0.1", 0)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def ask(address: str, path: str) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(address + path, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_over_http(address: str) -> None:
    assert ask(address, "/healthz") == (200, {"status": "ok"})
    status, answer = ask(address, f"/verdict?{urlencode(ASK)}")
    assert status == 200
    assert isinstance(answer, dict)
    assert answer["outcome"] == "undecided"
    assert ask(address, "/")[0] == 404


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "full", "share": "100"}, {"share": "26"}, {"candidate": "../../etc/passwd"}, {"candidate": ""},
        {"run": "../x"}, {"champion": 'v1"} or vector(1) #'},
    ],
)  # fmt: skip
def test_nonsense_is_refused(address: str, change: dict[str, str]) -> None:
    assert ask(address, f"/verdict?{urlencode(ASK | change)}")[0] == 400
