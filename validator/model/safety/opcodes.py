"""How long each pickle instruction is, and what the instructions that only push a constant push.

The lengths come from `pickletools`. Decoding is stricter than the interpreter's: what no pickler writes (signs and
underscores in numbers, escapes in names) is refused instead of guessed at, so that both cannot read differently.
"""

from __future__ import annotations

import codecs
import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Callable
from typing import Any

from validator.model.safety.symbols import Bag, Map, Raw

LONG_VALUE = 4_096
_SPELLING = "unusual spelling"
_MOST_DIGITS = 4_300
_NUMBER = re.compile(rb"(0|-?[1-9][0-9]{0,4299})\Z")
_FLOAT = re.compile(rb"(-?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?|-?inf|nan)\Z")
_ESCAPED = re.compile("[\\\\\0\n\r\x1a]")
_ESCAPED_ONCE = re.compile(r"[\\\n]")
_COUNTS = {
    pickletools.TAKEN_FROM_ARGUMENT1: (1, "<B"),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, "<i"),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, "<I"),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, "<Q"),
}


class MalformedError(Exception):
    """The bytes are no pickle that a pickler would write; `name` is the finding's name."""

    def __init__(self, reason: str, name: str = "broken pickle") -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name


class BrokenError(MalformedError):
    """The bytes end here for every reader: the interpreter's own unpickler raises at this place, too."""


def _sizes() -> dict[int, int]:
    return {ord(op.code): op.arg.n if op.arg is not None else 0 for op in pickletools.opcodes}


NAMES = {ord(op.code): op.name for op in pickletools.opcodes}
SIZES = _sizes()
_TWO_LINES = {"GLOBAL", "INST"}


def argument(data: bytes, position: int, code: int) -> tuple[int, int]:
    """Where the argument of the instruction `code` starts and ends, `position` being just after the instruction."""
    size = SIZES[code]
    if size >= 0:
        start, end = position, position + size
    elif size == pickletools.UP_TO_NEWLINE:
        start, end = position, _line(data, position)
        if NAMES[code] in _TWO_LINES:
            end = _line(data, end + 1, imports=True)
    else:
        width, layout = _COUNTS[size]
        if position + width > len(data):
            raise BrokenError("the stream ends inside an instruction")
        (count,) = struct.unpack_from(layout, data, position)
        start, end = position + width, position + width + count
        if count < 0:
            raise BrokenError("an instruction has a negative length")
    if end > len(data):
        raise BrokenError(f"an instruction claims {end - start:,} bytes, {len(data) - position:,} are left")
    return start, end


def _line(data: bytes, position: int, *, imports: bool = False) -> int:
    end = data.find(b"\n", position)
    if end >= 0:
        return end
    # The interpreter takes the rest of the file for the line, and imports what a GLOBAL at the very end names.
    try:
        is_text = len(data[position:].decode("utf-8")) > 1
    except UnicodeDecodeError:
        is_text = False
    raise (MalformedError if imports and is_text else BrokenError)(
        "a line of a text instruction does not end"
    )


def after(end: int, code: int) -> int:
    """The position of the next instruction."""
    return end + 1 if SIZES[code] == pickletools.UP_TO_NEWLINE else end


def text_number(data: bytes, start: int, end: int) -> int:
    """An integer written in decimal digits."""
    if end - start > _MOST_DIGITS or not _NUMBER.match(data[start:end]):
        raise MalformedError("a number is not written in plain decimal digits", _SPELLING)
    return int(data[start:end])


def global_names(data: bytes, start: int, end: int) -> tuple[str, str]:
    """Module and name of a text GLOBAL."""
    parts = data[start:end].split(b"\n")
    try:
        module, name = (part.decode("ascii") for part in parts)
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedError("the name of a global is not ASCII") from error
    return module, name


def any_names(data: bytes, start: int, end: int) -> tuple[str, str]:
    """Module and name of a text GLOBAL as the interpreter reads them."""
    try:
        module, _, name = data[start:end].decode("utf-8").partition("\n")
    except UnicodeDecodeError as error:
        raise BrokenError("the name of a global is no text") from error
    return module, name


def _int(data: bytes, start: int, end: int) -> Any:
    if data[start:end] in (b"00", b"01"):
        return data[start:end] == b"01"
    return text_number(data, start, end)


