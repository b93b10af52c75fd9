"""What the kernel says of a process, which the process cannot forge. Linux says it, other systems do not."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def queued_ns(process: int | str, proc: Path = _PROC) -> int | None:
    """Nanoseconds that the main thread was ready to run and had no processor, so far. None where nobody counts.

    `process` is a process id, or `thread-self`.
    """
    try:
        return int((proc / str(process) / "schedstat").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def peak_bytes(process: int, proc: Path = _PROC) -> int | None:
    """The most resident memory that the process had at one time. None where nobody counts."""
    try:
        lines = (proc / str(process) / "status").read_bytes().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmHWM:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
