"""Invented histories of one model, in the notation of promtool: what its servers would show, minute by minute."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from validator.monitoring.rule import Watched
from validator.monitoring.service_rules import within_limit
from validator.promql import number, select
from validator.serving.metrics.server import OUTCOMES

VERSION = "v_19700101T000000Z_00000000"
OTHER = "v_19700102T000000Z_11111111"
#: What recorded values are rounded to: a power of two, so that rounding adds no noise.
_NEAREST = 2.0**-30
#: Requests a step of the invented clock.
PACE = 1000.0


@dataclass(frozen=True, kw_only=True)
class Held:
    """A recorded series and its value at a history's end, within a relative `tolerance`; at 0 to nine decimals."""

    metric: str
    labels: Mapping[str, str]
    value: float
    tolerance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One history of `steps` steps, and the alerts that fire at its end, beside the watchdog.

    Where `values` are given, these are asserted instead, and which alerts fire is not.
    """

    name: str
    about: str
    steps: int
    series: tuple[tuple[str, str], ...]
    firing: tuple[Mapping[str, str], ...] = ()
    values: tuple[Held, ...] = ()


def steady(rate: float, steps: int, start: float = 0.0) -> str:
    """A counter that rises evenly, or, at rate 0, a value that stays."""
    return f"{start:.10g}+{rate:.10g}x{steps}" if rate else f"{start:.10g}x{steps}"


def parts(*rates: tuple[float, int]) -> str:
    """A counter that rises by each rate for so many steps."""
    found, value = [], 0.0
    for rate, steps in rates:
        found.append(steady(rate, steps - 1, value))
        value += rate * steps
    return " ".join(found)


def restarted(rate: float, before: int, gap: int, after: int) -> str:
    """A counter of a server that restarts, and is not scraped for a while."""
    return f"{steady(rate, before - 1)} _x{gap} {steady(rate, after)}"


@dataclass
class History:
    """Collects series. Each method adds some; a later one of the same series wins."""

    watched: Watched
    steps: int
    found: dict[str, str] = field(default_factory=dict)

    def add(self, metric: str, values: str, /, **labels: str) -> History:
        """A series of the model."""
        own = {"model": self.watched.subject.model, **labels}
        self.found[select(metric, *((name, "=", value) for name, value in own.items()))] = values
        return self

    def up(self, values: str | None = None, suffix: str = "", instance: str = "a:1") -> History:
        job = ("job", "=", self.watched.job + suffix)
        series = select("up", job, ("instance", "=", instance))
        self.found[series] = values or steady(0, self.steps, 1)
        return self

    def requests(
        self, *, version: str = VERSION, ok: str | None = None, slow: str | None = None, **outcomes: str
    ) -> History:
        """Requests by outcome, 1,000 a step, and how many of them were slow."""
        ok = steady(PACE, self.steps) if ok is None else ok
        nothing = steady(0, self.steps)
        for outcome in OUTCOMES:
            values = ok if outcome == "ok" else outcomes.get(outcome, nothing)
            self.add("preflight_requests_total", values, version=version, outcome=outcome)
        self.add("preflight_rows_total", ok, version=version)
        label, _, limit = within_limit(self.watched)
        bucket = {label: limit}
        self.add("preflight_request_seconds_bucket", ok, version=version, **bucket)
        self.add("preflight_request_seconds_count", slow or ok, version=version)
        return self

    def add_within(self, values: str) -> History:
        """The counter of the bucket at the promised limit."""
        label, _, limit = within_limit(self.watched)
        bucket = {label: limit}
        return self.add("preflight_request_seconds_bucket", values, version=VERSION, **bucket)

    def identity(
        self, *, version: str = VERSION, created: float = 0.0, verdict: str = "pass", override: str = ""
    ) -> History:
        labels = {"version": version, "digest": "d", "verdict": verdict, "override": override}
        self.add("preflight_model_info", steady(0, self.steps, 1), **labels)
        self.add("preflight_model_created_timestamp_seconds", steady(0, self.steps, created), version=version)
        return self.add("preflight_profile_rows", steady(0, self.steps, 10_000), version=version)

    def rollout(self, state: str, *, last: str | None = None) -> History:
        for name in ("guard", "promoted", "rolled_back"):
            self.add("preflight_rollout_state", steady(0, self.steps, int(name == state)), state=name)
        # by default it steps once a minute, as the clock of the one-minute histories does
        return self.add(
            "preflight_rollout_last_step_timestamp_seconds", last or steady(60, self.steps), role="rollout"
        )

    def column(
        self,
        kind: str,
        name: str,
        reference: Mapping[str, float],
        rows: Mapping[str, str],
        *,
        between: float = 0.0,
        quantile: float = 3.0,
        alike: Mapping[str, float] | None = None,
        **labels: str,
    ) -> History:
        """A feature or output: the reference's shares by bin, and counters of rows."""
        own = {"version": VERSION, **labels, kind: name}
        for slot, share in reference.items():
            self.add("preflight_profile_share", steady(0, self.steps, share), **own, bin=slot)
        for slot, values in rows.items():
            self.add(f"preflight_{kind}_bin_total", values, **own, bin=slot)
        for slot, value in (alike or {}).items():
            self.add("preflight_drift_special_correlation", steady(0, self.steps, value), **own, bin=slot)
        self.add("preflight_drift_between_variance", steady(0, self.steps, between), **own)
        return self.add("preflight_drift_quantile", steady(0, self.steps, quantile), **own)

    def case(self, name: str, about: str, *firing: Mapping[str, str]) -> Case:
        return Case(name=name, about=about, steps=self.steps, series=tuple(self.found.items()), firing=firing)

    def values(self, name: str, values: tuple[Held, ...]) -> Case:
        """A case of what is recorded."""
        series = tuple(self.found.items())
        return Case(name=name, about="recorded values", steps=self.steps, series=series, values=values)


