"""One worker process as the supervisor sees it: asked over its channel, its answers doubted, its end explained."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator import errors
from validator.errors import Exit, PreflightError, TimeUp, WorkerError
from validator.results import Layer
from validator.sandbox import wire
from validator.sandbox.lockdown.policy import LockdownPolicy
from validator.sandbox.lockdown.worker_exit import explain
from validator.sandbox.zygote import START_TIMEOUT_S, Zygote

#: The hint of an error that came without one.
NO_HINT = "see the message"
#: An answer's header, and its arrays where the caller does not expect more.
_HEADER_BYTES = 8 * 2**20
REPLY_BYTES = 512 * 2**20
#: Seconds for a worker that closed its channel to end by itself, so that its own end is what is reported.
_GRACE_S = 2.0
#: An object's address, as Python shows it.
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")
_TAMPERED = "the model interferes with its worker; do not ship it"


class Raised(PreflightError):  # noqa: N818 - it is the worker's error, told again
    """Code inside a worker raised: a refusal by the model's library, or by ours.

    `kind` is the exception's class name, `bases` the built-in classes it also is.
    """

    exit_code = Exit.FAILED

    def __init__(self, kind: str, bases: tuple[str, ...], message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.bases = bases

    @property
    def said(self) -> str:
        """The message, after the error's class unless the error is one of ours, which speaks for itself."""
        ours = isinstance(getattr(errors, self.kind, None), type)
        return self.message if ours else f"{self.kind}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class WorkerLimits:
    """What one worker may use: address space in bytes, seconds for one answer, processor time in all."""

    memory_bytes: int
    timeout_s: float
    cpu_seconds: int = 7_200


@dataclass(frozen=True, kw_only=True)
class WorkerAnswer:
    """An answer: JSON, arrays, seconds by the worker's own clock and by ours."""

    result: Any
    arrays: list[Any]
    seconds: float
    wall_seconds: float


