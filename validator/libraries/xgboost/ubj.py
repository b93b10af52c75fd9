"""A reader of UBJSON, the binary JSON that XGBoost writes: bounded, and typed arrays straight into numpy.

Draft 12 of the specification at ubjson.org, without the rarely used high-precision number. Everything is big-endian.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from validator.libraries.layout import malformed

MAX_DEPTH = 32
_LIBRARY = "XGBoost"
_NUMBERS = {"i": ">i1", "U": ">u1", "I": ">i2", "l": ">i4", "L": ">i8", "d": ">f4", "D": ">f8"}
_CONSTANTS = {"Z": None, "T": True, "F": False}


def parse(data: bytes) -> dict[str, Any]:
    """The object in `data`; arrays of one number type come as numpy arrays, others as lists.

    Raises ConversionError for anything malformed, nested deeper than MAX_DEPTH, or followed by more bytes. Memory is
    bounded by the input's length.
    """
    reader = _Reader(data)
    try:
        found = reader.value(reader.marker(), 0)
    except struct.error as error:
        raise malformed(_LIBRARY, "it ends in the middle of a value") from error
    if not isinstance(found, dict) or reader.position != len(data):
        raise malformed(_LIBRARY, "it is not one UBJSON object")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def marker(self) -> str:
        """The next type marker; no-ops are skipped."""
        while True:
            if self.position >= len(self._data):
                raise malformed(_LIBRARY, "it ends in the middle of a value")
            found = chr(self._data[self.position])
            self.position += 1
            if found != "N":
                return found

    def value(self, marker: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise malformed(_LIBRARY, f"its values are nested deeper than {MAX_DEPTH}")
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == "S":
            return self._text()
        if marker == "C":
            return self._take(1).decode("ascii", "replace")
        if marker == "{":
            return self._object(depth)
        if marker == "[":
            return self._array(depth)
        raise malformed(_LIBRARY, f"it holds a value of unknown type {marker!r}")

    def _take(self, size: int) -> bytes:
        if size < 0 or size > len(self._data) - self.position:
            raise malformed(_LIBRARY, "it ends in the middle of a value")
        taken = self._data[self.position : self.position + size]
        self.position += size
        return taken

    def _number(self, marker: str) -> Any:
        code = _NUMBERS[marker]
        return np.frombuffer(self._take(np.dtype(code).itemsize), dtype=code)[0].item()

    def _length(self) -> int:
        marker = self.marker()
        if marker not in "iUIlL":
            raise malformed(_LIBRARY, f"a length of type {marker!r}")
        found = self._number(marker)
        if not 0 <= found <= len(self._data):
            raise malformed(_LIBRARY, f"a length of {found}")
        return int(found)

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8", "replace")

    def _typing(self) -> tuple[str | None, int | None]:
        """The container's element type and count, where it states them."""
        kind: str | None = None
        if self._peek() == "$":
            self.marker()
            kind = self.marker()
            if self._peek() != "#":
                raise malformed(_LIBRARY, "a typed container without a count")
        if self._peek() != "#":
            return None, None
        self.marker()
        return kind, self._length()

    def _peek(self) -> str:
        return chr(self._data[self.position]) if self.position < len(self._data) else ""

    def _array(self, depth: int) -> Any:
        kind, count = self._typing()
        if kind in _NUMBERS and count is not None:
            code = np.dtype(_NUMBERS[kind])
            raw = np.frombuffer(self._take(count * code.itemsize), dtype=code)
            return raw.astype(code.newbyteorder("="))
        self._refuse_weightless(kind)
        found: list[Any] = []
        while not self._ended("]", count, len(found)):
            found.append(self.value(kind or self.marker(), depth + 1))
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._typing()
        self._refuse_weightless(kind)
        found: dict[str, Any] = {}
        while not self._ended("}", count, len(found)):
            key = self._text()
            if key in found:
                raise malformed(_LIBRARY, f"the key {key[:40]!r} comes twice")
            found[key] = self.value(kind or self.marker(), depth + 1)
        return found

    def _refuse_weightless(self, kind: str | None) -> None:
        # A counted container of values without bytes would take memory that its file does not.
        if kind is not None and (kind in _CONSTANTS or kind == "N"):
            raise malformed(_LIBRARY, f"a typed container of {kind!r}")

    def _ended(self, closing: str, count: int | None, so_far: int) -> bool:
        if count is not None:
            return so_far >= count
        if self._peek() == closing:
            self.position += 1
            return True
        return False
