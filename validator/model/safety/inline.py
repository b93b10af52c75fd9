"""joblib's arrays, which stand in the stream behind the pickle instruction that announces them.

Format: `joblib.numpy_pickle.NumpyArrayWrapper` (joblib 0.10 and later). Since joblib 1.2 one byte tells how many
bytes of padding come before the data; older ones take that byte for the first of the data, in any file. Arrays of
objects are a pickle of their own at that place.
"""

from __future__ import annotations

from typing import Any

from validator.model.safety.demands import RefusedError, count_of, need
from validator.model.safety.opcodes import MalformedError
from validator.model.safety.rules_dtype import DType
from validator.model.safety.symbols import Obj, Raw

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"


def follow(machine: Any, shape: Any, dtype: DType, *, aligned: bool) -> Any:
    """The symbol of the array that starts at the machine's position; the machine goes on behind it."""
    machine.log.inline_arrays += 1
    if machine.frame_end:
        raise RefusedError("announces an array inside a frame, where joblib never puts one")
    if dtype.kind == "O":
        return _follow_objects(machine, shape)
    data, position = machine.data, machine.position
    if aligned and machine.padded:
        need(position < len(data), "announces an array after the end of the file")
        # The padding count is one byte; 255 stands for no padding count in none of joblib's versions.
        position += 1 + data[position]
    length = count_of(shape) * dtype.itemsize
    if position + length > len(data):
        raise RefusedError(
            f"announces an array of {length:,} bytes, {max(0, len(data) - position):,} are left"
        )
    machine.position = position + length
    raw = Raw(data, position, position + length, "bytes")
    return Obj("numpy.ndarray", "", "", (shape, dtype, raw))


def _follow_objects(machine: Any, shape: Any) -> Any:
    level = machine.level + 1
    if level > machine.limits.depth // 10:
        raise MalformedError("arrays of objects are nested too deep", "deep nesting")
    outer = machine.log.place
    machine.log.place = f"array of objects at byte {machine.position:,}"
    inner = type(machine)(
        machine.data, machine.position, machine.policy, machine.log, machine.limits, level,
        lenient=machine.lenient, inline=machine.inline, padded=machine.padded, by_shape=machine.by_shape,
    )  # fmt: skip
    result = inner.run()
    machine.position = inner.position
    machine.log.place = outer
    is_array = isinstance(result, Obj) and result.path == "numpy.ndarray" and isinstance(result.detail, tuple)
    need(is_array, "announces an array of objects, but the pickle there holds something else")
    need(count_of(result.detail[0]) == count_of(shape), "announces an array of objects of another shape")
    return result
