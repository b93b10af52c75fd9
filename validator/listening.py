"""Small servers of the standard library, for what is asked now and then."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from validator.errors import UsageError


def listening(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server that listens and is not begun yet.

    Raises
    ------
    UsageError
        If nobody can listen there: another does, or the address is not this machine's.
    """
    try:
        return ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="give another address or port",
        ) from error
