"""The supervisor's side of worker processes: start them, ask them, name how they ended, leave none behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import validator
from validator.errors import PreflightError, UsageError, WorkerError
from validator.results import Layer
from validator.worker import wire
from validator.worker.lockdown.outcome import explain
from validator.worker.lockdown.policy import Policy

_BOOTSTRAP = Path(validator.__file__).parent / "worker" / "bootstrap.py"
_MIB = 2**20
#: Variables that a worker may inherit: they tune numerics and hold no secret.
_INHERITED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "TZ", "PREFLIGHT_WORKER_STDERR")
_START_TIMEOUT_S = 120.0


class Raised(PreflightError):  # noqa: N818 - it is the worker's error, told again
    """Code inside a worker raised: a refusal by the model's library, or by ours.

    `kind` is the exception's class name, `bases` the built-in classes it also is.
    """

    exit_code = 1

    def __init__(self, kind: str, bases: tuple[str, ...], message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.bases = bases


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one worker may use: address space in bytes, seconds for one answer, processor time in all."""

    memory_bytes: int
    timeout_s: float
    cpu_seconds: int = 7_200


@dataclass(frozen=True, kw_only=True)
class Reply:
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
    limits: Limits
    policy: Policy
    zygote: Zygote
    isolation: tuple[Layer, ...] = ()
    contained: bool = False
    _ended: str = ""
    _sent_at: float = 0.0

    def call(
        self,
        op: str,
        arrays: Sequence[Any] = (),
        *,
        timeout_s: float | None = None,
        **args: Any,
    ) -> Reply:
        """Ask and wait. Raises Raised for an error inside, WorkerError when the process died, hung or babbled."""
        self.post(op, arrays, timeout_s=timeout_s, **args)
        return self.answer(timeout_s=timeout_s)

    def post(
        self, op: str, arrays: Sequence[Any] = (), *, timeout_s: float | None = None, **args: Any
    ) -> None:
        """Ask without waiting; `answer` must follow before the next `post`."""
        self._check_alive()
        self._sent_at = time.perf_counter()
        try:
            wire.send(self.fd, {"op": op, "args": args}, arrays, self._deadline(timeout_s))
        except wire.WireError as error:
            raise self._failed(error) from error

    def answer(self, *, timeout_s: float | None = None) -> Reply:
        self._check_alive()
        try:
            meta, arrays = wire.receive(self.fd, self._deadline(timeout_s))
        except wire.WireError as error:
            raise self._failed(error) from error
        wall = time.perf_counter() - self._sent_at
        if "error" in meta:
            raise _raised(meta["error"])
        seconds = meta.get("seconds")
        return Reply(
            result=meta.get("result"),
            arrays=arrays,
            seconds=float(seconds) if isinstance(seconds, (int, float)) else wall,
            wall_seconds=wall,
        )

    def close(self) -> None:
        """End the process and remove its scratch folder. Safe to repeat."""
        if not self._ended:
            self._end(kill=True, cause="closed")
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self.limits.timeout_s if timeout_s is None else timeout_s)

    def _check_alive(self) -> None:
        if self._ended:
            raise WorkerError(
                f"the {self.name} worker is gone: {self._ended}", hint="see the first failure for its cause"
            )

    def _failed(self, error: wire.WireError) -> WorkerError:
        if isinstance(error, wire.Timeout):
            cause = f"gave no answer within {self.limits.timeout_s:g} s and was killed"
            hint = "raise worker_timeout_s if the model really needs longer"
        elif isinstance(error, wire.Closed):
            cause, hint = "", "raise worker_memory_mb or worker_timeout_s if the model really needs more"
        else:
            cause, hint = (
                f"sent a malformed answer: {error}",
                "the model interferes with its worker; do not ship it",
            )
        cause = self._end(kill=not isinstance(error, wire.Closed), cause=cause)
        return WorkerError(f"the {self.name} worker {cause}", hint=hint)

    def _end(self, *, kill: bool, cause: str) -> str:
        os.close(self.fd)
        ended = self.zygote.reap(self.pid, kill=kill)
        outcome = explain(
            ended["status"],
            policy=self.policy,
            cpu_seconds=ended["cpu_seconds"],
            peak_bytes=ended["peak_bytes"],
        )
        self._ended = cause or outcome.message
        return self._ended


def _raised(error: Any) -> PreflightError:
    if not isinstance(error, dict):
        return WorkerError("a worker sent a malformed error", hint="the model interferes with its worker")
    bases = error.get("bases")
    return Raised(
        str(error.get("type"))[:200],
        tuple(str(base)[:200] for base in bases[:20]) if isinstance(bases, list) else (),
        str(error.get("message"))[:20_000],
        str(error.get("hint") or "")[:5_000] or "see the message",
    )


