"""The sample's own rows in the forms that callers of a deployment have them in, and how each of them is answered."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from validator.libraries.frames import columns
from validator.outputs import Outputs
from validator.table import Table

#: Name of the form, the deployment's method, and what it is given.
Form = Tuple[str, str, Any]
_SINGLE_ROWS = 20
#: A row alone and the same row in a batch may take different code paths of BLAS.
_TOLERANCE = 1e-5


def read_stream(data: Any) -> Any:
    """The Arrow table in an IPC stream."""
    import pyarrow as pa

    found = pa.ipc.open_stream(pa.py_buffer(memoryview(data))).read_all()
    return found.replace_schema_metadata(None)  # pandas would make an index of a column that it names


def typed(rows: Any, table: Table) -> Any:
    """Arrow rows of a CSV file, which has no types: digits are text where the model's categories are."""
    import pyarrow as pa

    for place, name in enumerate(rows.schema.names):
        column = table.column(name)
        if column.categories is not None and not pa.types.is_string(rows.schema.field(name).type):
            rows = rows.set_column(place, name, pa.array(column.decoded().tolist()))
    return rows


def forms_of(rows: Any) -> Iterator[Form]:
    """The rows of an Arrow table in every form that it has."""
    import pandas as pd

    mappings = rows.to_pylist()
    yield "a pandas DataFrame", "predict", rows.to_pandas()
    yield "a DataFrame of nullable types", "predict", rows.to_pandas(types_mapper=_nullable(pd).get)
    yield "a DataFrame of Arrow types", "predict", rows.to_pandas(types_mapper=pd.ArrowDtype)
    yield "an Arrow table", "predict", rows
    yield "a list of mappings", "predict_batch", mappings
    if (requests := _through_json(mappings)) is not None:
        yield "JSON", "predict_batch", requests
    for row in mappings[:_SINGLE_ROWS]:
        yield "one mapping", "predict_single", row


def _nullable(pd: Any) -> Dict[Any, Any]:
    """What `dtype_backend="numpy_nullable"` makes of Arrow's types."""
    import pyarrow as pa

    numbers = {
        getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    }
    return {
        **numbers,
        pa.float32(): pd.Float32Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype(),
    }


def _through_json(mappings: List[Dict[str, Any]]) -> Optional[List[Dict[str, Any]]]:
    """The rows as a request brings them: null for what is NaN. None where JSON has no form for them."""
    plain = [{name: _jsonable(value) for name, value in row.items()} for row in mappings]
    try:
        found: List[Dict[str, Any]] = json.loads(json.dumps(plain, allow_nan=False, default=float))
    except (TypeError, ValueError):
        return None
    return found


def _jsonable(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def answer_forms(
    ask: Callable[[str, Any], Outputs], rows: Any, table: Table
) -> Tuple[List[str], Optional[Dict[str, Any]]]:
    """The forms that were tried, and the first that is refused or answered otherwise than the table.

    `rows` is the Arrow table of the file, `table` the same rows as the gate has them everywhere else.
    """
    expected = ask("predict", columns(table))
    tried: Dict[str, int] = {}
    for form, method, given in forms_of(rows):
        at = tried.get(form, 0)
        tried[form] = at + 1
        wanted = expected if method != "predict_single" else expected.take(slice(at, at + 1))
        try:
            answer = ask(method, given)
        except Exception as error:  # the deployment's own, or whatever a form makes it raise
            names = [str(name) for name in getattr(error, "features", ())]
            message = f"{type(error).__name__}: {getattr(error, 'message', error)}"[:500]
            return list(tried), {"form": form, "columns": names[:20], "message": message}
        if not _alike(wanted, answer):
            return list(tried), {
                "form": form,
                "columns": _culprits(ask, rows, table, expected),
                "message": "",
            }
    return list(tried), None


def _culprits(ask: Callable[[str, Any], Outputs], rows: Any, table: Table, expected: Outputs) -> List[str]:
    """The columns that are answered otherwise when they alone are given in the file's own type."""
    held = columns(table)
    found = []
    for name in table.names:
        mixed = {**held, name: rows.column(name).to_pylist()}
        try:
            if not _alike(expected, ask("predict", mixed)):
                found.append(name)
        except Exception:  # refused: as telling as another answer
            found.append(name)
    return found[:20]


def _alike(a: Outputs, b: Outputs) -> bool:
    import numpy as np

    first, second = a.present, b.present
    if first.keys() != second.keys():
        return False
    for name, array in first.items():
        other = second[name]
        if array.shape != other.shape:
            return False
        is_float = array.dtype.kind == "f" and other.dtype.kind == "f"
        if is_float and not np.allclose(array, other, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
            return False
        if not is_float and array.tolist() != other.tolist():
            return False
    return True
