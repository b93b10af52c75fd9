"""Times as people write them: 500ms, 90s, 10m, 6h, 7d."""

from __future__ import annotations

import re

_UNITS = {"ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_WRITTEN = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?)({'|'.join(_UNITS)})")


def seconds_of(text: str) -> float | None:
    """The seconds of a number and its unit: ms, s, m or min, h, d, w, y. None where the text is something else."""
    match = _WRITTEN.fullmatch(text)
    return None if match is None else float(match[1]) * _UNITS[match[2]]
