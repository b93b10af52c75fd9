"""Which model format a file is in, told from its bytes alone: nothing is parsed in full, nothing is executed.

Runs on Python 3.9 with the standard library.
"""

from __future__ import annotations

import pickletools
import re
from typing import BinaryIO

from validator.libraries.known import LIBRARIES
from validator.libraries.library import Refused

HEAD_BYTES = 65_536
_TAIL_BYTES = 1 << 20
_HIGHEST_PROTOCOL = 5
_JOBLIB_MARK = b"joblib.numpy_pickle"

_LFS = re.compile(rb"version https://(git-lfs\.github|hawser\.github)\.com/spec/")

_COMPRESSIONS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"ZF", "zfile"),
)

# Files that people hand over by mistake: naming them helps more than "unknown".
_KNOWN_ELSEWHERE = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"<!DOCTYPE", "an HTML page (a failed download?)"),
    (b"<html", "an HTML page (a failed download?)"),
    (b"PK\x03\x04", "a zip archive, but not one written by skops"),
)
# Models of other kinds that begin with bytes that say so: magic, what they are, and what to do with them.
_OTHER_MODELS = (
    (
        re.compile(
            rb"PK\x03\x04.{26}[^/\0]{1,200}/(data\.pkl|\.format_version|version|byteorder)", re.DOTALL
        ),
        "a PyTorch model (.pt)",
        "Export it to ONNX with `torch.onnx.export`, and judge that file.",
    ),
    (
        re.compile(rb"PK\x03\x04.{26}(metadata\.json|config\.json|model\.weights\.h5)", re.DOTALL),
        "a Keras model (.keras)",
        "Export it to ONNX with `model.export(path, format='onnx')`, and judge that file.",
    ),
    (
        re.compile(rb"\x89HDF\r\n\x1a\n"),
        "an HDF5 file (Keras?)",
        "If it is a Keras model, export it to ONNX with `model.export(path, format='onnx')`, and judge that file.",
    ),
    (
        re.compile(rb".{8}\{\s*\"[^\"]{1,1000}\"\s*:\s*\{", re.DOTALL),
        "a safetensors file: numbers alone, without the model that they belong to",
        "Load them into the model, export that to ONNX (`torch.onnx.export`), and judge that file.",
    ),
    (
        re.compile(rb"\s*(<\?xml[^>]{0,200}\?>\s*)?(<!--.{0,500}?-->\s*)?<PMML\b", re.DOTALL),
        "PMML",
        "Save the model itself, as its library does, or export it to ONNX.",
    ),
)

# What a pickle in protocol 0 or 1, which has no magic number, can begin with and still hold a model.
_TEXT_PICKLE_STARTS = frozenset({"GLOBAL", "INST", "MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"})
_TEXT_PICKLE_PROBE = 64


def is_lfs_pointer(head: bytes) -> bool:
    """Whether these first bytes are those of a Git-LFS pointer instead of the file it stands for."""
    return _LFS.match(head) is not None


def compression_of(head: bytes) -> str:
    """The compression joblib would find: `zlib`, `gzip`, `bz2`, `xz`, `lzma`, `lz4`, `zfile`, or empty."""
    for magic, name in _COMPRESSIONS:
        if head.startswith(magic):
            return name
    # RFC 1950: method 8, window at most 32 KiB, and the two header bytes a multiple of 31.
    if len(head) >= 2 and head[0] & 0x8F == 0x08 and (head[0] << 8 | head[1]) % 31 == 0 and head[0] == 0x78:
        return "zlib"
    return ""


def format_of(stream: BinaryIO, size: int) -> tuple[str, str]:
    """The format and compression of a seekable file of `size` bytes; format `unknown` where none fits."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    for library in LIBRARIES:
        for form in library.formats:
            if form.begins.match(head):
                return form.name, ""
    if head.startswith(b"PK\x03\x04"):
        return ("skops" if _has_skops_schema(stream, size) else "unknown"), ""
    compression = compression_of(head)
    if compression:
        return "joblib", compression
    if is_pickle(head):
        return ("joblib" if _contains(stream, _JOBLIB_MARK) else "pickle"), ""
    return ("onnx" if is_onnx(stream, size) else "unknown"), ""


def refused(head: bytes) -> Refused | None:
    """The format that these first bytes begin, where it is one that no library can load a model from."""
    return next((bad for library in LIBRARIES for bad in library.refused if bad.begins.match(head)), None)


def other_model(head: bytes) -> tuple[str, str] | None:
    """What a model is of a kind that cannot be judged as it is, and how to come by one that can."""
    return next((said for begins, *said in _OTHER_MODELS if begins.match(head)), None)  # type: ignore[return-value]


def describe_unknown(head: bytes) -> str:
    """What a file that is no model seems to be, for the error message."""
    for magic, what in _KNOWN_ELSEWHERE:
        if head.startswith(magic):
            return what
    if head.isascii() and not re.search(rb"[^\t\n\r -~]", head):
        return "text"
    return "in no format known here"


def is_pickle(head: bytes) -> bool:
    """Whether the bytes begin a pickle of protocol 0 to 5. Says nothing about its being safe or whole."""
    if head[:1] == b"\x80":
        return len(head) > 2 and 2 <= head[1] <= _HIGHEST_PROTOCOL
    seen = 0
    try:
        for opcode, _argument, _position in pickletools.genops(head):
            if seen == 0 and opcode.name not in _TEXT_PICKLE_STARTS:
                return False
            seen += 1
            if seen == _TEXT_PICKLE_PROBE or opcode.name == "STOP":
                return True
    except (ValueError, IndexError, OverflowError):
        # Cut off by the end of the probe, not by nonsense: long strings reach past it.
        return seen > 1 and len(head) == HEAD_BYTES
    return False


def is_onnx(stream: BinaryIO, size: int) -> bool:
    """Whether the file is a protobuf message with the fields of an ONNX `ModelProto`, its graph included."""
    position = 0
    fields: set[int] = set()
    for _ in range(10_000):
        if position == size:
            return {1, 7} <= fields
        key, position = _varint(stream, position)
        number, wire = key >> 3, key & 7
        if number not in {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26} or wire not in {0, 2}:
            return False
        value, position = _varint(stream, position)
        if wire == 2:
            position += value
        if value < 0 or position > size:
            return False
        fields.add(number)
    return False


def _varint(stream: BinaryIO, position: int) -> tuple[int, int]:
    stream.seek(position)
    value = 0
    for index, byte in enumerate(stream.read(10)):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    return -1, position


def _has_skops_schema(stream: BinaryIO, size: int) -> bool:
    """skops writes `schema.json` last, so that its name stands in the zip's directory at the end."""
    stream.seek(max(0, size - _TAIL_BYTES))
    return b"schema.json" in stream.read(_TAIL_BYTES)


def _contains(stream: BinaryIO, mark: bytes) -> bool:
    stream.seek(0)
    kept = b""
    while True:
        block: bytes = stream.read(1 << 20)
        if not block:
            return False
        if mark in kept + block:
            return True
        kept = block[-len(mark) :]
