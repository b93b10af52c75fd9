"""The parts of a folder of Parquet files as one sequence of Arrow batches of one schema."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from validator.errors import SampleError

_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")

Part = Tuple[str, Dict[str, Optional[str]]]


class ParquetFolder:
    """Paths with the columns that their folders' names stand for. Raises SampleError for parts that do not agree.

    A number is the widest of what the parts have in its column, and a column that is null in some is what it is in
    others; columns may stand in any order.
    """

    def __init__(self, parts: Sequence[Part], name: str) -> None:
        self._parts, self._name = parts, name
        self.rows = 0
        schemas = []
        for path, _ in parts:
            with _opened(path) as file:
                metadata = _parquet(file, path).metadata
                self.rows += metadata.num_rows
                schemas.append(metadata.schema.to_arrow_schema().remove_metadata())
        self._schema = self._agreed(schemas)
        self._partition = self._partitions()

    def batches(self, read: Any) -> Iterator[Any]:
        """The batches of every part that `read(file)` gives, in the schema of all."""
        import pyarrow as pa

        for path, told in self._parts:
            with _opened(path) as file:
                for batch in read(file):
                    table = pa.Table.from_batches([batch]).select(self._schema.names).cast(self._schema)
                    for key, kind in self._partition.items():
                        value = told[key]
                        given = int(value) if value is not None and kind == pa.int64() else value
                        table = table.append_column(key, pa.array([given] * len(table), kind))
                    yield from table.to_batches()

    def _agreed(self, schemas: Sequence[Any]) -> Any:
        import pyarrow as pa

        names = schemas[0].names
        for (path, _), schema in zip(self._parts, schemas):
            apart = set(names) ^ set(schema.names)
            if apart or len(set(schema.names)) != len(schema.names):
                raise SampleError(
                    f"{self._name}: {os.path.basename(path)} has other columns than the first part"  # noqa: PTH119
                    f"{': ' + ', '.join(sorted(apart)[:5]) if apart else ', or one twice'}",
                    hint="give parts with the same columns",
                )
        try:
            return pa.unify_schemas(list(schemas), promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SampleError(
                f"{self._name}: its parts hold different types in one column: {error}",
                hint="write all parts with the same types",
            ) from error

    def _partitions(self) -> Dict[str, Any]:
        """The type of each column that folders' names stand for: whole numbers where all are, else text."""
        import pyarrow as pa

        keys: List[str] = list(self._parts[0][1])
        clash = set(keys) & set(self._schema.names)
        if clash:
            raise SampleError(
                f"{self._name}: the column {min(clash)!r} stands in the files and in their folders' names",
                hint="keep one of the two",
            )
        found = {}
        for key in keys:
            values = [told[key] for _, told in self._parts]
            whole = all(value is None or _WHOLE.fullmatch(value) for value in values)
            found[key] = pa.int64() if whole and any(values) else pa.string()
        return found


def _opened(path: str) -> Any:
    """A part that was looked at before: no link since."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags), "rb")


def _parquet(file: Any, path: str) -> Any:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (ValueError, OSError) as error:
        raise SampleError(
            f"{os.path.basename(path)} cannot be read as Parquet: {error}",  # noqa: PTH119
            hint="is the file whole?",
        ) from error
