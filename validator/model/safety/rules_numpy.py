"""NumPy's own reconstructors of arrays and scalars, held to sizes that add up.

An array shorter than its shape says lets a file forge pointers (see `array_setstate` in NumPy's sources); so each is
followed with its size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validator.model.safety.demands import RefusedError, count_of, length_of, need
from validator.model.safety.program import INLINE
from validator.model.safety.rules_dtype import DType, build_dtype, dtype_of, make_dtype
from validator.model.safety.symbols import Map, Obj, Ref

_NO_BUILD = ""
_WRAPPER_KEYS = frozenset({
    "subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes",
})  # fmt: skip
_ARRAY_CLASSES = {
    "numpy.ndarray", "numpy.matrix", "numpy.matrixlib.defmatrix.matrix", "numpy.memmap", "numpy.core.memmap.memmap",
    "numpy._core.memmap.memmap", "numpy.recarray", "numpy.rec.recarray",
}  # fmt: skip


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
        if len(data) != count:
            raise RefusedError(f"has the shape of {count:,} objects, but holds {len(data):,}")
        return
    length = length_of(data)
    if length != count * dtype.itemsize:
        raise RefusedError(f"needs {count * dtype.itemsize:,} bytes, but holds {length:,}")


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

    if not machine.inline:
        target.build = _NO_BUILD
        return target
    need(type(state) is Map, "is an array wrapper with a state that joblib does not write")
    keys = state.flat[::2]
    need(
        all(type(key) is str and key in _WRAPPER_KEYS for key in keys) and len(set(keys)) == len(keys),
        "is an array wrapper with a state that joblib does not write",
    )
    need(machine.level == 0, "wraps an array inside an array of objects, where joblib writes a plain pickle")
    kind = state.get("subclass")
    need(type(kind) is Ref and kind.path in _ARRAY_CLASSES, "wraps something that is no array")
    shape, order = state.get("shape"), state.get("order")
    need(order in ("C", "F") if type(order) is str else False, "wraps an array of unknown memory order")
    dtype = dtype_of(state.get("dtype"))
    alignment = state.get("numpy_array_alignment_bytes")
    need(alignment is None or type(alignment) is int, "wraps an array of unknown alignment")
    target.build = _NO_BUILD
    made = inline.follow(machine, shape, dtype, aligned=alignment is not None)
    if dtype.kind != "O":
        machine.program.add(INLINE, made, state)
    return made


RULES: dict[str, Callable[[Any, Ref, tuple[Any, ...]], Any]] = {
    "dtype": make_dtype, "reconstruct": _reconstruct, "masked": _masked, "scalar": _scalar,
    "frombuffer": _from_buffer, "ufunc": _ufunc,
}  # fmt: skip
BUILDS: dict[str, Callable[[Any, Obj, Any], Any]] = {
    "dtype": build_dtype, "array": _build_array, "masked": _build_masked, "inline_array": _build_inline_array,
}  # fmt: skip
