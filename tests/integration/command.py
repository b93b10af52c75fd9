"""Runs the command as a user does: in a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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


def run(*arguments: object, cwd: Path, out: str = "preflight", timeout: float = 240, **environ: str) -> Ran:
    """`model-preflight ARGUMENTS` in `cwd`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "validator.cli", *map(str, arguments)],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr, folder=cwd / out)
