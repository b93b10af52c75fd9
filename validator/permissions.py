"""What to do where the system lets this user not read or write."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def remedy(error: OSError, path: Path, otherwise: str) -> str:
    """`otherwise`, unless permission is what lacks: then whose the path is, and how to run as that user.

    In a container a stranger, and a root without capabilities, may do no more than any other user.
    """
    if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
        return otherwise
    if error.errno == errno.EROFS:
        return f"it lies on a read-only file system: mount it writable, or {otherwise}"
    owner = _owner(path)
    whose = "" if owner is None else f" it belongs to user {owner}, and"
    return (
        f"{otherwise};{whose} this runs as user {os.geteuid()}: in a container, run it as yourself, with "
        "`docker run --user $(id -u):$(id -g) ...`"
    )


def _owner(path: Path) -> int | None:
    """Whose the path is, or the nearest folder above it that can be looked at."""
    for place in (path, *path.absolute().parents):
        try:
            return place.stat().st_uid
        except OSError:
            continue
    return None
