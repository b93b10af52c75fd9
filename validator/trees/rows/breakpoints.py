"""Rows for models that are not made of trees: at their own breakpoints, across each feature's range, and mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]


def covering_rows(
    sample: Rows,
    *,
    breakpoints: Sequence[Mapping[str, Any]] = (),
    input_dtype: str = "float64",
    limit: int = 20_000,
    seed: int = 0,
) -> Rows:
    """At most `limit` rows [N, F] made of a sample [S, F]; the same for the same arguments.

    A quarter each: real rows; rows whose features come from two real rows, so that each feature keeps its own
    distribution; rows spread evenly over each feature's range and a little beyond; and real rows with one feature
    on a breakpoint (bin edge, category, imputer statistic: {"column", "values"}) or one ulp beside it, float32's or
    float64's. All are values of the input type: what a cast does to others is told apart from this.
    """
    sample = np.asarray(sample, dtype=np.float64)
    if not len(sample) or limit < 1:
        return np.zeros((0, sample.shape[1]))
    random = np.random.default_rng(seed)
    share = max(1, limit // 4)
    parts = [
        sample[random.permutation(len(sample))[:share]],
        _mixed(sample, share, random),
        _spread(sample, share, random),
        _at_breakpoints(sample, breakpoints, share, random),
    ]
    made = np.concatenate(parts)[:limit]
    with np.errstate(over="ignore"):
        return made.astype(np.float32).astype(np.float64) if input_dtype == "float32" else made


def _mixed(sample: Rows, count: int, random: np.random.Generator) -> Rows:
    first, second = (sample[random.integers(len(sample), size=count)] for _ in range(2))
    return np.where(random.random(first.shape) < 0.5, first, second)


def _spread(sample: Rows, count: int, random: np.random.Generator) -> Rows:
    """One value of each feature in each of `count` equal parts of its range, a twentieth wider at both ends."""
    rows = np.empty((count, sample.shape[1]))
    for feature in range(sample.shape[1]):
        column = sample[:, feature]
        known = column[np.isfinite(column)]
        if not len(known):
            rows[:, feature] = column[0]
            continue
        low, high = float(known.min()), float(known.max())
        margin = (high - low) / 20
        with np.errstate(over="ignore", invalid="ignore"):
            values = low - margin + (high - low + 2 * margin) * (random.permutation(count) + 0.5) / count
        values = np.where(np.isfinite(values), values, known[random.integers(len(known), size=count)])
        whole = bool((known == np.rint(known)).all())
        rows[:, feature] = np.clip(np.rint(values), low, high) if whole else values
    return rows


def _at_breakpoints(
    sample: Rows, breakpoints: Sequence[Mapping[str, Any]], count: int, random: np.random.Generator
) -> Rows:
    columns, values = _breakpoint_values(sample, breakpoints)
    if not len(values):
        return np.zeros((0, sample.shape[1]))
    chosen = random.permutation(len(values))[:count]
    rows = sample[random.integers(len(sample), size=len(chosen))].copy()
    rows[np.arange(len(chosen)), columns[chosen]] = values[chosen]
    return rows


def _breakpoint_values(
    sample: Rows, breakpoints: Sequence[Mapping[str, Any]]
) -> tuple[npt.NDArray[np.int64], Rows]:
    columns: list[int] = []
    values: list[float] = []
    low, high = _range(sample)
    for point in breakpoints:
        numbers = [float(v) for v in point["values"] if isinstance(v, (int, float)) and np.isfinite(v)]
        for number in numbers:
            # A step's column need not be the model's: every feature that ever comes near the point gets it too.
            near = {int(feature) for feature in np.flatnonzero((low <= number) & (number <= high))}
            own = int(point["column"])
            for feature in sorted(near | ({own} if own < sample.shape[1] else set())):
                beside = _neighbours(number)
                columns += [feature] * len(beside)
                values += beside
    return np.array(columns, dtype=np.int64), np.array(values, dtype=np.float64)


def _range(sample: Rows) -> tuple[Rows, Rows]:
    finite = np.isfinite(sample)
    low = np.where(finite, sample, np.inf).min(axis=0)
    high = np.where(finite, sample, -np.inf).max(axis=0)
    return low, high


def _neighbours(number: float) -> list[float]:
    with np.errstate(over="ignore"):
        single = np.float32(number)
        beside = [np.nextafter(single, np.float32(side)) for side in (-np.inf, np.inf)]
    found = [number, np.nextafter(number, -np.inf), np.nextafter(number, np.inf), single, *beside]
    return [float(value) for value in found if np.isfinite(value)]
