"""Runs the command as a user does: `run` in a process of its own, `judge` in this one, with workers that are warm.

Most of what a run costs is that its zygotes import the libraries of models. `judge` lends the command those that an
earlier test's run has started, as the command itself does from the second of several models on. Whatever is about the
process (its start, its signals, what it imports, what is left when it ends) is for `run`.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from validator.cli.main import main
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool

ROOT = Path(__file__).parents[2]
TRADING = ROOT / "examples" / "trading"
DIAGNOSIS = ROOT / "examples" / "diagnosis"
_KEPT = ("PATH", "HOME", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return found

    def failing(self) -> set[str]:
        """Ids of the checks that failed or erred, with their runtime after a slash if they have one."""
        return {
            check["id"] + (f"/{check['runtime']}" if check["runtime"] else "")
            for check in self.result["checks"]
            if check["status"] in ("fail", "error") and check["required"]
        }


def waived(*checks: str) -> str:
    """Settings, to be the last of a file, under which no failure of these checks blocks until long after today."""
    expires = datetime.now(UTC).date() + timedelta(days=60)
    return "".join(
        f'\n[[waivers]]\ncheck = "{check}"\nreason = "a busy machine is no reason to block"\nexpires = {expires}\n'
        for check in checks
    )


def unhurried(folder: Path, settings: str = "") -> None:
    """Writes the folder's `preflight.toml`, with further settings: in runs there no figure of time can block.

    Whether one runtime is faster than the other, and whether a worker claims too little time, has no limit to raise.
    """
    generous = "max_latency_ms = 60000\nmax_load_ms = 600000\nmax_slowdown = 1000\n"
    (folder / "preflight.toml").write_text(settings + generous + waived("latency.single", "latency.speedup"))


def _environ(changes: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def run(*arguments: object, cwd: Path, out: str = "preflight", timeout: float = 240, **environ: str) -> Ran:
    """`model-preflight ARGUMENTS` in `cwd`."""
    done = subprocess.run(
        [sys.executable, "-m", "validator.cli", *map(str, arguments)],
        cwd=cwd,
        env=_environ(environ),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr, folder=cwd / out)


class Warm:
    """Zygotes that outlive a command, and the file that takes what they and it write to standard error."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._pool: WorkerPool | None = None
        atexit.register(self.close)

    @contextlib.contextmanager
    def pool(self, *, limits: WorkerLimits) -> Iterator[WorkerPool]:
        """Stands for `WorkerPool(limits=...)`, and ends the workers alone."""
        if self._pool is None:
            self._pool = WorkerPool(limits=limits)
        with self._pool.lease(limits) as pool:
            yield pool

    @contextlib.contextmanager
    def standard_error(self, lines: list[str]) -> Iterator[None]:
        """Leads descriptor 2 to the file, for zygotes and command alike; what they wrote is in `lines` afterwards."""
        start, before, stream = self._said.seek(0, os.SEEK_END), os.dup(2), sys.stderr
        os.dup2(self._said.fileno(), 2)
        try:
            with os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1) as sys.stderr:
                yield
        finally:
            sys.stderr = stream
            os.dup2(before, 2)
            os.close(before)
            self._said.seek(start)
            lines.append(self._said.read().decode())

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._said.close()


_WARM = Warm()


def judge(*arguments: object, cwd: Path, out: str = "preflight", **environ: str) -> Ran:
    """`model-preflight ARGUMENTS` in `cwd`, in this process. It ends no worker's parent, and is not locked itself."""
    said: list[str] = []
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(mock.patch.dict(os.environ, _environ(environ), clear=True))
        for module in ("sandbox.worker_pool", "gate.session"):
            stack.enter_context(mock.patch(f"validator.{module}.WorkerPool", _WARM.pool))
        stack.enter_context(mock.patch("validator.sandbox.lockdown.supervisor.protect_supervisor"))
        stack.enter_context(contextlib.redirect_stdout(printed))
        with _WARM.standard_error(said):
            try:
                code = main([str(one) for one in arguments])
            except SystemExit as ended:  # --help and --version
                code = int(ended.code or 0)
    printed.seek(0)
    return Ran(code=code, out=printed.read(), err=said[0], folder=cwd / out)
