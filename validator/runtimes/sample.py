"""The data sample, as the supervisor sees it: batches of tables from the worker that reads the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator.errors import SampleError, UsageError
from validator.model import pointers
from validator.permissions import remedy
from validator.runtimes.sample_folder import parts_of
from validator.sandbox import wire
from validator.sandbox.packing import unpack_table
from validator.sandbox.worker_pool import Raised, Worker, WorkerPool
from validator.table import Table

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npz": "npz",
}
BATCH_ROWS = 65_536
_COMPRESSED = {".gz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd", ".zip": "unzip"}


@dataclass(kw_only=True)
class Sample:
    """An open sample. `columns` are (name, dtype) pairs as the first batch shows them."""

    path: str
    worker: Worker
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def open(cls, pool: WorkerPool, path: str, ignored: Sequence[str] = ()) -> Sample:
        """Raises UsageError when there is no such file, SampleError when it cannot be read or has no rows."""
        refuse_elsewhere(path)
        if Path(path).is_dir():
            return cls._opened(path, _folder_worker(pool, path, ignored))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(
                f"cannot open the sample {path}: {error.strerror}",
                hint=remedy(
                    error, Path(path), "check the path that --data, or data in preflight.toml, names"
                ),
            ) from error
        try:
            if (said := pointers.of_head(path, pointers.read_head(fd))) is not None:
                raise SampleError(f"the sample {path} {said[0]}, not the rows", hint=said[1])
            options = {"format": _format(path), "name": Path(path).name, "ignored": list(ignored)}
            worker = pool.start("sample", options=options, files=[fd])
        finally:
            os.close(fd)
        return cls._opened(path, worker)

    @classmethod
    def _opened(cls, path: str, worker: Worker) -> Sample:
        reply = _asked(worker, "open")
        columns = tuple((str(name), str(dtype)) for name, dtype in reply.result["columns"])
        return cls(path=path, worker=worker, columns=columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    def batches(self, *, limit: int = 0, rows: int = BATCH_ROWS) -> Iterator[Table]:
        """All rows from the first on, `rows` at a time; no more than `limit` if that is not 0."""
        _asked(self.worker, "rewind")
        left = limit or None
        while left is None or left > 0:
            table = self._next(rows if left is None else min(rows, left))
            if table is None:
                return
            if left is not None:
                left -= len(table)
            yield table

    def total(self, done: int) -> int | None:
        """How many rows there are in all after `done` of them: told by the file, or estimated by its bytes."""
        told = _asked(self.worker, "extent").result
        rows, share = told.get("rows"), told.get("share")
        if isinstance(rows, int):
            return rows if rows >= done else None
        return round(done / share) if isinstance(share, float) and 0 < share <= 1 else None

    def head(self, rows: int) -> Table:
        """The first rows: at most that many, and at most one batch. Raises SampleError when there are none."""
        for table in self.batches(limit=rows, rows=rows):
            return table
        raise SampleError(
            f"{self.path} holds no rows", hint="give a sample of real rows, some hundred at least"
        )

    @property
    def is_untyped(self) -> bool:
        """Whether the file holds texts alone, which readers take for what they look like."""
        return not Path(self.path).is_dir() and _format(self.path) == "csv"

    def given(self, names: Sequence[str], rows: int) -> tuple[Any, Table]:
        """At most that many of the first rows: an Arrow stream [bytes] of the file's own types, and as a table."""
        reply = _asked(self.worker, "given", names=list(names), max_rows=rows)
        try:
            return reply.arrays[0], unpack_table(reply.result["table"], reply.arrays[1:])
        except (wire.WireError, IndexError, KeyError, TypeError) as error:
            raise SampleError(
                f"{self.path} was read into nonsense: {error}", hint="is the file whole?"
            ) from error

    def _next(self, rows: int) -> Table | None:
        reply = _asked(self.worker, "batch", max_rows=rows)
        if reply.result["table"] is None:
            return None
        try:
            return unpack_table(reply.result["table"], reply.arrays)
        except wire.WireError as error:
            raise SampleError(
                f"{self.path} was read into nonsense: {error}", hint="is the file whole?"
            ) from error


def refuse_elsewhere(path: str) -> None:
    """Raises UsageError for a name that says that the rows are not here: an address, a pointer's, a home folder's."""
    if (said := pointers.of_name(path)) is not None:
        raise UsageError(f"the sample {path} {said[0]}", hint=said[1])


def _folder_worker(pool: WorkerPool, path: str, ignored: Sequence[str]) -> Worker:
    """A worker that may read the folder and nothing else."""
    parts = [(part.path, part.partition) for part in parts_of(path)]
    options = {"format": "parquet", "name": Path(path).name, "ignored": list(ignored), "parts": parts}
    return pool.start("sample", options=options, readable=(os.path.realpath(path),))


def _format(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix in _COMPRESSED:
        raise SampleError(
            f"the sample {path} is compressed as a whole",
            hint=f"unpack it ({_COMPRESSED[suffix]}), or save it as Parquet",
        )
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise SampleError(
            f"the sample {path} has the suffix {suffix or '(none)'}, which names no known format",
            hint=f"save it as one of: {known}",
        )
    return FORMATS[suffix]


def _asked(worker: Worker, op: str, **args: Any) -> Any:
    """What goes wrong in the reader is the sample's fault, and said as such."""
    try:
        return worker.call(op, **args)
    except Raised as error:
        raise SampleError(error.message, hint=error.hint) from error


def split(table: Table, features: Sequence[str], target: str | None) -> tuple[Table, Any]:
    """The model's columns in its order, and the target's values [N] or None.

    Raises KeyError when a column is missing.
    """
    return table.select(features), table.column(target).decoded() if target else None
