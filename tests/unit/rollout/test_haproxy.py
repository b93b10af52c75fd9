"""HAProxy at the other end of its socket: what is told is read back, and what it says is not believed blindly."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rollout.simulation import SETTINGS
from validator.rollout.stages import weights
from validator.rollout.traffic import EngineError
from validator.rollout.traffic.haproxy import HAProxy

HEAD = "# pxname,svname,weight,status"


class Socket:
    """Answers `show stat` and `set weight`, one command a connection, as HAProxy does. `heeds`: weights are kept."""

    def __init__(self, path: Path) -> None:
        self.weights = {"blue": "100", "green": "0"}
        self.status = {"blue": "UP", "green": "UP"}
        self.heeds, self.raw, self.refuses, self.whose = True, b"", "", "m"
        self.drips = False
        self.told: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        command = client.recv(4096).decode().strip()
        while self.drips:
            try:
                client.sendall(b"x")
            except OSError:
                return
            time.sleep(0.005)
        self.told.append(command)
        words = command.split()
        if self.raw and words == ["show", "stat"]:
            client.sendall(self.raw)
        elif words[:2] == ["show", "stat"]:
            rows = [f"model,{slot},{self.weights[slot]},{self.status[slot]}" for slot in self.weights]
            client.sendall("\n".join([HEAD, "clients,FRONTEND,,OPEN", *rows, "", ""]).encode())
        elif words == ["show", "info"]:
            client.sendall(f"Name: HAProxy\ndescription: {self.whose}\n\n".encode())
        elif self.refuses and command.startswith(self.refuses):
            client.sendall(b"No such server.\n")
        elif words[:2] == ["set", "weight"] and self.heeds:
            self.weights[words[2].partition("/")[2]] = words[3]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def proxy() -> Iterator[tuple[HAProxy, Socket]]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path may not be long
        place = Path(folder)
        proxy = SETTINGS.haproxy.model_copy(update={"socket": place / "s", "config": place / "haproxy.cfg"})
        there = Socket(place / "s")
        try:
            yield HAProxy(SETTINGS.model_copy(update={"haproxy": proxy}), timeout_s=5), there
        finally:
            there.close()


def test_weights_are_set_and_read_back(proxy: tuple[HAProxy, Socket]) -> None:
    engine, there = proxy
    engine.move(weights("blue", 25), safer_first=False)
    seen = engine.read()
    assert (seen["blue"].weight, seen["green"].weight, seen["green"].up) == (75, 25, True)
    assert there.told[0] == "set weight model/blue 75", "what keeps the most goes first"
    assert "enable server model/rescue-blue" in there.told
    assert "disable server model/rescue-green" in there.told
    assert "weight 25" in engine.settings.haproxy.config.read_text()


def test_a_proxy_that_does_not_as_told_is_noticed(proxy: tuple[HAProxy, Socket]) -> None:
    engine, there = proxy
    there.heeds = False
    with pytest.raises(EngineError, match="shows weight 100 for blue, and was told 95"):
        engine.move(weights("blue", 5), safer_first=False)
    assert not engine.settings.haproxy.config.exists(), "its file never holds more for the candidate"


@pytest.mark.parametrize("command", ["set weight model/green", "enable server"])
def test_a_refusal_is_told(proxy: tuple[HAProxy, Socket], command: str) -> None:
    engine, there = proxy
    there.refuses = command
    with pytest.raises(EngineError, match=r"HAProxy refuses `.*`: No such server"):
        engine.move(weights("blue", 5), safer_first=False)


@pytest.mark.parametrize(
    ("status", "up"),
    [("UP", True), ("UP 1/2", True), ("DRAIN", True), ("no check", True), ("DOWN", False), ("DOWN 1/2", False),
     ("MAINT", False), ("NOLB", False), ("x", False)],
)  # fmt: skip
def test_who_is_up(proxy: tuple[HAProxy, Socket], status: str, up: bool) -> None:
    engine, there = proxy
    there.status["green"] = status
    assert engine.read()["green"].up is up


ROWS = "\nmodel,blue,95,UP\nmodel,green,5,UP\n"


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\n", "breaks off"),
        (b"\xff\xfe", "breaks off"),
        ((HEAD + ROWS).encode(), "breaks off"),
        ((HEAD + "\nmodel,blue,95,UP\nmodel,green,2").encode(), "breaks off"),
        (b"\n\n", "knows no server model/blue"),
        (b"\xff\xfe\n\n", "knows no server model/blue"),
        (b"<html>502 Bad Gateway</html>\n\n", "knows no server model/blue"),
        (b"# pxname,svname\nmodel,blue\nmodel,green\n\n", "no weight and status of model/blue"),
        (b"# pxname,svname,weight\nmodel,blue,95\nmodel,green,5\n\n", "no weight and status of model/blue"),
        (b"# pxname,svname,status\nmodel,blue,UP\nmodel,green,UP\n\n", "no weight and status of model/blue"),
        ((HEAD + "\nmodel,blue,95,UP\nmodel,green,,UP\n\n").encode(), "no weight and status of model/green"),
        ((HEAD + "\nmodel,blue,95,UP\nmodel,green,5\n\n").encode(), "no weight and status of model/green"),
        ((HEAD + "\nmodel,blue,\N{SUPERSCRIPT TWO},UP\n\n").encode(), "no weight and status of model/blue"),
        ((HEAD + "\nmodel,blue,1e2,UP\n\n").encode(), "no weight and status of model/blue"),
        ((HEAD + f'\n"{"x" * 200_000}"\n\n').encode(), "shows no table"),
        (
            (HEAD + ",addr\nmodel,blue,95,UP,10.0.0.9:1\nmodel,green,5,UP,10.0.0.9:8080\n\n").encode(),
            "model/green is at 10.0.0.9:8080, and rollout.toml has green:1",
        ),
    ],
    ids=range(16),
)
def test_an_answer_that_is_none_is_told(proxy: tuple[HAProxy, Socket], raw: bytes, told: str) -> None:
    engine, there = proxy
    there.raw = raw
    with pytest.raises(EngineError, match=told):
        engine.read()


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_whatever_is_answered_is_an_error_or_weights(proxy: tuple[HAProxy, Socket], raw: bytes) -> None:
    engine, there = proxy
    there.raw = (HEAD + ROWS).encode() + raw + b"\n\n"
    try:
        seen = engine.read()
    except EngineError:
        return
    assert all(0 <= one.weight <= 999 and one.status for one in seen.values())


def test_the_proxy_of_another_model_is_not_touched(proxy: tuple[HAProxy, Socket]) -> None:
    engine, there = proxy
    there.whose = "other"
    with pytest.raises(EngineError, match="is that of the model 'other'"):
        engine.read()


def test_an_answer_that_drips_is_given_up(proxy: tuple[HAProxy, Socket]) -> None:
    """Each byte comes in time, the end never."""
    engine, there = proxy
    there.drips = True
    with pytest.raises(EngineError, match="does not end"):
        dataclasses.replace(engine, timeout_s=0.1).read()


def test_where_its_file_cannot_be_written_the_candidate_is_taken_out_all_the_same(
    proxy: tuple[HAProxy, Socket],
) -> None:
    engine, there = proxy
    there.weights = {"blue": "75", "green": "25"}
    engine.settings.haproxy.config.mkdir()  # a file cannot take its place
    with pytest.raises(
        EngineError, match=r"cannot write .*haproxy.cfg: .*; HAProxy was told, and has the old"
    ):
        engine.move(weights("blue", 0), safer_first=True)
    assert there.weights == {"blue": "100", "green": "0"}


def test_a_proxy_that_is_gone_is_told() -> None:
    with pytest.raises(EngineError, match="cannot ask HAProxy"):
        HAProxy(SETTINGS).read()
