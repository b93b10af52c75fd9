"""What to do where the system lets this user not read or write."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from validator.errors import InternalError, PreflightError, UsageError

_LACKING = (errno.EACCES, errno.EPERM, errno.EROFS)


def remedy(error: OSError, path: Path, otherwise: str) -> str:
    """`otherwise`, unless permission is what lacks: then whose the path is, and how to run as that user.

    In a container a stranger, and a root without capabilities, may do no more than any other user.
    """
    if error.errno not in _LACKING:
        return otherwise
    if error.errno == errno.EROFS:
        return f"it lies on a read-only file system: mount it writable, or {otherwise}"
    owner = _owner(path)
    whose = "" if owner is None else f" it belongs to user {owner}, and"
    return (
        f"{otherwise};{whose} this runs as user {os.geteuid()}: in a container, run it as yourself, with "
        "`docker run --user $(id -u):$(id -g) ...`"
    )


def unforeseen(error: Exception) -> PreflightError:
    """What the user is told of an exception that nobody met: a right that lacks somewhere, or a mistake of ours."""
    if not isinstance(error, OSError) or error.errno not in _LACKING or not isinstance(error.filename, str):
        return InternalError.of(error)
    path = Path(error.filename)
    return UsageError(f"{path}: {error.strerror}", hint=remedy(error, path, "give this user the right to it"))


def _owner(path: Path) -> int | None:
    """Whose the path is, or the nearest folder above it that can be looked at."""
    for place in (path, *path.absolute().parents):
        try:
            return place.stat().st_uid
        except OSError:
            continue
    return None
