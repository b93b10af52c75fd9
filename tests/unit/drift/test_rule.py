"""The rule, case by case, and against the formulas it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from validator.drift import rule
from validator.drift.rule import Observed, judge_column, merged, newcombe_low, psi_of, rows_needed
from validator.profile import Column, Counts
from validator.profile.columns import bins_of_cells
from validator.profile.making import ProfileMaker
from validator.profile.windows import lag_correlation

COUNTS = st.lists(st.integers(0, 5_000), min_size=2, max_size=21)


def column_of(values: Any) -> Column:
    maker = ProfileMaker()
    maker.add({"x": values})
    return maker.finish(source="reference", source_sha256="").features[0]


def seen_of(column: Column, values: Any, **changes: Any) -> Observed:
    counts = Counts((column,))
    counts.add({"x": values})
    lag = lag_correlation(bins_of_cells(column)[column.cells_of(values)])
    return replace(Observed(slots=counts.slots(0), lag=lag, lag_rows=len(values)), **changes)


def judge(before: Any, now: Any, *, n_columns: int = 30, **changes: Any) -> rule.ColumnVerdict:
    column = column_of(before)
    return judge_column(column, seen_of(column, now), n_columns=n_columns, **changes)


@pytest.mark.parametrize(("now", "n"), [(1, 1), (1, 2), (1, 3), (1, 10), (2, 20)])
def test_a_row_or_two_beyond_the_range_are_no_drift(now: int, n: int) -> None:
    values = normal(n)
    values[:now] = 9.0
    verdict = judge(normal(4_000, 1), values, n_columns=400)
    assert verdict.status == "insufficient"
    assert judge(normal(4_000, 1), np.full(4, 9.0), n_columns=400).status == "fail"


@given(st.integers(0, 60), st.integers(1, 400), st.integers(0, 300), st.integers(1, 5_000))
def test_the_exact_probability_is_fishers(now: int, n: int, before: int, m: int) -> None:
    now, before = min(now, n), min(before, m)
    found = rule.by_chance(now, n, before, m)
    if now * m <= before * n:
        assert found == 1.0
    else:
        assert found == pytest.approx(stats.hypergeom.sf(now - 1, n + m, now + before, n), rel=1e-6)


def normal(n: int, seed: int = 0, shift: float = 0.0) -> Any:
    return np.random.default_rng(seed).normal(size=n) + shift


def walk(n: int, phi: float, seed: int) -> Any:
    from scipy.signal import lfilter

    noise = np.random.default_rng(seed).normal(size=n) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise)


@given(
    COUNTS.flatmap(
        lambda a: st.tuples(st.just(a), st.lists(st.integers(0, 5_000), min_size=len(a), max_size=len(a)))
    )
)
def test_psi_is_what_it_is_defined_as(both: tuple[list[int], list[int]]) -> None:
    before, now = both
    a = [(x + 0.5) / (sum(before) + len(before) / 2) for x in before]
    b = [(x + 0.5) / (sum(now) + len(now) / 2) for x in now]
    wanted = sum((p - q) * np.log(p / q) for p, q in zip(a, b, strict=True))
    found = psi_of(np.array(before), np.array(now))
    assert found == pytest.approx(wanted, abs=1e-12)
    assert found >= -1e-12


@given(COUNTS, st.integers(1, 100_000), st.booleans())
def test_merged_bins_expect_five_rows_and_lose_none(before: list[int], n: int, ordered: bool) -> None:
    now = np.random.default_rng(n).multinomial(n, np.full(len(before), 1 / len(before)))
    few, many = merged(np.array(before), now, ordered=ordered)
    assert few.sum() == sum(before)
    assert many.sum() == n
    if len(few) > 1:
        assert (few * min(1.0, n / sum(before)) >= 5 - 1e-9).all()


def test_enough_bins_are_left_as_they_are() -> None:
    few, _ = merged(np.full(10, 100), np.full(10, 10), ordered=True)
    assert len(few) == 10


@pytest.mark.parametrize(
    ("s1", "n1", "s2", "n2", "low"),
    [(56, 70, 48, 80, 0.0524), (9, 10, 3, 10, 0.1705), (5, 56, 0, 29, -0.0381)],
)
def test_newcombe_is_his_own_table(s1: int, n1: int, s2: int, n2: int, low: float) -> None:
    """Newcombe 1998, table II, method 10, 95 %."""
    assert newcombe_low(s1, n1, s2, n2, 1.959964) == pytest.approx(low, abs=2e-4)


def test_exact_bound_is_clopper_and_pearsons() -> None:
    for s, n in ((3, 10), (1, 50), (10, 10)):
        interval = stats.binomtest(s, n).proportion_ci(0.98, method="exact")
        assert rule.exact_low(s, n, 0.01) == pytest.approx(interval.low)
    assert rule.exact_low(0, 10, 0.01) == 0.0


def test_like_data_is_ok_and_shifted_data_fails() -> None:
    assert judge(normal(4_000), normal(1_000, 1)).status == "ok"
    assert judge(normal(4_000), normal(1_000, 1, shift=1.0)).status == "fail"
    assert judge(normal(4_000), normal(1_000, 1) * 2).status == "fail"


def test_a_harmless_shift_stays_ok_however_many_rows_there_are() -> None:
    for n in (1_000, 100_000, 1_000_000):
        assert judge(normal(10_000), normal(n, 1, shift=0.1)).status == "ok"


def test_a_medium_shift_warns() -> None:
    assert judge(normal(40_000), normal(40_000, 1, shift=0.38)).status == "warn"


def test_few_rows_are_insufficient_not_ok() -> None:
    few = judge(normal(4_000), normal(30, 1))
    assert few.status == "insufficient"
    assert few.reason == rule.FEW_ROWS
    assert few.rows_needed is not None
    assert few.rows_needed > 30
    assert judge(normal(4_000), normal(5, 1)).blind


def test_a_small_reference_is_insufficient_unless_rows_are_vouched_for() -> None:
    small = judge(normal(300), normal(1_000, 1))
    assert (small.status, small.reason) == ("insufficient", rule.FEW_REFERENCE)
    assert judge(normal(300), normal(1_000, 1), independent=True).status == "ok"
    assert judge(normal(300), normal(1_000, 1, shift=2.0)).status == "insufficient"


def test_rows_needed_for_independent_rows() -> None:
    column = column_of(normal(10_000))
    needed = rows_needed(column, n_columns=30, independent=True)
    assert needed == 156
    assert judge(normal(10_000), normal(needed, 1), independent=True).floor <= 0.2
    assert judge(normal(10_000), normal(needed - 3, 1), independent=True).floor > 0.2


@pytest.mark.parametrize(
    "values", [normal(2_000), walk(20_000, 0.7, 3), normal(40_000)], ids=["few", "walk", "many"]
)
def test_the_rows_that_are_said_to_suffice_do(values: Any) -> None:
    column = column_of(values)
    needed = rows_needed(column, n_columns=10)
    assert needed is not None
    slots = {name: needed // len(column.bins) + 1 for name in column.bins}
    seen = Observed(slots=slots | dict.fromkeys(column.specials, 0))
    floor = judge_column(column, seen, n_columns=10).floor
    assert floor is not None
    assert floor <= 0.2


def test_a_series_whose_windows_differ_is_blind_for_few_rows_and_says_so() -> None:
    series = walk(2_060, 0.99, 4)
    verdict = judge(series[:2_000], series[2_000:])
    assert verdict.status == "insufficient"
    assert verdict.blind
    assert verdict.rows_needed is None


def test_a_shuffled_reference_is_noticed() -> None:
    series = walk(4_500, 0.95, 5)
    shuffled = np.random.default_rng(0).permutation(series[:4_000])
    verdict = judge(shuffled, series[4_000:])
    assert (verdict.status, verdict.reason) == ("insufficient", rule.UNORDERED)
    assert judge(shuffled, series[4_000:], independent=True).reason != rule.UNORDERED


def test_order_beyond_what_a_reference_of_its_size_could_show_is_no_reproach() -> None:
    weak = walk(200_000, 0.02, 6)
    assert judge(normal(1_000), weak).reason != rule.UNORDERED


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda x: np.where(np.arange(len(x)) % 20 == 0, 0.0, x), "zero"),
        (lambda x: np.where(np.arange(len(x)) % 20 == 0, np.nan, x), "missing"),
        (lambda x: np.where(np.arange(len(x)) % 20 == 0, 99.0, x), "above"),
        (lambda x: np.where(np.arange(len(x)) % 20 == 0, -99.0, x), "below"),
    ],
)
def test_a_twentieth_of_special_values_fails_where_psi_sees_nothing(change: Any, name: str) -> None:
    verdict = judge(normal(10_000), change(normal(1_000, 1)))
    assert verdict.psi is not None
    assert verdict.psi < 0.1
    assert [one.name for one in verdict.special if one.status == "fail"] == [name]
    assert verdict.status == "fail"


def test_as_many_special_values_as_before_are_no_drift() -> None:
    before, now = normal(10_000), normal(2_000, 1)
    before[::20], now[::20] = 0.0, 0.0
    assert judge(before, now).status == "ok"


def test_bursts_of_missing_values_that_the_reference_had_are_no_drift() -> None:
    random = np.random.default_rng(1)
    before = np.where(np.repeat(random.random(400) < 0.1, 25), np.nan, normal(10_000))
    now = normal(25, 1)
    now[:] = np.nan
    calm = judge(
        np.where(random.random(10_000) < 0.1, np.nan, normal(10_000)), np.append(now[:20], [0.1] * 5)
    )
    burst = judge(before, np.append(now[:20], [0.1] * 5))
    assert {one.name: one.status for one in calm.special}["missing"] == "fail"
    assert {one.name: one.status for one in burst.special}["missing"] != "fail"


def test_nothing_but_missing_values() -> None:
    verdict = judge(normal(4_000), np.full(500, np.nan))
    assert verdict.status == "fail"
    assert verdict.psi is None
    assert verdict.shape == "insufficient"


def test_a_constant_that_changes_fails_and_one_that_stays_is_ok() -> None:
    assert judge(np.ones(1_000), np.ones(100)).status == "ok"
    assert judge(np.ones(1_000), np.full(100, 2.0)).status == "fail"


def test_categories() -> None:
    random = np.random.default_rng(2)
    draw = lambda p, n: random.choice(np.array(["a", "b", "c"], dtype=object), n, p=p)  # noqa: E731
    before = draw([0.5, 0.3, 0.2], 4_000)
    assert judge(before, draw([0.5, 0.3, 0.2], 1_000)).status == "ok"
    assert judge(before, draw([0.1, 0.3, 0.6], 1_000)).status == "fail"
    new = draw([0.5, 0.3, 0.2], 1_000)
    new[::10] = "d"
    found = judge(before, new)
    assert [one.name for one in found.special if one.status == "fail"] == ["unseen"]


def test_grouped_rows_count_for_less() -> None:
    column = column_of(normal(4_000))
    alone = judge_column(column, seen_of(column, normal(1_000, 1)), n_columns=30)
    grouped = judge_column(column, seen_of(column, normal(1_000, 1), design=10.0), n_columns=30)
    assert alone.status == "ok"
    assert grouped.status == "insufficient"
    assert grouped.floor > alone.floor


def test_overall_is_the_worst() -> None:
    def of(*statuses: str) -> Any:
        base = judge(normal(1_000), normal(500, 1))
        return rule.overall(replace(base, status=status) for status in statuses)

    assert of("ok", "warn") == "warn"
    assert of("ok", "insufficient", "warn") == "insufficient"
    assert of("insufficient", "fail") == "fail"
    assert of() == "insufficient"
