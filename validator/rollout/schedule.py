"""`rollout plan`: how long each stage takes at today's traffic, and what difference it can see."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from validator.prometheus import SourceError
from validator.rollout.counts import Arm, Measuring, Source, measure
from validator.rollout.judge.windows import LOOKS
from validator.rollout.settings import JudgeSettings
from validator.rollout.stages import Stage, requests_planned, rule, stages

#: How far back today's traffic is looked at.
LOOK_BACK_S = 3600.0
#: Equal candidates are promoted at this look or before it in half of all rollouts.
_USUAL_LOOK = 4


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What the champion answers today: requests a second, and its shares of events by metric."""

    per_second: float
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One stage of the plan. `seconds` until its last look, `usual_seconds` for a candidate that is no worse."""

    stage: str
    share: int
    requests: int
    usual_seconds: float
    seconds: float
    sees: str


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The plan. `refusal` says why it cannot end before its deadline, empty if it can; `advice` what fits instead."""

    traffic: Traffic
    stages: tuple[Planned, ...]
    refusal: str
    advice: str

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
    windows = [
        window
        for window in measure(source, what, now - LOOK_BACK_S, now, alone=True).windows
        if window.complete and not window.void
    ]
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
    return Traffic(per_second=requests / seconds, shares=shares)


def schedule(settings: JudgeSettings, traffic: Traffic) -> Schedule:
    """How long everything takes. Pure."""
    planned = tuple(
        _planned(settings, stage, traffic) for stage in stages(settings) if stage.state != "promoted"
    )
    total, deadline = sum(stage.seconds for stage in planned), settings.deadline_hours * 3600
    if total <= deadline:
        return Schedule(traffic=traffic, stages=planned, refusal="", advice="")
    refusal = (
        f"at {traffic.per_second:.3g} requests a second the stages take {duration(total)} to their last looks, "
        f"longer than the deadline of {duration(deadline)}"
    )
    return Schedule(traffic=traffic, stages=planned, refusal=refusal, advice=_advice(settings, traffic))


def _planned(settings: JudgeSettings, stage: Stage, traffic: Traffic) -> Planned:
    requests = requests_planned(settings, stage, traffic.shares)
    judged_by = rule(settings, stage, requests)
    least = judged_by.minimum_windows * settings.window_s + settings.warmup_s
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
        stage=stage.name, share=stage.share, requests=requests, usual_seconds=usual, seconds=last, sees=sees
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
    return lines
