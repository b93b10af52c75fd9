"""Standardisation and design effect against their definitions, written out slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.rollout.judge.path import single_path, stratified_path

Row = tuple[int, int, int, int]


@st.composite
def windows(draw: st.DrawFn) -> list[Row]:
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        n, d = draw(st.integers(0, 50)), draw(st.integers(0, 200))
        rows.append((draw(st.integers(0, n)), n, draw(st.integers(0, d)), d))
    return rows


def slowly(rows: list[Row]) -> tuple[float, float, float, float, float] | None:
    used = [row for row in rows if row[1] and row[3]]
    if not used:
        return None
    total = sum(n for _, n, _, _ in used)
    happened = sum(a for a, _, _, _ in used)
    base = sum(n / d * c for _, n, c, d in used) / total
    worth = total**2 / sum((n / d) ** 2 * d for _, n, _, d in used)
    share = happened / total
    influences = [(a - n / d * c - n * (share - base)) / total for a, n, c, d in used]
    p, q = (happened + 0.5) / (total + 1), (base * worth + 0.5) / (worth + 1)
    variance = p * (1 - p) / total + q * (1 - q) / worth
    k = len(used)
    effect = max(1.0, k / (k - 1) * sum(z * z for z in influences) / variance) if k > 1 else 1.0
    return happened, total, base * worth, worth, effect


@given(windows())
def test_each_prefix_is_what_the_formulas_say(rows: list[Row]) -> None:
    path = stratified_path(*np.array(rows).T)
    for index in range(len(rows)):
        expected = slowly(rows[: index + 1])
        if expected is None:
            assert path.requests[index] == 0
            continue
        found = (path.events, path.requests, path.base_events, path.base_requests, path.design_effect)
        assert [float(values[index]) for values in found] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(windows(), st.integers(1, 19))
def test_with_a_constant_share_nothing_is_weighed(rows: list[Row], ratio: int) -> None:
    rows = [(a, n, min(c, n * ratio), n * ratio) for a, n, c, _ in rows]
    path = stratified_path(*np.array(rows).T)
    assert path.base_requests[-1] == pytest.approx(sum(row[3] for row in rows))
    assert path.base_events[-1] == pytest.approx(sum(row[2] for row in rows))


def test_an_outage_in_which_the_shares_move_makes_no_difference() -> None:
    calm, outage = (5, 1000, 5, 1000), (60, 300, 340, 1700)  # 20 % fail in both arms, the candidate gets less
    path = stratified_path(*np.array([calm] * 20 + [outage] * 5).T)
    share = path.events[-1] / path.requests[-1]
    base = path.base_events[-1] / path.base_requests[-1]
    assert share == pytest.approx(base)
    pooled = (20 * 5 + 5 * 340) / (20 * 1000 + 5 * 1700)
    assert pooled - share > 0.03, "counted together, the champion would look far worse"


def test_bursts_make_counts_worth_less() -> None:
    smooth = stratified_path(*np.array([(5, 1000, 5, 1000)] * 20).T)
    bursts = stratified_path(*np.array([(0, 1000, 0, 1000), (50, 1000, 0, 1000), (0, 1000, 50, 1000)] * 7).T)
    assert smooth.design_effect[-1] == 1
    assert bursts.design_effect[-1] > 20
    alone = single_path(*np.array([(0, 1000), (50, 1000), (0, 1000)] * 7).T)
    assert alone.design_effect[-1] > 10
    assert alone.base_requests[-1] == 0