@dataclass(kw_only=True)
class Worker:
    """One child process and its channel. Not for several threads at once."""

    name: str
    pid: int
    fd: int
    scratch: Path
    limits: WorkerLimits
    policy: LockdownPolicy
    zygote: Zygote
    isolation: tuple[Layer, ...] = ()
    contained: bool = False
    deadline: float = math.inf
    """when the whole run's time is up, by `time.monotonic`"""
    _ended: str = ""
    _sent_at: float = 0.0

    def ready(self) -> None:
        """Wait until the worker has locked itself down. Raises WorkerError when it does not come up."""
        meta, _ = self._receive(START_TIMEOUT_S, REPLY_BYTES)
        if "error" in meta:
            raise raised(meta["error"], self.scratch)
        report = meta["lockdown"]
        self.contained = report["contained"] is True
        self.isolation = tuple(
            Layer(name=layer["name"], state=layer["state"], reason=layer["detail"][:1000])
            for layer in report["layers"]
        )

    def call(
        self,
        op: str,
        arrays: Sequence[Any] = (),
        *,
        timeout_s: float | None = None,
        most_bytes: int = REPLY_BYTES,
        **args: Any,
    ) -> WorkerAnswer:
        """Ask and wait. An answer above `most_bytes` is refused unread.

        Raises Raised for an error inside, WorkerError when the process died, hung or babbled, TimeUp when the run's
        time ends first.
        """
        self.post(op, arrays, timeout_s=timeout_s, **args)
        return self.answer(timeout_s=timeout_s, most_bytes=most_bytes)

    def post(
        self, op: str, arrays: Sequence[Any] = (), *, timeout_s: float | None = None, **args: Any
    ) -> None:
        """Ask without waiting; `answer` must follow before the next `post`."""
        self._check_alive()
        self._sent_at = time.perf_counter()
        seconds = self._bounded(self.limits.timeout_s if timeout_s is None else timeout_s)
        try:
            wire.send(self.fd, {"op": op, "args": args}, arrays, time.monotonic() + seconds)
        except wire.WireError as error:
            raise self._failed(error, seconds) from error

    def answer(self, *, timeout_s: float | None = None, most_bytes: int = REPLY_BYTES) -> WorkerAnswer:
        """The answer to what was posted. Raises as `call` does."""
        meta, arrays = self._receive(self.limits.timeout_s if timeout_s is None else timeout_s, most_bytes)
        wall = time.perf_counter() - self._sent_at
        if "error" in meta:
            raise raised(meta["error"], self.scratch)
        return WorkerAnswer(
            result=meta.get("result"),
            arrays=arrays,
            seconds=believable(meta.get("seconds"), wall),
            wall_seconds=wall,
        )

    def peak_bytes(self) -> int | None:
        """The peak of the process's resident memory as the kernel tells it; None where it does not."""
        with contextlib.suppress(OSError, ValueError):
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None

    def close(self) -> None:
        """End the process and remove its scratch folder. Safe to repeat."""
        if not self._ended:
            self._ended = "closed"
            os.close(self.fd)
            self.zygote.reap(self.pid, grace_s=0)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _receive(self, seconds: float, most_bytes: int) -> tuple[wire.Meta, wire.Arrays]:
        self._check_alive()
        seconds = self._bounded(seconds)
        try:
            return wire.receive(
                self.fd, time.monotonic() + seconds, max_header=_HEADER_BYTES, max_body=most_bytes
            )
        except wire.WireError as error:
            raise self._failed(error, seconds) from error

    def _bounded(self, seconds: float) -> float:
        """So many seconds, or the fewer that are left of the run. Raises TimeUp where none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeUp
        return min(seconds, left)

    def _check_alive(self) -> None:
        if self._ended:
            raise WorkerError(
                f"the {self.name} worker is gone: {self._ended}", hint="see the first failure for its cause"
            )

    def _failed(self, error: wire.WireError, seconds: float) -> WorkerError:
        """End the process, whatever it still does, and say what went wrong in the words of its end.

        Raises TimeUp where the run's time has ended it.
        """
        timed_out, closed = isinstance(error, wire.Timeout), isinstance(error, wire.Closed)
        os.close(self.fd)
        ended = self.zygote.reap(self.pid, grace_s=_GRACE_S if closed else 0)
        killed_by_us = ended["killed"]
        outcome = explain(
            ended["status"],
            policy=self.policy,
            cpu_seconds=ended["cpu_seconds"],
            peak_bytes=ended["peak_bytes"],
            timed_out=timed_out and killed_by_us,
        )
        hint = "raise worker_memory_mb or worker_timeout_s if the model really needs more"
        if timed_out and time.monotonic() >= self.deadline:
            self._ended = "was ended with the run, whose time was up"
            raise TimeUp from error
        if timed_out and killed_by_us:
            self._ended = f"gave no answer within the time limit of {seconds:g} s and was killed"
            hint = "raise worker_timeout_s if the model really needs longer"
        elif timed_out or (closed and not killed_by_us):
            self._ended = outcome.message
        elif closed:
            self._ended, hint = "closed its channel, ran on, and was killed", _TAMPERED
        else:
            self._ended, hint = f"sent a malformed answer and was killed: {error}", _TAMPERED
        return WorkerError(f"the {self.name} worker {self._ended}", hint=hint)


def believable(claimed: Any, most: float) -> float:
    """A duration that a worker claims, no longer than what passed here; what passed here where it claims none."""
    known = type(claimed) in (int, float) and -math.inf < claimed < math.inf
    return min(max(claimed, 0.0), most) if known else most


def raised(error: Any, scratch: Path) -> PreflightError:
    """The worker's error, without what differs from run to run: where its scratch lies, where its objects are."""
    if not isinstance(error, dict):
        return WorkerError("a worker sent a malformed error", hint=_TAMPERED)
    bases = error.get("bases")
    return Raised(
        str(error.get("type"))[:200],
        tuple(str(base)[:200] for base in bases[:20]) if isinstance(bases, list) else (),
        _ADDRESS.sub("0x...", str(error.get("message"))[:20_000].replace(f"{scratch}/", "")),
        str(error.get("hint") or "")[:5_000] or NO_HINT,
    )
