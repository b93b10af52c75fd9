"""The supervisor's side of a zygote: the process that imports libraries once and forks the workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import validator
from validator.environments.interpreter import Interpreter
from validator.errors import UsageError, WorkerError

_BOOTSTRAP = Path(validator.__file__).parent / "sandbox" / "inside" / "bootstrap.py"
_START_TIMEOUT_S = 120.0


@dataclass(kw_only=True)
class Zygote:
    """The parent of the workers of one interpreter. Orders are answered in turn; `preload` need not be awaited."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    _pending: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    python: str = ""

    @classmethod
    def start(cls, python: Interpreter, environ: Mapping[str, str]) -> Zygote:
        """Raises UsageError when the interpreter cannot be run.

        A foreign one starts without `site`, so that nothing that is installed in it runs outside of the lockdown.
        """
        flags = ("-I", "-B", "-S") if python.foreign else ("-I", "-B")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = subprocess.Popen(
                    [python.path, *flags, str(_BOOTSTRAP), str(theirs.fileno()), str(os.getpid())],
                    env=dict(environ),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    process_group=0,  # Ctrl-C is for the supervisor alone: it ends the others in order
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                )
            except OSError as error:
                ours.close()
                reason = f"cannot run {python.path}: {error.strerror}"
                raise UsageError(reason, hint="check --python") from error
        ours.settimeout(_START_TIMEOUT_S)
        return cls(process=process, control=ours)

    def preload(self, modules: Sequence[str]) -> None:
        """Begin to import modules that coming workers need."""
        self._send({"op": "preload", "modules": list(modules)}, [])
        self._pending += 1

    def settle(self) -> dict[str, str]:
        """Wait for the imports; returns why each missing module could not be imported."""
        while self._pending:
            reply = self._reply()
            self._pending -= 1
            self.failed |= reply["failed"]
            self.python = reply["python"]
        return self.failed

    def forgive(self) -> None:
        """Forget which modules an earlier model asked for in vain."""
        self.settle()
        self.failed = {}

    def fork(self, order: Mapping[str, Any], fds: Sequence[int]) -> int:
        """Start a child with these descriptors; returns its process id."""
        self.settle()
        self._send({"op": "fork", **order}, fds)
        return int(self._reply()["pid"])

    def reap(self, pid: int, *, grace_s: float) -> dict[str, Any]:
        """Wait so long for the child's end, then kill it: `status`, `killed`, `peak_bytes`, `cpu_seconds`."""
        self.settle()
        self._send({"op": "reap", "pid": pid, "grace_s": grace_s}, [])
        return self._reply()

    def close(self) -> None:
        self.control.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _send(self, order: Mapping[str, Any], fds: Sequence[int]) -> None:
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], list(fds))
        except OSError as error:
            raise self._dead() from error

    def _reply(self) -> dict[str, Any]:
        try:
            data = self.control.recv(1 << 20)
        except OSError as error:
            raise self._dead() from error
        if not data:
            raise self._dead()
        reply: dict[str, Any] = json.loads(data)
        return reply

    def _dead(self) -> WorkerError:
        status = self.process.poll()
        return WorkerError(
            f"the process that starts workers ended unexpectedly (status {status})",
            hint="is the interpreter whole? Run it with `-I -c 0`",
        )
