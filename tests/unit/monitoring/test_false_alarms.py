"""How often the alerts cry without reason: simulated, by the rules as `monitor init` writes them, in Python.

`test_rules` holds the rules to the same figures in promtool.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from validator.drift.quality import compare, measure
from validator.drift.rule import PSI_FAIL, SPECIAL_MARGIN
from validator.monitoring.quality import _calibration, _wider
from validator.monitoring.service_rules import BURNS, LEAST_EVENTS
from validator.monitoring.value_tests import increase_low, judged, noises, shape, spread_of
from validator.profile import Profile
from validator.profile.columns import Column
from validator.profile.counting import Counts
from validator.profile.making import ProfileMaker
from validator.serving.metrics.bins import widest_floor

Floats = NDArray[np.float64]
COLUMNS = 10
#: Chance with which a true rate at its bound fails a test.
CHANCE = 1e-4


def at_most(alarms: int, runs: int, rate: float) -> None:
    """A count that a true rate of at most `rate` explains."""
    interval = stats.binomtest(alarms, runs).proportion_ci()
    print(
        f"{alarms} of {runs}, {100 * alarms / runs:.2f} % [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"
    )
    assert alarms <= stats.binom.ppf(1 - CHANCE, runs, rate)


# drift


def independent(random: np.random.Generator, rows: int) -> Floats:
    return random.normal(size=(rows, COLUMNS))


def autoregressive(random: np.random.Generator, rows: int) -> Floats:
    """Each row is like the one before it: a correlation of 0.9."""
    found = random.normal(size=(rows, COLUMNS))
    for i in range(1, rows):
        found[i] = 0.9 * found[i - 1] + math.sqrt(1 - 0.81) * found[i]
    return found


def days(random: np.random.Generator, rows: int) -> Floats:
    """Days of 500 rows that differ a little: 5 % of the variance."""
    effect = random.normal(size=(rows // 500 + 1, COLUMNS)).repeat(500, axis=0)[:rows]
    return math.sqrt(0.05) * effect + math.sqrt(0.95) * random.normal(size=(rows, COLUMNS))


def with_gaps(random: np.random.Generator, rows: int) -> Floats:
    """A tenth of the values is missing, another tenth is zero."""
    found, kind = independent(random, rows), random.random((rows, COLUMNS))
    found[kind < 0.1] = np.nan
    found[kind > 0.9] = 0.0
    return found


def table(values: Floats) -> dict[str, Floats]:
    return {f"x{i}": values[:, i] for i in range(COLUMNS)}


def reference_of(values: Floats) -> Profile:
    maker = ProfileMaker()
    maker.add(table(values), lambda kept: {"prediction": values[kept, 0]})
    return maker.finish(source="reference", source_sha256="0" * 64, slo_ms=50.0, target="", quality=())


def alarms(profile: Profile, day: Floats) -> tuple[bool, bool]:
    """Whether any column's shape, and any special value, is told of after this day."""
    counts = Counts(profile.features)
    counts.add(table(day))
    drifted = special = False
    z = float(stats.norm.isf(0.01 / (4 * len(profile.columns))))
    for place, column in enumerate(profile.features):
        now = {slot: float(count) for slot, count in counts.slots(place).items()}
        told = alarms_of(column, now, z)
        drifted, special = drifted or told[0], special or told[1]
    return drifted, special


