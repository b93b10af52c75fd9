"""Who may ask: bearer tokens read from files, and callers on this very machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from validator.errors import UsageError
from validator.serving.server.problem import RequestError

_SHORTEST = 16
#: What a proxy adds: a caller behind one is not on this machine, whatever its address.
_PROXIED = frozenset({b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip", b"x-request-start"})


def read_token(path: Path) -> str:
    """A token from a file: its text without surrounding whitespace, at least 16 printable characters.

    Raises UsageError, which never shows it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the token file {path} cannot be read: {error.strerror}", hint="check the path"
        ) from error
    text = content[:10_000].decode("latin-1").strip()
    if len(text) < _SHORTEST or not (text.isascii() and text.isprintable()) or " " in text:
        raise UsageError(
            f"the token file {path} holds no token of at least {_SHORTEST} printable characters without spaces",
            hint="write one with: openssl rand -hex 32",
        )
    return text


def check_token(wanted: str | None, authorization: bytes | None) -> None:
    """Raises RequestError unless the header carries the token, or none is wanted."""
    if wanted is None:
        return
    scheme, _, given = (authorization or b"").partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), wanted.encode()):
        raise RequestError(
            "this needs a token",
            hint="send the header Authorization: Bearer …",
            status=401,
            kind="UnauthorizedError",
            headers=((b"www-authenticate", b"Bearer"),),
        )


def is_local(client: Any, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes from a program on this machine, neither through a proxy nor from a web page."""
    names = {name for name, _ in headers}
    if names & _PROXIED or b"origin" in names:
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except (TypeError, ValueError, IndexError):
        return False
