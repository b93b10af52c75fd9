"""Tables as callers pass them: the forms made at once are those made one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.libraries.frames import columns, frame, frames, mappings, plain
from validator.sandbox.packing import pack_table, unpack_table
from validator.table import Column, Table

DTYPES = ["f8", "f4", "f2", "i8", "i2", "u1", "?"]
NUMBERS = [0.0, 1.0, 2.5, -0.0, np.nan, np.inf]
#: Drawing is slow where the machine is busy.
unhurried = settings(suppress_health_check=[HealthCheck.too_slow])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of one dtype, of several, and of texts, categories, dates and truth values among numbers."""
    rows = draw(st.integers(0, 4))

    def values(dtype: str, of: list[float]) -> np.ndarray:
        held = np.array(draw(st.lists(st.sampled_from(of), min_size=rows, max_size=rows)), dtype="f8")
        return held.astype(dtype) if dtype[0] == "f" else np.nan_to_num(held, posinf=3).astype(dtype)

    shared = draw(st.sampled_from(DTYPES))
    found = []
    for i in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["same"] * 6 + [*DTYPES, "text", "category", "date", "truth"]))
        name = f"c{i}"
        if kind == "text":
            texts = draw(st.lists(st.sampled_from(["a", "", None]), min_size=rows, max_size=rows))
            found.append(Column(name, np.array([*texts, None], dtype=object)[:rows]))
        elif kind == "category":
            codes = values("i4", [-1, 0, 1])
            found.append(Column(name, codes, np.array(["x", "y"], dtype=object)))
        elif kind == "date":
            found.append(Column(name, np.arange(rows).astype("M8[ns]")))
        elif kind == "truth":
            found.append(Column(name, values("f8", [0.0, 1.0, np.nan]), None, True))
        else:
            dtype = shared if kind == "same" else kind
            found.append(Column(name, values(dtype, NUMBERS)))
    return Table(tuple(found), rows)


def plainly(table: Table) -> pd.DataFrame:
    from validator.libraries.frames import _series

    return pd.DataFrame({column.name: _series(column) for column in table.columns}, copy=False)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True, check_column_type=False)
    assert [str(name) for name in one.columns] == [str(name) for name in other.columns]


@unhurried
@given(tables())
def test_a_frame_of_one_block_holds_what_one_of_columns_holds(table):
    if table.columns:
        same(frame(table), plainly(table))


@unhurried
@given(tables(), st.integers(1, 3))
def test_frames_cut_at_once_are_those_cut_one_by_one(table, rows):
    if not table.columns:
        return
    starts = range(0, len(table) - rows + 1, rows)
    cut = frames(table, rows, starts)
    assert len(cut) == len(starts)
    for at, found in zip(starts, cut, strict=True):
        same(found, frame(table.take(slice(at, at + rows))))


def test_a_wide_table_of_one_type_is_one_block_and_cuts_share_no_memory():
    table = Table(tuple(Column(f"c{i}", np.arange(6.0)) for i in range(40)), 6)
    whole, (first, second) = frame(table), frames(table, 3, [0, 3])
    assert len(whole._mgr.blocks) == len(first._mgr.blocks) == 1
    assert not np.shares_memory(first.to_numpy(), second.to_numpy())


@unhurried
@given(tables())
def test_mappings_hold_the_plain_values_of_every_row(table):
    held = columns(table)
    expected = [{name: plain(values[i]) for name, values in held.items()} for i in range(len(table))]
    found = mappings(table)
    assert repr(found) == repr(expected)
    for one, other in zip(found, expected, strict=True):
        assert [type(value) for value in one.values()] == [type(value) for value in other.values()]


@unhurried
@given(tables())
def test_what_is_packed_is_unpacked_with_every_bit(table):
    meta, sent = pack_table(table)
    again = unpack_table(meta, sent)
    assert again.names == table.names
    assert len(again) == len(table)
    for one, other in zip(again.columns, table.columns, strict=True):
        assert one.dtype == other.dtype
        assert one.truth == other.truth
        assert (one.categories is None) == (other.categories is None)
        if one.values.dtype != object:
            assert one.values.tobytes() == other.values.tobytes()
        else:
            assert one.values.tolist() == other.values.tolist()


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?"])
def test_columns_of_one_number_type_go_as_one_array(dtype):
    table = Table(tuple(Column(f"c{i}", np.zeros(5, dtype)) for i in range(30)), 5)
    _, sent = pack_table(table)
    assert [array.shape for array in sent] == [(30, 5)]
    assert table.select(["c3", "c1"]).names == ("c3", "c1")
    with pytest.raises(KeyError):
        table.select(["c3", "none"])
