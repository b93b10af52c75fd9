"""The library versions that models record inside themselves."""

from __future__ import annotations

import re

from validator.libraries.catboost.document import release
from validator.model.safety.symbols import Map, Obj, Raw

_PROBE = 1 << 20
_LIGHTGBM = re.compile(rb"tree\r?\nversion=v(\d+)")
# UBJSON: the key `version`, then an array with a count of three; older versions give the type once before it.
_XGBOOST = re.compile(rb"version\[(?:\$([iUIlL]))?#(?:L\0{7}|l\0{3}|i|U)\x03", re.DOTALL)
_WIDTHS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}


def recorded_version(target: Obj, state: Map) -> tuple[str, str] | None:
    """The library and version that this object's attributes name, if any."""
    root = target.path.partition(".")[0]
    if root == "lightgbm" and target.path.endswith(".Booster"):
        handle = state.get("handle") or state.get("_handle")
        found = _LIGHTGBM.search(_head(handle))
        return ("lightgbm model text", f"v{found[1].decode()}") if found else None
    if root == "xgboost" and target.path.endswith(".Booster"):
        version = xgboost_version(_tail(state.get("handle")))
        return ("xgboost", version) if version else None
    if root == "catboost":
        content = state.get("__model")
        version = release(content.content() if isinstance(content, Raw) else _tail(content))
        return ("catboost", version) if version else None
    return None


def xgboost_version(ubj: bytes) -> str:
    """The version in a piece of XGBoost's UBJSON (an array of three integers under `version`), or empty."""
    for found in reversed(list(_XGBOOST.finditer(ubj))):
        position, numbers = found.end(), []
        for _ in range(3):
            code = found[1] or ubj[position : position + 1]
            position += 0 if found[1] else 1
            width = _WIDTHS.get(code, 0)
            numbers.append(int.from_bytes(ubj[position : position + width], "big"))
            position += width
        if 0 < numbers[0] < 100 and max(numbers) < 1_000:
            return ".".join(map(str, numbers))
    return ""


def _head(value: object) -> bytes:
    if isinstance(value, Raw):
        return value.source[value.start : min(value.end, value.start + _PROBE)]
    return value[:_PROBE].encode("utf-8", "replace") if isinstance(value, str) else b""


def _tail(value: object) -> bytes:
    if isinstance(value, Raw):
        return value.source[max(value.start, value.end - _PROBE) : value.end]
    return value[-_PROBE:] if isinstance(value, bytes) else b""
