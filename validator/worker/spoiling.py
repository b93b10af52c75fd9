"""One good row, with something in one feature that training never saw there."""

from __future__ import annotations

from validator.table import Column, Table


def spoilt(row: Table, name: str, value: str) -> Table:
    """The row with `value` (nan, inf, -inf or none) in the feature. Raises KeyError when there is no such feature."""
    import numpy as np

    column = row.column(name)
    if value != "none":
        dtype = column.values.dtype if column.values.dtype.kind == "f" else np.float64
        return row.replace(Column(name, np.array([float(value)], dtype=dtype)))
    if column.categories is not None:
        return row.replace(Column(name, np.array([-1], dtype=np.int32), column.categories))
    return row.replace(Column(name, np.array([None], dtype=object)))
