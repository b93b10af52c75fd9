"""All worker processes of a run: start them under the lockdown, leave none behind."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from validator.environments.interpreter import Interpreter, own
from validator.errors import WorkerError
from validator.libraries.known import LIBRARIES
from validator.results import Layer
from validator.sandbox.handle import Raised, Worker, WorkerAnswer, WorkerLimits
from validator.sandbox.lockdown.policy import LockdownPolicy
from validator.sandbox.zygote import Zygote

__all__ = ["Raised", "Worker", "WorkerAnswer", "WorkerLimits", "WorkerPool", "Zygote"]

#: Variables that a worker may inherit: they tune numerics and hold no secret.
_INHERITED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "TZ")
#: Jobs that need files: some libraries save to paths alone, in a pipeline too, and a Deployment loads a folder.
_WRITERS = frozenset({"export", "convert", "deployment", "wrapper"})
#: What the zygotes of our own interpreter have in common.
_COMMON = ("numpy", "validator.sandbox.inside.child", "validator.sandbox.packing", "validator.worker.serving")
_READ_BY_PATH = frozenset(form.name for library in LIBRARIES for form in library.formats if form.by_path)


class WorkerPool:
    """All worker processes of a run. Leaving the context ends every one of them and removes their scratch folders."""

    def __init__(self, *, limits: WorkerLimits, threads: int = 1) -> None:
        self.limits = limits
        self.deadline = math.inf
        self._threads = threads
        self._zygotes: dict[tuple[str, str], Zygote] = {}
        self._trunk: Zygote | None = None
        self._workers: list[Worker] = []
        self._folder = Path(tempfile.mkdtemp(prefix="preflight-")).absolute()  # TMPDIR may be relative
        self._folder.chmod(0o711)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def zygote(self, role: str, python: Interpreter | None = None) -> Zygote:
        """The zygote of that interpreter for that role (what it has imported), started at first use."""
        python = python or own()
        key = (role, python.path)
        if key not in self._zygotes:
            begin = Zygote.start if python.foreign else self._split
            self._zygotes[key] = begin(python, self._environ())
        return self._zygotes[key]

    def _split(self, python: Interpreter, environ: Mapping[str, str]) -> Zygote:
        """A zygote that goes on from the trunk, where what every role needs is imported once."""
        if self._trunk is None:
            self._trunk = Zygote.start(python, environ)
            self._trunk.preload(_COMMON)
        return self._trunk.split()

    def start(
        self,
        job: str,
        *,
        role: str = "tools",
        python: Interpreter | None = None,
        options: Mapping[str, Any] | None = None,
        files: Sequence[int] = (),
        packages: Mapping[str, str] | None = None,
        readable: Sequence[str] = (),
        limits: WorkerLimits | None = None,
    ) -> Worker:
        """Fork a locked-down worker for `job`.

        `files` are descriptors that it may read; `packages` the user's own, from name to path, that it may import;
        `readable` further paths that it may read.

        Raises WorkerError when it does not come up.
        """
        python = python or own()
        zygote = self.zygote(role, python)
        limits = limits or self.limits
        scratch = Path(tempfile.mkdtemp(prefix=f"{job}-", dir=self._folder))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            policy = LockdownPolicy(
                scratch=str(scratch),
                readable=(*(packages or {}).values(), *readable, *python.readable),
                memory_bytes=limits.memory_bytes,
                cpu_seconds=limits.cpu_seconds,
                # Libraries that are imported behind the lockdown may expect a folder for temporary files.
                writable_scratch=python.foreign or job in _WRITERS or _needs_files(options, packages),
            )
            order = {
                "job": job,
                "options": dict(options or {}),
                "packages": dict(packages or {}),
                "site": python.foreign,
                "policy": asdict(policy),
                "fds": 1 + len(files),
            }
            pid = zygote.fork(order, [theirs.fileno(), *files])
        worker = Worker(
            name=job,
            pid=pid,
            fd=ours.detach(),
            scratch=scratch,
            limits=limits,
            policy=policy,
            zygote=zygote,
            deadline=self.deadline,
        )
        self._workers.append(worker)
        worker.ready()
        return worker

    @property
    def isolation(self) -> tuple[Layer, ...]:
        """The layers around the workers so far: of each its weakest state."""
        weakest: dict[str, Layer] = {}
        for layer in (layer for worker in self._workers for layer in worker.isolation):
            known = weakest.get(layer.name)
            if known is None or (known.state == "applied" and layer.state != "applied"):
                weakest[layer.name] = layer
        return tuple(weakest.values())

    @contextlib.contextmanager
    def lease(self, limits: WorkerLimits) -> Iterator[WorkerPool]:
        """The pool for one of several models: at the end its workers are gone, while what was imported stays."""
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
        if self._trunk is not None:
            self._trunk.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _environ(self) -> dict[str, str]:
        threads = str(self._threads)
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._folder),
            # An arena for each thread would take up the address space that worker_memory_mb allows.
            "MALLOC_ARENA_MAX": "2",
            "OMP_NUM_THREADS": threads,
            "OMP_THREAD_LIMIT": threads,  # holds for models that ask for a number of their own
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "JOBLIB_MULTIPROCESSING": "0",
            "LOKY_MAX_CPU_COUNT": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            **kept,
        }


def _needs_files(options: Mapping[str, Any] | None, packages: Mapping[str, str] | None) -> bool:
    """Whether the user's code will run, which may expect a folder for temporary files, or a file is read by path."""
    given = options or {}
    return bool(packages) or bool(given.get("trusted")) or given.get("format") in _READ_BY_PATH
