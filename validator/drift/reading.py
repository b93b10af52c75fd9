"""Rows of any number from Parquet, CSV or Arrow files and folders of them, a batch at a time.

Memory stays flat however long the data is: Parquet is opened anew for each row group (a reader keeps what it
has decoded), nothing is memory-mapped, and only the columns that are asked for are decoded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator.arrow_types import plain_types
from validator.errors import SampleError

BATCH_ROWS = 65_536
_READ_BYTES = 2**16
_CSV_BLOCK = 2**22
#: Chunks of text that take fewer bytes a value are codes for the most part, and not the words themselves.
_CODED_BYTES = 4
_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_MOST_FILES = 100_000
_UNREADABLE = "is the file whole, and each of its columns of one kind?"


@dataclass(frozen=True)
class _CsvForm:
    """What CSV does not say of itself: types by column, and words that are categories though Arrow, and the gate with
    it, takes them for a missing value.
    """

    types: Mapping[str, str]
    words: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Data:
    """Data on disk: its files in the order in which they are read, and the names of its columns."""

    path: str
    files: tuple[Path, ...]
    columns: tuple[str, ...]

    def batches(
        self,
        columns: Sequence[str],
        *,
        numeric: Sequence[str] = (),
        text: Sequence[str] = (),
        categories: Collection[str] = (),
    ) -> Iterator[Any]:
        """Record batches of those columns, in that order. Raises SampleError where a file cannot be read.

        `numeric` and `text` are columns that are so in the reference, `categories` what the latter hold: CSV itself
        does not say, nor whether NA is a missing value or Namibia.
        """
        types = dict.fromkeys(numeric, "double") | dict.fromkeys(text, "string")
        form = _CsvForm(types, categories)
        for file in self.files:
            with _told(file):
                yield from _read(file, list(columns), form)


def open_data(path: str) -> Data:
    """Look at a file, or at a folder of files (read in the order of their names, folders below included).

    Raises SampleError when there is nothing to read, or files of a folder have different columns.
    """
    files = _files(Path(path))
    names: tuple[str, ...] | None = None
    for file in files:
        if not _is_unicode(str(file)):
            raise SampleError(f"the name {str(file)!r} is not UTF-8", hint="give the data under another name")
        with _told(file):
            found = tuple(_schema(file).names)
        if len(set(found)) != len(found):
            raise SampleError(f"{file} names a column twice", hint="give every column a name of its own")
        if names is not None and set(found) != set(names):
            odd = sorted(set(found) ^ set(names))[:5]
            raise SampleError(
                f"{file} has other columns than {files[0]}: {', '.join(map(repr, odd))}",
                hint="keep files of one kind in a folder",
            )
        names = names or found
    return Data(path=path, files=files, columns=names or ())


def _is_unicode(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeError:
        return False


def _files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        if _kind(path) is None:
            raise SampleError(
                f"{path} is of no known kind",
                hint="give .parquet, .csv, .arrow or .feather, or a folder of such files",
            )
        return (path,)
    if not path.is_dir():
        raise SampleError(f"there is no data {path}", hint="check the path")
    found = []
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
        if file.is_file() and not hidden and _kind(file) is not None:
            found.append(file)
        if len(found) > _MOST_FILES:
            raise SampleError(f"{path} holds more than {_MOST_FILES:,} files", hint="give folders below it")
    if not found:
        raise SampleError(
            f"the folder {path} holds no data file", hint="it should hold .parquet, .csv or .arrow files"
        )
    return tuple(found)


def _kind(path: Path) -> str | None:
    return _SUFFIXES.get(path.suffix.lower())


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Arrow's errors in our words."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SampleError(
            f"{file} cannot be read: {first[:300]}",
            hint=_UNREADABLE,
        ) from error


def _schema(file: Path) -> Any:
    import pyarrow.parquet as pq

    if _kind(file) == "parquet":
        with file.open("rb") as stream:
            return pq.read_schema(stream)
    with _open(file, None, _CsvForm({})) as reader:
        return reader.schema


def _read(file: Path, columns: list[str], form: _CsvForm) -> Iterator[Any]:
    if _kind(file) == "parquet":
        yield from _read_parquet(
            file, columns, [name for name in columns if form.types.get(name) == "string"]
        )
        return
    with _open(file, columns, form) as reader:
        for batch in _each(reader):
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield plain_types(batch.select(columns).slice(start, BATCH_ROWS))


def _read_parquet(file: Path, columns: list[str], text: list[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.OSFile(str(file)) as stream:
        metadata = pq.ParquetFile(stream).metadata
    for group in range(metadata.num_row_groups):
        with pa.OSFile(str(file)) as stream:
            reader = pq.ParquetFile(
                stream,
                metadata=metadata,
                read_dictionary=_coded(metadata, group, text),
                buffer_size=_READ_BYTES,
                pre_buffer=False,
            )
            batches = reader.iter_batches(
                batch_size=BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
            )
            for batch in batches:
                yield plain_types(batch.select(columns))


def _coded(metadata: Any, group: int, text: list[str]) -> list[str]:
    """Those columns of text that the file holds as codes of a dictionary: their words need not be read row by row."""
    found = []
    for place in range(metadata.num_columns) if text else ():
        kind = metadata.schema.column(place)
        if kind.path not in text or kind.logical_type.type != "STRING":
            continue
        chunk = metadata.row_group(group).column(place)
        if chunk.has_dictionary_page and chunk.total_uncompressed_size < _CODED_BYTES * chunk.num_values:
            found.append(kind.path)
    return found


@contextmanager
def _open(file: Path, columns: list[str] | None, form: _CsvForm) -> Iterator[Any]:
    """A reader of CSV, or of Arrow's file or stream form."""
    import pyarrow as pa
    from pyarrow import csv

    if _kind(file) == "csv":
        options = csv.ConvertOptions(
            include_columns=columns,
            column_types={name: pa.type_for_alias(kind) for name, kind in form.types.items()},
            strings_can_be_null=True,
        )
        options.null_values = [word for word in options.null_values if word not in form.words]
        with csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=_CSV_BLOCK, use_threads=False),
            convert_options=options,
        ) as reader:
            yield reader
        return
    with file.open("rb") as stream:
        magic = stream.read(6)
        stream.seek(0)
        opened = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
        with opened(stream) as reader:
            yield reader


def _each(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i)
        return
    yield from reader
