"""NumPy's own reconstructors: dtypes, arrays and scalars, held to sizes that add up.

A dtype that lies about holding Python objects, or an array shorter than its shape says, lets a file forge pointers
(see `arraydescr_setstate` and `array_setstate` in NumPy's sources); so each is followed with its size.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from validator.model.safety.symbols import Map, Obj, Raw, Ref, class_of

_DTYPE = re.compile(r"[<>|=]?([biufcmMOSaUV?])([0-9]{0,9})\Z")
_NO_BUILD = ""
# NPY_ITEM_HASOBJECT, NPY_LIST_PICKLE, NPY_ITEM_IS_POINTER, NPY_USE_GETITEM, NPY_USE_SETITEM.
_OBJECT_FLAGS = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
_OBJECT_DTYPE_FLAGS = 63
_ARRAY_CLASSES = {
    "numpy.ndarray", "numpy.matrix", "numpy.matrixlib.defmatrix.matrix", "numpy.memmap", "numpy.core.memmap.memmap",
    "numpy._core.memmap.memmap", "numpy.recarray", "numpy.rec.recarray",
}  # fmt: skip
_MOST_DIMENSIONS = 64
_RESAVE = "Save the model again with a current NumPy; if it still does this, find out who made the file."


class RefusedError(Exception):
    """A use of a permitted name that honest files do not make."""

    def __init__(self, reason: str, hint: str = _RESAVE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class DType:
    """What is known of a dtype: its kind (one of NumPy's letters), size in bytes, and whether it may change."""

    __slots__ = ("built", "fields", "itemsize", "kind")

    def __init__(self, kind: str, itemsize: int) -> None:
        self.kind = kind
        self.itemsize = itemsize
        self.built = False
        self.fields: tuple[str, ...] = ()


def need(condition: bool, reason: str) -> None:
    if not condition:
        raise RefusedError(reason)


def dtype_of(value: Any) -> DType:
    """The dtype behind a symbol, which from now on may not change any more."""
    if type(value) is not Obj or type(value.detail) is not DType:
        raise RefusedError("is given something that is no dtype")
    value.detail.built = True
    return value.detail


def count_of(shape: Any) -> int:
    """The number of elements of an array of this shape."""
    need(isinstance(shape, tuple) and len(shape) <= _MOST_DIMENSIONS, "has a shape that is no tuple of sizes")
    total = 1
    for size in shape:
        need(type(size) is int and 0 <= size < 1 << 48, "has a shape that is no tuple of sizes")
        total *= size
    need(total < 1 << 48, "has more elements than memory could hold")
    return total


def length_of(value: Any) -> int:
    """The length in bytes of a symbol that stands for bytes."""
    need(type(value) is bytes or (type(value) is Raw and value.kind != "str"), "holds data that is no bytes")
    return len(value)


def _dtype(_machine: Any, ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(bool(arguments) and type(arguments[0]) is str, "is called with other than the name of a type")
    need(len(arguments) <= 3 and all(flag in (0, 1) for flag in arguments[1:] if type(flag) in (int, bool)),
         "is called with other than the name of a type")  # fmt: skip
    need(
        all(type(flag) in (int, bool) for flag in arguments[1:]),
        "is called with other than the name of a type",
    )
    found = _DTYPE.match(arguments[0])
    if not found:
        raise RefusedError(f"is asked for the type {arguments[0][:40]!r}, which NumPy would not write so")
    kind, digits = found[1], int(found[2] or 0)
    size = 1 if kind == "?" else digits * (4 if kind == "U" else 1)
    need(size > 0 or kind in "SaUVO", "is asked for a type without a size")
    return Obj(ref.path, "dtype", "", DType("S" if kind == "a" else kind, 8 if kind == "O" else size))


def _build_dtype(machine: Any, target: Obj, state: Any) -> Any:
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
    target.build = _NO_BUILD
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


def _reconstruct(machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 3, "is called with other than three arguments")
    target, shape, code = arguments
    need(type(target) is Ref and target.path in _ARRAY_CLASSES, "makes something that is no array")
    machine.log.use(target, "construct")
    need(shape == (0,) and code in (b"b", "b"), "is called otherwise than NumPy calls it")
    return Obj(target.path, "array")


def _masked(machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 4, "is called with other than four arguments")
    target, base, shape, code = arguments
    need(type(target) is Ref and "masked" in target.uses, "makes something that is no masked array")
    need(type(base) is Ref and base.path == "numpy.ndarray", "makes something that is no masked array")
    for ref in (target, base):
        machine.log.use(ref, "construct")
    need(shape == (0,) and code in (b"b", "b"), "is called otherwise than NumPy calls it")
    return Obj(target.path, "masked")


def check_array(shape: Any, dtype: DType, data: Any) -> None:
    """Refuse data that is not exactly as long as shape and dtype say."""
    count = count_of(shape)
    if dtype.kind == "O":
        need(type(data) is list, "is an array of objects whose objects are not listed")
        need(len(data) == count, f"has the shape of {count:,} objects, but holds {len(data):,}")
        return
    length = length_of(data)
    need(length == count * dtype.itemsize, f"needs {count * dtype.itemsize:,} bytes, but holds {length:,}")


def _build_array(_machine: Any, target: Obj, state: Any) -> Any:
    need(
        isinstance(state, tuple) and len(state) in (4, 5),
        "is an array with a state that NumPy does not write",
    )
    if len(state) == 5:
        need(type(state[0]) is int and state[0] == 1, "is an array with a state of another version")
    shape, dtype, _fortran, data = state[-4:]
    check_array(shape, dtype_of(dtype), data)
    target.build, target.detail = _NO_BUILD, (shape, dtype.detail, data)
    return target


def _build_masked(machine: Any, target: Obj, state: Any) -> Any:
    need(
        isinstance(state, tuple) and len(state) == 7,
        "is a masked array with a state that NumPy does not write",
    )
    _version, shape, dtype, _fortran, data, mask, fill = state
    known = dtype_of(dtype)
    check_array(shape, known, data)
    need(
        not known.fields and length_of(mask) == count_of(shape),
        "is a masked array whose mask has another size",
    )
    machine.check_values([fill])
    target.build = _NO_BUILD
    return target


def _scalar(_machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 2, "is called with other than a type and its bytes")
    dtype = dtype_of(arguments[0])
    need(dtype.kind != "O", "makes a scalar that is a Python object")
    need(length_of(arguments[1]) == dtype.itemsize, f"needs {dtype.itemsize} bytes")
    return Obj(f"numpy.{dtype.kind}{dtype.itemsize}")


def _from_buffer(_machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(len(arguments) == 4 or ((len(arguments) == 5 and arguments[4] is None) or (len(arguments) == 5
         and isinstance(arguments[4], tuple))), "is called with other than four arguments")  # fmt: skip
    data, dtype, shape, order = arguments[:4]
    need(
        order in ("C", "F", "K", "A") if type(order) is str else False,
        "is called with an unknown memory order",
    )
    known = dtype_of(dtype)
    need(known.kind != "O", "makes an array of objects out of bytes")
    check_array(shape, known, data)
    return Obj("numpy.ndarray", _NO_BUILD, "", (shape, known, data))


def _ufunc(machine: Any, _ref: Ref, arguments: tuple[Any, ...]) -> Any:
    need(
        len(arguments) == 2 and all(type(item) is str for item in arguments),
        "is called with other than two names",
    )
    found = machine.find(*arguments)
    if "value" not in found.uses:
        raise RefusedError(f"is used to reach {found.path}")
    return found


def _build_inline_array(machine: Any, target: Obj, state: Any) -> Any:
    """joblib's array wrapper: the array's bytes follow the instruction, or a whole pickle for objects."""
    # Here, for the two modules need each other; `machine` has imported it by then.
    from validator.model.safety import inline

    need(type(state) is Map, "is an array wrapper with a state that joblib does not write")
    kind = state.get("subclass")
    need(type(kind) is Ref and kind.path in _ARRAY_CLASSES, "wraps something that is no array")
    shape, order = state.get("shape"), state.get("order")
    need(order in ("C", "F") if type(order) is str else False, "wraps an array of unknown memory order")
    dtype = dtype_of(state.get("dtype"))
    alignment = state.get("numpy_array_alignment_bytes")
    need(alignment is None or type(alignment) is int, "wraps an array of unknown alignment")
    target.build = _NO_BUILD
    return inline.follow(machine, shape, dtype, aligned=alignment is not None)


RULES: dict[str, Callable[[Any, Ref, tuple[Any, ...]], Any]] = {
    "dtype": _dtype, "reconstruct": _reconstruct, "masked": _masked, "scalar": _scalar,
    "frombuffer": _from_buffer, "ufunc": _ufunc,
}  # fmt: skip
BUILDS: dict[str, Callable[[Any, Obj, Any], Any]] = {
    "dtype": _build_dtype, "array": _build_array, "masked": _build_masked, "inline_array": _build_inline_array,
}  # fmt: skip
__all__ = ["BUILDS", "RULES", "DType", "RefusedError", "class_of"]