def _long(data: bytes, start: int, end: int) -> int:
    return text_number(data, start, end - 1 if data[end - 1 : end] == b"L" else end)


def _float(data: bytes, start: int, end: int) -> float:
    if not _FLOAT.match(data[start:end]):
        raise MalformedError("a number is not written as a pickler writes it", _SPELLING)
    return float(data[start:end])


def _text(data: bytes, start: int, end: int) -> Any:
    try:
        if end - start > LONG_VALUE:
            return Raw(data, start, end, "str")
        return data[start:end].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise BrokenError("a text is not UTF-8") from error


def _text_line(data: bytes, start: int, end: int) -> str:
    text = unescaped(data, start, end)
    if data[start:end] not in (_escaped(text, _ESCAPED), _escaped(text, _ESCAPED_ONCE)):
        raise MalformedError("a text is not escaped as a pickler escapes it", _SPELLING)
    return text


def _escaped(text: str, needed: re.Pattern[str]) -> bytes:
    """As `Pickler.save_str` writes a text in protocol 0, now and before Python 3.8."""
    return needed.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("raw-unicode-escape")


def unescaped(data: bytes, start: int, end: int) -> str:
    """A text line, whatever escapes it uses."""
    try:
        return data[start:end].decode("raw-unicode-escape")
    except UnicodeDecodeError as error:
        raise BrokenError("a text is not escaped as a pickler escapes it") from error


def _binary_long(data: bytes, start: int, end: int) -> int:
    number = int.from_bytes(data[start:end], "little", signed=True)
    if pickle.encode_long(number) != data[start:end]:
        raise MalformedError("a number has more bytes than it needs", _SPELLING)
    return number


def _bytes(data: bytes, start: int, end: int) -> Any:
    return Raw(data, start, end, "bytes") if end - start > LONG_VALUE else data[start:end]


def _old_text(data: bytes, start: int, end: int) -> str:
    try:
        return data[start:end].decode("ascii")
    except UnicodeDecodeError as error:
        raise BrokenError("a Python 2 string is not ASCII") from error


def _quoted(data: bytes, start: int, end: int) -> str:
    decoded = unquoted(data, start, end)
    if repr(decoded)[1:].encode() != data[start:end]:
        raise MalformedError("a Python 2 string is not escaped as a pickler escapes it", _SPELLING)
    return _old_text(decoded, 0, len(decoded))


def unquoted(data: bytes, start: int, end: int) -> bytes:
    """A Python 2 string in quotes, whatever escapes it uses."""
    quoted = data[start:end]
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
        raise BrokenError("a Python 2 string is not quoted")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return codecs.escape_decode(quoted[1:-1])[0]
    except ValueError as error:
        raise BrokenError("a Python 2 string is not escaped as a pickler escapes it") from error


CONSTANTS: dict[str, Callable[[bytes, int, int], Any]] = {
    "NONE": lambda _data, _start, _end: None,
    "NEWTRUE": lambda _data, _start, _end: True,
    "NEWFALSE": lambda _data, _start, _end: False,
    "BININT": lambda data, start, _end: struct.unpack_from("<i", data, start)[0],
    "BININT1": lambda data, start, _end: data[start],
    "BININT2": lambda data, start, _end: struct.unpack_from("<H", data, start)[0],
    "LONG1": _binary_long,
    "LONG4": _binary_long,
    "BINFLOAT": lambda data, start, _end: struct.unpack_from(">d", data, start)[0],
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "UNICODE": _text_line,
    "BINUNICODE": _text,
    "SHORT_BINUNICODE": _text,
    "BINUNICODE8": _text,
    "BINBYTES": _bytes,
    "SHORT_BINBYTES": _bytes,
    "BINBYTES8": _bytes,
    "STRING": _quoted,
    "BINSTRING": _old_text,
    "SHORT_BINSTRING": _old_text,
    "BYTEARRAY8": lambda data, start, end: Raw(data, start, end, "bytearray"),
    "EMPTY_LIST": lambda _data, _start, _end: [],
    "EMPTY_TUPLE": lambda _data, _start, _end: (),
    "EMPTY_DICT": lambda _data, _start, _end: Map([]),
    "EMPTY_SET": lambda _data, _start, _end: Bag("set", []),
}
