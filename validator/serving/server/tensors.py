"""The Open Inference Protocol's tensors: what a request's inputs hold, and the outputs of an answer.

https://github.com/kserve/open-inference-protocol, version 2 over HTTP, and its extension for binary data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.server.problem import RequestError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = list[Any] | NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(object),
}
_DOUBLE = DTYPES["FP64"]
_NAMES = {dtype.newbyteorder("="): name for name, dtype in DTYPES.items()}
#: What JSON may hold for each kind of number; null is a missing value.
_PLAIN: dict[str, frozenset[type]] = {
    "b": frozenset({bool, type(None)}),
    "i": frozenset({int, type(None)}),
    "u": frozenset({int, type(None)}),
    "f": frozenset({float, int, type(None)}),
    "O": frozenset({str, type(None)}),
}
_HINT = "see /docs for the form of a request"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input: its values flat, in row-major order, and the shape they have."""

    name: str
    shape: tuple[int, ...]
    values: Values
    columns: tuple[str, ...] | None


def read_tensor(item: Any, binary: memoryview | None, offset: int) -> tuple[Tensor, int]:
    """One element of `inputs`, and where the binary data of the next one begins.

    Raises RequestError for what is no tensor, and for values that are not of its datatype.
    """
    if type(item) is not dict:
        raise RequestError(f"an input is {shown(item)}, not an object", hint=_HINT)
    name, shape, datatype = item.get("name"), item.get("shape"), item.get("datatype")
    if type(name) is not str or not name:
        raise RequestError(f"an input's name is {shown(name)}, not a text", hint=_HINT)
    dtype = DTYPES.get(datatype) if type(datatype) is str else None
    if dtype is None:
        raise RequestError(
            f"input {shown(name)} has datatype {shown(datatype)}", hint=f"one of {', '.join(DTYPES)}"
        )
    if (
        type(shape) is not list
        or not 0 < len(shape) <= 3
        or not all(type(n) is int and 0 <= n < 2**31 for n in shape)
    ):
        raise RequestError(f"input {shown(name)} has shape {shown(shape)}", hint="[N] or [N, 1], N rows")
    parameters = item.get("parameters")
    length = parameters.get("binary_data_size") if type(parameters) is dict else None
    if length is None:
        values = _from_json(name, shape, dtype, datatype, item.get("data"))
    else:
        values = _from_binary(name, shape, dtype, binary, offset, length)
        offset += length
    return Tensor(name, tuple(shape), values, _columns(name, parameters)), offset


def _from_json(name: str, shape: Sequence[int], dtype: np.dtype[Any], datatype: Any, data: Any) -> Values:
    if type(data) is not list:
        raise RequestError(f"input {shown(name)} has no list `data`", hint=_HINT)
    if dtype is _DOUBLE and len(data) == 1 and type(data[0]) is float and shape in ([1], [1, 1]):
        return data  # one double: by far the commonest
    count = _count(shape)
    values = data
    for _ in range(len(shape) - 1):
        if values and type(values[0]) is list and len(values) <= count:
            values = [one for part in values for one in (part if type(part) is list else (part,))]
    if len(values) != count:
        raise RequestError(
            f"input {shown(name)} has {len(values)} values for shape {list(shape)}",
            hint=f"give {count} values",
        )
    odd = set(map(type, values)) - _PLAIN[dtype.kind]
    if odd:
        first = next(value for value in values if type(value) in odd)
        raise RequestError(
            f"input {shown(name)} of datatype {datatype} holds {shown(first)}",
            hint="give values of the datatype, or the datatype of the values; null is a missing value",
        )
    return values if dtype.kind in "bO" else _in_range(name, dtype, datatype, values)


