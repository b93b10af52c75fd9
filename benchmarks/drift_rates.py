"""How often the rule of drift cries where nothing drifted, and how often it sees what did.

Thirty features a run, made into a profile and judged as the command does it. *alarm* is the share of runs in
which any of them fails; then the shares of verdicts over all features. `python drift_rates.py [RUNS]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from validator.drift.rule import Observed, judge_column
from validator.profile import Counts, Profile
from validator.profile.columns import bins_of_cells
from validator.profile.making import ProfileMaker
from validator.profile.windows import lag_correlation

FEATURES = 30
Rows = np.ndarray[Any, Any]
Generator = Callable[[np.random.Generator], tuple[Rows, Rows]]


@dataclass(frozen=True)
class Rates:
    """`alarms` of `runs` runs had a failing feature; the rest are shares over all features."""

    runs: int
    alarms: int
    fail: float
    insufficient: float
    warn: float
    ok: float

    def line(self, label: str) -> str:
        return (
            f"{label:<44} {self.alarms / self.runs:7.1%} {self.fail:7.1%} {self.warn:7.1%} "
            f"{self.insufficient:7.1%} {self.ok:7.1%}   {self.runs}"
        )


def profile_of(columns: dict[str, Rows]) -> Profile:
    maker = ProfileMaker()
    maker.add(columns)
    return maker.finish(source="reference", source_sha256="")


def verdicts(profile: Profile, data: dict[str, Rows], *, independent: bool = False) -> list[str]:
    """One status a feature, as the command judges them."""
    found = []
    for column in profile.features:
        values = data[column.name]
        counts = Counts((column,))
        counts.add({column.name: values})
        head = values[:20_000]
        seen = Observed(
            slots=counts.slots(0),
            lag=lag_correlation(bins_of_cells(column)[column.cells_of(head)]),
            lag_rows=len(head),
        )
        found.append(
            judge_column(column, seen, n_columns=len(profile.features), independent=independent).status
        )
    return found


def rates(make: Generator, *, runs: int, seed: int = 1, independent: bool = False) -> Rates:
    """Judge `runs` draws of thirty independent features."""
    random = np.random.default_rng(seed)
    tally: dict[str, int] = {}
    alarms = 0
    for _ in range(runs):
        pairs = [make(random) for _ in range(FEATURES)]
        profile = profile_of({f"f{i}": before for i, (before, _) in enumerate(pairs)})
        found = verdicts(profile, {f"f{i}": now for i, (_, now) in enumerate(pairs)}, independent=independent)
        alarms += "fail" in found
        for status in found:
            tally[status] = tally.get(status, 0) + 1
    share = {name: tally.get(name, 0) / (runs * FEATURES) for name in ("fail", "insufficient", "warn", "ok")}
    return Rates(runs, alarms, **share)


def independent(m: int, n: int, shift: float = 0.0) -> Generator:
    return lambda random: (random.normal(size=m), random.normal(size=n) + shift)


def autoregressive(phi: float, m: int, n: int, shift: float = 0.0, *, shuffled: bool = False) -> Generator:
    """AR(1) with a gap between the reference and the data."""
    from scipy import signal

    def make(random: np.random.Generator) -> tuple[Rows, Rows]:
        noise = random.standard_normal(m + n + 3_000) * np.sqrt(1 - phi**2)
        series = signal.lfilter([1], [1, -phi], noise)[2_000:]
        before = series[:m]
        return random.permutation(before) if shuffled else before, series[-n:] + shift

    return make


def days(icc: float, m_days: int, m_rows: int, n_days: int, n_rows: int, shift: float = 0.0) -> Generator:
    """Rows of one day share an effect: too weak for any correlation of neighbours to show at 0.05."""

    def draw(random: np.random.Generator, count: int, rows: int) -> Rows:
        effect = random.standard_normal(count).repeat(rows)
        return np.sqrt(icc) * effect + np.sqrt(1 - icc) * random.standard_normal(count * rows)

    return lambda random: (draw(random, m_days, m_rows), draw(random, n_days, n_rows) + shift)


def mixture(m: int, n: int, length: int, concentration: float) -> Generator:
    """Two populations whose shares change every `length` rows."""

    def make(random: np.random.Generator) -> tuple[Rows, Rows]:
        total = m + n
        parts = -(-total // length)
        share = random.beta(concentration, concentration, parts).repeat(length)[:total]
        first = random.random(total) < share
        rows = np.where(first, random.normal(1.5, 1, total), random.normal(-1.5, 1, total))
        return rows[:m], rows[m:]

    return make


def zeros(m: int, n: int, share: float, value: float = 0.0) -> Generator:
    """A share of the data became exactly zero, or another value."""

    def make(random: np.random.Generator) -> tuple[Rows, Rows]:
        now = random.normal(size=n)
        now[random.random(n) < share] = value
        return random.normal(size=m), now

    return make


NULL: dict[str, tuple[Generator, int]] = {
    **{
        f"independent {m:,} / {n:,}": (independent(m, n), weight)
        for m, n, weight in (
            (1_000, 100, 1), (10_000, 100, 1), (1_000, 1_000, 1), (4_000, 250, 1), (4_000, 500, 1),
            (10_000, 1_000, 1), (10_000, 10_000, 1), (10_000, 100_000, 4), (10_000, 1_000_000, 20),
        )
    },
    "AR(1) 0.9 10,000 / 100": (autoregressive(0.9, 10_000, 100), 1),
    **{f"AR(1) {phi} 4,000 / 250": (autoregressive(phi, 4_000, 250), 1) for phi in (0.3, 0.9, 0.97, 0.99)},
    "AR(1) 0.9 4,000 / 2,000": (autoregressive(0.9, 4_000, 2_000), 1),
    "AR(1) 0.9 40,000 / 4,000": (autoregressive(0.9, 40_000, 4_000), 3),
    "AR(1) 0.9 10,000 / 100,000": (autoregressive(0.9, 10_000, 100_000), 4),
    "AR(1) 0.9 10,000 / 1,000,000": (autoregressive(0.9, 10_000, 1_000_000), 20),
    "clusters of 20, icc 0.5, 10,000 / 100": (days(0.5, 500, 20, 5, 20), 1),
    "clusters of 20, icc 0.5, 4,000 / 500": (days(0.5, 200, 20, 25, 20), 1),
    "clusters of 20, icc 0.5, 10,000 / 100,000": (days(0.5, 500, 20, 5_000, 20), 4),
    "clusters of 20, icc 0.5, 10,000 / 1,000,000": (days(0.5, 500, 20, 50_000, 20), 20),
    **{f"day effect {icc} 4,000 / 100": (days(icc, 40, 100, 1, 100), 1) for icc in (0.01, 0.05, 0.1, 0.3)},
    **{f"day effect {icc} 4,000 / 5,000 one day": (days(icc, 40, 100, 1, 5_000), 1) for icc in (0.03, 0.05, 0.3)},
    "mixture Beta(3) 4,000 / 100": (mixture(4_000, 100, 100, 3.0), 1),
    "mixture Beta(1) 40,000 / 1,000": (mixture(40_000, 1_000, 1_000, 1.0), 3),
    "mixture Beta(3) 40,000 / 1,000": (mixture(40_000, 1_000, 1_000, 3.0), 3),
}  # fmt: skip
POWER: dict[str, tuple[Generator, int]] = {
    "+0.1 sd 10,000 / 100,000 (harmless)": (independent(10_000, 100_000, 0.1), 4),
    "+0.5 sd 1,000 / 1,000": (independent(1_000, 1_000, 0.5), 1),
    "+0.5 sd 4,000 / 500": (independent(4_000, 500, 0.5), 1),
    "+1 sd 4,000 / 500": (independent(4_000, 500, 1.0), 1),
    "+1 sd 10,000 / 100,000": (independent(10_000, 100_000, 1.0), 4),
    "AR(1) 0.9, +2 sd 4,000 / 250": (autoregressive(0.9, 4_000, 250, 2.0), 1),
    "day effect 0.3, +2 sd, one day": (days(0.3, 40, 100, 1, 5_000, 2.0), 1),
    "5 % become 0, 10,000 / 300": (zeros(10_000, 300, 0.05), 1),
    "5 % become 0, 10,000 / 1,000": (zeros(10_000, 1_000, 0.05), 1),
    "5 % become 0, 10,000 / 100,000": (zeros(10_000, 100_000, 0.05), 4),
}
ORDER: dict[str, tuple[Generator, int]] = {
    f"shuffled reference, AR(1) {phi} 4,000 / 500": (autoregressive(phi, 4_000, 500, shuffled=True), 1)
    for phi in (0.9, 0.97)
}


def main(runs: int = 40) -> None:
    head = (
        f"{'reference / data rows':<44} {'alarm':>7} {'fail':>7} {'warn':>7} {'insuff.':>7} {'ok':>7}   runs"
    )
    for title, table in (("nothing drifted", NULL), ("drift", POWER), ("order", ORDER)):
        print(f"\n{title}\n{head}")
        for label, (make, weight) in table.items():
            print(rates(make, runs=max(3, runs // weight)).line(label), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
