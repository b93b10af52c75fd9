"""Answers over HTTP, read no further than anybody needs."""

from __future__ import annotations

import httpx


class EndlessError(httpx.HTTPError):
    """An answer goes on after everything that could be needed."""


def answer_of(response: httpx.Response, *, most: int) -> bytes:
    """The body of a response that is being streamed.

    Raises
    ------
    EndlessError
        After `most` bytes, before the rest is read.
    """
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if len(content) > most:
            raise EndlessError(f"the answer does not end: it is larger than {most / 2**20:g} MiB")
    return bytes(content)
