"""A test of every rule: histories with its own fault, in which it fires, and near ones, in which it stays quiet.

Each asserts *all* alerts that fire at its end, so a rule that cries for another's fault fails as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from validator.monitoring.operation_rules import DAY, STALE_DAYS
from validator.monitoring.rule import Watched
from validator.monitoring.rule_cases import (
    OTHER,
    PACE,
    VERSION,
    Case,
    History,
    healthy,
    parts,
    steady,
    test_document,
)
from validator.monitoring.service_rules import BURNS, within_limit


def documents(watched: Watched, *, rules: str) -> dict[str, dict[str, Any]]:
    """Files for `promtool test rules` by their ending: histories of minutes, hours, days, weeks, and of values.

    What is looked at every few hours only costs less: those of weeks are evaluated every six.
    """
    from validator.monitoring import drift_tests, value_tests

    minutes = [*_down(watched), *_versions(watched), *_rollouts(watched), *_quality(watched)]
    hours = [*_burns(watched), *_invalid(watched), *_refused(watched), *_shadows(watched), *_ages(watched)]
    weeks = [*_weeks(watched), *_over(watched), *drift_tests.unknown(watched)]
    return {
        "-minutes": test_document(watched, minutes, rules=rules, minutes=1, evaluated="1m"),
        "-hours": test_document(watched, hours, rules=rules, minutes=1, evaluated="10m"),
        "-days": test_document(watched, drift_tests.cases(watched), rules=rules, minutes=5, evaluated="1h"),
        "-weeks": test_document(watched, weeks, rules=rules, minutes=5, evaluated="6h"),
        "-requests": test_document(
            watched, [value_tests.requests(watched)], rules=rules, minutes=1, evaluated="1h"
        ),
        "-columns": test_document(
            watched, [value_tests.columns(watched)], rules=rules, minutes=5, evaluated="30m"
        ),
    }


def _alert(watched: Watched, name: str, severity: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "model": watched.subject.model, **labels}


def _down(watched: Watched) -> Iterator[Case]:
    yield healthy(watched, 60).case("a healthy hour", "PreflightWatchdog")
    name = "PreflightTargetDown"
    for suffix in ("", "-proxy", "-rollout"):
        down = healthy(watched, 10).up(f"1x5 {steady(0, 5)}", suffix, "b:1")
        alert = _alert(watched, name, "page", job=watched.job + suffix, instance="b:1")
        yield down.case(f"one of several is down{suffix and f' ({suffix[1:]})'}", name, alert)
    yield healthy(watched, 10).up("1x8 0x1", instance="b:1").case("down for a minute", name)
    name, model = "PreflightMetricsAbsent", _alert(watched, "PreflightMetricsAbsent", "page")
    label, _, limit = within_limit(watched)
    bucket = {**model, label: limit}
    yield History(watched, 10).case("nothing is scraped", name, model, bucket)
    yield _without(healthy(watched, 10), "_bucket").case("no bucket at the limit", name, bucket)
    yield _without(healthy(watched, 10), "profile_rows").case("no profile", name, model)
    yield _without(healthy(watched, 10), "requests_total").case("no requests", name, model)
    yield History(watched, 4).case("for four minutes", name)


def _without(history: History, part: str) -> History:
    for series in [series for series in history.found if part in series]:
        del history.found[series]
    return history


def _burns(watched: Watched) -> Iterator[Case]:
    limits = watched.limits
    for kind, budget in (("error", limits.error_budget), ("slow", limits.slow_budget)):
        label = "Error" if kind == "error" else "Slow"
        speeds = [
            (factor, _alert(watched, f"Preflight{label}Burn{speed}", severity, window=long))
            for speed, factor, long, _, severity in BURNS
        ]
        every = [alert for _, alert in speeds]
        name = f"Preflight{label}BurnFast"
        for factor in (16, 13, 6.6, 5.4, 1.1, 0.9):
            firing = [alert for limit, alert in speeds if factor > limit]
            about = f"Preflight{label}BurnSlow" if factor < 6 else name
            yield _bad(watched, kind, (factor * budget, 60)).case(
                f"{factor:g} times the budget", about, *firing
            )
        much = 20 * budget
        yield _bad(watched, kind, (much, 52), (0, 8)).case("over since eight minutes", name, *every[1:])
        yield _bad(watched, kind, (much, 47), (0, 33)).case("over since half an hour", name, every[2])
        for about, told, *shares in (
            ("began half an hour ago", every[1:], (0, 30), (20, 30)),
            ("began half an hour ago, after a longer calm", every[2:], (0, 90), (20, 30)),
            ("half as bad since ten minutes", every[1:], (20, 50), (10, 10)),
            ("a fifth as bad since an hour", every[2:], (20, 60), (4, 60)),
        ):
            parts_of = [(factor * budget, minutes) for factor, minutes in shares]
            yield _bad(watched, kind, *parts_of).case(about, name, *told)
        yield _bad(watched, kind, (0.15, 60), pace=1).case("nine bad requests of sixty", name)
        yield _bad(watched, kind, (0.25, 60), pace=1).case("fifteen bad requests of sixty", name, *every)
    shed = healthy(watched, 60).requests(ok=steady(800, 60), shed=steady(200, 60))
    every = [
        _alert(watched, f"PreflightErrorBurn{speed}", severity, window=long)
        for speed, _, long, _, severity in BURNS
    ]
    yield shed.case("a fifth is shed", "PreflightErrorBurnFast", *every)


def _bad(watched: Watched, kind: str, *shares: tuple[float, int], pace: float = PACE) -> History:
    """A share of the requests is bad, for so many minutes."""
    steps = sum(minutes for _, minutes in shares)
    history = healthy(watched, steps)
    good = parts(*((pace * (1 - share), minutes) for share, minutes in shares))
    bad = parts(*((pace * share, minutes) for share, minutes in shares))
    if kind == "error":
        return history.requests(ok=good, error=bad, slow=steady(pace, steps)).add_within(steady(pace, steps))
    return history.requests(ok=steady(pace, steps), slow=steady(pace, steps)).add_within(good)


def _invalid(watched: Watched) -> Iterator[Case]:
    name = "PreflightInvalidOutput"
    alert = _alert(watched, name, "page", version=VERSION)
    once = healthy(watched, 60).requests(invalid_output="0x57 1x2")
    yield once.case("one answer", name, alert)
    yield healthy(watched, 60).requests(invalid_output="0x45 1x14").case("a quarter of an hour ago", name)


def _refused(watched: Watched) -> Iterator[Case]:
    name = "PreflightRefusedSurge"
    alert = _alert(watched, name, "ticket")
    for share, firing in ((0.011, [alert]), (0.009, [])):
        history = healthy(watched, 60).requests(
            ok=steady(PACE * (1 - share), 60), refused=steady(PACE * share, 60)
        )
        yield history.case(f"{share:.1%} without a week before", name, *firing)
    few = healthy(watched, 60).requests(ok=steady(1, 60), refused=steady(0.15, 60))
    yield few.case("nine of seventy", name)
    some = healthy(watched, 60).requests(ok=steady(1, 60), refused=steady(0.25, 60))
    yield some.case("fifteen of seventy-five", name, alert)


def _versions(watched: Watched) -> Iterator[Case]:
    name = "PreflightVersionSkew"
    alert = _alert(watched, name, "page")

    def two(steps: int, rate: float = PACE) -> History:
        return healthy(watched, steps).requests(version=OTHER, ok=steady(rate, steps)).identity(version=OTHER)

    yield two(25).case("two versions answer", name, alert)
    yield two(25, 0).case("one of two is asked", name)
    yield two(12).case("for twelve minutes", name)
    yield two(25).rollout("guard").case("in a rollout", name)
    yield two(25).rollout("promoted").case("after a rollout", name, alert)
    name = "PreflightUnjudged"
    yield healthy(watched, 5).case("it passed", name)
    for verdict, override in (("fail", ""), ("pass", "known")):
        told = _alert(watched, name, "page", version=VERSION, verdict=verdict, override=override)
        history = healthy(watched, 5)
        history = _without(history, "model_info").identity(verdict=verdict, override=override)
        yield history.case("failed" if verdict == "fail" else "overridden", name, told)


def _rollouts(watched: Watched) -> Iterator[Case]:
    limits, name = watched.limits, "PreflightRolloutStalled"
    alert = _alert(watched, name, "page")
    late = int(limits.stalled_s // 60) + 1
    stuck = steady(0, late)
    yield healthy(watched, late).rollout("guard", last=stuck).case("it does not step", name, alert)
    yield healthy(watched, late).rollout("promoted", last=stuck).case("it has ended", name)
    yield healthy(watched, late).rollout("guard").case("it steps", name)
    slow = steady(60, late, -0.75 * limits.stalled_s)
    yield healthy(watched, late).rollout("guard", last=slow).case("it steps slowly", name)
    gone = healthy(watched, late + 7)
    for state in ("guard", "promoted"):
        gone.add("preflight_rollout_state", f"{int(state == 'guard')} stale _x{late + 6}", state=state)
    gone.add("preflight_rollout_last_step_timestamp_seconds", f"0 stale _x{late + 6}")
    yield gone.case("its process is gone", name, alert)
    yield (
        healthy(watched, 30)
        .rollout("rolled_back")
        .case("rolled back", "PreflightRolledBack", _alert(watched, "PreflightRolledBack", "ticket"))
    )
    name = "PreflightLeaseExpiring"
    alert = _alert(watched, name, "page", version=OTHER)
    ends = 1800.0
    for left, state, firing in (
        (0.5 * limits.lease_s, "guard", [alert]),
        (0.5 * limits.lease_s, "promoted", []),
        (1.5 * limits.lease_s, "guard", []),
    ):
        history = healthy(watched, 30).rollout(state)
        history.add("preflight_lease_expires_timestamp_seconds", steady(0, 30, ends + left), version=OTHER)
        yield history.case(f"{left:g} seconds left, {state}", name, *firing)


def _shadows(watched: Watched) -> Iterator[Case]:
    name = "PreflightShadowDropping"
    alert = _alert(watched, name, "info", version=VERSION, against=OTHER)
    for dropped, same, firing in ((0.25, 20.0, [alert]), (8.0, 992.0, []), (0.15, 0.85, [])):
        history = healthy(watched, 60)
        for result, rate in (("dropped", dropped), ("same", same)):
            history.add(
                "preflight_shadow_total", steady(rate, 60), version=VERSION, against=OTHER, result=result
            )
        yield history.case(f"{dropped:g} of {dropped + same:g} a minute", name, *firing)


def _ages(watched: Watched) -> Iterator[Case]:
    name, limit = "PreflightModelOld", watched.settings.retrain_after_days * DAY
    alert = _alert(watched, name, "ticket", version=VERSION)
    yield healthy(watched, 60).identity(created=-limit).case("a day old too much", name, alert)
    yield healthy(watched, 60).identity(created=-limit + 2 * 3600).case("not quite", name)
    idle = healthy(watched, 60).requests(ok=steady(0, 60)).identity(created=-limit)
    yield idle.case("old, and nobody asks it", name)


def _quality(watched: Watched) -> Iterator[Case]:
    name = "PreflightQualityWorse"
    alert = _alert(watched, name, "ticket", version=VERSION, metric="auc")
    for low, firing in ((0.002, [alert]), (-0.002, [])):
        history = healthy(watched, 10)
        history.add("preflight_live_quality_worse_low", steady(0, 10, low), version=VERSION, metric="auc")
        yield history.case(f"worse by at least {low}", name, *firing)
    name = "PreflightQualityStale"
    for days, told in ((STALE_DAYS + 1, [_alert(watched, name, "ticket")]), (STALE_DAYS - 1, [])):
        history = healthy(watched, 10)
        history.add("preflight_live_quality_timestamp_seconds", steady(0, 10, -days * DAY))
        yield history.case(f"measured {days} days ago", name, *told)


_WEEK = 7 * 24 * 12
_HOUR = 12


def _weeks(watched: Watched) -> Iterator[Case]:
    """Steps of five minutes: some hours, a week later others."""
    pace = 5 * PACE
    for then, firing in ((0.003, [_alert(watched, "PreflightRefusedSurge", "ticket")]), (0.006, [])):
        now = 0.02
        shares = ((then, 8 * _HOUR), (0.0, _WEEK - 4 * _HOUR), (now, 2 * _HOUR))
        history = healthy(watched, _WEEK + 6 * _HOUR).requests(
            ok=parts(*((pace * (1 - share), steps) for share, steps in shares)),
            refused=parts(*((pace * share, steps) for share, steps in shares)),
        )
        yield history.case(f"2 %, a week before {then:.1%}", "PreflightRefusedSurge", *firing)
    alert = _alert(watched, "PreflightTrafficStopped", "ticket")
    for then, now, told in ((5.0, 0.0, [alert]), (2.4, 0.0, []), (pace, 1.0, [])):
        shape = parts((then, 8 * _HOUR), (pace, _WEEK - 4 * _HOUR), (now, 2 * _HOUR))
        history = healthy(watched, _WEEK + 6 * _HOUR).requests(ok=shape)
        yield history.case(
            f"{now:g} in five minutes, a week before {then:g}", "PreflightTrafficStopped", *told
        )


def _over(watched: Watched) -> Iterator[Case]:
    """What was, and is no reason any more, or still is."""
    steps = 18 * _HOUR
    told = _alert(watched, "PreflightRolledBack", "ticket")
    back = healthy(watched, steps).rollout("rolled_back", last=steady(0, steps))
    yield back.case("eighteen hours ago", "PreflightRolledBack", told)
    steps = 30 * _HOUR
    last: Mapping[str, str] = {"last": steady(0, steps)}
    yield healthy(watched, steps).rollout("rolled_back", **last).case("a day ago", "PreflightRolledBack")
    for kind, budget in (("error", watched.limits.error_budget), ("slow", watched.limits.slow_budget)):
        over = _bad(watched, kind, (20 * budget, 5 * _HOUR), (0, 7 * _HOUR), pace=5 * PACE)
        about = "PreflightErrorBurnSlow" if kind == "error" else "PreflightSlowBurnSlow"
        yield over.case("over since seven hours", about)
        for what, *shares in (
            ("began six hours ago", (0, 12), (2, 6)),
            ("better since six hours", (4, 12), (0.7, 6)),
        ):
            parts_of = [(factor * budget, hours * _HOUR) for factor, hours in shares]
            yield _bad(watched, kind, *parts_of, pace=5 * PACE).case(what, about)
