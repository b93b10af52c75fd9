"""One mover of an alias at a time, with a record before the move and both read back after it.

A layout folder has a lock. A registry has none, and takes the last of two writers without a word; so a promotion
claims the alias by its record first, waits until every other claim that began with the same state must be visible,
and goes on only if its own is the earliest. That is safe as long as a registry shows what it has taken and each
promoter keeps to its own time limits, which it does: by then it either has the alias, or gives up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from validator.registry.errors import DamagedError, OvertakenError, RegistryError
from validator.registry.history import Record, image_of_record, record_at, record_tags, time_of
from validator.registry.store import Manifest, Repository

#: Seconds in which a claim is made, and for which each waits before it looks for others.
CLAIM_S = 3.0
#: Seconds after its claim in which a promotion moves the alias, or gives up; and the most that moving may take.
FINISH_S = 30.0
#: Seconds for which somebody else's unfinished claim is respected.
RESPECT_S = 120.0
_MOST_PASSED = 1000


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time of day for records, seconds for limits, and waiting."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class State:
    """What an alias names (None for nothing), and the tags of its records, the oldest first."""

    digest: str | None
    records: tuple[str, ...]

    @property
    def newest(self) -> str:
        return self.records[-1] if self.records else ""


def read_state(repository: Repository, alias: str) -> State:
    """What an alias names now."""
    return State(digest=repository.find(alias), records=tuple(record_tags(repository.tags(), alias)))


def effective(repository: Repository, state: State) -> Record | None:
    """The record by which the alias names what it names; None where none does."""
    passed: list[Record] = []
    for tag in reversed(state.records[-_MOST_PASSED:]):
        record = record_at(repository, tag)
        if record is None:
            continue
        if record.digest == state.digest:
            # What came later never took effect: it found what is there still, or had begun before this one did.
            idle = (one.replaces == state.digest or one.previous < record.tag for one in passed)
            return record if all(idle) else None
        passed.append(record)
    return None


def move(repository: Repository, manifest: Manifest, draft: Record, state: State, clock: Clock) -> Record:
    """Claim, look around, move, read back; the record with its time. Raises OvertakenError, RegistryError."""
    with repository.exclusive():
        at = _time(repository.now or clock.now(), state)
        record = replace(draft, at=at, previous=state.newest)
        image = image_of_record(record)
        repository.add_blobs(image)
        try:
            begun = _unchanged(repository, state, record.alias, clock)
        except OvertakenError:
            _record_loss(repository, record, clock)
            raise
        repository.tag(image.manifest, record.tag)
        claimed = clock.seconds()
        if not repository.is_atomic:
            clock.sleep(CLAIM_S)
            _first(repository, state, record, in_time=claimed - begun < CLAIM_S)
        if clock.seconds() - claimed > FINISH_S:
            raise RegistryError(
                f"the promotion took longer than {FINISH_S:.0f} s and was given up",
                hint="the alias is as it was: try again",
            )
        repository.tag(manifest, record.alias, patience_s=FINISH_S)
        if repository.find(record.tag) != image.manifest.digest:
            raise OvertakenError(
                f"the record {record.tag} was overwritten",
                hint="look at `registry history`, and decide again",
            )
    return record


def _record_loss(repository: Repository, record: Record, clock: Clock) -> None:
    """The history has who was too late, too: after the winner, from the same state as that."""
    state = read_state(repository, record.alias)
    if state.newest == record.previous:
        return  # nobody was faster: somebody moved the alias without a record, or is about to move it
    late = replace(record, at=_time(repository.now or clock.now(), state))
    image = image_of_record(late)
    repository.add_blobs(image)
    repository.tag(image.manifest, late.tag)


def _time(now: datetime, state: State) -> datetime:
    """Now, and later than every record that is there, whatever clock that was written by."""
    newest = time_of(state.newest)
    return now if newest is None else max(now, newest + timedelta(microseconds=1))


def _unchanged(repository: Repository, state: State, alias: str, clock: Clock) -> float:
    """When it was looked at last, in seconds. Raises OvertakenError where the alias moved, or is about to."""
    looked = clock.seconds()
    _hold_to(repository, state, alias)
    if repository.is_atomic or not state.records:
        return looked
    newest = record_at(repository, state.newest)
    if newest is None or newest.digest == state.digest or newest.replaces != (state.digest or ""):
        return looked  # it took effect, or the alias is not what it found: it is over
    age = ((repository.now or clock.now()) - newest.at).total_seconds()
    if age < 0:  # by a clock that was ahead: how old it is cannot be known, but by then it has given up
        clock.sleep(RESPECT_S)
        looked = clock.seconds()
        _hold_to(repository, state, alias)
    elif age < RESPECT_S:
        raise OvertakenError(
            f"{newest.by or 'somebody'} began to move {alias} to {newest.version} {age:.0f} s ago",
            hint="wait two minutes for its end, look at `registry history`, and decide again",
        )
    return looked


def _hold_to(repository: Repository, state: State, alias: str) -> None:
    """Raises OvertakenError where the alias is not as it was."""
    now = read_state(repository, alias)
    if now != state:
        new = [tag for tag in now.records if tag not in state.records]
        _overtaken(repository, new[0] if new else "", alias)


def _first(repository: Repository, state: State, record: Record, *, in_time: bool) -> None:
    """Raises OvertakenError unless ours is the first claim of those that began with the same state."""
    rivals = [tag for tag in record_tags(repository.tags(), record.alias) if tag not in state.records]
    if record.tag not in rivals:
        raise DamagedError(
            f"{repository.name} took the record {record.tag}, and does not list it",
            hint="nothing was promoted; is the registry behind a cache?",
        )
    if rivals[0] != record.tag or (len(rivals) > 1 and not in_time):
        _overtaken(repository, next(tag for tag in rivals if tag != record.tag), record.alias)


def _overtaken(repository: Repository, tag: str, alias: str) -> None:
    rival = record_at(repository, tag) if tag else None
    who = f"{rival.by or 'somebody'} moves {alias} to {rival.version}" if rival else f"somebody moved {alias}"
    raise OvertakenError(
        f"{who} at the same time: nothing was promoted",
        hint="look at `registry history`, and promote again if it should still be this version",
    )
