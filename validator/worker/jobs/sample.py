"""Reads the data sample in batches: Parquet, CSV, Arrow/Feather and NPZ, from an open descriptor."""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from typing import Any, Collection, Dict, Iterator, List, Optional, Sequence, Tuple

from validator.arrow_types import plain_types
from validator.errors import SampleError
from validator.sandbox import wire
from validator.sandbox.packing import pack_table
from validator.table import Column, Table
from validator.worker.arrow_table import to_table
from validator.worker.csv_file import CsvFile
from validator.worker.parquet_folder import ParquetFolder, Part
from validator.worker.rows_as_given import stream, telling

_FILE = 4  # the sample's descriptor, next after the channel
_MAX_NPZ_BYTES = 4 * 2**30
_BATCH_ROWS = 65_536
#: Values that one batch may hold: wide files are read in fewer rows.
_BATCH_VALUES, _LEAST_ROWS = 16_000_000, 1_000
_READ_BYTES = 256 * 1024
_JOINED_ROWS, _JOINED_BYTES = 10_000, 32 << 20


class _NoPandas:
    """Finds nothing where pandas is asked for."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=name)


@contextlib.contextmanager
def _without_pandas() -> Iterator[None]:
    """Arrow imports pandas before it makes its first numpy array, if it can: a third of a second for nothing."""
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)


class SampleJob:
    """Operations: `open` says what the columns are, `batch` gives the next rows, `rewind` starts again, and `given`
    tells the first rows as their file holds them.
    """

    def __init__(
        self, format: str, name: str, ignored: Sequence[str] = (), parts: Optional[Sequence[Part]] = None
    ) -> None:
        """`parts` are those of a folder, which is read instead of the descriptor."""
        self._format = format
        self._parts = parts
        self._folder: Optional[ParquetFolder] = None
        self._name = name
        self._ignored = frozenset(ignored)
        self._csv: Optional[CsvFile] = None
        self._batches: Optional[Iterator[Table]] = None
        self._rest: Optional[Table] = None

    def open(self, arrays: wire.Arrays) -> Tuple[wire.Meta, wire.Arrays]:
        """The first batch tells names and dtypes. Raises SampleError for unreadable or empty data."""
        self.rewind(arrays)
        first = self._next()
        if first is None or not len(first):
            raise SampleError(
                f"{self._name} holds no rows", hint="give a sample of real rows, some hundred at least"
            )
        self._rest = first
        return {"columns": [[column.name, column.dtype] for column in first.columns]}, []

    def rewind(self, arrays: wire.Arrays) -> Tuple[wire.Meta, wire.Arrays]:
        if not self._parts:
            os.lseek(_FILE, 0, os.SEEK_SET)
        if self._format == "npz":
            self._batches = _read_npz(_FILE, self._name)
        else:
            self._batches = (to_table(batch, self._name, self._ignored) for batch in self._raw_batches())
        self._rest = None
        return {}, []

    def extent(self, arrays: wire.Arrays) -> Tuple[wire.Meta, wire.Arrays]:
        """How many rows there are, where the file says so, and the share of its bytes that was read."""
        if self._folder is not None:
            return {"rows": self._folder.rows, "share": 1.0}, []
        size = os.fstat(_FILE).st_size
        share = os.lseek(_FILE, 0, os.SEEK_CUR) / size if size else 1.0
        return {"rows": _rows_told(_FILE, size) if self._format == "parquet" else None, "share": share}, []

    def batch(self, arrays: wire.Arrays, max_rows: int) -> Tuple[wire.Meta, wire.Arrays]:
        """At most that many rows; none when the sample is at its end."""
        table = self._rest if self._rest is not None else self._next()
        if table is None:
            return {"table": None}, []
        self._rest = table.take(slice(max_rows, None)) if len(table) > max_rows else None
        meta, packed = pack_table(table.take(slice(0, max_rows)))
        return {"table": meta}, packed

    def given(self, arrays: wire.Arrays, names: List[str], max_rows: int) -> Tuple[wire.Meta, wire.Arrays]:
        """Some of the first rows of those columns, as an Arrow stream of the file's own types, and as a table.

        `rewind` must follow before the next `batch`.
        """
        self.rewind(arrays)
        with _without_pandas():
            batch = telling(next(self._raw_batches()).select(names), max_rows)
            meta, packed = pack_table(to_table(batch, self._name, self._ignored))
            return {"table": meta}, [stream(batch), *packed]

    def _raw_batches(self) -> Iterator[Any]:
        """Arrow batches; NumPy's arrays are one."""
        if self._format == "npz":
            return (_as_batch(table) for table in _read_npz(_FILE, self._name))
        if self._parts:
            self._folder = self._folder or ParquetFolder(self._parts, self._name)
            return joined(self._folder.batches(_parquet_batches))
        if self._format == "csv":
            self._csv = self._csv or CsvFile(_FILE, self._name)
            return joined(self._csv.batches())
        return joined(_arrow_batches(_FILE, self._format))

    def _next(self) -> Optional[Table]:
        if self._batches is None:
            return None
        try:
            with _without_pandas():
                return next(self._batches, None)
        except SampleError:
            raise
        except (ValueError, OSError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
            # pyarrow's own errors are ValueError, OSError, KeyError and NotImplementedError by inheritance.
            raise SampleError(
                f"{self._name} cannot be read as {self._format}: {error}",
                hint="is the file whole, and its suffix right? (.parquet, .csv, .arrow, .feather, .npz)",
            ) from error


def _rows_told(fd: int, size: int) -> Optional[int]:
    """What a Parquet file's footer says, read without moving the descriptor's place; None for a broken one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if size < 12:
        return None
    length = int.from_bytes(os.pread(fd, 8, size - 8)[:4], "little")
    if length + 12 > size:
        return None
    footer = os.pread(fd, length + 8, size - length - 8)
    try:
        return int(pq.ParquetFile(pa.BufferReader(b"PAR1" + footer)).metadata.num_rows)
    except (ValueError, OSError):
        return None


def read_batches(fd: int, format: str, name: str, ignored: Collection[str] = frozenset()) -> Iterator[Table]:
    """Tables of at most 65,536 rows, one after the other, without reading the whole file where it allows that.

    Of any format but CSV. Columns of the `ignored` names may hold what no model takes.
    """
    if format == "npz":
        yield from _read_npz(fd, name)
        return
    for batch in joined(_arrow_batches(fd, format)):
        yield to_table(batch, name, ignored)


def joined(batches: Iterator[Any]) -> Iterator[Any]:
    """Small Arrow batches as fewer larger ones: the first one tells what a sample is like, and how small it is."""
    import pyarrow as pa

    held: List[Any] = []
    rows = size = 0
    for batch in map(plain_types, batches):
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _JOINED_ROWS or size >= _JOINED_BYTES:
            yield from _as_one(pa, held)
            held, rows, size = [], 0, 0
    if held:
        yield from _as_one(pa, held)


def _as_one(pa: Any, held: List[Any]) -> Iterator[Any]:
    if len(held) == 1:
        yield held[0]
    else:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _arrow_batches(fd: int, format: str) -> Iterator[Any]:
    import pyarrow as pa

    with os.fdopen(os.dup(fd), "rb") as file:
        if format == "parquet":
            yield from _parquet_batches(file)
        elif file.read(6) == b"ARROW1":
            file.seek(0)
            reader = pa.ipc.open_file(file)
            for i in range(reader.num_record_batches):
                yield from _sliced(reader.get_batch(i))
        else:
            file.seek(0)
            for batch in pa.ipc.open_stream(file):
                yield from _sliced(batch)


def _parquet_batches(file: Any) -> Iterator[Any]:
    """Read as it goes: by default a whole row group's columns are held, and a file may be one row group."""
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False)
    rows = _rows_of(len(parquet.schema_arrow.names))
    yield from parquet.iter_batches(batch_size=rows, use_threads=False)


