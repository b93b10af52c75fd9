"""Rollouts simulated minute by minute through the judge itself, with the stages' own rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from validator.rollout.judge import Counts, Metric, Rule, Verdict, Window, judge
from validator.rollout.judge.windows import LOOKS
from validator.rollout.settings import RolloutSettings
from validator.rollout.stages import Stage, requests_planned, rule

Ints = NDArray[np.int64]
Shares = dict[str, NDArray[np.float64]]
End = Literal["promote", "rollback", "undecided"]

Happens = Callable[["World", int, float], tuple[Ints, Ints, Shares, Shares]]

#: Shares of events of the champion.
BASE = {"error": 0.005, "slow": 0.005, "refused": 0.01}
SETTINGS = RolloutSettings.model_validate(
    {
        "model": "m", "directory": "d", "prometheus": "http://p", "slo_ms": 50, "slo_percent": 99.5,
        "slots": {name: {"address": f"{name}:1", "url": f"http://{name}"} for name in ("blue", "green")},
        "haproxy": {"config": "c", "socket": "s", "bind": ":1", "metrics_bind": ":2"},
    }
)  # fmt: skip


@dataclass
class World:
    """What happens in each minute of a stage: requests of both arms, and each arm's shares of events."""

    rng: np.random.Generator
    per_second: float = 20.0
    worse: dict[str, float] = field(default_factory=dict)
    happens: Happens | None = None

    def minutes(self, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        """Plain traffic: nothing happens but chance."""
        a = self.rng.poisson(self.per_second * 60 * share, count)
        b = self.rng.poisson(self.per_second * 60 * (1 - share), count)
        shares = {name: np.full(count, base + self.worse.get(name, 0.0)) for name, base in BASE.items()}
        return a, b, shares, {name: np.full(count, base) for name, base in BASE.items()}

    def windows(self, count: int, share: float) -> list[Window]:
        """The minutes, counted."""
        n, d, worse, base = (self.happens or World.minutes)(self, count, share)
        a = {name: self.rng.binomial(n, np.clip(p, 0, 1)) for name, p in worse.items()}
        c = {name: self.rng.binomial(d, np.clip(p, 0, 1)) for name, p in base.items()}
        return [
            Window(
                start=60.0 * i,
                end=60.0 * i + 60,
                counts={
                    name: Counts(
                        candidate_events=int(a[name][i]),
                        candidate_requests=int(n[i]),
                        champion_events=int(c[name][i]),
                        champion_requests=int(d[i]),
                    )
                    for name in BASE
                },
            )
            for i in range(count)
        ]


def one_stage(world: World, stage: Stage, planned: int, limit: int) -> tuple[End, int]:
    """How a stage ends, and after how many candidate requests."""
    how = rule(SETTINGS, stage, planned)
    windows = world.windows(limit, stage.share / 100)
    seen = np.cumsum([window.counts["error"].candidate_requests for window in windows])
    for index in _moments(how, seen):
        verdict = judge(how, windows[: index + 1])
        if verdict.outcome != "undecided" or verdict.exhausted:
            return verdict.outcome, int(seen[index])
    return "undecided", int(seen[-1])


def _moments(how: Rule, seen: Ints) -> list[int]:
    """A confirming stage is judged at its looks and a window after each, in which a void one may have cleared.

    Between them it can only be rolled back, by what the next look sees as well.
    """
    if how.kind != "confirm":
        return list(range(how.minimum_windows - 1, len(seen)))
    first = [int(np.searchsorted(seen, how.planned_requests * look / LOOKS)) for look in range(1, LOOKS + 1)]
    every = {i for index in first for i in range(index, index + 3)} | set(range(first[-1], len(seen)))
    return sorted(i for i in every if i < len(seen))


def whole_way(world: World) -> tuple[End, str]:
    """Guards at 5 and 25 %, the confirming stage at 50 %, planned from an hour of the champion's counts."""
    for share in SETTINGS.guards:
        end, _ = one_stage(world, Stage(state="guard", share=share), SETTINGS.guard_requests, 120)
        if end != "promote":
            return end, f"guard-{share}"
    hour = round(world.per_second * 3600)
    shares = {name: (world.rng.binomial(hour, base) + 0.5) / (hour + 1) for name, base in BASE.items()}
    confirm = Stage(state="confirm", share=SETTINGS.confirm)
    planned = requests_planned(SETTINGS, confirm, shares)
    minutes = int(planned / (world.per_second * 60 * SETTINGS.confirm / 100) * 1.3) + 20
    return one_stage(world, confirm, planned, minutes)[0], "confirm"


def an_hour(world: World, share: float, margin: float = 0.01) -> Verdict:
    """One confirming stage of an hour, of errors alone, judged at its looks until it ends."""
    metrics = (Metric(name="error", margin=margin, limit=0.005),)
    planned = round(world.per_second * 60 * share * 58)
    how = Rule(stage="hour", kind="confirm", metrics=metrics, planned_requests=planned)
    windows = world.windows(62, share)
    seen = np.cumsum([window.counts["error"].candidate_requests for window in windows])
    verdict = judge(how, windows[: how.minimum_windows])
    for index in _moments(how, seen):
        verdict = judge(how, windows[: index + 1])
        if verdict.outcome != "undecided" or verdict.exhausted:
            break
    return verdict


# what can happen


def bursts(chance: float = 0.05, errors: float = 0.2) -> Happens:
    """Some minutes in which everybody's requests fail at a rate, whichever arm they go to."""

    def happens(world: World, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        a, b, worse, base = World.minutes(world, count, share)
        burst = world.rng.random(count) < chance
        worse["error"] = np.where(burst, errors, worse["error"])
        base["error"] = np.where(burst, errors, base["error"])
        return a, b, worse, base

    return happens


def outage(share_in_outage: float, minutes: int = 8, errors: float = 0.2) -> Happens:
    """Both arms fail for some minutes, and the candidate's share of the traffic changes meanwhile."""

    def happens(world: World, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        begin = int(world.rng.integers(0, max(1, count - minutes)))
        out = np.zeros(count, bool)
        out[begin : begin + minutes] = True
        of_candidate = np.where(out, np.minimum(share * share_in_outage, 0.95), share)
        a = world.rng.poisson(world.per_second * 60 * of_candidate)
        b = world.rng.poisson(world.per_second * 60 * (1 - of_candidate))
        _, _, worse, base = World.minutes(world, count, share)
        base["error"] = np.where(out, errors, base["error"])
        worse["error"] = np.where(out, errors, BASE["error"]) + world.worse.get("error", 0.0)
        return a, b, worse, base

    return happens


def sticky_bursts(chance: float = 0.05, errors: float = 0.2) -> Happens:
    """Clients that stay with one arm: some minutes one arm, by its share of the clients, fails at a rate."""

    def happens(world: World, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        a, b, worse, base = World.minutes(world, count, share)
        burst, on_candidate = world.rng.random(count) < chance, world.rng.random(count) < share
        worse["error"] = np.where(burst & on_candidate, errors, worse["error"])
        other = errors * min(1, share / (1 - share))
        base["error"] = np.where(burst & ~on_candidate, other, base["error"])
        return a, b, worse, base

    return happens


def incident(minutes: int = 10, errors: float = 0.1) -> Happens:
    """The champion's host fails for ten minutes in half of the stages, the candidate's does not."""

    def happens(world: World, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        a, b, worse, base = World.minutes(world, count, share)
        if world.rng.random() < 0.5:
            begin = int(world.rng.integers(0, max(1, count - minutes)))
            base["error"][begin : begin + minutes] = errors
        return a, b, worse, base

    return happens


def incidents_on_either(an_hour: float = 0.5, minutes: int = 10, errors: float = 0.1) -> Happens:
    """Now and then one arm's host fails for ten minutes; which arm's, a coin says."""

    def happens(world: World, count: int, share: float) -> tuple[Ints, Ints, Shares, Shares]:
        a, b, worse, base = World.minutes(world, count, share)
        arm = (worse if world.rng.random() < 0.5 else base)["error"]
        for begin in np.flatnonzero(world.rng.random(count) < an_hour / 60):
            arm[begin : begin + minutes] = errors
        return a, b, worse, base

    return happens
