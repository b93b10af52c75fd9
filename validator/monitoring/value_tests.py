"""Tests of what the recording rules record: histories whose values are known, against Python's own of the same.

Histories in which alerts fire tell little of the series that they read. Here each recorded series is compared with
its value as `validator.drift.rule` and plain sums have it, and the number of series with theirs: several replicas,
versions, columns and windows, a replica that restarted, one that is gone, bins that vanished or are too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from validator.drift.rule import EXPECTED, newcombe_low, psi_of
from validator.monitoring.drift_rules import WINDOWS, drift_level
from validator.monitoring.rule import Watched
from validator.monitoring.rule_cases import OTHER, VERSION, Case, Held, History, parts
from validator.monitoring.service_rules import within_limit

#: Since version 3 Prometheus leaves out the sample at a window's beginning.
_ROUGH = 0.05
#: The quantile of the normal distribution stands in the rules with ten digits.
_NEARLY = 1e-6
Rates = Sequence[tuple[float, int]]


def counted(rates: Rates, steps: int) -> float:
    """What a counter with these rates, each for so many steps, counts in its last steps."""
    every = [rate for rate, count in rates for _ in range(count)][:-1]
    return sum(every[-steps:])


# requests

_WINDOWS = {"5m": 5, "30m": 30, "1h": 60, "6h": 360, "3d": 4320}
#: Minutes of each pace of failures, the last first; within a window's first minutes it stays the same.
_PACES = ((30.0, 8), (2.0, 32), (10.0, 30), (4.0, 410), (1.0, 4380 - 480 + 1))
#: Failures, in parts; `ok` is what stays.
_OUTCOMES = {"error": 1.0, "invalid_output": 0.5, "shed": 0.7, "refused": 3.0}
_OK, _SLOW = 20.0, 0.8
#: By replica: its version, and its share.
_REPLICAS = {"a:1": (VERSION, 1.0), "b:1": (VERSION, 0.5), "c:1": (OTHER, 0.25)}


def requests(watched: Watched) -> Case:
    """Three days of requests of two versions; one replica restarted two minutes ago."""
    steps = sum(count for _, count in _PACES) - 1
    history = History(watched, steps)
    found: dict[tuple[str, str], list[Rates]] = {}
    for instance, (version, share) in _REPLICAS.items():
        label, _, limit = within_limit(watched)
        for name, rates in _rates(share).items():
            found.setdefault((name, version), []).append(rates)
            own = {"version": version, "instance": instance}
            values = _restarted(rates) if instance == "b:1" else parts(*rates)
            if name in ("count", "within"):
                metric = f"preflight_request_seconds_{'bucket' if name == 'within' else 'count'}"
                if name == "count":
                    history.add(metric, values, **own)
                    history.add("preflight_request_seconds_bucket", values, **own, **{label: "+Inf"})
                else:
                    history.add(metric, values, **own, **{label: limit})
            elif name == "rows":
                history.add("preflight_rows_total", values, **own)
            else:
                history.add("preflight_requests_total", values, **own, outcome=name)
    return history.values("requests of two versions", tuple(_of_requests(watched, found)))


def _rates(share: float) -> dict[str, Rates]:
    paces = _PACES[::-1]
    found: dict[str, Rates] = {
        name: [(share * part * pace, count) for pace, count in paces] for name, part in _OUTCOMES.items()
    }
    steps = sum(count for _, count in paces)
    found["ok"] = [(share * _OK, steps)]
    found["rows"] = [(share * 3 * _OK, steps)]
    found["count"] = [(share * (_OK + 5 * pace), count) for pace, count in paces]
    found["within"] = [(share * (_OK + (5 - _SLOW) * pace), count) for pace, count in paces]
    return found


def _restarted(rates: Rates) -> str:
    """The counter of a process that began anew two steps before the end."""
    *before, (rate, count) = rates
    return f"{parts(*before, (rate, count - 3))} {parts((rate, 3)).replace('0+', f'{rate:.10g}+', 1)}"


def _of_requests(watched: Watched, found: Mapping[tuple[str, str], Sequence[Rates]]) -> Iterator[Held]:
    def total(steps: int, *names: str, version: str | None = None) -> float:
        return sum(
            counted(rates, steps)
            for (name, of), several in found.items()
            for rates in several
            if name in names and version in (None, of)
        )

    def rough(metric: str, value: float, labels: Mapping[str, str]) -> Held:
        return Held(metric=metric, labels=labels, value=value, tolerance=_ROUGH)

    model = {"model": watched.subject.model}
    for window, steps in _WINDOWS.items():
        bad = total(steps, "error", "invalid_output", "shed")
        asked = total(steps, "ok", "error", "invalid_output", "shed")
        slow = total(steps, "count") - total(steps, "within")
        yield rough(f"preflight:error:increase{window}", bad, model)
        yield rough(f"preflight:error:ratio{window}", bad / asked, model)
        yield rough(f"preflight:slow:increase{window}", slow, model)
        yield rough(f"preflight:slow:ratio{window}", slow / total(steps, "count"), model)
    refused = total(60, "refused")
    yield rough("preflight:refused:increase1h", refused, model)
    yield rough("preflight:refused:ratio1h", refused / total(60, "ok", *_OUTCOMES), model)
    for version in (VERSION, OTHER):
        own = {**model, "version": version}
        five = total(5, "ok", *_OUTCOMES, version=version)
        yield rough("preflight:requests:increase5m", five, own)
        yield rough("preflight:rows:increase1d", total(1440, "rows", version=version), own)


# columns

_HOUR = 12
#: Hours of a history: six that count no more, and a day; its end is between two full hours.
_BEFORE, _DAY = 6, 24
_STEPS = 30 * _HOUR + _HOUR // 2
_REFERENCE = 10_000.0


@dataclass(frozen=True, kw_only=True)
class Column:
    """A feature or output: the reference's shares, rows a step of the first replica, and the profile's figures."""

    kind: str
    name: str
    version: str
    shares: Mapping[str, float]
    pace: Mapping[str, float]
    between: float
    quantile: float
    alike: Mapping[str, float]

    @property
    def labels(self) -> dict[str, str]:
        """Those of its series."""
        return {"version": self.version, self.kind: self.name}


_SPECIAL = {"missing": 0.02, "zero": 0.05, "below": 0.001, "above": 0.003, "unseen": 0.0}
#: The last but one expects seven of 10,000 rows and stands for itself. The last expects four, and is put together
#: with others also where a day has more rows than that.
_FALLING = (0.46, 0.32, 0.2, 0.0189, 0.0007, 0.0004)


def columns(watched: Watched) -> Case:
    """A day of two versions with two features and two outputs, as three replicas show them."""
    history = History(watched, _STEPS)
    every = [column for kind in ("feature", "output") for column in _columns(watched, kind)]
    for column in every:
        _show(history, column)
    for version in (VERSION, OTHER):
        for instance, factor, until in _SHOWN:
            values = _until(_REFERENCE * factor, until)
            history.add("preflight_profile_rows", values, version=version, instance=instance)
    return history.values("columns of two versions", tuple(_of_columns(watched, every)))


#: What the replicas show of the profile: a factor, and how many steps before the end they showed it last. The second
#: stopped ten minutes ago, which is remembered, the third twenty minutes ago, which is not.
_SHOWN = (("a:1", 0.5, 0), ("b:1", 1.0, 2), ("c:1", 2.0, 4))
#: The rows that each replica counts, as multiples of the first's.
_COUNTED = (("a:1", 1.0), ("b:1", 0.5))


def _columns(watched: Watched, kind: str) -> Iterator[Column]:
    own = watched.subject.feature_names if kind == "feature" else watched.subject.output_names
    first, second = own[0] if own else kind, "another"
    falling = {str(i): share for i, share in enumerate(_FALLING)} | _SPECIAL
    rising = {str(i): 32 * share for i, share in enumerate(reversed(_FALLING))}
    rising |= {"missing": 0.3, "zero": 0.2, "below": 0.02, "above": 0.15, "unseen": 0.04}
    # a bin whose series is not there at all
    vanished = {slot: rows for slot, rows in rising.items() if slot != "1"}
    figures: dict[str, Any] = {"between": 0.02, "quantile": 2.5, "alike": {"missing": 0.004, "below": 0.0001}}
    yield Column(kind=kind, name=first, version=VERSION, shares=falling, pace=vanished, **figures)
    few = {slot: rows / 100 for slot, rows in rising.items()}
    yield Column(kind=kind, name=first, version=OTHER, shares=falling, pace=few, **figures)
    categories = {"0": 0.0004, "other": 0.9996} | _SPECIAL
    rows = {"0": 1.0, "other": 4.0, "missing": 0.1, "unseen": 0.2}
    figures = {"between": 0.01, "quantile": 4.0, "alike": {}}
    yield Column(kind=kind, name=second, version=VERSION, shares=categories, pace=rows, **figures)
    common = {"0": 0.9996, "other": 0.0004} | _SPECIAL
    yield Column(kind=kind, name=second, version=OTHER, shares=common, pace=rows, **figures)


def _until(value: float, before: int) -> str:
    """A gauge that rose by a tenth with its last sample, which is the one that is remembered."""
    missing = f" stale _x{before - 1}" if before else ""
    return f"{0.9 * value:.10g}x{_STEPS - before - 1} {value:.10g}{missing}"


def _show(history: History, column: Column) -> None:
    labels = column.labels
    for instance, factor, until in _SHOWN:
        own = {**labels, "instance": instance}
        gauges = {
            "preflight_drift_between_variance": column.between,
            "preflight_drift_quantile": column.quantile,
        }
        for metric, value in gauges.items():
            history.add(metric, _until(value * factor, until), **own)
        for slot, share in column.shares.items():
            history.add("preflight_profile_share", _until(share * factor, until), **own, bin=slot)
        for slot, value in column.alike.items():
            metric = "preflight_drift_special_correlation"
            history.add(metric, _until(value * factor, until), **own, bin=slot)
    for instance, factor in _COUNTED:
        for slot in column.pace:
            values = parts(*_paces(column, slot, factor))
            metric = f"preflight_{column.kind}_bin_total"
            history.add(metric, values, **labels, instance=instance, bin=slot)


def _paces(column: Column, slot: str, factor: float) -> Rates:
    """Five times as many in the hours that count no more, twice as many in the last."""
    rate = column.pace[slot] * factor
    last = _STEPS + 1 - (_BEFORE + _DAY - 1) * _HOUR
    return [(5 * rate, _BEFORE * _HOUR), (rate, (_DAY - 1) * _HOUR), (2 * rate, last)]


def _of_columns(watched: Watched, every: Iterable[Column]) -> list[Held]:
    model = watched.subject.model
    found = []
    for column in every:
        labels = {"model": model, **column.labels}
        for metric, value in _figures(column).items():
            found.append(Held(metric=f"preflight:{column.kind}:{metric}", labels=labels, value=value))
        for metric, values in _by_bin(watched, column).items():
            name = f"preflight:{column.kind}_bin:{metric}"
            tolerance = _NEARLY if metric == "special_increase_low" else 0.0
            found += [
                Held(metric=name, labels=labels | {"bin": slot}, value=value, tolerance=tolerance)
                for slot, value in values.items()
            ]
    return sorted(found, key=lambda one: one.metric)


def _is_bin(slot: str) -> bool:
    return slot.isdigit() or slot == "other"


def _day(column: Column) -> dict[str, float]:
    """Rows of the last 24 full hours by bin and special value, of both replicas."""
    factor = sum(factor for _, factor in _COUNTED)
    return {slot: (_DAY + 1) * _HOUR * rate * factor for slot, rate in column.pace.items()}


def judged(
    reference: Mapping[str, float], day: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Reference and rows of the bins that expect five rows, and of the others as `rest`."""
    bins = [slot for slot in reference if _is_bin(slot)]
    scale = sum(day.get(slot, 0.0) for slot in bins) / sum(reference[slot] for slot in bins)
    held = [slot for slot in bins if reference[slot] * min(1.0, scale) >= EXPECTED]
    found = []
    for counts in (reference, day):
        kept = {slot: counts.get(slot, 0.0) for slot in held}
        others = [counts.get(slot, 0.0) for slot in bins if slot not in held]
        found.append(kept | ({"rest": sum(others)} if others else {}))
    return found[0], found[1]


