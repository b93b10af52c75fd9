"""Messages between the supervisor and its workers: a JSON header and raw arrays, never a pickle.

A frame is the magic, the header's length (uint32) and the body's (uint64), little-endian, then both. The header
holds `meta`, any JSON object, and `arrays`, the dtype and shape of each array in the body. Text arrays travel as
int64 byte lengths (-1 for None) followed by UTF-8; plain `bytes` travel as they are. Whoever reads counts on
nothing: dtypes come from a closed set, sizes are bounded before memory is taken, and a shape that does not fit
its bytes is refused.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

MAGIC = b"MPF1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER = 32 * 2**20
MAX_BODY = 8 * 2**30
DTYPES = frozenset([
    "<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "|b1",
    "<M8[ns]", "<M8[us]", "<M8[ms]", "<M8[s]", "<M8[D]",
])  # fmt: skip
_CHUNK = 1 << 20
_READ = 1 << 18
_MAX_ARRAYS = 1 << 16

Meta = Dict[str, Any]
Arrays = List[Any]


class WireError(ValueError):
    """The other side sent something that is no frame, or one beyond the limits."""


class Closed(WireError):  # noqa: N818 - a state of the channel rather than a mistake
    """The other side closed the channel."""


class Timeout(WireError):  # noqa: N818
    """Nothing came within the deadline."""


def encode(meta: Meta, arrays: Sequence[Any] = ()) -> Tuple[bytes, List[memoryview]]:
    """The prefix with its header, and the body in pieces. Raises WireError for a dtype that has no form here."""
    specs: List[Meta] = []
    pieces: List[memoryview] = []
    for array in arrays:
        spec, parts = _encode_array(array)
        specs.append(spec)
        pieces.extend(parts)
    header = json.dumps({"meta": meta, "arrays": specs}, separators=(",", ":")).encode()
    size = sum(piece.nbytes for piece in pieces)
    return PREFIX.pack(MAGIC, len(header), size) + header, pieces


def _encode_array(array: Any) -> Tuple[Meta, List[memoryview]]:
    if isinstance(array, bytes):
        return {"dtype": "bytes", "shape": [len(array)]}, [memoryview(array)]
    import numpy as np

    array = np.asarray(array)
    if array.dtype.kind == "U":
        array = array.astype(object)
    if array.dtype == object:
        encoded = [None if item is None else str(item).encode("utf-8", "replace") for item in array.ravel()]
        lengths = np.array([-1 if item is None else len(item) for item in encoded], dtype="<i8")
        text = b"".join(item for item in encoded if item is not None)
        spec: Meta = {"dtype": "str", "shape": list(array.shape), "bytes": len(text)}
        return spec, [memoryview(lengths.data).cast("B")] * bool(len(lengths)) + [memoryview(text)]
    array = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.dtype.str not in DTYPES:
        raise WireError(f"arrays of {array.dtype} cannot be sent")
    spec = {"dtype": array.dtype.str, "shape": list(array.shape)}
    raw = array.view("<i8") if array.dtype.kind == "M" else array
    return spec, [memoryview(raw.reshape(-1)).cast("B")] if array.size else []


def send(fd: int, meta: Meta, arrays: Sequence[Any] = (), deadline: Optional[float] = None) -> None:
    """Write one frame. `deadline` is a time of `time.monotonic()`. Raises Closed, Timeout or WireError."""
    head, pieces = encode(meta, arrays)
    small = bytearray(head)  # short pieces go together: each write wakes the reader
    for piece in pieces:
        if len(small) + piece.nbytes <= _CHUNK:
            small += piece
            continue
        _write(fd, memoryview(small), deadline)
        _write(fd, piece, deadline)
        small = bytearray()
    if small:
        _write(fd, memoryview(small), deadline)


def _write(fd: int, data: memoryview, deadline: Optional[float]) -> None:
    while data:
        if deadline is not None:
            _wait(fd, select.POLLOUT, deadline)
        try:
            written = os.write(fd, data[:_CHUNK])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed("the other side closed the channel") from error
        except BlockingIOError:
            _wait(fd, select.POLLOUT, deadline)
            continue
        data = data[written:]


def _wait(fd: int, event: int, deadline: Optional[float]) -> None:
    poller = select.poll()
    poller.register(fd, event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poller.poll(left):
        raise Timeout("no answer in time")


def _read(fd: int, size: int, deadline: Optional[float]) -> bytearray:
    """Exactly `size` bytes. Memory grows with what arrives, not with what was promised."""
    data = bytearray()
    buffer = memoryview(bytearray(min(_READ, size)))  # one for all pieces that the kernel hands over
    while len(data) < size:
        if deadline is not None:
            _wait(fd, select.POLLIN, deadline)
        try:
            count = os.readv(fd, [buffer[: size - len(data)]])
        except ConnectionResetError as error:
            raise Closed("the other side closed the channel") from error
        except BlockingIOError:
            _wait(fd, select.POLLIN, deadline)
            continue
        if not count:
            raise Closed("the other side closed the channel")
        data += buffer[:count]
    return data


def receive(
    fd: int,
    deadline: Optional[float] = None,
    *,
    max_header: int = MAX_HEADER,
    max_body: int = MAX_BODY,
) -> Tuple[Meta, Arrays]:
    """Read one frame: its meta and arrays. Raises Closed, Timeout, or WireError for anything malformed.

    A frame beyond the limits is refused before any of it is read.
    """
    magic, header_size, body_size = PREFIX.unpack(bytes(_read(fd, PREFIX.size, deadline)))
    if magic != MAGIC:
        raise WireError("not a frame")
    if header_size > max_header or body_size > max_body:
        raise WireError(f"frame of {header_size + body_size} bytes is beyond the limit")
    header = parse_json(bytes(_read(fd, header_size, deadline)))
    meta, specs = header.get("meta"), header.get("arrays")
    if not isinstance(meta, dict) or not isinstance(specs, list):
        raise WireError("frame without meta or arrays")
    return meta, decode(specs, _read(fd, body_size, deadline))


def parse_json(data: bytes) -> Meta:
    """A JSON object, or WireError: for broken text, too deep nesting, NaN, or another type."""
    try:
        value = json.loads(data, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise WireError(f"header is no JSON: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise WireError("header is no JSON object")
    return value


def _finite(text: str) -> float:
    value = float(text)
    return value if value - value == 0 else _no_constant(text)


def _no_constant(name: str) -> Any:
    raise WireError(f"header holds {name}")


def decode(specs: Sequence[Any], body: bytearray) -> Arrays:
    """The arrays that `specs` describe, cut from `body`. Raises WireError unless everything fits exactly."""
    if len(specs) > _MAX_ARRAYS:
        raise WireError(f"frame of {len(specs)} arrays")
    arrays: Arrays = []
    position = 0
    for spec in specs:
        array, position = _decode_array(spec, body, position)
        arrays.append(array)
    if position != len(body):
        raise WireError("frame holds more bytes than its arrays")
    return arrays


def _decode_array(spec: Any, body: bytearray, position: int) -> Tuple[Any, int]:
    shape = spec.get("shape") if isinstance(spec, dict) else None
    if (
        not isinstance(shape, list)
        or len(shape) > 4
        or not all(type(n) is int and 0 <= n < 2**40 for n in shape)
    ):
        raise WireError("array without a proper shape")
    count = 1
    for n in shape:
        count *= n
    dtype = spec.get("dtype")
    if dtype == "str":
        return _decode_text(spec, shape, count, body, position)
    if dtype == "bytes":
        if position + count > len(body):
            raise WireError("bytes are longer than their frame")
        return bytes(memoryview(body)[position : position + count]), position + count
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise WireError(f"array of an unknown dtype {str(dtype)[:20]!r}")
    import numpy as np

    end = position + count * np.dtype(dtype).itemsize
    if end > len(body):
        raise WireError("array is longer than its frame")
    if not count:
        return _empty(shape, dtype), end
    return np.frombuffer(body, dtype=dtype, count=count, offset=position).reshape(shape), end


def _decode_text(
    spec: Meta,
    shape: List[int],
    count: int,
    body: bytearray,
    position: int,
) -> Tuple[Any, int]:
    import numpy as np

    size = spec.get("bytes")
    start = position + 8 * count
    if type(size) is not int or size < 0 or start + size > len(body):
        raise WireError("text is longer than its frame")
    if not count:
        if size:
            raise WireError("text without lengths")
        return _empty(shape, object), start
    lengths = np.frombuffer(body, dtype="<i8", count=count, offset=position)
    # None is above the size, so that the sum cannot overflow.
    if int(lengths.min()) < -1 or int(lengths.max()) > size or int(np.maximum(lengths, 0).sum()) != size:
        raise WireError("text whose lengths do not add up")
    found = np.empty(count, dtype=object)
    at = start
    for i, length in enumerate(lengths.tolist()):
        if length >= 0:
            found[i] = bytes(body[at : at + length]).decode("utf-8", "replace")
            at += length
    return found.reshape(shape), start + size


def _empty(shape: List[int], dtype: Any) -> Any:
    import numpy as np

    try:
        return np.empty(shape, dtype=dtype)
    except ValueError as error:  # numpy refuses what would be too large if it were not empty
        raise WireError(f"empty array of shape {shape}") from error
