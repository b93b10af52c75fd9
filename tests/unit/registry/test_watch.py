"""A registry whose headers come a byte at a time: the deadline is one of the whole exchange."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from validator.registry.errors import RegistryError
from validator.registry.reference import parse
from validator.registry.remote.repository import RemoteRepository

_BEGINNING = b"HTTP/1.1 200 OK\r\nX-Slow: "
_STEP_S = 0.02


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """The address of a server that says `beginning` and then, for as long as anybody listens, one byte at a time."""
    ended = threading.Event()

    def answer(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.recv(65_536)
            peer.sendall(beginning)
            while not ended.wait(_STEP_S):
                peer.sendall(b"x")

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "beginning",
    [_BEGINNING, b"HTTP/1.1 ", b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"],
    ids=["in a header", "in the status", "at once", "in a chunk's size"],
)
def test_a_drip_in_what_comes_before_the_body_ends_at_the_deadline(beginning: bytes) -> None:
    with (
        dripping(beginning) as host,
        RemoteRepository(parse(f"oci://{host}/churn"), deadline_s=0.3) as repository,
        pytest.raises(RegistryError, match="took longer than"),
    ):
        repository.tags()
