"""What tests with real servers have in common: how they are marked, and the job on GitHub that some of them play."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def drilled(tools: Sequence[str], *, seconds: int = 300) -> list[pytest.MarkDecorator]:
    """The marks of a module whose tests need these programs. In CI none may be missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return [
        pytest.mark.drill,
        pytest.mark.long,
        pytest.mark.timeout(seconds),
        pytest.mark.skipif(
            bool(missing) and not os.environ.get("CI"), reason=f"not installed: {', '.join(missing)}"
        ),
    ]


def job_environ(peer: Any, folder: Path) -> dict[str, str]:
    """The environment of a step of a job on GitHub, as the peer plays it; `model-preflight` is this checkout's."""
    binaries = folder / "bin"
    binaries.mkdir()
    program = binaries / "model-preflight"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m validator.cli "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(folder), "GITHUB_ACTIONS": "true", "CI": "true",
        "GITHUB_REPOSITORY": peer.repo, "GITHUB_SHA": peer.s["refs"]["main"], "GITHUB_API_URL": peer.url,
        "GITHUB_RUN_ID": "7", "GITHUB_ACTOR": "octocat", "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
