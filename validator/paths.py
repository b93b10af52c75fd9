"""Whether a text leads to anything, whatever text it is."""

from __future__ import annotations

import os
from pathlib import Path


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether something lies at the path; nothing does where the text can be none: too long, or with a NUL."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
