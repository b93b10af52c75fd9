"""The library versions that models record inside themselves."""

from __future__ import annotations

import re

from validator.model.safety.symbols import Map, Obj, Raw

_PROBE = 1 << 20
_LIGHTGBM = re.compile(rb"tree\r?\nversion=v(\d+)")
_CATBOOST = re.compile(rb"\"catboost_version_info\":\"v?([\d.]+)")
# UBJSON: the key `version`, then an array of three int64 (`L`) or int32 (`l`), with or without a typed header.
_XGBOOST = re.compile(rb"version\[\$?([Ll]?)#?", re.DOTALL)


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
        found = _CATBOOST.search(_head(content)) or _CATBOOST.search(_tail(content))
        return ("catboost", found[1].decode()) if found else None
    return None


def xgboost_version(ubj: bytes) -> str:
    """The version in a piece of XGBoost's UBJSON, or empty."""
    place = ubj.rfind(b"version[")
    if place < 0:
        return ""
    numbers = []
    position = place + len(b"version[")
    head = re.compile(rb"\$L#(?:L\0{7}\x03|i\x03|U\x03)").match(ubj, position)
    if head:
        position = head.end()
    for _ in range(3):
        if not head:
            position += 1
        numbers.append(str(int.from_bytes(ubj[position : position + 8], "big")))
        position += 8
    return ".".join(numbers) if all(len(number) < 4 for number in numbers) else ""


def _head(value: object) -> bytes:
    if isinstance(value, Raw):
        return value.source[value.start : min(value.end, value.start + _PROBE)]
    return value[:_PROBE].encode("utf-8", "replace") if isinstance(value, str) else b""


def _tail(value: object) -> bytes:
    if isinstance(value, Raw):
        return value.source[max(value.start, value.end - _PROBE) : value.end]
    return value[-_PROBE:] if isinstance(value, bytes) else b""
