"""What rules demand of the arguments and states they are shown, and how they refuse."""

from __future__ import annotations

from typing import Any

from validator.model.safety.symbols import Raw

_MOST_DIMENSIONS = 64
_RESAVE = "Save the model again with a current NumPy; if it still does this, find out who made the file."


class RefusedError(Exception):
    """A use of a permitted name that honest files do not make."""

    def __init__(self, reason: str, hint: str = _RESAVE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def need(condition: bool, reason: str) -> None:
    """Raise RefusedError unless the condition holds."""
    if not condition:
        raise RefusedError(reason)


def count_of(shape: Any) -> int:
    """The number of elements of an array of this shape."""
    need(isinstance(shape, tuple) and len(shape) <= _MOST_DIMENSIONS, "has a shape that is no tuple of sizes")
    total = 1
    for size in shape:
        need(type(size) is int and 0 <= size < 1 << 48, "has a shape that is no tuple of sizes")
        total *= size
    need(total < 1 << 48, "has more elements than memory could hold")
    return total


def length_of(value: Any) -> int:
    """The length in bytes of a symbol that stands for bytes."""
    need(type(value) is bytes or (type(value) is Raw and value.kind != "str"), "holds data that is no bytes")
    return len(value)
