"""pandas' and pyarrow's reconstructors, for the column names and categories that estimators remember.

An Arrow array is rebuilt from bare buffers without a check, so only texts are permitted and their offsets are
followed to the end (Arrow columnar format, "Variable-size Binary Layout").
"""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from typing import Any

from validator.model.safety.demands import RefusedError, length_of, need
from validator.model.safety.symbols import Obj, Raw, Ref, class_of

_TEXT_TYPES = {"string": 4, "large_string": 8, "utf8": 4, "large_utf8": 8}


def _block(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 3 and type(arguments[2]) is int, "is called otherwise than pandas calls it")
    need(type(arguments[0]) is Obj and type(arguments[1]) is Obj, "is called otherwise than pandas calls it")
    need(arguments[1].path == "builtins.slice" or class_of(arguments[1]).startswith("numpy."),
         "is called otherwise than pandas calls it")  # fmt: skip
    return Obj(ref.path)


def _manager(machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 2, "is called otherwise than pandas calls it")
    machine.check_values(list(arguments))
    return Obj(ref.path, "any_value")


def _string_dtype(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) <= 2 and all(type(item) in (str, float, type(None)) for item in arguments),
         "is called with other than a storage and a missing value")  # fmt: skip
    return Obj(ref.path, "any_value")


def _arrow_type(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 1 and type(arguments[0]) is str, "is called with other than the name of a type")
    need(
        arguments[0] in _TEXT_TYPES,
        f"asks for the Arrow type {str(arguments[0])[:40]!r}: only texts are permitted",
    )
    return Obj(ref.path, "", "", arguments[0])


def _arrow_buffer(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 1, "is called with other than bytes")
    length_of(arguments[0])
    return Obj(ref.path, "", "", arguments[0])


def _arrow_array(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    parts = arguments[0] if len(arguments) == 1 else None
    if not isinstance(parts, tuple) or len(parts) not in (7, 8, 9):
        raise RefusedError("is given parts that pyarrow does not write")
    kind, length, nulls, offset, buffers, children = parts[:6]
    need(type(kind) is Obj and kind.path == "pyarrow.lib.type_for_alias", "is an array of no known type")
    numbers = type(length) is int and type(nulls) is int and type(offset) is int
    need(numbers and 0 <= length < 1 << 40 and 0 <= offset < 1 << 40, "has no plain length")
    need(
        type(buffers) is list and len(buffers) == 3 and not children,
        "is given parts that pyarrow does not write",
    )
    need(all(part is None for part in parts[6:8]), "is an array with a dictionary")
    rows = offset + length
    mask, offsets, data = (_bytes_of(part) for part in buffers)
    need(buffers[0] is None or len(mask) * 8 >= rows, "has a mask that is too short")
    _check_offsets(offsets, data, rows, _TEXT_TYPES[kind.detail])
    return Obj(ref.path)


def _check_offsets(offsets: bytes, data: bytes, rows: int, width: int) -> None:
    if rows == 0 and not offsets:
        return
    need(len(offsets) >= (rows + 1) * width, "has fewer offsets than rows")
    values = array.array("i" if width == 4 else "q", offsets[: (rows + 1) * width])
    if sys.byteorder == "big":
        values.byteswap()
    ordered = all(first <= second for first, second in zip(values, values[1:]))  # noqa: B905, RUF007 - Python 3.9
    need(ordered and values[0] >= 0 and values[-1] <= len(data), "has texts that lie outside of its data")


def _bytes_of(part: Any) -> bytes:
    if part is None:
        return b""
    need(
        type(part) is Obj and part.path == "pyarrow.lib.py_buffer",
        "is given parts that pyarrow does not write",
    )
    content = part.detail
    return content.content() if type(content) is Raw else bytes(content)


RULES: dict[str, Callable[[Any, Ref, tuple[Any, ...]], Any]] = {
    "block": _block, "manager": _manager, "string_dtype": _string_dtype, "arrow_array": _arrow_array,
    "arrow_buffer": _arrow_buffer, "arrow_type": _arrow_type,
}  # fmt: skip
