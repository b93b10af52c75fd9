"""NumPy's dtypes, held to sizes that add up.

A dtype that lies about its size or about holding Python objects lets a file forge pointers (see `arraydescr_setstate`
in NumPy's sources); so each is followed from the name it is made with to the state it is given.
"""

from __future__ import annotations

import re
from typing import Any

from validator.model.safety.demands import RefusedError, count_of, need
from validator.model.safety.symbols import Map, Obj, Ref

_DTYPE = re.compile(r"[<>|=]?([biufcmMOSaUV?])([0-9]{0,9})\Z")
# NPY_ITEM_HASOBJECT, NPY_LIST_PICKLE, NPY_ITEM_IS_POINTER, NPY_USE_GETITEM, NPY_USE_SETITEM.
_OBJECT_FLAGS = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
_OBJECT_DTYPE_FLAGS = 63


class DType:
    """What is known of a dtype: its kind (one of NumPy's letters), size in bytes, and whether it may change."""

    __slots__ = ("built", "fields", "itemsize", "kind")

    def __init__(self, kind: str, itemsize: int) -> None:
        self.kind = kind
        self.itemsize = itemsize
        self.built = False
        self.fields: tuple[str, ...] = ()


def dtype_of(value: Any) -> DType:
    """The dtype behind a symbol, which from now on may not change any more."""
    if type(value) is not Obj or type(value.detail) is not DType:
        raise RefusedError("is given something that is no dtype")
    value.detail.built = True
    return value.detail


def make_dtype(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    """A dtype by its name, as `numpy.dtype` is called on load. Raises RefusedError for any other call."""
    need(bool(arguments) and type(arguments[0]) is str, "is called with other than the name of a type")
    flags = arguments[1:]
    need(len(flags) <= 2 and all(type(flag) in (int, bool) and flag in (0, 1) for flag in flags),
         "is called with other than the name of a type")  # fmt: skip
    found = _DTYPE.match(arguments[0])
    if not found:
        raise RefusedError(f"is asked for the type {arguments[0][:40]!r}, which NumPy would not write so")
    kind, digits = found[1], int(found[2] or 0)
    size = 1 if kind == "?" else digits * (4 if kind == "U" else 1)
    need(size > 0 or kind in "SaUVO", "is asked for a type without a size")
    return Obj(ref.path, "dtype", "", DType("S" if kind == "a" else kind, 8 if kind == "O" else size))


def build_dtype(machine: Any, target: Obj, state: Any) -> Any:
    """The dtype with its state, which it may be given once. Raises RefusedError for one that NumPy does not write."""
    dtype: DType = target.detail
    need(not dtype.built, "is a dtype that is changed while arrays use it")
    need(
        isinstance(state, tuple) and len(state) in (8, 9), "is a dtype with a state that NumPy does not write"
    )
    version, endian, sub, names, fields, size, alignment, flags = state[:8]
    numbers = all(type(item) is int for item in (version, size, alignment, flags))
    need(
        numbers and version in (3, 4) and -1 <= alignment <= 64,
        "is a dtype with a state that NumPy does not write",
    )
    need(
        endian in ("<", ">", "|", "=") if type(endian) is str else False, "is a dtype of no known byte order"
    )
    if dtype.kind == "O":
        need(
            flags == _OBJECT_DTYPE_FLAGS and sub is names is fields is None, "is an object dtype in disguise"
        )
        need(size == -1, "is an object dtype in disguise")
    else:
        need(not flags & _OBJECT_FLAGS, "is a plain dtype that claims to hold Python objects")
    if len(state) == 9:
        need(dtype.kind in "mM", "is a dtype with metadata")
        machine.check_values([state[8]])
    if names is not None or fields is not None:
        _structured(dtype, names, fields, size)
    elif sub is not None:
        _subarray(dtype, sub, size)
    else:
        need(
            size in (-1, dtype.itemsize) or (dtype.kind in "SUV" and size == dtype.itemsize),
            "is a dtype of two sizes",
        )
    dtype.built = True
    target.build = ""
    return target


def _structured(dtype: DType, names: Any, fields: Any, size: int) -> None:
    need(
        dtype.kind == "V" and isinstance(names, tuple) and type(fields) is Map,
        "is a dtype with broken fields",
    )
    need(all(type(name) is str for name in names), "is a dtype with broken fields")
    need(size == dtype.itemsize and len(fields.flat) == 2 * len(names), "is a dtype with broken fields")
    for name, field in fields.pairs():
        need(type(name) is str and name in names, "is a dtype with broken fields")
        need(
            isinstance(field, tuple) and len(field) == 2 and type(field[1]) is int,
            "is a dtype with broken fields",
        )
        inner = dtype_of(field[0])
        need(inner.kind != "O", "is a dtype with a field of Python objects")
        need(
            field[1] >= 0 and field[1] + inner.itemsize <= size,
            "is a dtype with a field outside of its own size",
        )
    dtype.fields = names


def _subarray(dtype: DType, sub: Any, size: int) -> None:
    need(dtype.kind == "V" and isinstance(sub, tuple) and len(sub) == 2, "is a dtype with a broken subarray")
    inner = dtype_of(sub[0])
    shape = sub[1] if isinstance(sub[1], tuple) else (sub[1],)
    need(inner.kind != "O" and inner.itemsize * count_of(shape) == size == dtype.itemsize,
         "is a dtype with a broken subarray")  # fmt: skip
