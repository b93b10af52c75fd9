"""Folders of Parquet files as samples: their parts in order, columns of folders' names, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from validator.checks.profile.gathering import file_digest
from validator.errors import SampleError
from validator.runtimes.sample_folder import parts_of
from validator.table import Table, concatenate
from validator.worker.jobs.sample import SampleJob

FRAME = pd.DataFrame({"size": np.arange(6.0), "city": list("abcabc"), "region": list("nnnsss")})


def read(folder: Path) -> Table:
    parts = [(part.path, part.partition) for part in parts_of(str(folder))]
    job = SampleJob("parquet", folder.name, parts=parts)
    job.open([])
    first = job.extent([])[0]["rows"]
    job.rewind([])
    found: list[Table] = []
    while (table := job._next()) is not None:
        found.append(table)
    assert [first] == list(map(len, found)), "small parts are one batch"
    return concatenate(found)


def test_parts_are_one_sample_in_the_order_of_their_names(tmp_path: Path) -> None:
    for place in (2, 0, 1):
        FRAME.iloc[2 * place : 2 * place + 2].to_parquet(tmp_path / f"part-{place}.snappy.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-0.crc").write_bytes(b"x")
    table = read(tmp_path)
    for name in FRAME:
        assert table.column(name).values.tolist() == FRAME[name].tolist()


def test_folders_named_for_a_column_and_its_value_give_that_column(tmp_path: Path) -> None:
    frame = FRAME.assign(year=[1, 1, 2, 2, 3, 3], region=["n/w", "n/w", "n/w", None, "s", "s"])
    frame.to_parquet(tmp_path / "rows", partition_cols=["region", "year"])
    table = read(tmp_path / "rows")
    order = np.argsort(table.column("size").values)
    assert table.column("year").values[order].tolist() == frame["year"].tolist()
    assert table.column("region").values[order].tolist() == ["n/w", "n/w", "n/w", None, "s", "s"]


def test_types_are_the_widest_and_the_order_of_columns_the_first_parts(tmp_path: Path) -> None:
    FRAME.astype({"size": "int32"}).to_parquet(tmp_path / "a.parquet")
    FRAME[["region", "size", "city"]].assign(size=0.5, city=None).to_parquet(tmp_path / "b.parquet")
    table = read(tmp_path)
    assert table.names == ("size", "city", "region")
    assert table.column("size").dtype == "float64"
    assert table.column("size").values[5:7].tolist() == [5.0, 0.5]
    assert table.column("city").values[5:7].tolist() == ["c", None]


def _link(folder: Path) -> None:
    (folder / "z.parquet").symlink_to(folder / "a.parquet")


def _other(folder: Path) -> None:
    FRAME.rename(columns={"size": "width"}).to_parquet(folder / "b.parquet")


def _mixed(folder: Path) -> None:
    FRAME.assign(size="large").to_parquet(folder / "b.parquet")


def _pointer(folder: Path) -> None:
    (folder / "b.parquet").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    )


def _deep(folder: Path) -> None:
    (folder / "year=1").mkdir()
    FRAME.to_parquet(folder / "year=1" / "b.parquet")


def _twice(folder: Path) -> None:
    (folder / "a.parquet").unlink()
    (folder / "size=1").mkdir()
    FRAME.to_parquet(folder / "size=1" / "b.parquet")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_link, "holds the link z.parquet"),
        (lambda folder: os.mkfifo(folder / "b.parquet"), "is no regular file"),
        (_other, "b.parquet has other columns than the first part: size, width"),
        (_mixed, "different types in one column"),
        (_pointer, "Git-LFS pointer"),
        (_deep, "different columns: none and year"),
        (_twice, "'size' stands in the files and in their folders' names"),
        (lambda folder: (folder / "b.csv").write_text("a\n1\n"), "b.csv, which is no Parquet file"),
        (lambda folder: (folder / "_delta_log").mkdir(), "is a Delta table"),
        (lambda folder: (folder / "a.parquet").write_bytes(b"PAR1"), "cannot be read as Parquet"),
        (lambda folder: (folder / "a.parquet").unlink(), "a folder without Parquet files"),
    ],
    ids=["link", "pipe", "other", "mixed", "pointer", "deep", "twice", "csv", "delta", "damaged", "empty"],
)
def test_what_is_no_folder_of_alike_parts_is_named(tmp_path: Path, spoil: Any, said: str) -> None:
    FRAME.to_parquet(tmp_path / "a.parquet")
    spoil(tmp_path)
    with pytest.raises(SampleError, match=said):
        read(tmp_path)


def test_the_digest_is_of_all_parts_and_their_names(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        FRAME.to_parquet(tmp_path / name / "p.parquet")
    assert file_digest(str(tmp_path / "a")) == file_digest(str(tmp_path / "b"))
    (tmp_path / "b" / "p.parquet").rename(tmp_path / "b" / "q.parquet")
    assert file_digest(str(tmp_path / "a")) != file_digest(str(tmp_path / "b"))
