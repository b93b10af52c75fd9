"""Moving an alias to a version, and back: one at a time, with a record before the move and both read back after it.

A layout folder has a lock. A registry has none, and takes the last of two writers without a word; so a promotion claims
the alias by its record first, waits until every other claim that began with the same state must be visible, and goes on
only if its own is the earliest. That is safe as long as a registry shows what it has taken, and each promoter keeps to
its own time limits, which it does: by then it either has the alias, or gives up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from validator.artifact.version import VERSION_PATTERN
from validator.errors import UsageError
from validator.registry.errors import (
    DamagedError,
    NotThereError,
    OvertakenError,
    RefusedVersionError,
    RegistryError,
)
from validator.registry.fetching import fetched
from validator.registry.history import (
    ALIAS_PATTERN,
    Record,
    image_of_record,
    read_record,
    record_tags,
)
from validator.registry.image import MODEL
from validator.registry.pushing import check
from validator.registry.store import Manifest, Repository

#: Seconds in which a claim is made, and for which each waits before it looks for others.
CLAIM_S = 3.0
#: Seconds after its claim in which a promotion ends, or gives up.
FINISH_S = 30.0
#: Seconds for which somebody else's unfinished claim is respected.
RESPECT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time of day for records, seconds for limits, and waiting."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class Why:
    """Who moves an alias, for what reason, and the page that shows it."""

    by: str
    reason: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """What an alias names (None for nothing), and the tags of its records, the oldest first."""

    digest: str | None
    records: tuple[str, ...]

    @property
    def newest(self) -> str:
        return self.records[-1] if self.records else ""


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """An alias that was moved: the record of it, the model's name, and a reference to what the alias names now.

    `is_new` is false where the alias named that version already; then nothing was written.
    """

    record: Record
    model: str
    reference: str
    is_new: bool = True


def read_state(repository: Repository, alias: str) -> State:
    """What an alias names now."""
    return State(digest=repository.find(alias), records=tuple(record_tags(repository.tags(), alias)))


def promote(
    repository: Repository,
    version: str,
    why: Why,
    *,
    alias: str = "champion",
    verify_key: Path | None = None,
    clock: Clock | None = None,
) -> Promoted:
    """Let an alias name a version.

    Parameters
    ----------
    repository : Repository
        Where the version is.
    version : str
        Its version, another tag, or its digest.
    why : Why
        For the history.
    alias : str
        `champion`, `candidate`, or a name of your own: lower case, digits and hyphens.
    verify_key : Path, optional
        Public key (PEM) that must have signed the version.
    clock : Clock, optional
        Time and waiting.

    Returns
    -------
    Promoted
        The record that the history has of it.

    Raises
    ------
    RefusedVersionError
        If the version did not pass, is not signed by that key, or is of another model than the alias names.
    OvertakenError
        If somebody else moves the alias: nothing was promoted.
    NotThereError, DamagedError, RegistryError
        If the version cannot be had whole, or the repository does not answer.
    """
    check_alias(alias)
    state = read_state(repository, alias)
    manifest, draft, model = _checked(repository, version, alias, verify_key)
    if state.digest == manifest.digest and state.records:
        newest = _record(repository, state.newest)
        if newest is not None and newest.digest == manifest.digest:
            return Promoted(
                record=newest, model=model, reference=repository.at(manifest.digest), is_new=False
            )
    _same_model(repository, state, model)
    below = effective(repository, state)
    record = replace(draft, replaces=state.digest or "", below=below.tag if below else "")
    return _moved(repository, manifest, _signed(record, why), state, model, clock or Clock())


def rollback(
    repository: Repository,
    why: Why,
    *,
    alias: str = "champion",
    verify_key: Path | None = None,
    clock: Clock | None = None,
) -> Promoted:
    """Let an alias name again what it named before: once more goes further back. Parameters and errors of `promote`.

    Raises
    ------
    UsageError
        If there is nothing to go back to.
    """
    check_alias(alias)
    state = read_state(repository, alias)
    current = effective(repository, state)
    if state.digest is None or current is None:
        told = (
            "names nothing"
            if state.digest is None
            else f"names {state.digest}, which its history does not know"
        )
        raise UsageError(
            f"{repository.name}: {alias} {told}", hint=f"promote a version: `registry promote … --to {alias}`"
        )
    target = _record(repository, current.below) if current.below else None
    digest = target.digest if target is not None else current.replaces
    if not digest:
        raise UsageError(
            f"{repository.name}: {alias} has named nothing before {current.version}",
            hint="promote another version: `registry list` shows them",
        )
    manifest, draft, model = _checked(repository, digest, alias, verify_key)
    record = replace(
        draft, action="rollback", replaces=state.digest, below=target.below if target is not None else ""
    )
    return _moved(repository, manifest, _signed(record, why), state, model, clock or Clock())


def check_alias(alias: str) -> None:
    """Raises UsageError for what can be no alias."""
    if not ALIAS_PATTERN.fullmatch(alias):
        raise UsageError(
            f"{alias[:80]!r} is no alias",
            hint="give lower-case letters, digits and hyphens, such as champion",
        )


def effective(repository: Repository, state: State) -> Record | None:
    """The record by which the alias names what it names; None where none does."""
    for tag in reversed(state.records):
        record = _record(repository, tag)
        if record is not None and record.digest == state.digest:
            return record
        if record is not None and record.replaces == state.digest:
            continue  # it never took effect, or was undone: what it found is what is there
        return None
    return None


def _record(repository: Repository, tag: str) -> Record | None:
    try:
        return read_record(repository.manifest(tag))
    except NotThereError:
        return None


def _checked(
    repository: Repository, wanted: str, alias: str, verify_key: Path | None
) -> tuple[Manifest, Record, str]:
    """Fetch a version and look at what is really in it. Its labels decide nothing."""
    with fetched(repository, wanted) as found:
        stored = found.read()
        check(stored, verify_key=verify_key)
        record = Record(
            alias=alias,
            action="promote",
            at=datetime.min.replace(tzinfo=UTC),
            digest=found.digest,
            version=str(stored.manifest["version"]),
            commit=str(stored.manifest["git_commit"]),
            signed_by="" if verify_key is None else _fingerprint(verify_key),
        )
        return found.manifest, record, str(stored.manifest["model"].get("name", ""))


def _fingerprint(key: Path) -> str:
    from validator.registry.store import digest_of

    return digest_of(key.read_bytes())[:23]


def _same_model(repository: Repository, state: State, model: str) -> None:
    if state.digest is None:
        return
    known = repository.manifest(state.digest).annotations.get(MODEL, "")
    if known and known != model:
        raise RefusedVersionError(
            f"this is a version of {model[:100]!r}, and the alias names one of {known[:100]!r}",
            hint="push each model to a repository of its own",
        )


def _signed(record: Record, why: Why) -> Record:
    return replace(record, by=why.by[:200], reason=why.reason[:1000], url=why.url[:500])


def _moved(
    repository: Repository, manifest: Manifest, draft: Record, state: State, model: str, clock: Clock
) -> Promoted:
    """Claim, look around, move, read back."""
    with repository.exclusive():
        at = _time(clock.now(), state)
        record = replace(draft, at=at, previous=state.newest)
        image = image_of_record(record)
        repository.add_blobs(image)
        begun = clock.seconds()
        _unchanged(repository, state, record.alias, at)
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
        repository.tag(manifest, record.alias)
        if repository.find(record.tag) != image.manifest.digest:
            raise OvertakenError(
                f"the record {record.tag} was overwritten",
                hint="look at `registry history`, and decide again",
            )
    return Promoted(record=record, model=model, reference=repository.at(manifest.digest))


def _time(now: datetime, state: State) -> datetime:
    """Now, and later than every record that is there, whatever clock that was written by."""
    if state.records:
        newest = datetime.strptime(state.newest.split(".")[1], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
        return max(now, newest + timedelta(microseconds=1))
    return now


def _unchanged(repository: Repository, state: State, alias: str, at: datetime) -> None:
    """Raises OvertakenError where the alias moved since it was looked at, or is about to be moved."""
    now = read_state(repository, alias)
    if now != state:
        _overtaken(repository, now.newest if now.newest != state.newest else "", alias)
    if repository.is_atomic or not state.records:
        return
    newest = _record(repository, state.newest)
    if newest is None or newest.digest == state.digest:
        return
    age = (at - newest.at).total_seconds()
    if age < RESPECT_S:
        raise OvertakenError(
            f"{newest.by or 'somebody'} began to move {alias} to {newest.version} {age:.0f} s ago",
            hint="wait a minute for its end, look at `registry history`, and decide again",
        )


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
    rival = _record(repository, tag) if tag else None
    who = f"{rival.by or 'somebody'} moves {alias} to {rival.version}" if rival else f"somebody moved {alias}"
    raise OvertakenError(
        f"{who} at the same time: nothing was promoted",
        hint="look at `registry history`, and promote again if it should still be this version",
    )


def versions_of(tags: list[str]) -> list[str]:
    """The versions among tags, the newest first."""
    return sorted((tag for tag in tags if VERSION_PATTERN.fullmatch(tag)), reverse=True)
