"""The supervisor's side of a zygote: the process that imports libraries once and forks the workers."""

from __future__ import annotations

import contextlib
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
#: To start, and to import: seconds; on a machine that is busy with other things, minutes.
START_TIMEOUT_S = 600.0
_END_TIMEOUT_S = 5.0


@dataclass(kw_only=True)
class Zygote:
    """The parent of workers that run under one interpreter. Orders are answered in turn; what `preload` and `split`
    begin need not be awaited.

    It is a `process` of ours, or one that another zygote, its `origin`, has forked.
    """

    control: socket.socket
    process: subprocess.Popen[bytes] | None = None
    origin: Zygote | None = None
    _pid: int = 0
    _status: int | None = None
    _pending: list[Zygote | None] = field(default_factory=list)
    """of each order without an answer the zygote that it is for, or None for imports"""
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
        ours.settimeout(START_TIMEOUT_S)
        return cls(process=process, control=ours)

    def split(self) -> Zygote:
        """Another zygote, with all that this one has imported so far: no interpreter starts, and memory is shared."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._send({"op": "split"}, [theirs.fileno()])
        ours.settimeout(START_TIMEOUT_S)
        found = Zygote(control=ours, origin=self)
        self._pending.append(found)
        return found

    def preload(self, modules: Sequence[str]) -> None:
        """Begin to import modules that coming workers need."""
        self._send({"op": "preload", "modules": list(modules)}, [])
        self._pending.append(None)

    def settle(self) -> dict[str, str]:
        """Wait for the imports; returns why each missing module could not be imported."""
        while self._pending:
            reply = self._reply()
            born = self._pending.pop(0)
            if born is not None:
                born._pid = int(reply["pid"])
                continue
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
        """End it. One that was split off ends before its origin."""
        self.control.close()
        self._end()

    def _end(self) -> int | None:
        """Wait for its end, or bring it about; how it ended, None where nobody can tell."""
        if self.process is not None:
            try:
                return self.process.wait(timeout=_END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                return self.process.wait()
        if self.origin is not None:
            with contextlib.suppress(WorkerError):  # where the origin is gone, so are all that came of it
                self._status = int(self.origin.reap(self._pid, grace_s=_END_TIMEOUT_S)["status"])
            self.origin = None
        return self._status

    def _send(self, order: Mapping[str, Any], fds: Sequence[int]) -> None:
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], list(fds))
        except OSError as error:
            raise self._silent(error) from error

    def _reply(self) -> dict[str, Any]:
        try:
            data = self.control.recv(1 << 20)
        except OSError as error:
            raise self._silent(error) from error
        if not data:
            raise self._dead()
        reply: dict[str, Any] = json.loads(data)
        return reply

    def _silent(self, error: OSError) -> WorkerError:
        if not isinstance(error, TimeoutError):
            return self._dead()
        return WorkerError(
            f"the process that starts workers has not answered within {self.control.gettimeout():g} s",
            hint="see what else this machine is doing, and run again: nothing was judged by it",
        )

    def _dead(self) -> WorkerError:
        status = self._end()
        return WorkerError(
            f"the process that starts workers ended unexpectedly (status {status})",
            hint="is the interpreter whole? Run it with `-I -c 0`",
        )
