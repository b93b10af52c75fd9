"""Tests of the rules of drift: days in which a feature or an output shifts, vanishes in part, or only seems to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from validator.monitoring.rule import Watched
from validator.monitoring.rule_cases import VERSION, Case, History, healthy, restarted, shifted, steady

_HOUR = 12
_DAY = 24 * _HOUR
_EVEN = (0.1,) * 10
_SPECIAL = {"missing": 0.0, "zero": 0.02, "below": 0.0, "above": 0.0}
#: Rows a step of five minutes.
_ROWS = 500.0
#: Taken from one bin for another: a PSI of 0.17 and of 0.23, the rule's limit being 0.2.
_LITTLE, _MUCH = 0.079, 0.087


def cases(watched: Watched) -> Iterator[Case]:
    """All of them, for a feature and for an output."""
    for kind in ("feature", "output"):
        yield from _shapes(watched, kind)
        yield from _replicas(watched, kind)
        yield from _specials(watched, kind)


def _name(watched: Watched, kind: str) -> str:
    """The model's own first feature or output, whatever stands in its name."""
    subject = watched.subject
    names = subject.feature_names if kind == "feature" else subject.output_names
    return names[0] if names else kind


def _about(kind: str) -> str:
    return "PreflightDrift" if kind == "feature" else "PreflightOutputDrift"


def _alert(watched: Watched, kind: str) -> dict[str, str]:
    return {
        "alertname": _about(kind),
        "severity": "ticket",
        "model": watched.subject.model,
        "version": VERSION,
        kind: _name(watched, kind),
    }


def _reference() -> dict[str, float]:
    return {str(i): share for i, share in enumerate(_EVEN)} | _SPECIAL


def _rates(shares: Sequence[float], rows: float) -> dict[str, float]:
    return {str(i): share * rows for i, share in enumerate(shares)} | {
        name: share * rows for name, share in _SPECIAL.items()
    }


def _column(watched: Watched, kind: str, steps: int, rates: Mapping[str, float], **more: Any) -> History:
    counters = {slot: steady(rate, steps) for slot, rate in rates.items()}
    return healthy(watched, steps).column(kind, _name(watched, kind), _reference(), counters, **more)


def _shapes(watched: Watched, kind: str) -> Iterator[Case]:
    about, alert = _about(kind), _alert(watched, kind)
    much, little = shifted(_EVEN, _MUCH), shifted(_EVEN, _LITTLE)
    day = 3 * _HOUR
    yield _column(watched, kind, _DAY, _rates(_EVEN, _ROWS)).case("a healthy day", about)
    yield _column(watched, kind, day, _rates(much, _ROWS)).case("PSI 0.23", about, alert)
    yield _column(watched, kind, day, _rates(little, _ROWS)).case("PSI 0.17", about)
    yield _column(watched, kind, _HOUR, _rates(much, _ROWS)).case("for less than an hour", about)
    vanished = [0.125] * 8 + [0.0, 0.0]
    yield _column(watched, kind, day, _rates(vanished, _ROWS)).case("two bins vanish", about, alert)
    absent = {slot: rate for slot, rate in _rates(vanished, _ROWS).items() if rate or slot in _SPECIAL}
    yield _column(watched, kind, day, absent).case("the series of two bins vanish", about, alert)
    yield _column(watched, kind, day, _rates(vanished, 0.5)).case("eighteen rows", about)
    restless = {"between": 0.2}
    yield _column(watched, kind, day, _rates(much, _ROWS), **restless).case(
        "restless as its reference", about
    )
    calm = {"between": 0.04}
    yield _column(watched, kind, day, _rates(much, _ROWS), **calm).case(
        "more than its reference", about, alert
    )
    short = _column(watched, kind, day, _rates(much, 5), between=0.04)
    yield short.case("fewer rows than the reference's windows", about)
    rare = {"0": 0.5, "1": 0.5} | {str(i): 0.0 for i in range(2, 20)} | _SPECIAL
    counters = {slot: steady(share * 5, day) for slot, share in rare.items()}
    history = healthy(watched, day).column(kind, _name(watched, kind), rare, counters)
    yield history.case("bins without rows in reference and data", about)


