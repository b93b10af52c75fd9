"""An Arrow batch as the table that passes between workers: what each type becomes, and what none of them may be."""

from __future__ import annotations

from typing import Any, Collection

from validator.errors import SampleError
from validator.table import Column, Table


def to_table(batch: Any, name: str, ignored: Collection[str]) -> Table:
    """The batch's columns but for pandas' index; those of the `ignored` names may hold what no model takes.

    Raises SampleError for two columns of one name, and for a type that no model takes; `name` is the file's.
    """
    names = [str(column) for column in batch.schema.names]
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise SampleError(
            f"{name} has two columns named {', '.join(repeated[:5])}",
            hint="give each column a name of its own",
        )
    keep = [i for i, column in enumerate(names) if not column.startswith("__index_level_")]
    return Table(tuple(_column(names[i], batch.column(i), name, ignored) for i in keep), batch.num_rows)


def _column(name: str, array: Any, source: str, ignored: Collection[str]) -> Column:
    try:
        return _to_column(name, array, source)
    except SampleError:
        if name not in ignored:
            raise
        import numpy as np

        return Column(name, np.full(len(array), None, dtype=object))  # its name alone is asked for


def _to_column(name: str, array: Any, source: str) -> Column:
    """An Arrow array as a column: nulls in numbers become NaN, dictionaries become categories."""
    import numpy as np
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        values = array.dictionary.to_numpy(zero_copy_only=False)
        return Column(name, codes, values.astype(object) if values.dtype.kind in "OU" else values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        if array.null_count and pa.types.is_boolean(kind):
            numbers = array.cast(pa.int8()).cast(pa.float64())
            return Column(name, _plain(numbers.to_numpy(zero_copy_only=False)), truth=True)
        if array.null_count:
            array = array.cast(pa.float64())
        return Column(name, _plain(array.to_numpy(zero_copy_only=False)))
    if pa.types.is_decimal(kind):
        return Column(name, array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Column(name, array.to_numpy(zero_copy_only=False).astype(object))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column(name, array.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False))
    if pa.types.is_null(kind):
        return Column(name, np.full(len(array), np.nan))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise SampleError(
            f"column {name!r} of {source} holds bytes that are no UTF-8 text",
            hint="save the file as UTF-8, leave the column out, or name it under `ignore`",
        )
    raise SampleError(
        f"column {name!r} of {source} holds {kind}, which no model here takes",
        hint="leave it out of the sample, name it under `ignore`, or spread it over plain columns",
    )


def _plain(values: Any) -> Any:
    import numpy as np

    return values.astype(np.float64) if values.dtype == object else values
