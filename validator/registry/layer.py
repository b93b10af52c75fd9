"""The one layer of an image: a gzip'd tar of the artifact's files, always the same bytes; and safely back.

A layer of ours holds `models/` with the files that an artifact may have, and `models.sig`, the signature, where there
is one: beside the folder, as it lies beside it on disk. Reading takes plain entries of exactly these names and
nothing else, so no path of a stranger's is ever joined to ours.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from validator.artifact.read import KNOWN_FILES
from validator.registry.errors import DamagedError
from validator.registry.store import LAYER_BYTES

FOLDER = "models"
SIGNATURE = "models.sig"
_BLOCK = 512
_CHUNK = 2**20
# Deflate, no name, no time, no extra flags, written on an unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer's compressed bytes, and `diff_id`, the digest of the tar within."""

    data: bytes = field(repr=False)
    diff_id: str


def pack(files: Mapping[str, bytes]) -> Layer:
    """A layer of files by name (with `/`), in the order of their names, folders before what is in them."""
    gzip = _Gzip()
    with tarfile.open(fileobj=gzip, mode="w", format=tarfile.USTAR_FORMAT) as tar:  # type: ignore[call-overload]
        for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o444
            tar.addfile(entry, BytesIO(files[name]))
    return gzip.finish()


class _Gzip:
    """Compresses what is written to it, with a header of our own: Python's differs between its versions."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._plain = hashlib.sha256()
        self._crc = 0
        self._size = 0
        self._parts = [_GZIP_HEADER]

    def write(self, data: bytes) -> int:
        self._plain.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._parts.append(self._deflate.compress(data))
        return len(data)

    def tell(self) -> int:
        return self._size

    def finish(self) -> Layer:
        tail = self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        data = b"".join((*self._parts, self._deflate.flush(), tail))
        return Layer(data=data, diff_id=f"sha256:{self._plain.hexdigest()}")


def unpack(packed: BinaryIO, into: Path, *, diff_id: str, limit: int = LAYER_BYTES) -> None:
    """Write a layer's files below `into`, a folder that is empty and nobody else's.

    Parameters
    ----------
    packed : file
        The compressed layer, whose digest was checked.
    diff_id : str
        The digest that the uncompressed tar must have.
    limit : int
        Most bytes that the tar may have.

    Raises
    ------
    DamagedError
        If it is no layer of ours: cut off, too large, of another digest, or with any other entry.
    """
    plain = _Plain(packed, limit)
    seen: set[str] = set()
    while (header := plain.block()) != bytes(_BLOCK):
        name, size, is_folder = _entry(header)
        if name in seen or (is_folder and (name, size) != (FOLDER, 0)):
            raise _damaged(f"it holds {name!r} as it should not")
        seen.add(name)
        if is_folder:
            (into / FOLDER).mkdir(mode=0o755)
        else:
            _write(plain, into, name, size)
    plain.drain()
    if plain.digest != diff_id:
        raise _damaged("its content is not what the image's configuration says")


def _entry(header: bytes) -> tuple[str, int, bool]:
    """Name, size and whether it is a folder. Links, devices and extensions of the format are refused."""
    stated = _octal(header[148:156])
    if stated != sum(header[:148]) + sum(header[156:]) + 8 * 0x20:
        raise _damaged("an entry's checksum is wrong")
    kind, prefix = header[156:157], header[345:500].rstrip(b"\0")
    name = header[:100].rstrip(b"\0").decode("latin-1")
    if prefix or kind not in (b"0", b"\0", b"5"):
        raise _damaged(f"it holds {name[:100]!r}, which is no plain file")
    name = name.rstrip("/") if kind == b"5" else name
    inside = name.removeprefix(f"{FOLDER}/")
    is_ours = name in (SIGNATURE, FOLDER) or (name != inside and inside in KNOWN_FILES)
    if not is_ours or (name == FOLDER) != (kind == b"5"):
        raise _damaged(f"it holds {name[:100]!r}, which no artifact has")
    return name, _octal(header[124:136]), kind == b"5"


def _octal(text: bytes) -> int:
    digits = text.rstrip(b"\0 ").lstrip(b" ")
    if not digits or not all(0x30 <= digit <= 0x37 for digit in digits):
        raise _damaged("a number in it is none")
    return int(digits, 8)


def _write(plain: _Plain, into: Path, name: str, size: int) -> None:
    folder = into / FOLDER
    if name != SIGNATURE and not folder.is_dir():
        folder.mkdir(mode=0o755)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(into / name, flags, 0o644), "wb") as file:
        left = size
        while left:
            part = plain.take(min(left, _CHUNK))
            file.write(part)
            left -= len(part)
    plain.skip_padding(size)


class _Plain:
    """The uncompressed bytes of one gzip member, counted against a limit and hashed as they pass."""

    def __init__(self, packed: BinaryIO, limit: int) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._hash = hashlib.sha256()
        self._ready = b""
        self._left = limit

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._ready) < count:
            more = self._more()
            if not more:
                raise _damaged("it is cut off")
            self._ready += more
        found, self._ready = self._ready[:count], self._ready[count:]
        return found

    def block(self) -> bytes:
        return self.take(_BLOCK)

    def skip_padding(self, size: int) -> None:
        if self.take(-size % _BLOCK).strip(b"\0"):
            raise _damaged("bytes stand between its entries")

    def drain(self) -> None:
        """To the end, which must be padding and nothing after it."""
        while True:
            if self._ready.strip(b"\0"):
                raise _damaged("bytes follow its last entry")
            self._ready = self._more()
            if not self._ready:
                break
        if not self._inflate.eof or self._inflate.unused_data or self._packed.read(1):
            raise _damaged("it is cut off, or bytes follow it")

    def _more(self) -> bytes:
        """Further bytes; none at the end. Never more than a chunk at a time, however well it is packed."""
        try:
            while not self._inflate.eof:
                data = self._inflate.unconsumed_tail or self._packed.read(_CHUNK)
                if not data:
                    return b""
                if found := self._inflate.decompress(data, _CHUNK):
                    break
            else:
                return b""
        except zlib.error as error:
            raise _damaged(f"it is no gzip ({error})") from None
        self._left -= len(found)
        if self._left < 0:
            raise _damaged("it is larger than any artifact may be")
        self._hash.update(found)
        return found


def _damaged(why: str) -> DamagedError:
    return DamagedError(
        f"the image's layer is none of an artifact: {why}",
        hint="push the artifact again, from the run that wrote it",
    )
