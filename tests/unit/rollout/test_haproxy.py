"""HAProxy at the other end of its socket: what is told is read back, and what it says is not believed blindly."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
        self.heeds, self.raw, self.refuses = True, b"", ""
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
        self.told.append(command)
        words = command.split()
        if self.raw:
            client.sendall(self.raw)
        elif words[:2] == ["show", "stat"]:
            rows = [f"model,{slot},{self.weights[slot]},{self.status[slot]}" for slot in self.weights]
            client.sendall("\n".join([HEAD, "clients,FRONTEND,,OPEN", *rows, ""]).encode())
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
     ("MAINT", False), ("NOLB", False), ("", False)],
)  # fmt: skip
def test_who_is_up(proxy: tuple[HAProxy, Socket], status: str, up: bool) -> None:
    engine, there = proxy
    there.status["green"] = status
    assert engine.read()["green"].up is up


@pytest.mark.parametrize(
    "raw", [b"\n", b"\xff\xfe", b"# pxname,svname\nmodel,blue\n", (HEAD + "\nmodel,blue,,UP\n").encode()]
)
def test_an_answer_that_is_none_is_told(proxy: tuple[HAProxy, Socket], raw: bytes) -> None:
    engine, there = proxy
    there.raw = raw
    with pytest.raises(EngineError, match="knows no server model/blue"):
        engine.read()


def test_a_proxy_that_is_gone_is_told() -> None:
    with pytest.raises(EngineError, match="cannot ask HAProxy"):
        HAProxy(SETTINGS).read()
