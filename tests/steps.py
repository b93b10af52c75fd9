"""Work counted and not timed: the same on a busy machine as on an idle one, and with coverage as without."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

#: Methods that read a text to its end. The others either stop early or look at its ends alone.
_WHOLE = frozenset(
    {
        "casefold", "count", "decode", "encode", "find", "index", "isascii", "join", "lower", "partition", "replace",
        "rfind", "rindex", "rpartition", "rsplit", "split", "splitlines", "translate", "upper",
    }
)  # fmt: skip


@dataclass
class Steps:
    """What ran meanwhile in this thread."""

    lines: int = 0
    """Of Python."""
    characters: int = 0
    """Of the texts and bytes whose methods were called, all of them at each call, wherever the method began."""

    @property
    def all(self) -> int:
        return self.lines + self.characters


class TooManyStepsError(AssertionError):
    """More than were permitted. It ends what would not have ended."""


@contextmanager
def at_most(lines: int) -> Iterator[Steps]:
    """Counts the lines that run in what the block calls; more than so many are a failure, at that line."""
    steps = Steps()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            steps.lines += 1
            if steps.lines > lines:
                raise TooManyStepsError(f"more than {lines:,} lines, the last one in {frame.f_code}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
    assert steps.lines <= lines


@contextmanager
def counted() -> Iterator[Steps]:
    """Counts the lines that run in what the block calls, and the characters that methods of texts go through."""

    def profile(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in _WHOLE and isinstance(function.__self__, (str, bytes)):
            steps.characters += len(function.__self__)

    before = sys.getprofile()
    with at_most(sys.maxsize) as steps:
        sys.setprofile(profile)
        try:
            yield steps
        finally:
            sys.setprofile(before)


class Watched(bytes):
    """Bytes that count how many of them are read."""

    read: int

    def __new__(cls, content: bytes) -> Watched:
        made = super().__new__(cls, content)
        made.read = 0
        return made

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.read += len(found) if isinstance(found, bytes) else 1
        return found
