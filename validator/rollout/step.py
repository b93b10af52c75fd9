"""One step of a rollout: read what is so, judge, write what is intended, move, confirm. Idempotent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from validator.errors import PreflightError
from validator.report.escape import clean
from validator.rollout.beside import noticed
from validator.rollout.counts import Arm, Measured, Measuring, Source, measure
from validator.rollout.judge import Verdict
from validator.rollout.judge.evidence import gathered, written
from validator.rollout.schedule import traffic_today
from validator.rollout.settings import LoopSettings
from validator.rollout.stages import (
    JUDGED,
    Stage,
    after,
    champion_shares,
    requests_planned,
    rule,
    weights,
)
from validator.rollout.state import (
    Event,
    Intent,
    Rollout,
    ServedVersion,
    SlotName,
    StateError,
    write_state,
    write_whole,
)
from validator.rollout.traffic import Engine, EngineError, SlotSeen

#: Checks in a row at which the candidate is not ready before it is taken out.
STRIKES = 3


class Clock(Protocol):
    """Times. `boot` tells one start of the machine from another; `monotonic` is comparable within it."""

    def wall(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds since the machine started."""

    def boot(self) -> str:
        """Which start of the machine that is."""


class Leased(Protocol):
    """A slot's server."""

    def renew(self, seconds: float) -> None:
        """Let it be ready so much longer."""

    def drop_lease(self) -> None:
        """Let it be ready without a lease."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything that a step touches."""

    engine: Engine
    source: Source
    slots: Mapping[SlotName, Leased]
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a step came to. `trouble` holds what could not be done, first cause first."""

    state: Rollout
    verdict: Verdict | None = None
    trouble: tuple[PreflightError, ...] = ()


def step(settings: LoopSettings, parts: Parts, state: Rollout, *, by: str = "rollout") -> Step:
    """Go on from a state that was just read from its file; the caller holds the lock.

    The file is written first: on a full disk nothing is moved and no lease is renewed, so that the lease takes the
    candidate out.

    Raises
    ------
    StateError
        If `rollout.json` cannot be written, or is another model's.
    """
    of_this_model(settings, state)
    if state.is_ended:
        return Step(state=state)
    state = write_state(settings.directory, _lapsed(settings, _aged(state, parts.clock), state.last_step))
    walk = _Walk(settings=settings, parts=parts, by=by)
    if state.state == "rolling_back":
        return walk.out(state)
    try:
        seen = parts.engine.read()
    except EngineError as error:
        return walk.waits(state, error)
    return walk.on(state, seen)


def roll_back(
    settings: LoopSettings,
    parts: Parts,
    state: Rollout,
    *,
    why: str,
    by: str,
    final: Literal["rolled_back", "aborted"] = "rolled_back",
) -> Step:
    """Take the candidate out, whatever the state. The caller holds the lock."""
    of_this_model(settings, state)
    if state.is_ended:
        return Step(state=state)
    return _Walk(settings=settings, parts=parts, by=by).back(_aged(state, parts.clock), why, final=final)


def of_this_model(settings: LoopSettings, state: Rollout) -> None:
    """Raises StateError for the rollout of another model: what it believes is not about these slots."""
    if state.model != settings.model:
        raise StateError(
            f"the rollout in {settings.directory} is of the model {clean(state.model, limit=80)}, "
            f"not of {settings.model}",
            hint="give each model's rollout.toml a directory of its own",
        )


def _arm(served: ServedVersion) -> Arm:
    return Arm(version=served.version, slot=served.slot, digest=served.digest)


def _aged(state: Rollout, clock: Clock) -> Rollout:
    """Time used so far: by the clock that nobody sets; after a restart of the machine by the one on the wall."""
    boot, monotonic, wall = clock.boot(), clock.monotonic(), clock.wall()
    known, then = state.seen
    passed = monotonic - then if boot == known else wall - state.last_step
    return replace(state, spent_s=state.spent_s + max(0.0, passed), seen=(boot, monotonic), last_step=wall)


def _lapsed(settings: LoopSettings, state: Rollout, before: float) -> Rollout:
    """After so long without a step the lease has ended: the candidate gets time to become ready again."""
    if state.last_step - before < settings.lease_s:
        return state
    return replace(state, strikes=-math.ceil(settings.ready_again_s / settings.interval_s))


def _counted(state: Rollout, measured: Measured) -> Rollout:
    """Note when the newest window that counts was first seen."""
    newest = measured.counted_until
    if state.counted is None or (newest is not None and newest > state.counted[0]):
        return replace(state, counted=(newest or 0.0, state.spent_s))
    return state


@dataclass(frozen=True, kw_only=True)
class _Walk:
    settings: LoopSettings
    parts: Parts
    by: str

    # what is so ---------------------------------------------------------------------------------------------------

    def on(self, state: Rollout, seen: Mapping[SlotName, SlotSeen]) -> Step:
        """Reconcile with what the engine shows, then heed its word, then the judge."""
        if state.intent is not None:
            return self._resolve(state, state.intent, seen)
        if state.held_for != "engine" and (found := self._meddled(state, seen)) is not None:
            return found
        candidate, champion = seen[state.candidate.slot], seen[state.champion.slot]
        served = state.share > 0
        state = replace(state, strikes=state.strikes + 1 if served and not candidate.up else 0)
        if state.strikes >= STRIKES:
            return self.back(
                state, f"the proxy finds the candidate {candidate.status} at {STRIKES} checks in a row"
            )
        if not champion.up:
            return self._without_champion(state, champion)
        if state.state == "held" and state.held_for == "champion" and state.resume is not None:
            state = self._write(
                self._entered(
                    state, Stage(state=state.resume, share=state.share), "the champion is back: measured anew"
                )
            )
        return self._judged(state)

    def _resolve(self, state: Rollout, intent: Intent, seen: Mapping[SlotName, SlotSeen]) -> Step:
        """A move was written and not confirmed: finish it where it was made, else undo it."""
        if self._shows(state, intent.share, seen):
            to = Stage(state=intent.state, share=intent.share)
            return self._move(state, to, intent.planned_requests, intent.why, intent.evidence)
        undone = weights(state.champion.slot, state.share)
        try:
            self.parts.engine.move(undone, safer_first=True)
        except EngineError as error:
            return self.waits(state, error)
        return self.waits(replace(state, intent=None), None, "a move that was broken off was undone")

    def _shows(self, state: Rollout, share: int, seen: Mapping[SlotName, SlotSeen]) -> bool:
        wanted = weights(state.champion.slot, share)
        return all(seen[slot].weight == wanted.of(slot) for slot in seen)

    def _meddled(self, state: Rollout, seen: Mapping[SlotName, SlotSeen]) -> Step | None:
        """What the engine shows wins over what was believed."""
        if self._shows(state, state.share, seen):
            return None
        weight = seen[state.candidate.slot].weight
        if weight == 0:
            return self.back(state, "somebody took the candidate out at the proxy")
        why = (
            f"the proxy shows {weight} and {seen[state.champion.slot].weight} for candidate and champion, "
            f"not {state.share} and {100 - state.share}: somebody moved them"
        )
        return self._hold(state, "engine", why)

    def _without_champion(self, state: Rollout, champion: SlotSeen) -> Step:
        why = f"the proxy finds the champion {champion.status}: nothing to compare with, nor to go back to"
        # Who watches is alive, and without the candidate nobody would answer at all.
        trouble = self._renew(state) if state.share else None
        if state.state == "held" or state.state not in JUDGED or state.share == 0:
            return self.waits(state, trouble, why)
        return self._hold(state, "champion", why)

    # the judge ----------------------------------------------------------------------------------------------------

    def _judged(self, state: Rollout) -> Step:
        """Measure and judge; renew the lease while measuring works."""
        try:
            now = self.parts.source.now()
            if state.stage_started is None:
                begins = now + (self.settings.warmup_s if state.share else 0.0)
                state = self._write(replace(state, stage_started=begins))
            started = state.stage_started if state.stage_started is not None else now
            stage = Stage(state=state.resume or state.state, share=state.share)
            measured = measure(
                self.parts.source, self._measuring(state, stage), started, now, alone=stage.share == 100
            )
        except PreflightError as error:
            return self._late(state) or self.waits(state, error)
        if state.share and measured.impostor:
            return self.back(state, measured.impostor)
        trouble = self._lease(state, measured)
        if state.state == "planned":
            return self._planned(state, measured, trouble)
        silent = not measured.is_fresh(measured.candidate_age_s) and measured.is_fresh(
            measured.champion_age_s
        )
        if silent and state.share and now > started:
            return self.back(
                state, "the candidate was not scraped for three intervals, though the champion was"
            )
        known = state.counted
        state = _counted(state, measured)
        if state.counted != known and stage.share < 100:
            state = self._warned(state, stage, measured, now)
        if state.share and (why := self._blind(state, measured)):
            return self.back(state, why)
        how = rule(self.settings, stage, state.planned_requests, measured.window_s)
        evidence = gathered(how, measured.windows)
        path = self.settings.directory / "evidence" / f"{state.id}-{len(state.history):02}-{stage.name}.json"
        write_whole(path, written(evidence))
        return self._heed(state, stage, measured, evidence.verdict, path.name, trouble)

    def _heed(
        self,
        state: Rollout,
        stage: Stage,
        measured: Measured,
        verdict: Verdict,
        evidence: str,
        trouble: PreflightError | None,
    ) -> Step:
        if verdict.outcome == "rollback":
            return replace(self.back(state, verdict.reason, evidence=evidence), verdict=verdict)
        if state.state == "held":
            return replace(self._late(state) or self.waits(state, trouble), verdict=verdict)
        if verdict.outcome == "promote" and not measured.trouble and trouble is None:
            return replace(self._further(state, stage, verdict, evidence), verdict=verdict)
        if verdict.exhausted:
            return replace(
                self._undecided(state, f"{verdict.reason}; that was the last look"), verdict=verdict
            )
        late = self._late(state)
        return replace(
            late or self.waits(state, trouble, measured.trouble or verdict.reason), verdict=verdict
        )

    def _further(self, state: Rollout, stage: Stage, verdict: Verdict, evidence: str) -> Step:
        to = after(self.settings, stage.state, stage.share)
        if to.state == "promoted":
            try:  # first, or the lease would end under a version that nobody renews any more
                self.parts.slots[state.candidate.slot].drop_lease()
            except PreflightError as error:
                return self.waits(state, error)
        planned = requests_planned(self.settings, to, self._shares(state, verdict))
        return self._move(state, to, planned, verdict.reason, evidence)

    def _shares(self, state: Rollout, verdict: Verdict) -> Mapping[str, float]:
        """The champion's own shares of events over the last hour, else those of the stage that was judged."""
        arm, source = _arm(state.champion), self.parts.source
        try:
            return traffic_today(
                source, state.model, arm, self.settings, proxy=self.settings.proxy_counts
            ).shares
        except PreflightError:
            return champion_shares(verdict)

    def _planned(self, state: Rollout, measured: Measured, trouble: PreflightError | None) -> Step:
        if trouble is not None or measured.trouble:
            return self._late(state) or self.waits(state, trouble, measured.trouble)
        if not (measured.is_fresh(measured.candidate_age_s) and measured.is_fresh(measured.champion_age_s)):
            return self._late(state) or self.waits(state, None, "candidate or champion is not scraped yet")
        if not measured.interval_known:
            told = "candidate or champion was scraped too few times to tell how often it is: wait, or set scrape_s"
            return self._late(state) or self.waits(state, None, told)
        to = after(self.settings, "planned", 0)
        planned = requests_planned(self.settings, to, {})
        state = replace(state, scrape_s=measured.interval_s)
        return self._move(state, to, planned, "both versions are ready and scraped")

    def _warned(self, state: Rollout, stage: Stage, measured: Measured, now: float) -> Rollout:
        """What is to be warned of by now; where it cannot be asked for, what was known stays."""
        try:
            found = noticed(self.parts.source, self.settings, self._measuring(state, stage), measured, now)
        except PreflightError:
            return state
        return replace(state, warnings=found)

    def _blind(self, state: Rollout, measured: Measured) -> str:
        """Why the candidate serves without being judged; empty if it is judged. It may for as long as its lease."""
        allowed = self.settings.lease_s + self.settings.warmup_s + measured.delay_s
        if state.counted is None or state.spent_s - state.counted[1] <= allowed:
            return ""
        complete = [window for window in measured.windows if window.complete]
        told = f": {complete[-1].void}" if complete and complete[-1].void else ""
        return (
            f"nothing was measured for {round(state.spent_s - state.counted[1])} s while the candidate served{told}; "
            f"scrapes are expected every {measured.interval_s:g} s"
        )

    def _measuring(self, state: Rollout, stage: Stage) -> Measuring:
        return Measuring(
            model=state.model,
            candidate=_arm(state.candidate),
            champion=_arm(state.champion),
            slo_s=self.settings.slo_ms / 1000,
            window_s=self.settings.window_s,
            proxy=self.settings.proxy_counts,
            shadow=stage.state == "shadow",
            interval_s=self.settings.scrape_s or state.scrape_s,
        )

    def _lease(self, state: Rollout, measured: Measured) -> PreflightError | None:
        """Renew the candidate's lease, if somebody still sees it: a scrape is newer than three intervals."""
        return self._renew(state) if measured.is_fresh(measured.candidate_age_s) else None

    def _renew(self, state: Rollout) -> PreflightError | None:
        try:
            self.parts.slots[state.candidate.slot].renew(self.settings.lease_s)
        except PreflightError as error:
            return error
        return None

    # what is done -------------------------------------------------------------------------------------------------

    def _late(self, state: Rollout) -> Step | None:
        if state.spent_s <= state.deadline_s or state.held_for == "deadline":
            return None
        return self._undecided(state, "undecided at the deadline")

    def _undecided(self, state: Rollout, why: str) -> Step:
        if self.settings.on_deadline == "rollback":
            return self.back(state, why)
        return self._hold(state, "deadline", why)

    def _hold(self, state: Rollout, cause: Literal["champion", "deadline", "engine"], why: str) -> Step:
        if state.state == "held" and state.held_for == cause:
            return self.waits(state, None, why)
        resume = state.resume if state.state == "held" else state.state
        held = self._entered(state, Stage(state="held", share=state.share), why)
        return Step(state=self._write(replace(held, held_for=cause, resume=resume)))

    def back(
        self,
        state: Rollout,
        why: str,
        *,
        evidence: str = "",
        final: Literal["rolled_back", "aborted"] = "rolled_back",
    ) -> Step:
        """Begin to take the candidate out, and go on at once."""
        begun = self._entered(state, Stage(state="rolling_back", share=0), why, evidence)
        intent = Intent(state=final, share=0, why=why, evidence=evidence)
        return self.out(self._write(replace(begun, intent=intent)))

    def out(self, state: Rollout) -> Step:
        """All traffic to the champion: the file first, so that a proxy that restarts now comes back with it."""
        intent = state.intent or Intent(state="rolled_back", share=0, why=state.reason)
        try:
            self.parts.engine.move(weights(state.champion.slot, 0), safer_first=True)
        except EngineError as error:
            return self.waits(state, error)
        return Step(
            state=self._write(
                self._entered(state, Stage(state=intent.state, share=0), intent.why, intent.evidence)
            )
        )

    def _move(self, state: Rollout, to: Stage, planned: int, why: str, evidence: str = "") -> Step:
        """Write the intent, move, confirm."""
        intent = Intent(state=to.state, share=to.share, planned_requests=planned, why=why, evidence=evidence)
        state = self._write(replace(state, intent=intent))
        wanted = weights(state.champion.slot, to.share, swapped=to.state == "promoted")
        try:
            self.parts.engine.move(wanted, safer_first=to.share < state.share)
        except EngineError as error:
            return self.waits(state, error)
        entered = replace(self._entered(state, to, why, evidence), planned_requests=planned)
        return Step(state=self._write(entered))

    def _entered(self, state: Rollout, to: Stage, why: str, evidence: str = "") -> Rollout:
        event = Event(
            at=self.parts.clock.wall(),
            before=state.stage,
            after=to.name,
            why=why,
            by=self.by,
            evidence=evidence,
            warnings=state.warnings,
        )
        return replace(
            state,
            state=to.state,
            share=to.share,
            stage_started=None,
            counted=None,
            warnings=(),
            strikes=0,
            held_for="",
            resume=None,
            intent=None,
            reason=why,
            history=(*state.history, event),
        )

    def _write(self, state: Rollout) -> Rollout:
        return write_state(self.settings.directory, state)

    def waits(self, state: Rollout, error: PreflightError | None, why: str = "") -> Step:
        """Nothing moves; why is written down."""
        reason = why or (error.message if error else state.reason)
        return Step(state=self._write(replace(state, reason=reason)), trouble=(error,) if error else ())
