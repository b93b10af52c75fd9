"""From what the caller has to columns by name, without importing the library that it came from.

A column is a numpy array [N], or a list of N Python values where there is no faithful array of them (nulls in
whole numbers, rows of mappings).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.errors import InputTypeError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any] | list[Any]

#: Columns of more rows are looked at one by one: what that costs is little beside a copy of them all.
MANY_ROWS = 4_096
_ACCEPTED = (
    "a DataFrame, a mapping of columns, a structured array, an array [N, F] or an Arrow table (Polars too)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """N rows as (name, values) pairs, in the caller's order, doubled names included."""

    items: tuple[tuple[Any, Values], ...]
    n_rows: int

    @property
    def names(self) -> list[Any]:
        return [name for name, _ in self.items]


def read_columns(data: Any, names: Sequence[str]) -> Columns:
    """The caller's rows as columns. `names` are the contract's, which a plain array [N, F] takes by position.

    Raises InputTypeError for what is no table, and ShapeError for a wrong rank or width and columns that differ in
    length.
    """
    if isinstance(data, np.ndarray):
        return _from_array(data if isinstance(data, np.ma.MaskedArray) else np.asarray(data), names)
    if isinstance(data, Mapping):
        return _checked([(name, _values(name, column)) for name, column in data.items()])
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _from_frame(data)
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(data, (arrow.Table, arrow.RecordBatch)):
        return _from_arrow(data)
    if hasattr(type(data), "__arrow_c_stream__"):  # Polars' frames, DuckDB's relations
        return _from_arrow(_imported(type(data)).table(data))
    from validator.table import Table

    if isinstance(data, Table):
        items = tuple((column.name, column.decoded()) for column in data.columns)
        return Columns(items=items, n_rows=len(data))
    hint = f"pass {_ACCEPTED}"
    if hasattr(data, "collect"):
        hint = "call its collect(), and pass the frame"
    if isinstance(data, (list, tuple)):
        hint = "pass a list of mappings to predict_batch, or np.asarray(rows, dtype=float) to predict"
    raise InputTypeError(f"predict was given {type(data).__name__}, not {_ACCEPTED}", hint=hint)


def _from_array(array: NDArray[Any], names: Sequence[str]) -> Columns:
    if array.dtype.names is not None:
        if array.ndim != 1:
            raise ShapeError(
                f"a structured array must be [N], this one is {list(array.shape)}", hint="call .ravel() on it"
            )
        nested = next((name for name in array.dtype.names if array.dtype[name].shape), None)
        if nested is not None:
            shape = list(array.dtype[nested].shape)
            raise ShapeError(
                f"field {nested!r} holds {shape} values a row", hint="give one value a row and field"
            )
        items = tuple((name, _unmasked(array[name])) for name in array.dtype.names)
        return Columns(items=items, n_rows=len(array))
    if array.ndim != 2 or array.shape[1] != len(names):
        hint = "give one row as array.reshape(1, -1)" if array.ndim == 1 else "give one column per feature"
        raise ShapeError(
            f"an array must be [N, {len(names)}], this one is {list(array.shape)}: "
            f"columns are {', '.join(map(repr, names[:12]))}",
            hint=hint,
        )
    items = tuple((name, _unmasked(array[:, i])) for i, name in enumerate(names))
    return Columns(items=items, n_rows=len(array))


def _unmasked(array: NDArray[Any]) -> Values:
    """A masked array with what is masked as missing: NaN among floats, None elsewhere. Others as they are."""
    if not isinstance(array, np.ma.MaskedArray):
        return array
    if not np.ma.is_masked(array):
        return np.asarray(array.data)
    if array.dtype.kind == "f":
        filled: NDArray[Any] = array.filled(np.nan)
        return filled
    values: list[Any] = array.tolist()
    return values


