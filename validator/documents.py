"""Reading JSON and UBJSON documents with bounds on depth and number of values, checked before anything is built.

UBJSON as XGBoost writes it: https://ubjson.org (draft 12) with typed, counted arrays.
"""

from __future__ import annotations

import array
import json
import re
import struct
import sys
from typing import Any

MOST_DEPTH = 64
TREE_DEPTH = 500
"""for documents that nest a tree as deep as it is: one grown leaf by leaf, a level of braces for each split"""
MOST_NODES = 5_000_000
"""the nodes of trees that one file may hold"""
VALUES_A_NODE = 16
"""the most that a document spends on one: XGBoost's has a dozen arrays of a value a node"""
BYTES_A_NODE, BYTES_A_VALUE = 32, 4
"""fewer than a file of trees spends on one: longer files may hold more than `MOST_NODES`"""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
# Code, struct layout and array type code of UBJSON's fixed-size numbers (big-endian).
_NUMBERS = {
    b"i": (">b", "b"), b"U": (">B", "B"), b"I": (">h", "h"), b"l": (">i", "i"), b"L": (">q", "q"),
    b"d": (">f", "f"), b"D": (">d", "d"),
}  # fmt: skip
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


class DocumentError(ValueError):
    """The document is broken or too large; the text says which and where."""


def most_nodes(data: bytes, nodes: int) -> int:
    """How many nodes of trees a file may hold: `nodes`, or what its own length can hold where that is more."""
    return max(nodes, len(data) // BYTES_A_NODE)


def _most_values(data: bytes, nodes: int) -> int:
    return max(nodes * VALUES_A_NODE, len(data) // BYTES_A_VALUE)


def read_json(data: bytes, *, nodes: int = MOST_NODES, depth: int = MOST_DEPTH) -> Any:
    """The document's value. Raises DocumentError past `depth` levels, past the values of so many `nodes` (or the many
    that trees of its length may have), or where it is broken.
    """
    bare = _STRINGS.sub(b'"', data)
    values = _most_values(data, nodes)
    if bare.count(b",") + bare.count(b":") > values:
        raise DocumentError(f"it holds more than {values:,} values in {len(data):,} bytes")
    level = 0
    for found in _BRACKETS.finditer(bare):
        level += 1 if found[0] in b"[{" else -1
        if level > depth:
            raise DocumentError(f"it is nested more than {depth} deep")
    try:
        return json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"it is no valid JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key given twice is read differently by different parsers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def read_ubj(data: bytes, *, nodes: int = MOST_NODES) -> Any:
    """The document's value, under the same bounds and errors as `read_json`; typed arrays as `array.array`."""
    reader = _Ubj(data, nodes)
    try:
        value = reader.value(reader.take(1), 0)
    except (struct.error, UnicodeDecodeError) as error:
        raise DocumentError(f"it is no valid UBJSON: {error}") from error
    if reader.position != len(data):
        raise DocumentError(f"{len(data) - reader.position:,} bytes follow the document")
    return value


class _Ubj:
    def __init__(self, data: bytes, nodes: int) -> None:
        self.data = data
        self.position = 0
        self.left = _most_values(data, nodes)

    def take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > len(self.data):
            raise DocumentError("it is cut off, or a length in it is wrong")
        return self.data[start : self.position]

    def value(self, code: bytes, depth: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise DocumentError("it holds too many values")
        if depth > MOST_DEPTH:
            raise DocumentError(f"it is nested more than {MOST_DEPTH} deep")
        if code in _NUMBERS:
            layout = _NUMBERS[code][0]
            return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code == b"S":
            return self.text()
        if code == b"C":
            return self.take(1).decode("ascii")
        if code == b"[":
            return self.list(depth)
        if code == b"{":
            return self.map(depth)
        raise DocumentError(f"byte {code!r} is no UBJSON type")

    def length(self) -> int:
        code = self.take(1)
        if code not in _NUMBERS or code in b"dD":
            raise DocumentError("a length is no integer")
        count: int = self.value(code, 0)
        if not 0 <= count <= len(self.data):
            raise DocumentError(f"a length is {count:,}")
        return count

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8")

    def header(self) -> tuple[bytes, int]:
        """The element type and count that a container begins with: empty and -1 where it has none."""
        kind, count = b"", -1
        if self.data[self.position : self.position + 1] == b"$":
            kind = self.take(2)[1:]
        if self.data[self.position : self.position + 1] == b"#":
            self.take(1)
            count = self.length()
        if kind and count < 0:
            raise DocumentError("a typed container has no count")
        if kind and (kind in _CONSTANTS or kind == b"N"):
            # It would take memory, and its file none.
            raise DocumentError(f"a typed container of {kind!r}")
        return kind, count

    def list(self, depth: int) -> Any:
        kind, count = self.header()
        if kind in _NUMBERS:
            layout, code = _NUMBERS[kind]
            values = array.array(code, self.take(count * struct.calcsize(layout)))
            if sys.byteorder == "little":
                values.byteswap()
            return values
        found: list[Any] = []
        while count != len(found):
            item = kind or self.take(1)
            if count < 0 and item == b"]":
                break
            found.append(self.value(item, depth + 1))
        return found

    def map(self, depth: int) -> dict[str, Any]:
        kind, count = self.header()
        found: dict[str, Any] = {}
        while count != len(found):
            if count < 0 and self.data[self.position : self.position + 1] == b"}":
                self.take(1)
                break
            key = self.text()
            if key in found:
                raise DocumentError("a key is given twice")
            found[key] = self.value(kind or self.take(1), depth + 1)
        return found