def alarms_of(column: Column, now: dict[str, float], z: float) -> tuple[bool, bool]:
    floor = widest_floor(column)
    assert floor is not None
    before = dict(zip(column.bins, map(float, column.counts), strict=True))
    reference, day = judged(before, now)
    figures = shape(reference, day, between=floor.between, quantile=floor.quantile)
    rows = sum(day.values()) + now["missing"]
    low = max(
        increase_low(
            now[slot] / rows,
            count / column.rows,
            noises(spread_of(slot, floor.special, floor.between, len(reference)), rows, column.rows),
            z,
        )
        for slot, count in column.special.items()
    )
    return figures["psi"] > max(PSI_FAIL, figures["psi_floor"]), low > SPECIAL_MARGIN


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rows", [200, 1_000, 10_000])
@pytest.mark.parametrize(
    ("process", "rate"), [(independent, 0.01), (autoregressive, 0.02), (days, 0.02), (with_gaps, 0.01)]
)
def test_days_without_drift_are_not_told_of(
    process: Callable[[np.random.Generator, int], Floats], rate: float, rows: int
) -> None:
    """Any of ten features, in a day; each reference of 10,000 rows is judged against five days."""
    shapes = specials = 0
    for index in range(100):
        random = np.random.default_rng([index, rows])
        profile = reference_of(process(random, 10_000))
        for _ in range(5):
            drifted, special = alarms(profile, process(random, rows))
            shapes, specials = shapes + drifted, specials + special
    at_most(shapes, 500, rate)
    at_most(specials, 500, rate)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_days_with_drift_are_told_of() -> None:
    """The rules are not quiet for want of power: one standard deviation, and 5 % of missing values."""
    seen = [0, 0]
    for index in range(20):
        random = np.random.default_rng([index, 9])
        profile = reference_of(independent(random, 10_000))
        moved, gone = independent(random, 1_000), independent(random, 1_000)
        moved[:, 3] += 1.0
        gone[random.random(1_000) < 0.05, 4] = np.nan
        seen[0] += alarms(profile, moved)[0]
        seen[1] += alarms(profile, gone)[1]
    assert min(seen) >= 19, seen


# what callers notice


def burn_alarm(budget: float, bad: float, factor: float, asked: NDArray[np.int64], least: int) -> Floats:
    """Chance that a long window has enough bad requests, and more than the budget bears."""
    wanted = np.maximum(least, np.floor(factor * budget * asked) + 1)
    return np.asarray(stats.binom.sf(wanted - 1, asked, bad), np.float64)


@pytest.mark.parametrize(("speed", "factor", "share", "most"), [
    ("Fast", 14.4, 1.0, 1e-6), ("Fast", 6.0, 1.0, 5e-5), ("Slow", 1.0, 0.5, 0.035),
])  # fmt: skip
def test_the_least_number_of_bad_requests_keeps_low_traffic_quiet(
    speed: str, factor: float, share: float, most: float
) -> None:
    """At any traffic: fast burns at exactly the budget, slow ones at half of it, in one long window."""
    assert (speed, factor) in {(name, times) for name, times, *_ in BURNS}
    budget = 0.005
    asked = np.arange(1, 20_000)
    worst = float(burn_alarm(budget, share * budget, factor, asked, LEAST_EVENTS).max())
    print(f"{speed} {factor:g}: at most {worst:.2g}")
    assert worst <= most
    alone = float(burn_alarm(budget, share * budget, factor, asked, 1).max())
    assert alone > 5 * worst, "without it a single bad request at night would cry"


# live quality


def joined(random: np.random.Generator, rows: int, correlation: float) -> tuple[Floats, NDArray[np.int64]]:
    noise = random.normal(size=rows)
    for i in range(1, rows):
        noise[i] = correlation * noise[i - 1] + math.sqrt(1 - correlation**2) * noise[i]
    p = 1 / (1 + np.exp(-1.2 * noise + 0.8))
    return p[:, None], (random.random(rows) < p).astype(np.int64)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize("rows", [40, 100, 400, 2_000])
def test_a_model_as_good_as_ever_is_seldom_called_worse(rows: int, correlation: float) -> None:
    worse = 0
    for index in range(400):
        random = np.random.default_rng([index, rows])
        before = {one.metric: one for one in measure("binary", (0, 1), *joined(random, 2_000, 0.0))}
        outputs, truth = joined(random, rows, correlation)
        now, off = measure("binary", (0, 1), outputs, truth), _calibration(outputs[:, 0] - truth)
        questions = len(now) + 1
        cried = abs(off.value) > _wider(2 * questions) * (off.high - off.low) / 2
        for one in now:
            found = compare(one, before[one.metric], 0.5).worse
            assert found is not None
            cried = cried or found[0] > _wider(questions) * (found[0] - found[1])
        worse += cried
    at_most(worse, 400, 0.025 if rows < 400 else 0.015)
