"""Removing old versions: never one that an alias names, nor one that a rollback may need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from validator.artifact.version import version_time
from validator.registry.errors import DamagedError, NotThereError, RegistryError, SeveralImagesError
from validator.registry.history import RECORD_PATTERN, records
from validator.registry.listing import aliases_of, versions_of
from validator.registry.store import Repository


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Versions by tag and digest: what would be removed, and how many are kept why."""

    remove: tuple[tuple[str, str], ...]
    newest: int
    named: int
    earlier: int


def plan(repository: Repository, *, keep: int, keep_promoted: int, before: str | None = None) -> Plan:
    """What may be removed.

    Parameters
    ----------
    repository : Repository
        Asked once for each version.
    keep : int
        So many of the newest versions stay.
    keep_promoted : int
        So many of the last promotions of each alias stay, to go back to.
    before : str, optional
        An ISO time (``2026-01-31T00:00:00Z``): younger versions stay too.
    """
    tags = repository.tags()
    versions = {tag: digest for tag in versions_of(tags) if (digest := repository.find(tag)) is not None}
    newest = {digest for number, digest in enumerate(versions.values()) if number < keep}
    named = _Named(repository, versions.values()).at(tags)
    earlier = {
        record.digest
        for alias in _recorded(tags)
        for record in records(repository, _last(tags, alias, keep_promoted))
    }
    young = {digest for tag, digest in versions.items() if before is not None and version_time(tag) >= before}
    kept = newest | named | earlier | young
    return Plan(
        remove=tuple((tag, digest) for tag, digest in versions.items() if digest not in kept),
        newest=len(newest | young),
        named=len(named & set(versions.values())),
        earlier=len(earlier & set(versions.values())),
    )


def remove(repository: Repository, planned: Plan) -> list[str]:
    """Remove what was planned, each looked at once more just before; the versions that are gone now.

    Raises
    ------
    RegistryError
        If the place does not remove one. It says how many were removed before.
    """
    gone: list[str] = []
    named = _Named(repository, [digest for _, digest in planned.remove])
    with repository.exclusive():
        steps = [planned.remove] if repository.is_atomic else [(one,) for one in planned.remove]
        for step in steps:
            kept = named.at(repository.tags())
            still = [one for one in step if one[1] not in kept and repository.find(one[0]) == one[1]]
            try:
                repository.delete(*(digest for _, digest in still))
            except RegistryError as error:
                error.message = (
                    f"{error.message} (of {len(planned.remove)} versions {len(gone)} were removed)"
                )
                raise
            gone += [tag for tag, _ in still]
    return gone


class _Named:
    """The digests that aliases name, also within an index of images. One that cannot be read stops everything."""

    def __init__(self, repository: Repository, versions: Iterable[str]) -> None:
        self._repository = repository
        self._within = {digest: frozenset((digest,)) for digest in versions}

    def at(self, tags: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for alias in aliases_of(tags):
            digest = self._repository.find(alias)
            if digest is None:
                raise NotThereError(
                    f"the alias {alias} is listed and cannot be read",
                    hint="nothing more is removed: try again",
                )
            if digest not in self._within:
                self._within[digest] = self._digests(digest)
            found |= self._within[digest]
        return found

    def _digests(self, digest: str) -> frozenset[str]:
        try:
            self._repository.manifest(digest)
        except SeveralImagesError as error:
            return error.digests | {digest}
        except DamagedError:  # no image of ours, so it names none
            return frozenset((digest,))
        return frozenset((digest,))


def _recorded(tags: Sequence[str]) -> set[str]:
    return {match[1] for tag in tags if (match := RECORD_PATTERN.fullmatch(tag)) is not None}


def _last(tags: Sequence[str], alias: str, count: int) -> list[str]:
    from validator.registry.history import record_tags

    found = record_tags(tags, alias)
    return found[len(found) - min(count, len(found)) :]
