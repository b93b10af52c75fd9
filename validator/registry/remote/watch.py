"""An end to an exchange that its peer draws out: a byte of a header now and then passes every timeout of one read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

_MADE = ("connect_tcp.complete", "start_tls.complete")
"""the ends of the events by which httpcore tells of a stream that it opened"""


class Watch:
    """Knows every socket that a client opened, and shuts them where an exchange outlasts its time."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    @contextmanager
    def over(self, seconds: float) -> Iterator[None]:
        """What is done within takes no longer: reading and writing fail from then on, whoever waits in them."""
        timer = threading.Timer(max(seconds, 0.0), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """For a request's extension `trace`."""
        if event.endswith(_MADE):
            opened = info["return_value"].get_extra_info("socket")
            # A closed one has no number any more; a number that is used again is the newer socket's.
            self._sockets[opened.fileno()] = opened

    def _cut(self) -> None:
        for opened in list(self._sockets.values()):
            with suppress(OSError):
                # As the plain socket, under encryption too: the thread that reads still holds what decrypts.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)
