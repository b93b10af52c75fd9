"""Rules about how a model is run: versions, verdicts, rollouts, shadows, age, live quality, and the watchdog."""

from __future__ import annotations

from collections.abc import Iterator

from validator.monitoring.rule import Alert, Record, Watched
from validator.monitoring.service_rules import LEAST_EVENTS
from validator.promql import number, select
from validator.rollout.state import ENDED

DAY = 86_400
#: What a rollout that died last said is still known for so long.
_REMEMBERED = "15m"
#: Quality that was not measured for so long is told of.
STALE_DAYS = 14


def rules(watched: Watched) -> Iterator[Record | Alert]:
    """All of them."""
    yield from _traffic(watched)
    yield _version_skew(watched)
    yield _unjudged(watched)
    yield from _rollout(watched)
    yield _shadow_dropping(watched)
    yield _model_old(watched)
    yield from _quality(watched)
    yield Alert(
        name="PreflightWatchdog",
        expr="vector(1)",
        severity="none",
        summary="Alerting works",
        description="Always fires. Whoever expects it notices when Prometheus or Alertmanager stop.",
        labels=(("model", watched.subject.model),),
    )


def _traffic(watched: Watched) -> Iterator[Record]:
    requests = select("preflight_requests_total", watched.model, over="5m")
    rows = select("preflight_rows_total", watched.model, over="1d")
    yield Record(name="preflight:requests:increase5m", expr=f"sum by (model, version) (increase({requests}))")
    yield Record(name="preflight:rows:increase1d", expr=f"sum by (model, version) (increase({rows}))")


def _under_way(watched: Watched) -> str:
    """The model has a rollout that has not ended."""
    state = select(
        "preflight_rollout_state", watched.model, ("state", "!~", "|".join(sorted(ENDED))), over=_REMEMBERED
    )
    return f"max by (model) (last_over_time({state})) == 1"


def _version_skew(watched: Watched) -> Alert:
    return Alert(
        name="PreflightVersionSkew",
        expr=f"count by (model) ({select('preflight:requests:increase5m', watched.model)} > 0) > 1\n"
        f"unless on (model) {_under_way(watched)}",
        lasting="15m",
        severity="page",
        summary="{{ $value }} versions of {{ $labels.model }} answer, and no rollout is under way",
        description="Callers get answers of one or the other, as chance has it.",
    )


def _unjudged(watched: Watched) -> Alert:
    info = "preflight_model_info"
    by = "max by (model, version, verdict, override)"
    return Alert(
        name="PreflightUnjudged",
        expr=f"{by} ({select(info, watched.model, ('verdict', '!=', 'pass'))})\n"
        f"or {by} ({select(info, watched.model, ('override', '!=', ''))})",
        severity="page",
        summary="{{ $labels.model }} {{ $labels.version }} serves with the verdict {{ $labels.verdict }}",
        description="It did not pass the gate, or somebody overrode it: {{ $labels.override }}",
    )


def _rollout(watched: Watched) -> Iterator[Alert]:
    limits = watched.limits
    step = "preflight_rollout_last_step_timestamp_seconds"
    last = f"max by (model) (last_over_time({select(step, watched.model, over=_REMEMBERED)}))"
    back = select("preflight_rollout_state", watched.model, ("state", "=", "rolled_back"))
    lease = select("preflight_lease_expires_timestamp_seconds", watched.model)
    yield Alert(
        name="PreflightRolloutStalled",
        expr=f"time() - {last} > {number(limits.stalled_s)}\nand on (model) {_under_way(watched)}",
        severity="page",
        summary="The rollout of {{ $labels.model }} has not stepped for {{ $value | humanizeDuration }}",
        description="Nobody judges the candidate, and nobody renews its lease.",
    )
    yield Alert(
        name="PreflightRolledBack",
        expr=f"max by (model) ({back}) == 1\nand on (model) time() - {last.replace(_REMEMBERED, '1d')} < {DAY}",
        severity="ticket",
        summary="The rollout of {{ $labels.model }} was rolled back",
        description="The champion answers everything. Told for one day.",
    )
    yield Alert(
        name="PreflightLeaseExpiring",
        expr=f"min by (model, version) ({lease}) - time() < {number(limits.lease_s)}\n"
        f"and on (model) {_under_way(watched)}",
        severity="page",
        summary="The lease of {{ $labels.model }} {{ $labels.version }} ends in {{ $value | humanizeDuration }}",
        description="Then the candidate is taken out of traffic, and the champion answers everything.",
    )


def _shadow_dropping(watched: Watched) -> Alert:
    dropped = select("preflight_shadow_total", watched.model, ("result", "=", "dropped"), over="1h")
    every = select("preflight_shadow_total", watched.model, over="1h")
    by = "sum by (model, version, against)"
    return Alert(
        name="PreflightShadowDropping",
        expr=f"{by} (increase({dropped})) / {by} (increase({every})) > 0.01\n"
        f"and {by} (increase({dropped})) >= {LEAST_EVENTS}",
        severity="info",
        summary="The shadow {{ $labels.against }} of {{ $labels.model }} misses "
        "{{ $value | humanizePercentage }} of the requests",
        description="Too many wait for it: what it is compared on is no longer all traffic.",
    )


def _model_old(watched: Watched) -> Alert:
    created = select("preflight_model_created_timestamp_seconds", watched.model)
    days = watched.settings.retrain_after_days
    return Alert(
        name="PreflightModelOld",
        expr=f"time() - max by (model, version) ({created}) > {number(days * DAY)}\n"
        f"and on (model, version) {select('preflight:rows:increase1d', watched.model)} > 0",
        severity="ticket",
        summary="{{ $labels.model }} {{ $labels.version }} is {{ $value | humanizeDuration }} old",
        description=f"It is due for training after {days:g} days.",
    )


def _quality(watched: Watched) -> Iterator[Alert]:
    worse = select("preflight_live_quality_worse_low", watched.model)
    when = select("preflight_live_quality_timestamp_seconds", watched.model)
    yield Alert(
        name="PreflightQualityWorse",
        expr=f"max by (model, version, metric) ({worse}) > 0",
        severity="ticket",
        summary="{{ $labels.metric }} of {{ $labels.model }} {{ $labels.version }} is worse than it was judged with",
        description="By at least {{ $value | humanize }}, the lower end of an interval that errs in 1 % of all "
        "measurements, on rows whose true answers are known by now.",
    )
    yield Alert(
        name="PreflightQualityStale",
        expr=f"time() - max by (model) ({when}) > {STALE_DAYS * DAY}",
        severity="ticket",
        summary="The quality of {{ $labels.model }} was not measured for {{ $value | humanizeDuration }}",
        description="The last measurement is too old to say anything about today.",
    )