@dataclass(kw_only=True)
class Zygote:
    """The parent of the workers of one interpreter. Orders are answered in turn; `preload` need not be awaited."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    _pending: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    python: str = ""

    @classmethod
    def start(cls, python: str, environ: Mapping[str, str]) -> Zygote:
        """Raises UsageError when the interpreter cannot be run."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = subprocess.Popen(
                    [python, "-I", "-B", str(_BOOTSTRAP), str(theirs.fileno())],
                    env=dict(environ),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                )
            except OSError as error:
                raise UsageError(f"cannot run {python}: {error.strerror}", hint="check --python") from error
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
        self.settle()
        self._send({"op": "fork", **order}, fds)
        return int(self._reply()["pid"])

    def reap(self, pid: int, *, kill: bool) -> dict[str, Any]:
        self.settle()
        self._send({"op": "reap", "pid": pid, "kill": kill}, [])
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
            hint="is the interpreter at least Python 3.9 with numpy installed?",
        )


class Workshop:
    """All worker processes of a run. Leaving the context ends every one of them and removes their scratch folders."""

    def __init__(self, *, limits: Limits, threads: int = 1) -> None:
        self.limits = limits
        self._threads = threads
        self._zygotes: dict[tuple[str, str], Zygote] = {}
        self._workers: list[Worker] = []
        self._folder = Path(tempfile.mkdtemp(prefix="preflight-"))
        self._folder.chmod(0o711)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def zygote(self, role: str, python: str = sys.executable) -> Zygote:
        """The zygote of that interpreter for that role (what it has imported), started at first use."""
        key = (role, python)
        if key not in self._zygotes:
            self._zygotes[key] = Zygote.start(python, self._environ())
        return self._zygotes[key]

    def start(
        self,
        job: str,
        *,
        role: str = "tools",
        python: str = sys.executable,
        options: Mapping[str, Any] | None = None,
        files: Sequence[int] = (),
        packages: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        wait: bool = True,
    ) -> Worker:
        """Fork a locked-down worker for `job`.

        `files` are descriptors that it may read; `packages` the user's own, from name to path, that it may import.

        Raises WorkerError when it does not come up.
        """
        zygote = self.zygote(role, python)
        limits = limits or self.limits
        scratch = Path(tempfile.mkdtemp(prefix=f"{job}-", dir=self._folder))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            policy = Policy(
                scratch=str(scratch),
                readable=tuple((packages or {}).values()),
                memory_bytes=limits.memory_bytes,
                cpu_seconds=limits.cpu_seconds,
            )
            order = {
                "job": job,
                "options": dict(options or {}),
                "packages": dict(packages or {}),
                "policy": asdict(policy),
                "fds": 1 + len(files),
            }
            pid = zygote.fork(order, [theirs.fileno(), *files])
        worker = Worker(
            name=job, pid=pid, fd=ours.detach(), scratch=scratch, limits=limits, policy=policy, zygote=zygote
        )
        self._workers.append(worker)
        if wait:
            self.ready(worker)
        return worker

    def ready(self, worker: Worker) -> None:
        """Wait until the worker has locked itself down."""
        try:
            meta, _ = wire.receive(worker.fd, time.monotonic() + _START_TIMEOUT_S)
        except wire.WireError as error:
            raise worker._failed(error) from error
        if "error" in meta:
            raise _raised(meta["error"])
        report = meta["lockdown"]
        worker.contained = report["contained"] is True
        worker.isolation = tuple(
            Layer(name=layer["name"], state=layer["state"], reason=layer["detail"][:1000])
            for layer in report["layers"]
        )

    @contextlib.contextmanager
    def lease(self, limits: Limits) -> Iterator[Workshop]:
        """The workshop for one of several models: at the end its workers are gone, while what was imported stays."""
        self.limits = limits
        for zygote in self._zygotes.values():
            zygote.forgive()
        try:
            yield self
        finally:
            self._end_workers()

    def _end_workers(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(WorkerError):
                worker.close()
        self._workers.clear()

    def close(self) -> None:
        self._end_workers()
        for zygote in self._zygotes.values():
            zygote.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _environ(self) -> dict[str, str]:
        threads = str(self._threads)
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._folder),
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "JOBLIB_MULTIPROCESSING": "0",
            "LOKY_MAX_CPU_COUNT": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            **kept,
        }


@contextlib.contextmanager
def interruptible() -> Any:
    """Turn SIGTERM into the same orderly end as Ctrl-C."""

    def stop(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
