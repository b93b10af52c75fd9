"""`rollout plan`: how long each stage takes at today's traffic, and what difference it can see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from validator.prometheus import SourceError
from validator.rollout.counts import Arm, Measuring, Source, measure, window_length
from validator.rollout.foreseen import Pace, Seen, seen_after
from validator.rollout.judge.windows import LOOKS
from validator.rollout.samples import SILENT_SCRAPES
from validator.rollout.settings import JudgeSettings, LoopSettings
from validator.rollout.stages import Stage, requests_planned, rule, stages

#: How far back today's traffic is looked at.
LOOK_BACK_S = 3600.0
#: Shares of failures whose detection is foreseen.
GROSS_HARM = 0.3
HARM = (GROSS_HARM, 0.05)
#: Candidate requests within which gross harm is promised to be out.
PROMISED_REQUESTS = 100
#: Equal candidates are promoted at this look or before it in half of all rollouts.
_USUAL_LOOK = 4


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the champion answers today: requests a second, its shares of events by metric, seconds between scrapes."""

    per_second: float
    shares: Mapping[str, float]
    interval_s: float = 15.0


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One stage of the plan. `seconds` until its last look, `usual_seconds` for a candidate that is no worse.

    `harm` says, for each of some shares of failures, when they are expected to take the candidate out.
    """

    stage: str
    share: int
    requests: int
    usual_seconds: float
    seconds: float
    sees: str
    harm: Mapping[float, Seen | None]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The plan. `refusal` says why it cannot keep what is promised, empty if it can; `advice` what fits instead.

    `warnings` hold what it keeps less well than is promised. `window_s` is the length of the windows.
    """

    traffic: Traffic
    stages: tuple[Planned, ...]
    window_s: float
    refusal: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all stages, to their last looks."""
        return sum(stage.seconds for stage in self.stages)


def traffic_today(
    source: Source, model: str, champion: Arm, settings: JudgeSettings, *, proxy: bool = False
) -> Traffic:
    """Measured over the last hour; `proxy`: failures that only the proxy counted too.

    Raises
    ------
    SourceError
        If the source cannot be asked, or the champion was not scraped or asked in that hour.
    """
    now = source.now()
    what = Measuring(
        model=model,
        candidate=champion,
        champion=Arm(version="", slot=champion.slot),
        slo_s=settings.slo_ms / 1000,
        window_s=settings.window_s,
        proxy=proxy,
    )
    measured = measure(source, what, now - LOOK_BACK_S, now, alone=True)
    windows = [window for window in measured.windows if window.complete and not window.void]
    requests = sum(window.counts["error"].candidate_requests for window in windows)
    if requests == 0:
        raise SourceError(
            f"version {champion.version} of {model} answered no request in the last hour that Prometheus saw",
            hint="without traffic nothing can be shown: see that Prometheus scrapes the servers",
        )
    shares = {}
    for metric in ("error", "slow", "refused"):
        counts = [window.counts[metric] for window in windows]
        events, asked = sum(c.candidate_events for c in counts), sum(c.candidate_requests for c in counts)
        shares[metric] = (events + 0.5) / (asked + 1)
    seconds = sum(window.end - window.start for window in windows)
    return Traffic(per_second=requests / seconds, shares=shares, interval_s=measured.interval_s)


def schedule(settings: JudgeSettings, traffic: Traffic) -> Schedule:
    """How long everything takes, and when harm is seen. Pure."""
    planned = tuple(
        _planned(settings, stage, traffic) for stage in stages(settings) if stage.state != "promoted"
    )
    refusal, advice = _too_rare(settings, traffic) or _too_long(settings, traffic, planned) or ("", "")
    return Schedule(
        traffic=traffic,
        stages=planned,
        window_s=window_length(settings.window_s, traffic.interval_s),
        refusal=refusal,
        advice=advice,
        warnings=_warnings(settings, traffic, planned),
    )


def _too_rare(settings: JudgeSettings, traffic: Traffic) -> tuple[str, str] | None:
    """Scrapes so rare that nothing is seen in time, or rarer than `rollout.toml` says."""
    told, every = settings.scrape_s, traffic.interval_s
    if told is not None and every > 1.5 * told:
        return (
            f"Prometheus scrapes the champion every {duration(every)}, not every {duration(told)} as scrape_s says",
            "correct scrape_s, or Prometheus' scrape_interval for these servers",
        )
    if not isinstance(settings, LoopSettings):
        return None
    longest = settings.lease_s - settings.interval_s
    if every <= longest:
        return None
    return (
        f"Prometheus scrapes the champion every {duration(every)}: a candidate would serve longer than its lease of "
        f"{duration(settings.lease_s)} before anything of it is seen",
        "let Prometheus scrape these servers every 15 s (scrape_interval), or allow that by a longer lease_s",
    )


def _too_long(
    settings: JudgeSettings, traffic: Traffic, planned: Sequence[Planned]
) -> tuple[str, str] | None:
    total, deadline = sum(stage.seconds for stage in planned), settings.deadline_hours * 3600
    if total <= deadline:
        return None
    refusal = (
        f"at {traffic.per_second:.3g} requests a second the stages take {duration(total)} to their last looks, "
        f"longer than the deadline of {duration(deadline)}"
    )
    return refusal, _advice(settings, traffic)


def _warnings(settings: JudgeSettings, traffic: Traffic, planned: Sequence[Planned]) -> tuple[str, ...]:
    """What rare scrapes cost: harm that is seen late, and windows that had to be longer."""
    found = []
    served = [stage for stage in planned if 0 < stage.share < 100]
    for stage in served[: max(1, len(settings.guards))]:
        seen = stage.harm[GROSS_HARM]
        if seen is not None and seen.requests > PROMISED_REQUESTS:
            found.append(
                f"in {stage.stage} {GROSS_HARM:.0%} failures meet about {seen.requests:,} requests before they are "
                f"seen, more than {PROMISED_REQUESTS}: with scrapes every {duration(traffic.interval_s)} "
                f"{stage.share} % of the traffic is too much for that"
            )
            break
    length = window_length(settings.window_s, traffic.interval_s)
    if length > settings.window_s:
        found.append(
            f"scrapes every {duration(traffic.interval_s)} make windows of {duration(length)} instead of "
            f"{duration(settings.window_s)}: everything takes longer, going back too"
        )
    return tuple(found)


def _planned(settings: JudgeSettings, stage: Stage, traffic: Traffic) -> Planned:
    requests = requests_planned(settings, stage, traffic.shares)
    length = window_length(settings.window_s, traffic.interval_s)
    judged_by = rule(settings, stage, requests, length)
    least = judged_by.minimum_windows * length + SILENT_SCRAPES * traffic.interval_s + settings.warmup_s
    share = 100 if stage.state == "shadow" else stage.share
    rate = traffic.per_second * share / 100
    last = max(least, requests / rate)
    usual = max(least, requests * _USUAL_LOOK / LOOKS / rate) if judged_by.kind == "confirm" else last
    if judged_by.kind == "bake":
        sees = "the objective alone: no champion beside it"
    else:
        word = "shows" if judged_by.kind == "confirm" else "guards against"
        told = ", ".join(f"{one.name} +{one.margin * 100:.3g} pp" for one in judged_by.metrics)
        sees = f"{word} {told}"
    return Planned(
        stage=stage.name,
        share=stage.share,
        requests=requests,
        usual_seconds=usual,
        seconds=last,
        sees=sees,
        harm={share: seen_after(judged_by, share, _pace(settings, stage, traffic, last)) for share in HARM},
    )


def _pace(settings: JudgeSettings, stage: Stage, traffic: Traffic, lasts_s: float) -> Pace:
    shadow = stage.state == "shadow"
    return Pace(
        per_second=traffic.per_second,
        share=0.5 if shadow else stage.share / 100,
        base=traffic.shares,
        interval_s=traffic.interval_s,
        window_s=window_length(settings.window_s, traffic.interval_s),
        step_s=settings.interval_s if isinstance(settings, LoopSettings) else 0.0,
        lasts_s=lasts_s,
    )


def _advice(settings: JudgeSettings, traffic: Traffic) -> str:
    """What fits low traffic: all requests in the shadow, then half of them; else a margin that can be shown."""
    shorter = settings.model_copy(update={"guards": (), "shadow": True})
    taken = sum(_planned(shorter, s, traffic).seconds for s in stages(shorter) if s.state != "promoted")
    if taken <= settings.deadline_hours * 3600:
        return f"shadow = true and guards = [], all requests in the shadow and then half, takes {duration(taken)}"
    return (
        f"without guards it takes {duration(taken)}: allow that time (deadline_hours = {math.ceil(taken / 3600)}), "
        "or wider margins.confirm_error and confirm_slow"
    )


def duration(seconds: float) -> str:
    """For people: 45 s, 12 min, 3.4 h, 2.1 days."""
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {word}"
    return f"{seconds / 86_400:.3g} days"


def document(plan: Schedule) -> dict[str, object]:
    """What `rollout plan --json` prints; times in seconds."""
    return {"schema_version": 1, "seconds": plan.seconds, **asdict(plan)}


def as_lines(plan: Schedule) -> Sequence[str]:
    """The plan as lines of text."""
    head = f"{plan.traffic.per_second:.3g} requests a second today"
    lines = [f"{head}; champion: " + ", ".join(f"{k} {v:.3%}" for k, v in plan.traffic.shares.items())]
    lines += [
        f"  {stage.stage:<11} {stage.share:>3} %  {stage.requests:>9,} requests  "
        f"usually {duration(stage.usual_seconds):>8}, at most {duration(stage.seconds):>8}   {stage.sees}"
        for stage in plan.stages
    ]
    lines.append(f"  in all at most {duration(plan.seconds)}")
    lines.append(
        f"scraped every {duration(plan.traffic.interval_s)}, windows of {duration(plan.window_s)}; when failures are "
        "expected to be seen, with the requests that met them:"
    )
    lines += [f"  {stage.stage:<11} " + ", ".join(_harms(stage)) for stage in plan.stages]
    return lines + [f"warning: {warning}" for warning in plan.warnings]


def _harms(stage: Planned) -> list[str]:
    told = []
    for share, seen in stage.harm.items():
        when = f"after {duration(seen.seconds)} ({seen.requests:,})" if seen else "not foreseen"
        told.append(f"{share:.0%} {when}")
    return told
