"""Writing a file so that who reads it sees the earlier one or the new one, never a half."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it takes the place of `path` at the end, or is removed. Raises OSError."""
    staged = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
