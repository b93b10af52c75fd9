"""The promised rates, simulated: false alarms and power, with bounds that a true rate rarely breaks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from validator.drift.rule import Observed, judge_column
from validator.profile import Counts
from validator.profile.columns import bins_of_cells
from validator.profile.windows import lag_correlation

ROOT = Path(__file__).parents[3]


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


rates = module(ROOT / "benchmarks" / "drift_rates.py")


def most(runs: int, rate: float) -> int:
    """So many events of a rate are exceeded once in a thousand times."""
    return int(stats.binom.ppf(0.999, runs, rate))


@pytest.mark.long
@pytest.mark.parametrize("label", list(rates.NULL))
def test_nothing_drifted_and_at_most_one_run_in_twenty_alarms(label: str) -> None:
    make, weight = rates.NULL[label]
    runs = max(5, 100 // weight)
    found = rates.rates(make, runs=runs, seed=11)
    assert found.alarms <= most(runs, 0.05), found.line(label)


@pytest.mark.long
@pytest.mark.parametrize(
    ("label", "least"),
    [
        ("+0.5 sd 1,000 / 1,000", 0.75),
        ("+0.5 sd 4,000 / 500", 0.80),
        ("+1 sd 4,000 / 500", 0.99),
        ("+1 sd 10,000 / 100,000", 0.99),
        ("AR(1) 0.9, +2 sd 4,000 / 250", 0.65),
        ("day effect 0.3, +2 sd, one day", 0.40),
        ("5 % become 0, 10,000 / 300", 0.88),
        ("5 % become 0, 10,000 / 1,000", 0.99),
        ("5 % become 0, 10,000 / 100,000", 0.99),
    ],
)
def test_what_drifted_is_found_as_often_as_is_said(label: str, least: float) -> None:
    make, weight = rates.POWER[label]
    found = rates.rates(make, runs=max(3, 30 // weight), seed=12)
    assert found.fail >= least, found.line(label)


@pytest.mark.long
def test_a_harmless_shift_is_no_drift_at_any_size() -> None:
    for n in (1_000, 10_000, 1_000_000):
        found = rates.rates(rates.independent(10_000, n, 0.1), runs=5, seed=13)
        assert found.fail == 0, found.line(str(n))


@pytest.mark.long
@pytest.mark.parametrize("label", list(rates.ORDER))
def test_a_shuffled_reference_of_dependent_rows_is_noticed(label: str) -> None:
    make, _ = rates.ORDER[label]
    found = rates.rates(make, runs=20, seed=14)
    assert found.insufficient >= 0.99, found.line(label)
    assert found.alarms <= most(20, 0.05)


@pytest.mark.long
def test_independent_rows_are_cleared_as_often_as_is_said() -> None:
    for make, least in (
        (rates.independent(4_000, 500), 0.97),
        (rates.independent(4_000, 250), 0.70),
        (rates.independent(1_000, 1_000), 0.72),
    ):
        assert rates.rates(make, runs=25, seed=15).ok >= least


def trading() -> pd.DataFrame:
    """Ten features of the S&P 500 and its price, day by day, 1999 to 2018."""
    train = module(ROOT / "examples" / "trading" / "train.py")
    prices = train.sp500.load()
    table = train.make_features(prices)
    found: pd.DataFrame = table[train.FEATURES].assign(price=prices["Close"].reindex(table.index))
    return found.dropna()


def test_the_trading_series_alarms_on_no_shape_finds_range_exits_and_says_that_it_is_blind() -> None:
    """Sixty days against the two thousand before them, window after window."""
    table = trading()
    features = [name for name in table.columns if name != "price"]
    shapes, blind, exits, left = 0, 0, 0, 0
    windows = range(2_000, len(table) - 60, 180)
    for start in windows:
        before, now = table.iloc[start - 2_000 : start], table.iloc[start : start + 60]
        profile = rates.profile_of({name: before[name].to_numpy() for name in table.columns})
        for column in profile.features:
            values = now[column.name].to_numpy()
            counts = Counts((column,))
            counts.add({column.name: values})
            lag = lag_correlation(bins_of_cells(column)[column.cells_of(values)])
            seen = Observed(slots=counts.slots(0), lag=lag, lag_rows=len(values))
            verdict = judge_column(column, seen, n_columns=len(table.columns))
            if column.name == "price":
                above = float(np.mean(values > before["price"].max()))
                left += above > 0.5
                exits += above > 0.5 and any(
                    one.name == "above" and one.status != "ok" for one in verdict.special
                )
                continue
            shapes += verdict.shape == "fail"
            blind += verdict.blind
    assert shapes == 0
    assert left >= 2
    assert exits >= left - 1
    assert blind > 0.5 * len(windows) * len(features)
