"""Processes that end with the one that started them, whatever ends it: no server is left behind.

Run as a program, it becomes another one: ``python following.py PARENT PROGRAM ARGUMENT...``. Programs such as HAProxy
cannot be told to follow; what the kernel was told before stays with them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def following(command: Sequence[str]) -> tuple[str, ...]:
    """The command line by which `command` is killed when this process ends, by SIGKILL too (Linux)."""
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), *command)


def _become(parent: int, command: list[str]) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before it could be followed
            return
    try:
        os.execvp(command[0], command)  # noqa: S606 - what it becomes is what it is for
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
