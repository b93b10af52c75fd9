"""CatBoost's two file formats as the scanner and the reader take them apart."""

from __future__ import annotations

import re
import struct
from typing import Any

from validator.documents import MOST_NODES, TREE_DEPTH, DocumentError, read_json
from validator.libraries.library import Checked

_VERSION = re.compile(rb"Branch: tags/v([\d.]+)|CatBoost release ([\d]+\.[\d]+[\d.]*\d)")


def load(data: bytes, *, nodes: int = MOST_NODES) -> Any:
    """The JSON format's value. Raises DocumentError."""
    return read_json(data, nodes=nodes, depth=TREE_DEPTH)


def check_json(data: bytes, *, nodes: int = MOST_NODES) -> Checked:
    """The release that wrote it, empty where it does not say. Raises DocumentError."""
    document = load(data, nodes=nodes)
    facts = document.get("model_info") if isinstance(document, dict) else None
    told = facts.get("catboost_version_info", "") if isinstance(facts, dict) else ""
    return Checked(release(str(told).encode()))


def check_cbm(data: bytes, *, nodes: int = MOST_NODES) -> Checked:  # noqa: ARG001 - no trees are looked at
    """As `check_json`. The file is its magic, the length of its core, and the core (catboost/libs/model)."""
    length = struct.unpack_from("<I", data, 4)[0] if len(data) >= 8 else -1
    if not data.startswith(b"CBM1") or not 0 < length <= len(data) - 8:
        raise DocumentError(f"claims a core of {length:,} bytes in a file of {len(data):,}")
    return Checked(release(data))


def release(cbm: bytes) -> str:
    """The release that wrote these bytes, or empty: its build information stands near the end."""
    found = _VERSION.search(cbm)
    return (found[1] or found[2]).decode() if found else ""