def shape(
    before: Mapping[str, float], now: Mapping[str, float], *, between: float, quantile: float
) -> dict[str, float]:
    """PSI and its floor, of counts that were `judged`."""
    day, reference, bins = sum(now.values()), sum(before.values()), len(before)
    wide = 1 + 2 / WINDOWS  # at least half of the windows held rows
    restless = wide * between * max(1.0, reference / (WINDOWS * day))
    floor = (restless + (bins - 1) * (1 / day + 1 / reference)) * quantile
    psi = psi_of(np.array(list(before.values())), np.array(list(now.values())))
    return {"rows1d": day, "reference_rows": reference, "bins": bins, "psi": psi, "psi_floor": floor}


def spread_of(slot: str, alike: Mapping[str, float], between: float, bins: int) -> float:
    """How alike rows of one window are in having a special value."""
    beyond = 2 * between / max(1, bins - 1) if slot in ("below", "above") else 0.0
    return max(alike.get(slot, 0.0), beyond)


def noises(spread: float, rows: float, reference: float) -> tuple[float, float]:
    """One over the rows that count, of the day and of the reference."""
    return spread + 1 / rows, spread / WINDOWS + 1 / reference


def increase_low(share: float, before: float, noise: tuple[float, float], z: float) -> float:
    """By how much more of the rows have a special value, at least."""
    return newcombe_low(share / noise[0], 1 / noise[0], before / noise[1], 1 / noise[1], z)


