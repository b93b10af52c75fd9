"""The server as a process: signals under load, callers that are slow or many, what it refuses to start with."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.serving.server import served

ROW = {"f0": 0.1, "f1": -0.5, "f2": 2.0, "f3": 0.25}
BODY = json.dumps({"rows": [ROW]}).encode()


def refused(folder: Path, *flags: str) -> tuple[int, str]:
    """What a server that does not start ends with."""
    done = subprocess.run(
        [sys.executable, "-m", "validator.serving", str(folder), "--port", "0", *flags],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


class Load:
    """Callers that ask over kept-alive connections until told to stop, and count what becomes of each request.

    A connection that was closed before any byte of an answer is opened anew and asked again, once, as proxies and
    clients do with idle connections.
    """

    def __init__(self, port: int, callers: int) -> None:
        self.answered, self.lost, self.wrong = 0, 0, 0
        self.stop = threading.Event()
        self._port = port
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(callers)]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        connection: Any = None
        while not self.stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    return  # it does not listen any more: nothing was taken on
            try:
                connection.request("POST", "/predict", BODY)
                answer = connection.getresponse()
                right = answer.status == 200 and json.loads(answer.read())["predictions"][0]["label"] == 1
                with self._lock:
                    self.answered += right
                    self.wrong += not right
                if answer.getheader("connection") == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.lost += 1
                return

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_signal_under_load_loses_no_answer_and_counts_are_what_the_callers_saw(make_artifact):
    with served.serving(make_artifact(), "--drain", "5s") as server:
        load = Load(server.port, 8)
        deadline = time.monotonic() + 60
        while load.answered <= 50 and time.monotonic() < deadline:
            time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        draining = 0
        while time.monotonic() < deadline:
            try:
                draining += httpx.get(f"{server.url}/v2/health/ready").status_code == 503
            except httpx.TransportError:
                break
            time.sleep(0.05)
        load.join()
        assert server.end() == 0
    assert draining
    assert (load.lost, load.wrong) == (0, 0)
    assert load.answered > 50
    assert f"{load.answered} ok, 0 refused" in server.lines[-1]


def test_a_request_under_way_is_answered_after_the_signal(make_artifact):
    with served.serving(make_artifact(), "--drain", "0s") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
            caller.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            caller.sendall(BODY)
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.end() == 0


def test_a_second_signal_ends_the_draining(make_artifact):
    with served.serving(make_artifact(), "--drain", "1h") as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 503
        assert server.end() == 0


def test_callers_that_dawdle_are_let_go_and_others_are_served(make_artifact):
    half_a_head = b"POST /predict HTTP/1.1\r\nhost:"
    half_a_body = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with served.serving(make_artifact(), "--read-timeout", "500ms") as server:
        slow = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(3)]
        for caller, sent in zip(slow, (b"", half_a_head, half_a_body), strict=True):
            caller.sendall(sent)
        assert httpx.post(f"{server.url}/predict", content=BODY).status_code == 200
        answers = [caller.recv(65536) for caller in slow]
        assert answers[:2] == [b"", b""]
        assert answers[2].startswith(b"HTTP/1.1 408")
        for caller in slow:
            caller.close()
        assert server.end() == 0


def test_beyond_so_many_connections_callers_are_told_to_come_back(make_artifact):
    with served.serving(make_artifact(), "--max-connections", "5") as server:
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        time.sleep(0.2)
        assert httpx.post(f"{server.url}/predict", content=BODY).status_code == 503
        for one in idle:
            one.close()
        time.sleep(0.2)
        assert httpx.post(f"{server.url}/predict", content=BODY).status_code == 200
        server.end()


def test_garbage_on_the_wire_is_refused_and_leaves_no_trace(make_artifact):
    with served.serving(make_artifact()) as server:
        for sent in (
            b"\x16\x03\x01" * 50,
            b"GET / HTTP/9\r\n\r\n",
            b"POST /predict HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
                caller.sendall(sent)
                assert caller.recv(65536).startswith(b"HTTP/1.1 400")
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(BODY)
        for long, status in (
            (head + b"x-a: " + b"y" * 2**20, b"431"),
            (head + b"x: y\r\n" * 300 + b"\r\n" + BODY, b"431"),
            (head + b"x: y\r\n" * 100 + b"\r\n" + BODY, b"200"),
        ):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
                with contextlib.suppress(OSError):  # it may be gone before all was sent
                    caller.sendall(long)
                assert caller.recv(65536)[9:12] == status
        assert httpx.post(f"{server.url}/predict", content=BODY).status_code == 200
        assert server.end() == 0
    assert not any("Traceback" in line for line in server.lines)


def test_what_may_not_be_served_ends_with_2_and_one_message(make_artifact, tmp_path):
    failed = make_artifact(verdict="fail", reason="parity broken")
    code, told = refused(failed)
    assert (code, "parity broken" in told) == (2, True)
    tampered = make_artifact()
    (tampered / "model.onnx").write_bytes(b"x")
    code, told = refused(tampered)
    assert (code, "model.onnx was changed" in told) == (2, True)
    code, told = refused(tmp_path / "nowhere")
    assert (code, "there is no artifact folder" in told) == (2, True)
    code, told = refused(make_artifact(), "--verify-key", str(tmp_path / "key.pem"))
    assert code == 2


def test_a_port_that_is_taken_and_wrong_flags_are_told(make_artifact, tmp_path):
    folder = make_artifact()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, told = refused(folder, "--port", str(taken.getsockname()[1]))
    assert (code, "cannot listen" in told) == (2, True)
    for flags in (
        ("--lease", "soon"),
        ("--max-rows", "0"),
        ("--slo-ms", "nan"),
        ("--log-omit", "f0"),
        ("--port", "70000"),
    ):
        code, told = refused(folder, *flags)
        assert (code, flags[0] in told) == (2, True)


def test_the_command_line_serves_too(make_artifact):
    with served.serving(make_artifact(), "--override", "a drill", module="validator.cli") as server:
        assert httpx.get(f"{server.url}/about").json()["model"] == "m"
        assert server.end() == 0


@pytest.mark.long
def test_five_minutes_at_saturation(make_artifact: Callable[..., Path]):
    with served.serving(make_artifact(), "--drain", "1s") as server:
        status = Path(f"/proc/{server.process.pid}/status")
        load = Load(server.port, 16)
        time.sleep(30)
        early = _resident_kib(status)
        time.sleep(270)
        late = _resident_kib(status)
        server.process.send_signal(signal.SIGTERM)
        load.join()
        assert server.end() == 0
    assert (load.lost, load.wrong) == (0, 0)
    assert f"{load.answered} ok, 0 refused" in server.lines[-1]
    assert late - early < 2_048, (early, late)


def _resident_kib(status: Path) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])
