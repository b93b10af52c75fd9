"""Arrow columns as arrays in the form that a profile counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from validator.errors import SampleError
from validator.profile.columns import Encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray


def numbers(array: Any, name: str) -> NDArray[Any]:
    """A column of numbers or truth values as [N], not copied where it is whole; nulls become NaN.

    Raises SampleError naming a value that is no number.
    """
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        array, kind = array.cast(pa.float64()), pa.float64()
    if pa.types.is_boolean(kind):
        array, kind = array.cast(pa.uint8()), pa.uint8()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        first = next((value for value in array.slice(0, 1_000).to_pylist() if value is not None), None)
        raise SampleError(
            f"column {name!r} holds {kind}, where the reference has numbers (for instance {str(first)[:80]!r})",
            hint="mend the column, or give the data in the form that the model was judged on",
        )
    if array.null_count and pa.types.is_integer(kind):
        array = array.cast(pa.float64(), safe=False)
    found: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return found


def categories(array: Any, name: str) -> Encoded:
    """A column of categories of any plain type, by code. Raises SampleError for lists and the like."""
    import pyarrow as pa

    if pa.types.is_null(array.type):
        return Encoded((), np.full(len(array), -1))
    if not pa.types.is_dictionary(array.type):
        try:
            array = array.dictionary_encode()
        except pa.ArrowNotImplementedError as error:  # lists, structures and the like
            raise SampleError(
                f"column {name!r} holds {array.type}, where the reference has categories",
                hint="mend the column, or give the data in the form that the model was judged on",
            ) from error
    codes = array.indices.fill_null(-1) if array.indices.null_count else array.indices
    known = array.dictionary
    found = codes.to_numpy(zero_copy_only=False).astype(np.int64)
    return Encoded(tuple(known.to_pylist()), found)


def plain(array: Any) -> NDArray[Any]:
    """A column of any type as [N]: numbers as they are, the rest as Python values with None for missing."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return numbers(array, "") if not pa.types.is_boolean(kind) else _objects(array.to_pylist())
    return _objects(array.to_pylist())


def _objects(values: list[Any]) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