def _values(name: Any, column: Any) -> Values:
    """A mapping's column: an array or list as it is, a pandas or Arrow column converted."""
    if isinstance(column, list) or (type(column) is np.ndarray and column.ndim == 1):
        return column
    if isinstance(column, tuple):
        return list(column)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(column, pandas.Series):
        return _from_series(column)
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and isinstance(column, (arrow.Array, arrow.ChunkedArray)):
        return _from_arrow_column(column)
    if hasattr(type(column), "__arrow_c_stream__"):
        return _from_arrow_column(_imported(type(column)).chunked_array(column))
    if not isinstance(column, np.ndarray):
        raise InputTypeError(
            f"column {str(name)[:60]!r} is a {type(column).__name__}, not a list or array",
            hint="pass one mapping of values to predict_single; predict takes columns",
        )
    if column.ndim == 2 and column.shape[1] == 1:
        return _unmasked(column[:, 0])
    if column.ndim != 1:
        raise ShapeError(
            f"column {str(name)[:60]!r} has shape {list(column.shape)}, not [N]", hint="give one value a row"
        )
    return _unmasked(column)


def _checked(items: list[tuple[Any, Values]]) -> Columns:
    lengths = {len(values) for _, values in items}
    if len(lengths) > 1:
        listed = ", ".join(f"{str(name)[:60]!r}: {len(values)}" for name, values in items[:12])
        raise ShapeError(f"columns differ in length ({listed})", hint="give one value a row in every column")
    return Columns(items=tuple(items), n_rows=lengths.pop() if lengths else 0)


def uniform_matrix(data: Any, names: Sequence[str]) -> NDArray[Any] | None:
    """A DataFrame or dictionary of exactly these columns, all of one float type, as [N, F] in the order of `names`.

    None for everything else: it takes the way by columns, which says what is wrong.
    """
    if type(data) is dict:
        return _uniform_columns(data, names)
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(data, pandas.DataFrame) or data.shape[1] != len(names):
        return None
    dtypes = set(data.dtypes)
    given = data.columns.tolist()
    if len(dtypes) != 1 or not isinstance(dtype := dtypes.pop(), np.dtype) or dtype.kind != "f":
        return None
    if given == list(names):
        return np.ascontiguousarray(data.to_numpy())
    place = {name: i for i, name in enumerate(given)}
    if len(place) != len(given) or place.keys() != set(names):
        return None
    return np.ascontiguousarray(data.to_numpy()[:, [place[name] for name in names]])


def _uniform_columns(data: dict[Any, Any], names: Sequence[str]) -> NDArray[Any] | None:
    """As `uniform_matrix`; None for many rows too, which are not worth a copy that may not be of use."""
    if len(data) != len(names):
        return None
    try:
        held = [data[name] for name in names]
    except KeyError:
        return None
    if set(map(type, held)) != {np.ndarray}:
        return None
    shapes, dtypes = {values.shape for values in held}, {values.dtype for values in held}
    if len(shapes) != 1 or len(dtypes) != 1 or dtypes.pop().kind != "f":
        return None
    shape = shapes.pop()
    if len(shape) != 1 or shape[0] > MANY_ROWS:
        return None
    return np.ascontiguousarray(np.array(held).T)


def _from_frame(frame: Any) -> Columns:
    items = tuple((name, _from_series(series)) for name, series in frame.items())
    return Columns(items=items, n_rows=len(frame))


def _from_series(series: Any) -> Values:
    """numpy-backed columns as they are; nullable ones too where nothing is null."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        array: NDArray[Any] = series.to_numpy()
        return array
    plain = getattr(dtype, "numpy_dtype", None)
    if plain is not None and plain.kind in "biuf" and not series.hasnans and not series.isna().any():
        exact: NDArray[Any] = series.to_numpy(dtype=plain)
        return exact
    values: list[Any] = series.tolist()
    return values


def _imported(kind: type) -> Any:
    """pyarrow, through whose interface other libraries hand their columns over.

    Raises InputTypeError where it is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InputTypeError(
            f"a {kind.__module__.partition('.')[0]} {kind.__name__} is read through pyarrow, which is not installed",
            hint="install pyarrow, or pass a mapping of columns as numpy arrays",
        ) from error
    return pa


def _from_arrow(table: Any) -> Columns:
    items = tuple((name, _from_arrow_column(table.column(i))) for i, name in enumerate(table.schema.names))
    return Columns(items=items, n_rows=table.num_rows)


def _from_arrow_column(column: Any) -> Values:
    """Without nulls as an array (not copied where it is one chunk); whole numbers with nulls as a list."""
    import pyarrow as pa

    kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if numeric and (column.null_count == 0 or pa.types.is_floating(kind)):
        options = {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}
        array: NDArray[Any] = column.to_numpy(**options)
        return array
    values: list[Any] = column.to_pylist()
    return values
