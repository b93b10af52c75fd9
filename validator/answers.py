"""What those who ask over HTTP share: the world around them, and answers read no further than anybody needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

#: Timeouts are of each part: an answer of which a byte comes now and then would keep whoever asks for days.
_LONGEST_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a session needs of the world: `clock` counts seconds, `now` tells the time, `sleep` waits."""

    transport: httpx.BaseTransport | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


class EndlessError(httpx.HTTPError):
    """An answer goes on after everything that could be needed."""


def answer_of(response: httpx.Response, *, most: int) -> bytes:
    """The body of a response that is being streamed.

    Raises
    ------
    EndlessError
        After `most` bytes, or two minutes, before the rest is read.
    """
    content, end = bytearray(), time.monotonic() + _LONGEST_S
    for part in response.iter_bytes():
        content += part
        if time.monotonic() > end:
            raise EndlessError(f"the answer does not end within {_LONGEST_S:g} s")
        if len(content) > most:
            raise EndlessError(f"the answer does not end: it is larger than {most / 2**20:g} MiB")
    return bytes(content)
