"""A table in the forms that callers of a service pass: a DataFrame, a dictionary of columns, mappings row by row."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from validator.table import Column, Table


def frame(table: Table) -> Any:
    """The table as a DataFrame, categories as categoricals; numbers of one type lie in one block, as after a read."""
    import pandas as pd

    if table.dtype is not None and len(set(table.names)) == len(table.columns):
        return _of_block(_block(table), pd.Index(table.names))
    return pd.DataFrame({column.name: _series(column) for column in table.columns}, copy=False)


def frames(table: Table, rows: int, starts: Sequence[int]) -> List[Any]:
    """A DataFrame of so many rows from each of `starts` on: what `frame` makes of each, made at once."""
    import numpy as np
    import pandas as pd

    if table.dtype is None or len(set(table.names)) != len(table.columns):
        return [frame(table.take(slice(at, at + rows))) for at in starts]
    block, names = _block(table), pd.Index(table.names)
    return [_of_block(np.ascontiguousarray(block[:, at : at + rows]), names) for at in starts]


def _block(table: Table) -> Any:
    """All columns, of one dtype, as [F, N]."""
    import numpy as np

    return np.stack([column.values for column in table.columns])


def _of_block(block: Any, names: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(block.T, columns=names, copy=False)


def columns(table: Table) -> Dict[str, Any]:
    """Arrays [N] by name, categories looked up; truth values as such, with NaN among them where one is missing."""
    return {column.name: _told(column) for column in table.columns}


def _told(column: Column) -> Any:
    if not column.truth:
        return column.decoded()
    return _objects([value if value != value else value == 1.0 for value in column.values.tolist()])


def _objects(values: List[Any]) -> Any:
    import numpy as np

    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def frame_or_columns(table: Table) -> Any:
    """A DataFrame where pandas is installed, else a dictionary of columns."""
    try:
        return frame(table)
    except ImportError:
        return columns(table)


def mappings(table: Table) -> List[Dict[str, Any]]:
    """One mapping from name to plain Python value a row, as a request would hold it."""
    held = columns(table)
    if not held:
        return [{} for _ in range(len(table))]
    listed = [
        values.tolist() if values.dtype.kind in "fiub" else [plain(value) for value in values]
        for values in held.values()
    ]
    return [dict(zip(held, row)) for row in zip(*listed)]


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that a request would hold; dates to the microsecond."""
    if not hasattr(value, "item"):
        return value
    return value.astype("datetime64[us]").item() if value.dtype.kind == "M" else value.item()


def _series(column: Column) -> Any:
    import pandas as pd

    if column.categories is None:
        if column.values.dtype == object and all(value is None for value in column.values):
            # pandas tells text by its values; where all are missing it must be told, or one row alone has another
            # type, and other missing values, than the same row among others.
            return pd.Series(column.values, dtype=pd.Series(["text"]).dtype)
        return column.values
    return pd.Categorical.from_codes(column.values, categories=list(column.categories))
