"""A few of a sample's rows in the types of their own file: the first ones, and whatever is missing somewhere."""

from __future__ import annotations

from typing import Any


def telling(batch: Any, max_rows: int) -> Any:
    """The first rows of an Arrow batch, and for each column the first one in which it has a null, if it has any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = list(range(min(max_rows // 2, batch.num_rows)))
    for column in batch.columns:
        first = pc.index(pc.is_null(column), True).as_py() if column.null_count else -1
        if first >= 0 and first not in rows and len(rows) < max_rows:
            rows.append(first)
    return batch.take(pa.array(rows, pa.int64()))


def stream(batch: Any) -> Any:
    """An Arrow batch as an IPC stream, in bytes [N]."""
    import numpy as np
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return np.frombuffer(sink.getvalue(), dtype=np.uint8)
