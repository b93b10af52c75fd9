"""The stages: which rule judges each, and which comes after it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from validator.rollout.judge import Metric, Rule, Verdict
from validator.rollout.judge.windows import MINIMUM_TRIP_WINDOWS, MINIMUM_WINDOWS
from validator.rollout.plan import planned_requests
from validator.rollout.settings import JudgeSettings
from validator.rollout.state import StateName
from validator.rollout.traffic import Weights

#: Stages that are judged.
JUDGED: frozenset[StateName] = frozenset({"shadow", "guard", "confirm", "full"})
#: What is assumed of a champion that nothing was counted of; in the shadow it answered whatever is compared.
_UNKNOWN = {"invalid_output": 0.0001}
_OTHERWISE = 0.005


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage: its state, and the candidate's percent of the traffic."""

    state: StateName
    share: int

    @property
    def name(self) -> str:
        """State and share, as evidence files are named."""
        return f"{self.state}-{self.share}" if self.state in ("guard", "confirm") else self.state


def stages(settings: JudgeSettings) -> tuple[Stage, ...]:
    """All of them, in order."""
    return (
        *((Stage(state="shadow", share=0),) if settings.shadow else ()),
        *(Stage(state="guard", share=share) for share in settings.guards),
        Stage(state="confirm", share=settings.confirm),
        Stage(state="full", share=100),
        Stage(state="promoted", share=100),
    )


def after(settings: JudgeSettings, state: StateName, share: int) -> Stage:
    """The stage that follows; where somebody has changed the stages meanwhile, the next with more traffic."""
    every = stages(settings)
    if state == "planned":
        return every[0]
    names = [(stage.state, stage.share) for stage in every]
    if (state, share) in names:
        return every[names.index((state, share)) + 1]
    return next(stage for stage in every if stage.share > share)


def metrics(settings: JudgeSettings, state: StateName) -> tuple[Metric, ...]:
    """What a stage judges, with its margins: half of the objective's budget where it is confirmed."""
    margins, errors, slow = settings.margins, settings.error_budget, settings.slow_budget
    if state == "shadow":
        return (Metric(name="invalid_output", margin=margins.shadow_invalid, limit=errors),)
    if state == "confirm":
        return (
            Metric(name="error", margin=margins.confirm_error or errors / 2, limit=errors),
            Metric(name="slow", margin=margins.confirm_slow or slow / 2, limit=slow),
            Metric(name="refused", margin=margins.confirm_refused),
        )
    return (
        Metric(name="error", margin=margins.guard_error, limit=errors),
        Metric(name="slow", margin=margins.guard_slow, limit=slow),
        Metric(name="refused", margin=margins.guard_refused),
    )


def rule(settings: JudgeSettings, stage: Stage, planned: int, window_s: float | None = None) -> Rule:
    """How the stage is judged. `window_s`: the windows' length where it is not the one that is set."""
    kind: Literal["guard", "confirm", "bake"] = "guard"
    windows = MINIMUM_TRIP_WINDOWS
    if stage.state in ("shadow", "confirm"):
        kind, windows = "confirm", MINIMUM_WINDOWS
    elif stage.state == "full":
        kind = "bake"
        windows = max(
            MINIMUM_WINDOWS, math.ceil(settings.bake_minutes * 60 / (window_s or settings.window_s) - 1e-9)
        )
    return Rule(
        stage=stage.name,
        kind=kind,
        metrics=metrics(settings, stage.state),
        planned_requests=planned,
        minimum_windows=windows,
    )


def requests_planned(settings: JudgeSettings, stage: Stage, shares: Mapping[str, float]) -> int:
    """Candidate requests that a stage plans for, from the champion's own shares of events by metric."""
    if stage.state not in ("shadow", "confirm"):
        return settings.guard_requests
    pairs = [
        (shares.get(metric.name, _UNKNOWN.get(metric.name, _OTHERWISE)), metric.margin)
        for metric in metrics(settings, stage.state)
    ]
    # In the shadow both arms see every request, as if traffic were halved.
    return planned_requests(pairs, 0.5 if stage.state == "shadow" else stage.share / 100)


def champion_shares(verdict: Verdict | None) -> dict[str, float]:
    """The champion's shares in a stage that was judged, for planning the next; half an event is added."""
    if verdict is None:
        return {}
    return {
        metric.name: (metric.base_events + 0.5) / (metric.base_requests + 1)
        for metric in verdict.metrics
        if metric.base_requests > 0
    }


def weights(champion: Literal["blue", "green"], share: int, *, swapped: bool = False) -> Weights:
    """The proxy's weights. The champion stands in when nobody answers, until the roles are swapped."""
    candidate: Literal["blue", "green"] = "green" if champion == "blue" else "blue"
    by_slot = {champion: 100 - share, candidate: share}
    return Weights(blue=by_slot["blue"], green=by_slot["green"], rescue=candidate if swapped else champion)
