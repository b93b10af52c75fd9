"""Tables as what the wire carries, and back."""

from __future__ import annotations

from typing import Any, Tuple

from validator.sandbox import wire
from validator.table import Column, Table


def pack_table(table: Table) -> Tuple[wire.Meta, wire.Arrays]:
    """A table as meta and arrays, to be sent: columns of one number type as one array [F, N], others one by one."""
    import numpy as np

    if len(table.columns) > 1 and table.dtype is not None:
        block = np.stack([column.values for column in table.columns])
        return {"names": list(table.names), "n_rows": table.n_rows}, [block]
    arrays: wire.Arrays = []
    columns = []
    for column in table.columns:
        entry: wire.Meta = {"name": column.name, "values": len(arrays), "categories": None}
        if column.truth:
            entry["truth"] = True
        arrays.append(column.values)
        if column.categories is not None:
            entry["categories"] = len(arrays)
            arrays.append(column.categories)
        columns.append(entry)
    return {"columns": columns, "n_rows": table.n_rows}, arrays


def unpack_table(meta: Any, arrays: wire.Arrays) -> Table:
    """The table that `pack_table` described. Raises WireError when the parts do not fit."""
    try:
        n_rows = meta["n_rows"]
        if "names" in meta:
            return _of_block(meta["names"], n_rows, arrays[0])
        columns = []
        for entry in meta["columns"]:
            categories = None if entry["categories"] is None else arrays[entry["categories"]]
            truth = entry.get("truth") is True and categories is None
            column = Column(str(entry["name"]), arrays[entry["values"]], categories, truth)
            if column.values.shape != (n_rows,):
                raise wire.WireError(f"column of {column.values.shape} in a table of {n_rows} rows")
            if categories is not None and not _codes_fit(column):
                raise wire.WireError("category codes out of range")
            columns.append(column)
        return Table(tuple(columns), n_rows)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise wire.WireError(f"malformed table: {error!r:.200}") from error


def _of_block(names: Any, n_rows: Any, block: Any) -> Table:
    if not isinstance(names, list) or block.shape != (len(names), n_rows):
        raise wire.WireError(f"a block of {block.shape} in a table of {n_rows} rows")
    if block.dtype.kind not in "fiub":
        raise wire.WireError(f"a block of {block.dtype}")
    return Table(tuple(Column(str(name), values) for name, values in zip(names, block)), n_rows)


def _codes_fit(column: Column) -> bool:
    values, categories = column.values, column.categories
    if values.dtype.kind != "i" or categories is None or categories.ndim != 1:
        return False
    return not len(values) or (int(values.min()) >= -1 and int(values.max()) < len(categories))
