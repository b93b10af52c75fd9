"""Liars before Prometheus and before HAProxy's socket: they pass everything on until they are told to lie."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

Lie = Callable[[bytes], bytes]


class LyingPrometheus(http.server.ThreadingHTTPServer):
    """Passes questions on to the real one; while `lie` is set, its answers go through that."""

    daemon_threads = True

    def __init__(self, real: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.real, self.lie = real, honest
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Passing(http.server.BaseHTTPRequestHandler):
    server: LyingPrometheus
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {"content-type": self.headers.get("content-type", "")}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.server.real + self.path, body, headers), timeout=10
            ) as response:
                told = response.read()
        except urllib.error.URLError:
            told = b""
        told = self.server.lie(told)
        self.send_response(200)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def honest(told: bytes) -> bytes:
    """What was said."""
    return told


def a_page(_: bytes) -> bytes:
    """What a proxy before it says when it has died."""
    return b"<html><body>502 Bad Gateway</body></html>"


def an_error(_: bytes) -> bytes:
    """With status 200."""
    return b'{"status":"error","errorType":"execution","error":"expanding series: context deadline exceeded"}'


def the_same_again() -> Lie:
    """A cache that never forgets: the first answer of each kind for ever."""
    kept: dict[str, bytes] = {}

    def lie(told: bytes) -> bytes:
        return kept.setdefault(_kind(told), told)

    return lie


def backwards(told: bytes) -> bytes:
    """Samples in the wrong order."""
    document = json.loads(told)
    for one in _series(document):
        one["values"].reverse()
    return json.dumps(document).encode()


def not_a_number(told: bytes) -> bytes:
    """The newest sample of each series."""
    document = json.loads(told)
    for one in _series(document):
        one["values"][-1][1] = "NaN"
    return json.dumps(document).encode()


def _series(document: Any) -> list[Any]:
    found = document["data"]["result"]
    return [one for one in found if isinstance(one, dict)]


def _kind(told: bytes) -> str:
    found = json.loads(told)["data"]["result"]
    labels = [one["metric"] for one in found if isinstance(one, dict)]
    return json.dumps(labels, sort_keys=True)


@contextmanager
def lying_prometheus(real: str) -> Iterator[LyingPrometheus]:
    """Before the real one, until the end."""
    with LyingPrometheus(real) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class LyingSocket:
    """In the place of HAProxy's socket, which moves aside."""

    #: What is done to an answer to `show stat`.
    LIES: ClassVar[dict[str, Lie]] = {
        "garbage": lambda _: bytes(range(256)) * 8,
        "half a line": lambda told: told[: told.index(b"model,green") + 60],
        "no weights": lambda told: told.replace(b"weight", b"height"),
        "nothing": lambda _: b"",
    }

    def __init__(self, path: Path) -> None:
        self.aside, self.lie, self.slow = path.with_name("real.sock"), honest, False
        path.rename(self.aside)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as real:
            command = client.recv(4096)
            real.connect(str(self.aside))
            real.sendall(command)
            told = b""
            while part := real.recv(65536):
                told += part
            told = self.lie(told) if command.startswith(b"show stat") else told
            try:
                for i in range(len(told) if self.slow else 1):
                    client.sendall(told[i : i + 1] if self.slow else told)
                    time.sleep(0.5 if self.slow else 0)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
