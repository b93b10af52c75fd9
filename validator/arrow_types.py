"""Arrow's spellings of text and categories that its own functions do not all take, in the ones that they do.

Polars, for one, hands over text as views, and categories with unsigned codes.
"""

from __future__ import annotations

from typing import Any


def plain_types(rows: Any) -> Any:
    """A record batch or table with text views as text, and categories by signed codes, of text that is never null.

    What has no column of another kind comes back as it is.
    """
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        if _is_odd(field.type, column):
            rows = rows.set_column(place, field.name, _plain(column))
    return rows


def _is_odd(kind: Any, column: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_dictionary(kind):
        return bool(pa.types.is_string_view(kind))
    if pa.types.is_string_view(kind.value_type) or not pa.types.is_signed_integer(kind.index_type):
        return True
    return any(part.dictionary.null_count for part in getattr(column, "chunks", [column]))


def _plain(column: Any) -> Any:
    import pyarrow as pa

    if hasattr(column, "chunks"):
        parts = [_plain(part) for part in column.chunks]
        return pa.chunked_array(parts) if parts else pa.chunked_array([], type=pa.string())
    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    codes, values = column.indices.cast(pa.int32()), column.dictionary
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if values.null_count:  # a code of its own for what is missing
        import pyarrow.compute as pc

        kept = pc.is_valid(values)
        place = pc.subtract(pc.cumulative_sum(kept.cast(pa.int32())), 1)
        codes = pc.if_else(kept, place, pa.scalar(None, pa.int32())).take(codes)
        values = values.filter(kept)
    return pa.DictionaryArray.from_arrays(codes, values, ordered=column.type.ordered)
