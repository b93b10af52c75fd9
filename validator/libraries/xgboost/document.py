"""An XGBoost model file as the inert document that the scanner checks and the reader reads."""

from __future__ import annotations

from typing import Any

from validator.documents import MOST_NODES, DocumentError, read_json, read_ubj


def load(data: bytes, *, nodes: int = MOST_NODES) -> Any:
    """The file's value, JSON or UBJSON as the library tells them apart; neither says yet that it is a model.

    Raises DocumentError for other formats, and for what is broken or too large.
    """
    head = data[:64].lstrip()
    if not head.startswith(b"{"):
        raise DocumentError("it is neither JSON nor UBJSON")
    is_json = head[1:].lstrip()[:1] in (b'"', b"}")
    return (read_json if is_json else read_ubj)(data, nodes=nodes)
