"""Tables as people have them: each is counted right, or refused with one error that names what is wrong."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from pyarrow import parquet as pq

from validator.drift.reading import open_data
from validator.drift.scan import Columns, Window, scan
from validator.errors import SampleError
from validator.profile import Profile
from validator.profile.making import ProfileMaker

COUNTRIES = np.array(["NA", "DE", "FR"], dtype=object)


def rows_of(n: int, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {
        "x": np.round(random.normal(size=n), 3),
        "n": random.integers(0, 2, n),
        "c": COUNTRIES[random.integers(0, 3, n)],
    }


def profile_of(rows: dict[str, Any]) -> Profile:
    maker = ProfileMaker()
    maker.add(rows)
    return maker.finish(source="reference", source_sha256="")


ROWS = rows_of(300, 1)
PROFILE = profile_of(rows_of(2_000, 0))


def table(**changes: Any) -> Any:
    return pa.table(ROWS | changes)


def counted(path: Path) -> list[dict[str, int]]:
    found = scan(open_data(str(path)), PROFILE, Columns()).whole
    return [found.features.slots(i) for i in range(3)]


def plain() -> list[dict[str, int]]:
    return [column.slots(column.count(ROWS[column.name])) for column in PROFILE.features]


@pytest.mark.parametrize(
    "same",
    [
        table(x=pa.array([Decimal(str(value)) for value in ROWS["x"]], pa.decimal128(9, 3))),
        table(x=pa.array(ROWS["x"]).dictionary_encode(), c=pa.array(ROWS["c"]).dictionary_encode()),
        table(n=ROWS["n"].astype(bool)),
        table(n=ROWS["n"].astype(float)),
        table(n=pa.array(ROWS["n"], pa.uint64())),
        table(c=pa.array(ROWS["c"], pa.large_string())),
        table(c=pa.array(ROWS["c"], pa.string_view())),
        table(other=[[1]] * 300),
        table().select(["c", "n", "x"]),
    ],
    ids=["decimal", "dictionary", "bool", "float", "uint64", "large_string", "string_view", "more", "order"],
)
def test_other_types_of_the_same_values_are_the_same(same: Any, tmp_path: Path) -> None:
    pq.write_table(same, tmp_path / "a.parquet", row_group_size=70)
    assert counted(tmp_path / "a.parquet") == plain()


def test_files_of_a_folder_may_differ_in_the_width_of_numbers(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    pq.write_table(table(n=ROWS["n"].astype(float), x=ROWS["x"].astype("f4")), tmp_path / "b.parquet")
    (tmp_path / "_partial.parquet").write_bytes(b"PAR1")
    (tmp_path / ".a.parquet.swp").write_bytes(b"")
    found = counted(tmp_path)
    assert [sum(slots.values()) for slots in found] == [2 * sum(slots.values()) for slots in plain()]


def test_namibia_is_a_country_where_the_reference_knows_it(tmp_path: Path) -> None:
    csv.write_csv(table(), tmp_path / "a.csv")
    assert counted(tmp_path / "a.csv") == plain()
    others = profile_of(rows_of(2_000, 0) | {"c": np.array(["DE", "FR"] * 1_000, dtype=object)})
    found = scan(open_data(str(tmp_path / "a.csv")), others, Columns()).whole.features.slots(2)
    assert found["missing"] == (ROWS["c"] == "NA").sum()
    assert found["unseen"] == 0


@pytest.mark.parametrize("value", [np.inf, -np.inf, -0.0, 0.0, np.nan, 5e-324, 1.7e308])
def test_special_numbers_are_where_they_belong(value: float, tmp_path: Path) -> None:
    pq.write_table(table(x=np.full(300, value)), tmp_path / "a.parquet")
    slots = counted(tmp_path / "a.parquet")[0]
    assert slots["missing"] == 300 * np.isnan(value)
    assert slots["zero"] == 300 * (value == 0)
    assert slots["above"] == 300 * (value > 1e300)
    assert slots["below"] == 300 * (value < -1e300)


@pytest.mark.parametrize("nothing", [pa.nulls(300), pa.nulls(300, pa.float64()), pa.nulls(300, pa.int8())])
def test_columns_of_nothing_are_missing(nothing: Any, tmp_path: Path) -> None:
    pq.write_table(table(x=nothing, c=pa.nulls(300)), tmp_path / "a.parquet")
    found = counted(tmp_path / "a.parquet")
    assert found[0]["missing"] == found[2]["missing"] == 300


def test_whole_numbers_at_the_end_of_their_range(tmp_path: Path) -> None:
    ends = pa.array([2**63 - 1, -(2**63), None] * 100, pa.int64())
    pq.write_table(table(n=ends), tmp_path / "a.parquet")
    slots = counted(tmp_path / "a.parquet")[1]
    assert (slots["above"], slots["below"], slots["missing"]) == (100, 100, 100)


def test_very_many_categories_are_counted_and_not_kept(tmp_path: Path) -> None:
    many = pa.table({"x": np.zeros(200_000), "n": np.zeros(200_000), "c": [f"k{i}" for i in range(200_000)]})
    pq.write_table(many, tmp_path / "a.parquet")
    assert counted(tmp_path / "a.parquet")[2]["unseen"] == 200_000


MOMENTS = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(300)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(MOMENTS, pa.timestamp("us", "Asia/Kathmandu")),
        pa.array(MOMENTS, pa.timestamp("ns", "UTC")),
        [one.isoformat() for one in MOMENTS],
        [one.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=45))).isoformat() for one in MOMENTS],
        [one.replace(tzinfo=None).isoformat(" ") for one in MOMENTS],
        [int(one.timestamp()) for one in MOMENTS],
    ],
    ids=["zone", "utc", "text", "offset", "naive", "seconds"],
)
def test_times_of_every_form_fall_into_the_same_windows(times: Any, tmp_path: Path) -> None:
    pq.write_table(table(when=times), tmp_path / "a.parquet")
    data = open_data(str(tmp_path / "a.parquet"))
    found = scan(data, PROFILE, Columns(time="when"), Window.parse("100h", timed=True))
    assert found.start == int(MOMENTS[0].timestamp())
    assert [tally.rows for tally in found.windows.values()] == [100, 100, 100]


@pytest.mark.parametrize("second", [int(MOMENTS[0].timestamp()) * 1_000, -(10**12)])
def test_times_that_no_calendar_shows_are_named(second: int, tmp_path: Path) -> None:
    pq.write_table(table(when=[second] * 300), tmp_path / "a.parquet")
    data = open_data(str(tmp_path / "a.parquet"))
    with pytest.raises(SampleError, match="'when' holds times outside the years 1 to 9999"):
        scan(data, PROFILE, Columns(time="when"), Window.parse("7d", timed=True))


def test_text_is_read_as_codes_where_the_file_has_it_so(tmp_path: Path) -> None:
    """Words, codes, words again, nothing: row group by row group, with a time by code beside them."""
    words = np.concatenate([[f"{i}-{'x' * 20}" for i in range(500)], np.resize(COUNTRIES, 1_500)]).astype(
        object
    )
    words[-500:] = None
    rows = rows_of(2_000, 3) | {"c": words, "when": [str(MOMENTS[i % 300]) for i in range(2_000)]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet", row_group_size=500)
    data = open_data(str(tmp_path / "a.parquet"))
    kinds = [str(batch.column(0).type) for batch in data.batches(["c"], text=["c"])]
    assert kinds[0] == "string"
    assert kinds[1].startswith("dictionary")
    found = scan(data, PROFILE, Columns(time="when"), Window.parse("100h", timed=True))
    assert found.whole.features.slots(2) == PROFILE.features[2].slots(PROFILE.features[2].count(words))
    assert found.kept.arrays[2].tolist() == words.tolist()
    assert len(found.windows) == 3


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (table(x=pa.array(MOMENTS, pa.timestamp("us", "UTC"))), "column 'x' holds timestamp"),
        (table(x=[[value] for value in ROWS["x"]]), "column 'x' holds list"),
        (table(x=list(map(str, ROWS["x"]))), "column 'x' holds string"),
        (table(x=pa.array([1] * 300, pa.duration("s"))), "column 'x' holds duration"),
        (table(c=[[value] for value in ROWS["c"]]), "column 'c' holds list"),
        (table(c=[{"value": value} for value in ROWS["c"]]), "column 'c' holds struct"),
        (
            table(c=pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)] * 300, pa.binary(16)))),
            "'c' holds",
        ),
        (pa.table([ROWS["x"], *ROWS.values()], names=["x", *ROWS]), "names a column twice"),
        (table().rename_columns(["X", "N", "C"]), "lacks 3 of the model's 3 features"),
        (table().slice(0, 0), "holds no row"),
    ],
)
def test_what_cannot_be_counted_is_named(odd: Any, words: str, tmp_path: Path) -> None:
    pq.write_table(odd, tmp_path / "a.parquet")
    with pytest.raises(SampleError, match=words):
        counted(tmp_path / "a.parquet")


def test_a_foreign_file_or_one_that_is_being_written_is_named(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SampleError, match=r"b\.parquet cannot be read"):
        counted(tmp_path)
    pq.write_table(pa.table({"y": [1]}), tmp_path / "b.parquet")
    with pytest.raises(SampleError, match=r"b\.parquet has other columns than .*a\.parquet"):
        counted(tmp_path)
    pq.write_table(table(x=list(map(str, ROWS["x"]))), tmp_path / "b.parquet")
    with pytest.raises(SampleError, match="column 'x' holds string"):
        counted(tmp_path)
    (tmp_path / "b.parquet").write_bytes(whole[:200] + b"\xff" * 500 + whole[700:])
    with pytest.raises(SampleError, match=r"b\.parquet cannot be read"):
        counted(tmp_path)


def test_a_name_that_is_not_text_is_refused(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(tmp_path / os.fsdecode(b"\xff.parquet"))
    with pytest.raises(SampleError, match="is not UTF-8"):
        open_data(str(tmp_path))
