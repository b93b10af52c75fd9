"""Drift rules side by side: where each alarms with nothing wrong, and where it is blind.

Thirty features a run. Where nothing drifts a cell is the share of runs in which a rule calls at least one of them
drifting, where one of them does the share in which it names that one. Evidently and
NannyML are asked with their defaults, if they are installed (they need an environment of their own, see
`requirements.txt`); KS at 0.05 and PSI above 0.2 stand for what is often written by hand.
`python drift_peers.py [RUNS]`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

from drift_rates import Generator, autoregressive, days, independent, profile_of, verdicts, zeros

FEATURES = 30
#: Both send what they are used for to their makers unless they are told not to.
os.environ |= {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
#: The features that a rule calls drifting.
Judge = Callable[[pd.DataFrame, pd.DataFrame], set[str]]


def ours(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    profile = profile_of({name: before[name].to_numpy() for name in before})
    found = verdicts(profile, {name: now[name].to_numpy() for name in now})
    return {name for name, status in zip(now, found, strict=True) if status == "fail"}


def kolmogorov(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    return {name for name in before if stats.ks_2samp(before[name], now[name], method="asymp").pvalue < 0.05}


def plain_psi(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    found = set()
    for name in before:
        edges = np.quantile(before[name], np.arange(1, 10) / 10)
        a, b = (np.bincount(np.searchsorted(edges, x[name]), minlength=10) + 0.5 for x in (before, now))
        a, b = a / a.sum(), b / b.sum()
        if ((a - b) * np.log(a / b)).sum() > 0.2:
            found.add(name)
    return found


def evidently(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    found = set()
    for one in Report([DataDriftPreset()]).run(now, before).dict()["metrics"]:
        rule = one["config"]
        if "column" in rule:
            is_probability = rule["method"].endswith("p_value")
            if (one["value"] < rule["threshold"]) == is_probability:
                found.add(rule["column"])
    return found


def nannyml(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(column_names=list(before), chunk_size=len(now))
    reference = pd.concat([before] * max(1, -(-2 * len(now) // len(before))), ignore_index=True)
    calculator.fit(reference if len(before) < 2 * len(now) else before)
    found = calculator.calculate(now).filter(period="analysis").to_df()
    alerts = found.xs("alert", axis=1, level=-1).any()
    return {name for (name, _), alert in alerts.items() if alert}


def scaled(m: int, n: int, factor: float) -> Generator:
    return lambda random: (random.normal(size=m), random.normal(size=n) * factor)


RULES: dict[str, Judge] = {"ours": ours, "KS 0.05": kolmogorov, "PSI 0.2": plain_psi}
PEERS: dict[str, Judge] = {"evidently": evidently, "nannyml": nannyml}
CASES: dict[str, tuple[bool, Any]] = {
    "independent 1,000 / 100": (False, independent(1_000, 100)),
    "independent 1,000 / 1,000": (False, independent(1_000, 1_000)),
    "independent 10,000 / 100,000": (False, independent(10_000, 100_000)),
    "+0.1 sd 10,000 / 100,000": (False, independent(10_000, 100_000, 0.1)),
    "AR(1) 0.97 4,000 / 250": (False, autoregressive(0.97, 4_000, 250)),
    "clusters of 20 4,000 / 500": (False, days(0.5, 200, 20, 25, 20)),
    "5 % become 0 10,000 / 1,000": (True, zeros(10_000, 1_000, 0.05)),
    "+0.5 sd 4,000 / 500": (True, independent(4_000, 500, 0.5)),
    "+1 sd 10,000 / 100,000": (True, independent(10_000, 100_000, 1.0)),
    "5 % become missing 10,000 / 1,000": (True, zeros(10_000, 1_000, 0.05, np.nan)),
    "3 % beyond the range 10,000 / 1,000": (True, zeros(10_000, 1_000, 0.03, 9.0)),
    "spread halved 4,000 / 1,000": (True, scaled(4_000, 1_000, 0.5)),
    "AR(1) 0.9, +2 sd 10,000 / 250": (True, autoregressive(0.9, 10_000, 250, 2.0)),
}


def main(runs: int = 10) -> None:
    warnings.simplefilter("ignore")
    rules = RULES | {name: rule for name, rule in PEERS.items() if importlib.util.find_spec(name)}
    missing = [name for name in PEERS if name not in rules]
    if missing:
        print(f"not installed here, and left out: {', '.join(missing)}")
    print(f"{'reference / data':<32} {'drift':<6}" + "".join(f"{name:>11}" for name in rules))
    for label, (drifts, make) in CASES.items():
        random = np.random.default_rng(7)
        alarms = dict.fromkeys(rules, 0)
        n = max(2, runs // 5) if "100,000" in label else runs
        for _ in range(n):
            pairs = [make(random) for _ in range(FEATURES)]
            before = pd.DataFrame({f"f{i}": pair[0] for i, pair in enumerate(pairs)})
            now = pd.DataFrame({f"f{i}": pair[1] for i, pair in enumerate(pairs)})
            if drifts:  # of the thirty one drifts, so that a rule has to find it
                for i in range(1, FEATURES):
                    now[f"f{i}"] = random.normal(size=len(now))
            for name, rule in rules.items():
                found = rule(before, now)
                alarms[name] += "f0" in found if drifts else bool(found)
        shares = "".join(f"{count / n:>11.0%}" for count in alarms.values())
        print(f"{label:<32} {'yes' if drifts else 'no':<6}{shares}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
