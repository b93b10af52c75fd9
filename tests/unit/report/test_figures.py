from __future__ import annotations

import math

import pytest

from validator.report import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0.0, "0.000"),
        (0.0001, "<0.001"),
        (0.0702, "0.070"),
        (2.314, "2.31"),
        (61.24, "61.2"),
        (1234.5, "1,234"),
        (math.inf, "∞"),
    ],
)
def test_milliseconds(value: float | None, shown: str) -> None:
    assert figures.milliseconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0, "0"),
        (-0.09, "-0.09"),
        (20_000, "20,000"),
        (0.54123, "0.5412"),
        (16_178.4, "16,178"),
        (2.2e-15, "2.2e-15"),
        (3e12, "3.0e+12"),
        (2**40, "1,099,511,627,776"),
        (-(10**400), "-1.0e+400"),
        pytest.param(37 * 10**5_000, "3.7e+5001", id="more digits than Python writes out"),
        (10**30 - 1, "9.9e+29"),
        (math.nan, "NaN"),
        (-math.inf, "\N{MINUS SIGN}∞"),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    assert figures.number(value) == shown


@pytest.mark.parametrize(
    ("value", "word", "shown"),
    [(1, "check", "1 check"), (2, "check", "2 checks"), (1_000, "category", "1,000 categories")],
)
def test_count(value: int, word: str, shown: str) -> None:
    assert figures.count(value, word) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "\N{EN DASH}"), (12, "12 B"), (342_211, "334.2 KiB"), (1 << 31, "2.0 GiB")]
)
def test_size(value: int | None, shown: str) -> None:
    assert figures.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "missing"), (True, "yes"), (3, "3"), ("3", "3"), (0.5, "0.5")]
)
def test_scalar(value: bool | int | float | str | None, shown: str) -> None:
    assert figures.scalar(value) == shown
