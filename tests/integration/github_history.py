"""Histories in a real Git repository."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What git prints, without the last line end."""
    settings = (
        "user.name=t",
        "user.email=t@example.org",
        "protocol.file.allow=always",
        "core.autocrlf=false",
    )
    flags = [part for setting in settings for part in ("-c", setting)]
    done = subprocess.run(["git", *flags, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.removesuffix("\n")


def commit(folder: Path, message: str) -> str:
    """Commit all that lies there; returns the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")
