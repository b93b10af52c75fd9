"""Writing a file so that who reads it sees the earlier one or the new one, never a half."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, *, prefix: str | None = None) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` at the end, or is removed. Raises OSError.

    The name begins with `prefix`, or with a dot and that of `path`.
    """
    staged = path.with_name((prefix or f".{path.name}-") + secrets.token_hex(8))
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


@contextmanager
def lasting_file(path: Path, *, prefix: str | None = None) -> Iterator[IO[bytes]]:
    """A `whole_file`, open for writing, that is on the disk before it takes its place: also after a crash."""
    with whole_file(path, prefix=prefix) as staged, staged.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