def _replicas(watched: Watched, kind: str) -> Iterator[Case]:
    about, steps, name = _about(kind), 4 * _HOUR, _name(watched, kind)
    for shares, told, firing in (
        (_EVEN, "healthy", []),
        (shifted(_EVEN, 0.09), "drifted", [_alert(watched, kind)]),
    ):
        two = healthy(watched, steps)
        for instance in ("a:1", "b:1"):
            counters = {slot: steady(rate / 2, steps) for slot, rate in _rates(shares, _ROWS).items()}
            two.column(kind, name, _reference(), counters, instance=instance)
        yield two.case(f"two replicas, {told}", about, *firing)
        again = healthy(watched, steps)
        counters = {
            slot: restarted(rate, steps - 2 * _HOUR, 2, 2 * _HOUR - 2)
            for slot, rate in _rates(shares, _ROWS).items()
        }
        again.column(kind, name, _reference(), counters)
        for series in [series for series in again.found if "_share" in series or "_drift_" in series]:
            value = again.found[series].partition("x")[0]
            again.found[series] = f"{value}x{steps - 2 * _HOUR - 1} _x2 {value}x{2 * _HOUR - 2}"
        yield again.case(f"restarted, {told}", about, *firing)


def _specials(watched: Watched, kind: str) -> Iterator[Case]:
    about, steps = "PreflightSpecialValues", 3 * _HOUR

    def with_share(share: float, rows: float, slot: str, **more: Any) -> History:
        rates = _rates(_EVEN, rows)
        rates = {name: rate * (1 - share) if slot == "missing" and name.isdigit() else rate
                 for name, rate in rates.items()} | {slot: share * rows}  # fmt: skip
        return _column(watched, kind, steps, rates, **more)

    def alert(slot: str) -> dict[str, str]:
        return _alert(watched, kind) | {"alertname": about, "bin": slot, "of": kind}

    for slot, share in (("missing", 0.02), ("zero", 0.05), ("below", 0.03), ("above", 0.03)):
        told = f"{kind}: {slot} in {share:.0%}"
        yield with_share(share, _ROWS, slot).case(told, about, alert(slot))
    yield with_share(0.012, _ROWS, "missing").case(f"{kind}: missing in 1.2 %", about)
    yield with_share(0.028, _ROWS, "zero").case(f"{kind}: zero in 2.8 % for 2 %", about)
    rates = _rates(_EVEN, _ROWS) | {"missing": 0.05 * _ROWS}
    early = _column(watched, kind, _HOUR, rates)
    yield early.case(f"{kind}: missing for less than an hour", about)
    yield with_share(0.05, 1, "missing").case(f"{kind}: two of forty rows", about)
    yield with_share(1, 0.1, "above").case(f"{kind}: four rows, all of them beyond the range", about)
    yield with_share(1, 0.3, "above").case(
        f"{kind}: ten rows, all of them beyond the range", about, alert("above")
    )
    alike = {"missing": 0.02}
    yield with_share(0.03, _ROWS, "missing", alike=alike).case(f"{kind}: missing by whole hours", about)
    yield with_share(0.03, _ROWS, "above", between=0.15).case(f"{kind}: beyond the range for a while", about)


def unknown(watched: Watched) -> Iterator[Case]:
    """Days that cannot tell. Rules are evaluated every six hours here, so that four hours of a day are seen."""
    about = "PreflightDriftUnknown"
    alert = {"alertname": about, "severity": "info", "model": watched.subject.model, "version": VERSION}
    few, steps = 2.0, 4 * _DAY
    for kind in ("feature", "output"):
        yield _column(watched, kind, steps, _rates(_EVEN, few)).case(f"{kind}: few rows", about, alert)
    blind = _column(watched, "feature", steps, _rates(_EVEN, _ROWS))
    for series in [series for series in blind.found if "quantile" in series]:
        del blind.found[series]
    yield blind.case("a reference too small for a floor", about, alert)
    yield _column(watched, "feature", 2 * _DAY, _rates(_EVEN, few)).case("few rows for two days", about)
    for kind in ("feature", "output"):
        yield _column(watched, kind, steps, _rates(_EVEN, 3.6)).case(f"{kind}: just enough rows", about)
    single = healthy(watched, steps)
    single.column("feature", _name(watched, "feature"), {"0": 1.0}, {"0": steady(1, steps)})
    yield single.case("a feature of one value", about)
    idle = _column(watched, "feature", steps, _rates(_EVEN, 0))
    yield idle.case("a version that nobody asks", about)
