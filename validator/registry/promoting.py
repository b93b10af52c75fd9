"""Moving an alias to a version, and back. What may be moved is decided here, and moved in `claiming`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from validator.errors import UsageError
from validator.registry.claiming import Clock, State, effective, move, read_state
from validator.registry.errors import (
    NotThereError,
    RefusedVersionError,
)
from validator.registry.fetching import fetched
from validator.registry.history import (
    ALIAS_PATTERN,
    Record,
    record_at,
)
from validator.registry.image import MODEL
from validator.registry.pushing import check
from validator.registry.store import Manifest, Repository


@dataclass(frozen=True, kw_only=True)
class Why:
    """Who moves an alias, for what reason, and the page that shows it."""

    by: str
    reason: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """An alias that was moved: the record of it, the model's name, and a reference to what the alias names now.

    `is_new` is false where the alias named that version already; then nothing was written.
    """

    record: Record
    model: str
    reference: str
    is_new: bool = True


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
    below = effective(repository, state)
    if below is not None and below.digest == manifest.digest:
        return Promoted(record=below, model=model, reference=repository.at(manifest.digest), is_new=False)
    _same_model(repository, state, model)
    record = replace(draft, replaces=state.digest or "", below=below.tag if below else "")
    return _move(repository, manifest, _signed(record, why), state, model, clock or Clock())


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
    target = record_at(repository, current.below) if current.below else None
    gone = current.below if target is None else ""
    found_before = current.replaces if current.action == "promote" else ""
    digest = target.digest if target is not None else found_before
    if not digest and gone:
        raise NotThereError(
            f"{repository.name}: the record {gone} is gone, which told what {alias} named before",
            hint="promote another version: `registry history` and `registry list` show them",
        )
    if not digest:
        raise UsageError(
            f"{repository.name}: {alias} has named nothing before {current.version}",
            hint="promote another version: `registry list` shows them",
        )
    if repository.find(digest) is None:
        raise NotThereError(
            f"{repository.name} no longer has {target.version if target else digest}, which {alias} named before",
            hint="promote another version: `registry list` shows them",
        )
    manifest, draft, model = _checked(repository, digest, alias, verify_key)
    below = target.below if target is not None else gone
    record = replace(draft, action="rollback", replaces=state.digest, below=below)
    return _move(repository, manifest, _signed(record, why), state, model, clock or Clock())


def check_alias(alias: str) -> None:
    """Raises UsageError for what can be no alias."""
    if not ALIAS_PATTERN.fullmatch(alias):
        raise UsageError(
            f"{alias[:80]!r} is no alias",
            hint="give lower-case letters, digits and hyphens, such as champion",
        )


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


def _move(
    repository: Repository, manifest: Manifest, draft: Record, state: State, model: str, clock: Clock
) -> Promoted:
    record = move(repository, manifest, draft, state, clock)
    return Promoted(record=record, model=model, reference=repository.at(manifest.digest))
