"""Bins and counts against a plain definition of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.profile import CategoryColumn, Counts, NumericColumn
from validator.profile.columns import bins_of_cells

SPECIAL = {"missing": 0, "zero": 0, "below": 0, "above": 0}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from([0.0, -0.0, 1.0])


@st.composite
def columns(draw: st.DrawFn, dtype: str = "float64") -> NumericColumn:
    values = sorted(draw(st.lists(NUMBERS, min_size=1, max_size=12, unique_by=float)))
    low, *rest = values
    high = rest[-1] if rest else low
    edges = tuple(edge for edge in rest[:9] if edge < high)
    return NumericColumn(
        name="x", dtype=dtype, edges=edges, counts=(0,) * (len(edges) + 1), special=SPECIAL,
        quantiles=(), minimum=low, maximum=high,
    )  # fmt: skip


def plain(column: NumericColumn, values: list[float]) -> dict[str, int]:
    """What the counts are by definition."""
    found = dict.fromkeys((*column.bins, *column.specials), 0)
    assert column.minimum is not None
    assert column.maximum is not None
    for value in values:
        if math.isnan(value):
            found["missing"] += 1
            continue
        found[str(sum(edge < value for edge in column.edges))] += 1
        found["zero"] += value == 0
        found["below"] += value < column.minimum
        found["above"] += value > column.maximum
    return found


def around(column: NumericColumn) -> list[float]:
    """Values at every place where something changes, and beside it."""
    places = [*column.edges, column.minimum, column.maximum, 0.0, math.inf, -math.inf, math.nan]
    beside = [np.nextafter(place, side) for place in places for side in (-np.inf, np.inf)]
    return [float(value) for value in (*places, *beside)]


@given(columns(), st.lists(NUMBERS, max_size=40))
def test_every_way_of_counting_follows_the_definition(column: NumericColumn, values: list[float]) -> None:
    values = values + around(column)
    wanted = plain(column, values)
    array = np.array(values)
    counts = Counts((column,))
    for value in values:
        counts.add_row([None if math.isnan(value) else value])
    assert counts.slots(0) == wanted
    assert column.slots(column.count(array)) == wanted
    assert column.slots(column._count_many(array)) == wanted
    together = Counts((column,))
    together.add_rows([[None if math.isnan(value) else value] for value in values])
    assert together.cells == counts.cells
    assert column.slots(np.bincount([column.cell(v) for v in values], minlength=column.n_cells)) == wanted
    bins = bins_of_cells(column)[column.cells_of(array)]
    assert np.bincount(bins[bins >= 0], minlength=len(column.bins)).tolist() == [
        wanted[name] for name in column.bins
    ]
    assert (bins < 0).sum() == wanted["missing"]


@given(columns("float32"), st.lists(NUMBERS, max_size=40))
def test_single_precision_is_where_it_was_after_a_way_through_text(
    column: NumericColumn, values: list[float]
) -> None:
    single = np.array([*values, *column.edges, column.minimum, column.maximum], dtype=np.float32)
    printed = [float(str(value)) for value in single]
    wanted = plain(column, single.astype(float).tolist())
    counts = Counts((column,))
    for value in printed:
        counts.add_row([value])
    assert counts.slots(0) == wanted
    assert column.slots(column.count(single)) == wanted
    assert column.slots(column._count_many(single)) == wanted


TYPES = st.sampled_from(
    ["float64", "float32", "float16", "bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))]
)


@given(columns() | columns("float32"), TYPES, st.data())
def test_long_arrays_of_every_type_are_counted_as_value_by_value(
    column: NumericColumn, dtype: str, data: st.DataObject
) -> None:
    """Edges and what lies beside them, subnormals, infinities, NaN of any bits, whole numbers beyond 2^53."""
    kind = np.dtype(dtype)
    bits = data.draw(st.lists(st.integers(0, 2 ** (8 * kind.itemsize) - 1), min_size=1, max_size=20))
    drawn = np.array(bits, dtype=f"u{kind.itemsize}")
    drawn = drawn % 2 == 1 if kind.kind == "b" else drawn.view(kind)
    with np.errstate(all="ignore"):
        edges = np.array(around(column)).astype(kind)
    some = np.concatenate([drawn, edges] if data.draw(st.booleans()) else [drawn])
    for n in (len(some), 2_048, 65_536 + 3):
        values = np.resize(some, n)
        assert column._count_many(values).tolist() == column._count_few(values).tolist()
    strided = np.resize(some, 5_000)[::2]
    assert column.count(strided).tolist() == column._count_few(strided).tolist()


@given(st.lists(st.sampled_from(["a", "b", "c", "rare", "new", None, math.nan, 1, 1.0, True]), max_size=60))
def test_categories(values: list[Any]) -> None:
    column = CategoryColumn(
        name="c", top=("a", "1"), named=("b", "True"), counts=(1, 1, 1), special={"missing": 0, "unseen": 0}
    )
    array = np.empty(len(values), dtype=object)
    array[:] = values
    counts = Counts((column,))
    for value in values:
        counts.add_row([value])
    slots = counts.slots(0)
    assert column.slots(column.count(array)) == slots
    missing = sum(value is None or value != value for value in values)
    assert slots["missing"] == missing
    assert slots["1"] == sum(type(value) in (int, float) and value == 1 for value in values)
    assert slots["unseen"] == sum(value in ("c", "rare", "new") for value in values if isinstance(value, str))
    assert sum(slots[name] for name in column.bins) == len(values) - missing


def two() -> tuple[NumericColumn, CategoryColumn]:
    number = NumericColumn(
        name="x", dtype="float64", edges=(0.0, 1.0), counts=(1, 1, 1), special=SPECIAL,
        quantiles=(), minimum=-1.0, maximum=2.0,
    )  # fmt: skip
    kind = CategoryColumn(name="c", top=("a",), named=(), counts=(1, 0), special={"missing": 0, "unseen": 0})
    return number, kind


@pytest.mark.parametrize("n", [1, 32, 33, 5_000])
def test_batches_of_any_size_and_their_sums_are_the_rows(n: int) -> None:
    random = np.random.default_rng(n)
    x = random.normal(size=n)
    x[random.random(n) < 0.1] = np.nan
    c = np.array(["a", "b", None], dtype=object)[random.integers(0, 3, n)]
    whole, parts, single = Counts(two()), Counts(two()), Counts(two())
    whole.add({"x": x, "c": c})
    for part in np.array_split(np.arange(n), 3):
        one = Counts(two())
        one.add({"x": x[part], "c": c[part]})
        parts.merge(one)
    for row in zip(x.tolist(), c.tolist(), strict=True):
        single.add_row(row)
    assert whole.cells == parts.cells == single.cells
    assert whole.rows == parts.rows == single.rows == n


def test_whole_numbers_and_truth_values_are_numbers() -> None:
    number = two()[0]
    whole = Counts((number,))
    whole.add({"x": np.array([0, 1, 2, 3] * 20)})
    truth = Counts((number,))
    truth.add({"x": np.array([False, True] * 40)})
    assert whole.slots(0) == {"0": 20, "1": 20, "2": 40, "missing": 0, "zero": 20, "below": 0, "above": 20}
    assert truth.slots(0)["zero"] == 40


def test_a_row_that_is_no_number_is_not_counted() -> None:
    counts = Counts(two())
    with pytest.raises(TypeError):
        counts.add_row(["text", "a"])
    assert counts.rows == 0
    assert not any(map(sum, counts.cells))


def test_rows_of_any_kinds_together_are_what_they_are_one_by_one() -> None:
    rows = [[1, "a"], [None, None], [2**53 + 1, "b"], [True, "c"], [-(10**400), "a"], [0.5, 1]]
    for some in ([[0.5, "a"]], rows[:2], rows[:3], rows):
        together, single = Counts(two()), Counts(two())
        together.add_rows(some)
        for row in some:
            single.add_row(row)
        assert together.cells == single.cells
        assert together.rows == single.rows
    empty = Counts(two())
    empty.add_rows([])
    with pytest.raises(TypeError):
        empty.add_rows([[0.5, "a"], ["text", "a"]])
    assert empty.rows == 0
    assert not any(map(sum, empty.cells))


def test_other_bins_do_not_add() -> None:
    number, kind = two()
    with pytest.raises(ValueError, match="other bins"):
        Counts((number,)).merge(Counts((kind,)))
    with pytest.raises(ValueError, match="differ in length"):
        Counts(two()).add({"x": np.zeros(3), "c": np.array(["a"] * 4, dtype=object)})