def healthy(watched: Watched, steps: int) -> History:
    """A server that answers everything, in time."""
    return History(watched, steps).up().requests().identity()


def test_document(
    watched: Watched, cases: Iterable[Case], *, rules: str, minutes: int, evaluated: str
) -> dict[str, Any]:
    """The content of a file for `promtool test rules`: at a case's end exactly its alerts fire.

    A step of the histories takes `minutes`; their lengths are multiples of how often rules are `evaluated`.
    """
    return {
        "rule_files": [rules],
        "evaluation_interval": evaluated,
        "tests": [_test(watched, case, minutes) for case in cases],
    }


def _test(watched: Watched, case: Case, minutes: int) -> dict[str, Any]:
    at = f"{case.steps * minutes}m"
    return {
        "name": f"{case.about}: {case.name}",
        "interval": f"{minutes}m",
        "input_series": [{"series": name, "values": values} for name, values in case.series],
        "promql_expr_test": list(_recorded(case, at)) if case.values else [_alerted(watched, case, at)],
    }


def _alerted(watched: Watched, case: Case, at: str) -> dict[str, Any]:
    always = {"alertname": "PreflightWatchdog", "severity": "none", "model": watched.subject.model}
    return {
        "expr": 'ALERTS{alertstate="firing"}',
        "eval_time": at,
        "exp_samples": [
            {"labels": _labels({"alertstate": "firing", **labels}), "value": 1}
            for labels in (always, *case.firing)
        ],
    }


def _recorded(case: Case, at: str) -> Iterator[dict[str, Any]]:
    """All series of each name, and no others. promtool compares without any tolerance."""
    for metric, several in itertools.groupby(case.values, key=lambda one: one.metric):
        exact = {_series(one): _rounded(one.value) for one in several if not one.tolerance}
        if exact:
            samples = [{"labels": labels, "value": value} for labels, value in exact.items()]
            yield {"expr": f"round({metric}, {_NEAREST!r})", "eval_time": at, "exp_samples": samples}
    for one in (one for one in case.values if one.tolerance):
        bound = number(abs(one.value) * one.tolerance)
        expr = f"abs({one.metric}{_series(one)} - {one.value!r}) <= bool {bound}"
        yield {"expr": expr, "eval_time": at, "exp_samples": [{"labels": _series(one), "value": 1}]}


def _series(held: Held) -> str:
    return select("", *((name, "=", value) for name, value in sorted(held.labels.items())))


def _rounded(value: float) -> float:
    """As PromQL's `round` has it, to the last bit."""
    inverse = 1 / _NEAREST
    return math.floor(value * inverse + 0.5) / inverse


def _labels(labels: Mapping[str, str]) -> str:
    return select("ALERTS", *((name, "=", value) for name, value in sorted(labels.items()) if value))


def shifted(shares: Sequence[float], amount: float) -> list[float]:
    """Shares of bins with some taken from the last and given to the first."""
    found = list(shares)
    found[0] += amount
    found[-1] -= amount
    return found
