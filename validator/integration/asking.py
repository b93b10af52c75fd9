"""One server in a process of its own, the requests that were sent to it, and what it counted of them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from validator.errors import PreflightError
from validator.following import following

_START_S, _END_S, _ANSWER_S = 120.0, 60.0, 30.0
_MOST_BYTES = 64 * 2**20
#: How a server is started, before the reference and flags.
COMMAND = (sys.executable, "-I" if sys.flags.isolated else "-P", "-m", "validator.cli", "serve")


class ServerError(PreflightError):
    """The server does not start, or does not answer as HTTP has it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status and JSON document of an answer; the document is None where it is none."""

    status: int
    document: Any
    text: str
    closes: bool = False

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """The answers to rows, empty where there are none."""
        found = self.document.get("predictions") if isinstance(self.document, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def version(self) -> str:
        """The version that answered."""
        return str(self.document.get("model_version", "")) if isinstance(self.document, dict) else ""


class Connection:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """One request. Raises OSError or HTTPException where no whole answer comes."""
        headers = {} if body is None else {"content-type": "application/json"}
        self._http.request("GET" if body is None else "POST", path, body, headers)
        response = self._http.getresponse()
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        return Answer(
            status=response.status,
            document=document,
            text=text,
            closes=response.getheader("connection") == "close",
        )

    def connect(self) -> None:
        """Open it. Raises ConnectionRefusedError where nobody listens."""
        self._http.connect()

    def close(self) -> None:
        """End it."""
        self._http.close()


class Server:
    """A server on a free port of this machine.

    Attributes
    ----------
    sent : Counter
        The prediction requests that were answered, by the outcome that the server must have counted: `ok` for a 200,
        `refused` for a 4xx, `error` for anything else. `rows` are the rows of the first.
    lines : list of str
        What the process told.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.sent: Counter[str] = Counter()
        self.port = 0
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> Self:
        """Until it is ready. Raises ServerError with what it told."""
        if not self._started.wait(_START_S) or not self.port:
            said = " | ".join(line.strip() for line in self.lines[-3:])[:600]
            raise ServerError(
                f"the server did not become ready: {said or 'it told nothing'}",
                hint="start it by hand: serve REF",
            )
        return self

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """One request over a connection of its own. Raises ServerError where no answer comes."""
        connection = Connection(self.port)
        try:
            return connection.ask(path, body)
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{path} was not answered: {error}", hint="see the server's log") from error
        finally:
            connection.close()

    def predict(self, body: Any, path: str = "/predict", *, connection: Connection | None = None) -> Answer:
        """A prediction request, which is counted. `body` is a document, or the bytes themselves."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = connection.ask(path, content) if connection else self.ask(path, content)
        self.count(found)
        return found

    def count(self, found: Answer) -> None:
        """Keep what the server must have counted of an answer."""
        with self._lock:
            outcome = "ok" if found.status == 200 else "refused" if 400 <= found.status < 500 else "error"
            self.sent[outcome] += 1
            if outcome == "ok":
                self.sent["rows"] += len(found.predictions) or _rows_of_tensors(found)

    def end(self) -> int | None:
        """SIGTERM, and the exit code; None where it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(_END_S)
        self._reader.join(_END_S)
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines = [*self.lines[-199:], line.rstrip()]
            if "ready: http://" in line:
                self.port = int(line.rsplit(":", 1)[1])
                self._started.set()
        self._started.set()


@contextmanager
def serving(reference: str, flags: Sequence[str] = (), command: Sequence[str] = COMMAND) -> Iterator[Server]:
    """A ready server of a reference, killed in the end, or with this process, if it has not ended itself.

    Raises ServerError.
    """
    # Where a token or key lies in the environment, a server has no use for it.
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name.upper()}
    process = subprocess.Popen(
        following([*command, reference, "--port", "0", *flags]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    server = Server(process)
    try:
        yield server.wait()
    finally:
        server.kill()


def _rows_of_tensors(found: Answer) -> int:
    outputs = found.document.get("outputs") if isinstance(found.document, dict) else None
    shapes = [one.get("shape") for one in outputs] if isinstance(outputs, list) else []
    return int(shapes[0][0]) if shapes and shapes[0] else 0
