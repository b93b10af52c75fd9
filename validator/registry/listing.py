"""What a repository holds: its versions, which of them aliases name, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from validator.artifact.version import VERSION_PATTERN, version_time
from validator.errors import ArtifactError
from validator.registry.errors import DamagedError
from validator.registry.history import is_alias
from validator.registry.image import CREATED, MODEL, PARITY, REVISION, SIGNED, SUMS, TOOL, VERDICT, VERSION
from validator.registry.store import Repository


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One version of a list. `digest` is None where it was not asked for; `created` is an ISO time."""

    version: str
    created: str
    digest: str | None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The newest versions of a repository; `total` counts all, `unknown` are aliases of what is no version here."""

    versions: tuple[Listed, ...]
    total: int
    aliases: Mapping[str, str]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One version, by its image's labels: for people to read. What decides is read from the artifact itself."""

    reference: str
    digest: str
    version: str
    model: str
    verdict: str
    parity: str
    created: str
    commit: str
    tool_version: str
    sums: str
    size_bytes: int
    is_signed: bool
    aliases: tuple[str, ...]


def listing(repository: Repository, *, limit: int | None = 20) -> Listing:
    """The versions of a repository, the newest first.

    Parameters
    ----------
    repository : Repository
        To be asked once for its tags, once for each alias, and once for each version that is shown.
    limit : int, optional
        Most versions to show; None for all, which then come without their digests, unless an alias names them.
    """
    tags = repository.tags()
    aliases = {alias: digest for alias in aliases_of(tags) if (digest := repository.find(alias)) is not None}
    versions = versions_of(tags)
    named = {digest: _version_of(repository, digest) for digest in sorted(set(aliases.values()))}
    shown = versions if limit is None else _shown(versions, limit, named.values())
    digests = {version: digest for digest, version in named.items()}
    if limit is not None:
        digests |= {
            one: found for one in shown if one not in digests and (found := repository.find(one)) is not None
        }
    return Listing(
        versions=tuple(
            Listed(
                version=one,
                created=_time(one),
                digest=digests.get(one),
                aliases=tuple(sorted(alias for alias, digest in aliases.items() if named.get(digest) == one)),
            )
            for one in shown
        ),
        total=len(versions),
        aliases=aliases,
        unknown=tuple(sorted(alias for alias, digest in aliases.items() if named[digest] not in versions)),
    )


def _shown(versions: Sequence[str], limit: int, named: Iterable[str]) -> list[str]:
    """The newest, and those that aliases name, however old."""
    newest, wanted = set(versions[:limit]), set(named)
    return [one for one in versions if one in newest or one in wanted]


def shown(repository: Repository, wanted: str) -> Shown:
    """One version in full."""
    manifest = repository.manifest(wanted)
    notes = manifest.annotations
    tags = repository.tags()
    return Shown(
        reference=repository.at(manifest.digest),
        digest=manifest.digest,
        version=notes.get(VERSION, ""),
        model=notes.get(MODEL, ""),
        verdict=notes.get(VERDICT, ""),
        parity=notes.get(PARITY, ""),
        created=notes.get(CREATED, ""),
        commit=notes.get(REVISION, ""),
        tool_version=notes.get(TOOL, ""),
        sums=notes.get(SUMS, ""),
        size_bytes=sum(layer.size for layer in manifest.layers),
        is_signed=notes.get(SIGNED) == "true",
        aliases=tuple(alias for alias in aliases_of(tags) if repository.find(alias) == manifest.digest),
    )


def versions_of(tags: Sequence[str]) -> list[str]:
    """The versions among tags, the newest first."""
    return sorted((tag for tag in tags if VERSION_PATTERN.fullmatch(tag)), reverse=True)


def aliases_of(tags: Sequence[str]) -> list[str]:
    """The tags that are neither versions nor records: whoever set them may rely on them."""
    return sorted(tag for tag in tags if is_alias(tag, VERSION_PATTERN))


def _version_of(repository: Repository, digest: str) -> str:
    """The version that an image says it is; empty for what is no image of ours."""
    try:
        return repository.manifest(digest).annotations.get(VERSION, "")
    except DamagedError:
        return ""


def _time(version: str) -> str:
    try:
        return version_time(version)
    except ArtifactError:
        return ""