def _sliced(batch: Any) -> Iterator[Any]:
    rows = _rows_of(batch.num_columns)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _rows_of(columns: int) -> int:
    """How many rows a batch of so many columns has."""
    return min(_BATCH_ROWS, max(_LEAST_ROWS, _BATCH_VALUES // max(columns, 1)))


def _read_npz(fd: int, name: str) -> Iterator[Table]:
    """One array per column; or `X` [N, F] with `feature_names` [F] and, if there is a target, `y` [N]."""
    import numpy as np

    with os.fdopen(os.dup(fd), "rb") as file:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _MAX_NPZ_BYTES:
            raise SampleError(
                f"{name} would unpack to {size} bytes", hint="give a smaller sample, or Parquet"
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as members:
            table = _npz_table({key: members[key] for key in members.files}, name)
    rows = _rows_of(len(table.columns))
    for start in range(0, len(table), rows):
        yield table.take(slice(start, start + rows))


def _npz_table(members: Dict[str, Any], name: str) -> Table:
    columns: List[Column] = []
    matrix = members.pop("X", None)
    if matrix is not None:
        if matrix.ndim != 2:
            raise SampleError(
                f"X in {name} has shape {matrix.shape}, not [rows, features]", hint="save a 2-D array"
            )
        names = _feature_names(members.pop("feature_names", None), matrix.shape[1], name)
        columns.extend(Column(names[i], matrix[:, i]) for i in range(matrix.shape[1]))
    for key, values in members.items():
        if values.ndim != 1:
            raise SampleError(
                f"{key} in {name} has shape {values.shape}, not [rows]", hint="one array a column, or X"
            )
        columns.append(Column(key, values.astype(object) if values.dtype.kind in "US" else values))
    try:
        return Table.of(columns)
    except ValueError as error:
        raise SampleError(f"{name}: {error}", hint="all arrays need one entry a row") from error


def _as_batch(table: Table) -> Any:
    import pyarrow as pa

    return pa.record_batch({column.name: pa.array(column.values) for column in table.columns})


def _feature_names(given: Any, count: int, name: str) -> Sequence[str]:
    if given is None:
        return [f"f{i}" for i in range(count)]
    if len(given) != count:
        raise SampleError(
            f"{name} has {len(given)} feature_names for {count} columns", hint="save one name a column"
        )
    return [str(item) for item in given]
