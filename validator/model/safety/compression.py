"""Inflating what joblib compressed, never past a bound."""

from __future__ import annotations

import bz2
import importlib
import importlib.util
import lzma
import zlib
from typing import Any

from validator.model.safety.report import Limits

_CHUNK = 1 << 20
_RATIO_FROM = 64 << 20
_LZMA_MEMORY = 512 << 20


class CompressionError(Exception):
    """The file cannot or must not be inflated: `name` for the finding, `reason`, and `hint`."""

    def __init__(self, name: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason
        self.hint = hint


def inflate(data: bytes, compression: str, limits: Limits) -> bytes:
    """The bytes that `data` compresses. Raises CompressionError for bombs, broken streams and unknown methods."""
    if not compression:
        return data
    machine = _decompressor(compression)
    out = bytearray()
    rest = data
    try:
        while not machine.eof:
            # The three kinds of decompressor differ only in where they keep what they have not taken yet.
            piece = machine.decompress(rest, _CHUNK)
            rest = getattr(machine, "unconsumed_tail", b"")
            out += piece
            _check_size(len(out), len(data), limits)
            if not piece and not rest and not machine.eof:
                raise CompressionError(
                    "truncated file",
                    f"the {compression} stream ends too early, after {len(out):,} bytes",
                    "The file was cut off while it was written or copied: make it again.",
                )
    except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, RuntimeError) as error:
        raise CompressionError(
            "broken compression", f"the {compression} stream cannot be read: {error}", "Write the file again."
        ) from error
    if machine.unused_data:
        raise CompressionError(
            "trailing data",
            f"{len(machine.unused_data):,} bytes follow the {compression} stream",
            "Save the model alone: one object in one file.",
        )
    return bytes(out)


def _check_size(size: int, compressed: int, limits: Limits) -> None:
    if size > limits.decompressed_bytes or (size > _RATIO_FROM and size > limits.ratio * compressed):
        raise CompressionError(
            "decompression bomb",
            f"{compressed:,} bytes inflate to more than {size:,}",
            "If the model is honest and this compressible, save it without compression.",
        )


def _decompressor(compression: str) -> Any:
    if compression == "zlib":
        return zlib.decompressobj()
    if compression == "gzip":
        return zlib.decompressobj(wbits=31)
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    if compression in ("xz", "lzma"):
        kind = lzma.FORMAT_XZ if compression == "xz" else lzma.FORMAT_ALONE
        return lzma.LZMADecompressor(format=kind, memlimit=_LZMA_MEMORY)
    if compression == "lz4" and importlib.util.find_spec("lz4") is not None:
        return importlib.import_module("lz4.frame").LZ4FrameDecompressor()
    name = {"lz4": "lz4 compression", "zfile": "ZFILE container"}.get(compression, "unknown compression")
    raise CompressionError(
        name,
        "cannot be read without the lz4 package"
        if compression == "lz4"
        else "is a container that joblib gave up in 2015, whose arrays lie in other files",
        "Save the model again with joblib.dump(model, path, compress=3), or without compression.",
    )
