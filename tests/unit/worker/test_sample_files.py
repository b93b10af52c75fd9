"""CSV files as they come: other separators and encodings, and types that only later rows show."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from validator.errors import SampleError
from validator.table import Table, concatenate
from validator.worker.arrow_table import to_table
from validator.worker.csv_file import CsvFile
from validator.worker.jobs.sample import read_batches

FRAME = pd.DataFrame({"size": [1.5, -2.0, np.nan], "city": ["Oslo", "Bern, BE", None]})


def _read(path: Path) -> Table:
    fd = os.open(path, os.O_RDONLY)
    try:
        file = CsvFile(fd, path.name)
        first = [to_table(batch, path.name, ()) for batch in file.batches()]
        again = [to_table(batch, path.name, ()) for batch in file.batches()]
    finally:
        os.close(fd)
    assert [len(table) for table in first] == [len(table) for table in again]
    return concatenate(again)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_header_tells_the_separator(tmp_path: Path, separator: str, encoding: str) -> None:
    path = tmp_path / "s.csv"
    FRAME.to_csv(path, index=False, sep=separator, encoding=encoding)
    table = _read(path)
    assert table.names == ("size", "city")
    assert table.column("size").values[:2].tolist() == [1.5, -2.0]
    assert table.column("city").values.tolist() == ["Oslo", "Bern, BE", None]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "s.csv"
    FRAME.to_csv(path, index=False, encoding=encoding)
    with pytest.raises(SampleError, match="UTF-16 or UTF-32"):
        _read(path)


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        (lambda n: np.arange(n), 3.5, "float64"),
        (lambda n: np.arange(n), "three", "string"),
        (lambda n: np.full(n, np.nan), 3.5, "float64"),
        (lambda n: np.full(n, np.nan), "three", "string"),
        (lambda n: np.arange(n) % 2 == 0, "maybe", "string"),
        (lambda n: np.full(n, "2024-01-01"), "soon", "string"),
        (lambda n: np.arange(n), 7, "int64"),
    ],
    ids=["fraction", "text", "empty then number", "empty then text", "boolean", "date", "whole"],
)
def test_a_column_has_one_type_to_the_end(
    tmp_path: Path, first: Callable[[int], np.ndarray], last: object, wanted: str
) -> None:
    rows = 60_000
    values = first(rows).astype(object)
    values[-1] = last
    path = tmp_path / "s.csv"
    pd.DataFrame({"value": values, "filling": np.random.default_rng(0).normal(size=rows)}).to_csv(
        path, index=False
    )
    assert path.stat().st_size > 1 << 20
    column = _read(path).column("value")
    assert column.dtype == wanted
    assert str(column.values[-1]) == str(last)


def test_a_broken_line_far_down_is_still_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("a,b\n" + "1,2\n" * 400_000 + "1,2,3\n")
    with pytest.raises(ValueError, match="Expected 2 columns, got 3"):
        _read(path)


def test_a_column_to_ignore_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    pq.write_table(pa.table({"a": [1.0], "odd": [[1, 2]]}), path)
    with path.open("rb") as file:
        (table,) = read_batches(file.fileno(), "parquet", "s", {"odd"})
        assert table.names == ("a", "odd")
        with pytest.raises(SampleError, match="'odd' of s holds list"):
            next(read_batches(file.fileno(), "parquet", "s"))
