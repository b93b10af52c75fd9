"""A server in a process of its own, as `model-preflight serve` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 60


class Server:
    """`url` is where it listens, `lines` what it told so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def wait_until_ready(self) -> None:
        assert self._ready.wait(_START_S), self.lines
        assert self.url, self.lines

    def end(self, *, timeout: float = 60) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def close(self) -> None:
        assert self.process.stderr is not None
        self._reader.join(30)
        self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if "ready: " in line:
                self.url = line.rsplit("ready: ", 1)[1].strip()
                self._ready.set()
        self._ready.set()


@contextmanager
def serving(artifact: Path, *flags: str, module: str = "validator.serving") -> Iterator[Server]:
    """A server of an artifact on a free port, ready; killed at the end if it did not end itself."""
    flags = flags if "--drain" in flags else (*flags, "--drain", "0s")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            module,
            *(["serve"] if module.endswith("cli") else []),
            str(artifact),
            "--port",
            "0",
            *flags,
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    server = Server(process)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        server.close()
