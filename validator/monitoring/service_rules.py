"""Rules about what callers notice: servers that are away, errors, slowness, refusals, traffic that stopped."""

from __future__ import annotations

from collections.abc import Iterator

from validator.monitoring.rule import Alert, Record, Severity, Watched
from validator.promql import number, select
from validator.serving.metrics.latency import bound_label

#: Fewer bad requests than these in the long window are no reason to wake anybody.
LEAST_EVENTS = 10
#: The multiple of the budget, the long and the short window, and who is told: the multiwindow scheme of Google's
#: "Site Reliability Workbook", chapter 5.
BURNS: tuple[tuple[str, float, str, str, Severity], ...] = (
    ("Fast", 14.4, "1h", "5m", "page"),
    ("Fast", 6.0, "6h", "30m", "page"),
    ("Slow", 1.0, "3d", "6h", "ticket"),
)
_KINDS = {"error": "Error", "slow": "Slow"}


def frequent(watched: Watched) -> Iterator[Record | Alert]:
    """What is looked at as often as Prometheus looks at anything."""
    yield _target_down(watched)
    yield _metrics_absent(watched)
    for window in ("5m", "1h"):
        yield from _ratios(watched, window)
    for kind in _KINDS:
        yield _burn(watched, kind, *BURNS[0])
    yield _invalid_output(watched)
    yield from _refused(watched)
    yield _traffic_stopped(watched)


def burning(watched: Watched) -> Iterator[Record | Alert]:
    """What looks hours and days back, and less often."""
    for window in ("30m", "6h", "3d"):
        yield from _ratios(watched, window)
    for kind in _KINDS:
        for burn in BURNS[1:]:
            yield _burn(watched, kind, *burn)


def within_limit(watched: Watched) -> tuple[str, str, str]:
    """The matcher of the bucket that ends exactly at the promised limit."""
    return ("le", "=", bound_label(watched.limits.slo_ms / 1e3))


def _target_down(watched: Watched) -> Alert:
    job = ("job", "=~", f"{watched.job}(-proxy|-rollout)?")
    return Alert(
        name="PreflightTargetDown",
        expr=f"{select('up', job)} == 0",
        lasting="2m",
        severity="page",
        summary="{{ $labels.job }} at {{ $labels.instance }} does not answer",
        description="Prometheus has not reached its metrics for two minutes.",
        labels=(("model", watched.subject.model),),
    )


def _metrics_absent(watched: Watched) -> Alert:
    model = watched.model
    bucket = select("preflight_request_seconds_bucket", model, within_limit(watched))
    return Alert(
        name="PreflightMetricsAbsent",
        expr=f"absent({select('preflight_requests_total', model)})\n"
        f"or absent({bucket})\n"
        f"or absent({select('preflight_profile_rows', model)})",
        lasting="5m",
        severity="page",
        summary="No metrics of {{ $labels.model }}: nothing about it is known",
        description="Its requests, its bucket at the promised limit, or its profile is not scraped. "
        "All other alerts about it are silent meanwhile.",
    )


def _ratios(watched: Watched, window: str) -> Iterator[Record]:
    bad = select(
        "preflight_requests_total",
        watched.model,
        ("outcome", "=~", "error|invalid_output|shed"),
        over=window,
    )
    asked = select("preflight_requests_total", watched.model, ("outcome", "!=", "refused"), over=window)
    within = select("preflight_request_seconds_bucket", watched.model, within_limit(watched), over=window)
    count = select("preflight_request_seconds_count", watched.model, over=window)
    yield Record(name=f"preflight:error:increase{window}", expr=f"sum by (model) (increase({bad}))")
    yield Record(
        name=f"preflight:error:ratio{window}",
        expr=f"{select(f'preflight:error:increase{window}', watched.model)}\n"
        f"/ sum by (model) (increase({asked}))",
    )
    yield Record(
        name=f"preflight:slow:increase{window}",
        expr=f"sum by (model) (increase({count}))\n- sum by (model) (increase({within}))",
    )
    yield Record(
        name=f"preflight:slow:ratio{window}",
        expr=f"{select(f'preflight:slow:increase{window}', watched.model)}\n"
        f"/ sum by (model) (increase({count}))",
    )


def _burn(
    watched: Watched, kind: str, speed: str, factor: float, long: str, short: str, severity: Severity
) -> Alert:
    budget = watched.limits.error_budget if kind == "error" else watched.limits.slow_budget
    limit = number(factor * budget)
    ratio = f"preflight:{kind}:ratio"
    what = "failed" if kind == "error" else f"took longer than {watched.limits.slo_ms:g} ms"
    return Alert(
        name=f"Preflight{_KINDS[kind]}Burn{speed}",
        expr=f"{select(ratio + long, watched.model)} > {limit}\n"
        f"and {select(ratio + short, watched.model)} > {limit}\n"
        f"and {select(f'preflight:{kind}:increase{long}', watched.model)} >= {LEAST_EVENTS}",
        severity=severity,
        summary="{{ $labels.model }}: {{ $value | humanizePercentage }} of the requests "
        f"of the last {long} {what}",
        description=f"At this pace, {factor:g} times what was promised can bear, the budget of 30 days "
        f"is used up in {30 / factor:.2g} days.",
        labels=(("window", long),),
    )


def _invalid_output(watched: Watched) -> Alert:
    counted = select("preflight_requests_total", watched.model, ("outcome", "=", "invalid_output"), over="5m")
    return Alert(
        name="PreflightInvalidOutput",
        expr=f"sum by (model, version) (increase({counted})) > 0",
        severity="page",
        summary="{{ $labels.model }} {{ $labels.version }} gave answers that its contract forbids",
        description="They were withheld: callers got an error instead. No version that passed the gate should.",
    )


def _refused(watched: Watched) -> Iterator[Record | Alert]:
    model = watched.model
    refused = select("preflight_requests_total", model, ("outcome", "=", "refused"), over="1h")
    every = select("preflight_requests_total", model, over="1h")
    ratio = "preflight:refused:ratio1h"
    now, then = select(ratio, model), select(ratio, model, offset="1w")
    yield Record(name="preflight:refused:increase1h", expr=f"sum by (model) (increase({refused}))")
    yield Record(
        name=ratio,
        expr=f"{select('preflight:refused:increase1h', model)}\n/ sum by (model) (increase({every}))",
    )
    yield Alert(
        name="PreflightRefusedSurge",
        expr=f"{now} > 0.01\nand {select('preflight:refused:increase1h', model)} >= {LEAST_EVENTS}\n"
        f"and {now} > 5 * ({then} >= 0 or 0 * {now})",
        severity="ticket",
        summary="{{ $labels.model }} refused {{ $value | humanizePercentage }} of the requests of the last hour",
        description="More than one in a hundred, and more than five times as many as a week ago: "
        "callers send what the contract does not allow.",
    )


def _traffic_stopped(watched: Watched) -> Alert:
    now = select("preflight_requests_total", watched.model, over="15m")
    then = select("preflight_requests_total", watched.model, over="15m", offset="1w")
    return Alert(
        name="PreflightTrafficStopped",
        expr=f"sum by (model) (increase({now})) == 0\n"
        f"and sum by (model) (increase({then})) >= {LEAST_EVENTS}",
        severity="ticket",
        summary="Nobody has asked {{ $labels.model }} for 15 minutes",
        description="A week ago there were requests at this time. The servers are up and scraped.",
    )