def _reference(column: Column) -> dict[str, float]:
    return {slot: share * _REFERENCE for slot, share in column.shares.items()}


def _figures(column: Column) -> dict[str, float]:
    before, now = judged(_reference(column), _day(column))
    return shape(before, now, between=column.between, quantile=column.quantile)


def _by_bin(watched: Watched, column: Column) -> dict[str, dict[str, float]]:
    day, reference = _day(column), _reference(column)
    before, now = judged(reference, day)
    rows = sum(count for slot, count in day.items() if _is_bin(slot)) + day["missing"]
    specials = {slot: share for slot, share in column.shares.items() if not _is_bin(slot)}
    spread = {slot: spread_of(slot, column.alike, column.between, len(before)) for slot in specials}
    noise = {slot: noises(value, rows, _REFERENCE) for slot, value in spread.items()}
    shares = {slot: count / rows for slot, count in day.items() if not _is_bin(slot)}
    z = drift_level(watched)
    return {
        "rows1h": {slot: 2 * count / (_DAY + 1) for slot, count in day.items()},
        "rows1d": day,
        "reference": reference,
        "judged_reference": before,
        "judged_rows": now,
        "special_share1d": shares,
        "special_reference": specials,
        "special_spread": spread,
        "special_noise1d": {slot: one for slot, (one, _) in noise.items()},
        "special_noise": {slot: other for slot, (_, other) in noise.items()},
        "special_increase_low": {
            slot: increase_low(share, specials[slot], noise[slot], z) for slot, share in shares.items()
        },
    }
