"""Beginning a rollout: who is the champion, who the candidate, and whether it may begin at all."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from validator.errors import UsageError
from validator.rollout.settings import LoopSettings
from validator.rollout.slots import Identity, Server
from validator.rollout.state import (
    SCHEMA_VERSION,
    Event,
    Rollout,
    ServedVersion,
    SlotName,
    read_state,
    write_state,
)
from validator.rollout.step import Parts, of_this_model
from validator.rollout.traffic import SlotSeen


def champion_slot(seen: Mapping[SlotName, SlotSeen]) -> SlotName:
    """The slot that has all the traffic.

    Raises
    ------
    UsageError
        If none has: somebody is in the middle of something.
    """
    serving: list[SlotName] = [slot for slot, one in seen.items() if one.weight > 0]
    if len(serving) != 1:
        weights = ", ".join(f"{slot} {one.weight}" for slot, one in sorted(seen.items()))
        raise UsageError(
            f"the proxy's weights are {weights}: no slot has all the traffic",
            hint="end the rollout that is under way (`rollout abort`), or set the weights by hand",
        )
    return serving[0]


def start(
    settings: LoopSettings,
    parts: Parts,
    servers: Mapping[SlotName, Server],
    *,
    candidate: str,
    by: str,
    check: Callable[[ServedVersion], None] | None = None,
) -> Rollout:
    """Write a planned rollout; `run` or `step` takes it from there. The caller holds the lock.

    Parameters
    ----------
    candidate : str
        What the free slot must serve: a digest (``sha256:…``), or a reference that ends in one.
    check : callable, optional
        Asked with the champion before anything is written; raises to refuse.

    Raises
    ------
    UsageError
        If another rollout is under way, or the free slot serves anything else, or what did not pass.
    PreflightError
        If proxy or servers cannot be asked.
    """
    earlier = read_state(settings.directory)
    if earlier is not None:
        of_this_model(settings, earlier)
    if earlier is not None and not earlier.is_ended:
        raise UsageError(
            f"rollout {earlier.id} of {earlier.candidate.version} is in state {earlier.stage}",
            hint="wait for its end, or end it with `rollout abort`",
        )
    seen = parts.engine.read()
    champion = champion_slot(seen)
    free: SlotName = "green" if champion == "blue" else "blue"
    for slot in (champion, free):
        if not seen[slot].up:
            raise UsageError(
                f"slot {slot} is {seen[slot].status} at the proxy",
                hint="start its server and wait until it is ready",
            )
    serving, comes = servers[champion].identity(), servers[free].identity()
    _check(settings, serving, comes, candidate, free)
    reigning = ServedVersion(slot=champion, version=serving.version, digest=serving.digest)
    if check is not None:
        check(reigning)
    servers[free].rehearse_lease(settings.lease_s)
    now, clock = parts.clock.wall(), parts.clock
    state = Rollout(
        schema_version=SCHEMA_VERSION,
        id=f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        model=settings.model,
        champion=reigning,
        candidate=ServedVersion(slot=free, version=comes.version, digest=comes.digest),
        state="planned",
        share=0,
        stage_started=None,
        planned_requests=settings.guard_requests,
        deadline_s=settings.deadline_hours * 3600,
        spent_s=0.0,
        seen=(clock.boot(), clock.monotonic()),
        strikes=0,
        seq=earlier.seq if earlier else 0,
        held_for="",
        resume=None,
        intent=None,
        last_step=now,
        reason="waiting for the first step",
        history=(Event(at=now, before="", after="planned", why=f"candidate {candidate}", by=by),),
    )
    return write_state(settings.directory, state)


def _check(
    settings: LoopSettings, serving: Identity, comes: Identity, candidate: str, free: SlotName
) -> None:
    wanted = candidate.rpartition("@")[2]
    if not wanted.startswith("sha256:"):
        raise UsageError(
            f"--candidate {candidate!r} names no digest",
            hint="a tag can move: give NAME@sha256:… or sha256:…, as `registry push` prints it",
        )
    if comes.digest.removeprefix("sha256:") != wanted.removeprefix("sha256:"):
        raise UsageError(
            f"slot {free} serves digest {comes.digest!r} (version {comes.version!r}), not {wanted}",
            hint=f"start the server of slot {free} with the candidate, then start the rollout again",
        )
    for identity in (serving, comes):
        if identity.model != settings.model:
            raise UsageError(
                f"a slot serves the model {identity.model!r}, rollout.toml is for {settings.model!r}",
                hint="correct rollout.toml, or the slot's server",
            )
    if comes.verdict != "pass" or comes.override:
        why = (
            f"by an override ({comes.override})" if comes.override else f"with the verdict {comes.verdict!r}"
        )
        raise UsageError(
            f"slot {free} serves {comes.version} {why}",
            hint="only a version that passed the gate is rolled out: validate it again",
        )
    if comes.version == serving.version:
        raise UsageError(
            f"both slots serve version {comes.version}: their counts cannot be told apart",
            hint="a candidate needs a version of its own",
        )
