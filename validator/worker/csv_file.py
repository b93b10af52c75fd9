"""CSV files: separator and encoding are told by the file's beginning, the columns' types by all of it."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List

from validator.errors import SampleError

_BLOCK = 1 << 20
_HEAD = 1 << 16
_FAILED = re.compile(r"In CSV column #(\d+): .*?CSV conversion error to ([\w\[\]]+)", re.DOTALL)
#: What a column becomes that holds something else further down than its first block.
_WIDER = {"int64": "double", "null": "double"}


class CsvFile:
    """One open file, which can be read more than once. Raises SampleError for an encoding that is not UTF-8."""

    def __init__(self, fd: int, name: str) -> None:
        head = os.pread(fd, _HEAD, 0)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:4]:
            raise SampleError(
                f"{name} is UTF-16 or UTF-32, not UTF-8",
                hint="save it as UTF-8, or as Parquet, which keeps the columns' types too",
            )
        self._fd = fd
        self._separator = _separator(head)
        self._types = self._settled() if os.fstat(fd).st_size > _BLOCK else {}

    def batches(self) -> Iterator[Any]:
        """Arrow record batches, from the first row on."""
        return self._read(self._types)

    def _settled(self) -> Dict[str, str]:
        """Types that hold to the end of the file, for the columns whose first rows show another one.

        Arrow infers types from the first block alone: whole numbers there may be fractions later.
        """
        types: Dict[str, str] = {}
        names: List[str] = []
        while True:
            try:
                for batch in self._read(types):
                    names = names or batch.schema.names
            except ValueError as error:
                failed = _FAILED.search(str(error))
                place = int(failed[1]) if failed else len(names)
                if failed is None or place >= len(names) or types.get(names[place]) == "string":
                    raise
                types[names[place]] = _WIDER.get(failed[2], "string")
            else:
                return types

    def _read(self, types: Dict[str, str]) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.csv as csv

        kinds = {"double": pa.float64(), "string": pa.string()}
        os.lseek(self._fd, 0, os.SEEK_SET)
        with os.fdopen(os.dup(self._fd), "rb") as file:
            yield from csv.open_csv(
                file,
                read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK),
                parse_options=csv.ParseOptions(delimiter=self._separator),
                convert_options=csv.ConvertOptions(
                    strings_can_be_null=True, column_types={name: kinds[kind] for name, kind in types.items()}
                ),
            )


def _separator(head: bytes) -> str:
    """A semicolon or tab where the header has those and no comma."""
    header = head.splitlines()[0] if head else b""
    if b"," in header:
        return ","
    return next((mark for mark in (";", "\t") if mark.encode() in header), ",")
