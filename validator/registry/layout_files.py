"""Files of a layout folder: read within limits, and written beside their place before they are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from validator.registry.errors import DamagedError

CHUNK = 2**20
#: Begins the names of files that are not in their place yet, or were left by a writer that was killed.
STAGED = ".writing-"
RESTORE = "restore the folder from a copy; what `registry push` wrote can be pushed again"


def file_state(place: Path) -> tuple[int, int, int]:
    """What changes whenever a file is replaced."""
    try:
        found = place.stat()
    except OSError as error:
        raise unreadable(place, error) from error
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def parts_of(place: Path) -> Iterator[bytes]:
    try:
        with place.open("rb") as file:
            while part := file.read(CHUNK):
                yield part
    except OSError as error:
        raise unreadable(place, error) from error


def whole(place: Path, limit: int) -> bytes:
    try:
        with place.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise unreadable(place, error) from error
    if len(content) > limit:
        raise DamagedError(f"{place} is absurdly large", hint=RESTORE)
    return content


def unreadable(place: Path, error: OSError) -> DamagedError:
    return DamagedError(f"{place} cannot be read: {error.strerror}", hint=RESTORE)


def damaged(place: Path) -> DamagedError:
    return DamagedError(f"{place} was changed: its content is not what its name says", hint=RESTORE)