def _in_range(name: str, dtype: np.dtype[Any], datatype: str, values: list[Any]) -> list[Any]:
    """The values as the datatype holds them: FP32 0.1 is the nearest float32. Refuses what it cannot hold."""
    present = [value for value in values if value is not None]
    if not present:
        return values
    if dtype.kind == "f":
        limit = float(np.finfo(dtype).max)
        low, high = min(present), max(present)
        fits = -limit <= low and high <= limit
        if fits and dtype.itemsize < 8:
            kind = dtype.type
            return [None if value is None else float(kind(value)) for value in values]
    else:
        info = np.iinfo(dtype)
        fits = info.min <= min(present) and max(present) <= info.max
    if not fits:
        raise RequestError(
            f"input {shown(name)} holds a number beyond {datatype}", hint="use a wider datatype"
        )
    return values


def _from_binary(
    name: str,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    binary: memoryview | None,
    offset: int,
    length: Any,
) -> Values:
    if binary is None or type(length) is not int or not 0 <= length <= len(binary) - offset:
        raise RequestError(
            f"input {shown(name)} announces {shown(length)} bytes of binary data, which are not there",
            hint="set the header Inference-Header-Content-Length to the length of the JSON",
        )
    part = binary[offset : offset + length]
    count = _count(shape)
    if dtype.kind == "O":
        return _texts(name, part, count)
    if length != count * dtype.itemsize:
        raise RequestError(
            f"input {shown(name)} has {length} bytes for shape {list(shape)}",
            hint=f"give {count * dtype.itemsize}",
        )
    if dtype.kind == "b" and count and np.frombuffer(part, dtype=np.uint8).max() > 1:
        raise RequestError(f"input {shown(name)} holds a byte that is no BOOL", hint="give 0 or 1")
    array: NDArray[Any] = np.frombuffer(part, dtype=dtype)
    return array.astype(np.float64) if dtype.itemsize == 2 and dtype.kind == "f" else array.copy()


def _texts(name: str, part: memoryview, count: int) -> list[str]:
    """BYTES in binary: each one's length in four little-endian bytes, then itself."""
    found: list[str] = []
    at = 0
    try:
        while at < len(part) and len(found) <= count:
            (length,) = struct.unpack_from("<I", part, at)
            at += 4
            found.append(bytes(part[at : at + length]).decode("utf-8"))
            at += length
    except (ValueError, struct.error) as error:
        raise RequestError(
            f"input {shown(name)} is no sequence of texts: {type(error).__name__}",
            hint="each is its length in four little-endian bytes, then its UTF-8",
        ) from error
    if len(found) != count or at != len(part):
        raise RequestError(f"input {shown(name)} does not hold {count} texts", hint="make the shape fit")
    return found


def _columns(name: str, parameters: Any) -> tuple[str, ...] | None:
    """The features that a matrix's columns are: a list of names, or one text with commas between them."""
    given = parameters.get("columns") if type(parameters) is dict else None
    if given is None:
        return None
    names = given.split(",") if type(given) is str else given
    if type(names) is not list or not all(type(one) is str for one in names):
        raise RequestError(
            f"the columns of input {shown(name)} are {shown(given)}", hint="give a list of names"
        )
    return tuple(names)


def _count(shape: Sequence[int]) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a numpy type; text and anything else is BYTES."""
    return _NAMES.get(dtype, "BYTES")


def output_tensors(outputs: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Outputs as JSON values: arrays [N, …] by name."""
    found = []
    for name, array in outputs.items():
        data = array.ravel().tolist()
        datatype = datatype_of(array.dtype)
        if array.dtype.kind == "O":
            datatype = _of_objects(data)
        found.append({"name": name, "datatype": datatype, "shape": list(array.shape), "data": data})
    return found


def _of_objects(data: list[Any]) -> str:
    kinds = set(map(type, data))
    if kinds <= {bool}:
        return "BOOL"
    if kinds <= {int}:
        return "INT64"
    return "FP64" if kinds <= {int, float} else "BYTES"


def binary_of(tensor: Mapping[str, Any]) -> bytes:
    """The data of one of `output_tensors` in the binary form."""
    if tensor["datatype"] != "BYTES":
        return np.asarray(tensor["data"], dtype=DTYPES[tensor["datatype"]]).tobytes()
    texts = [str(value).encode() for value in tensor["data"]]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)
