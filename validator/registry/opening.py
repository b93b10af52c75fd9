"""From a reference to the repository behind it, and from there to an artifact that stays on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from validator.errors import UsageError
from validator.registry.cache import cache_of
from validator.registry.errors import RegistryError
from validator.registry.fetching import Fetched, fetch_into, private_folder
from validator.registry.layout import LAYOUT_FILE, LayoutRepository
from validator.registry.reference import Reference, parse
from validator.registry.store import Repository

if TYPE_CHECKING:
    from validator.answers import Effects
    from validator.registry.remote.credentials import Credentials

CHAMPION = "champion"


@contextmanager
def opened(
    place: Reference,
    environ: Mapping[str, str],
    *,
    credentials: Credentials | None = None,
    effects: Effects | None = None,
    writes: bool = False,
) -> Iterator[Repository]:
    """The repository of a reference, until the block ends.

    Parameters
    ----------
    place : Reference
        Where it is.
    environ : mapping
        Says where credentials are looked for.
    credentials : Credentials, optional
        Used instead of those.
    effects : Effects, optional
        Transport, clock and sleep of a registry.
    writes : bool
        Whether it will be written to. A registry is asked for that right from the first on.

    Raises
    ------
    UsageError
        If the extra `model-preflight[registry]` is not installed, and it is needed.
    RegistryError
        If credentials that are there cannot be read.
    """
    if place.folder is not None:
        yield LayoutRepository(place.folder)
        return
    try:
        from validator.registry.remote.credentials import credentials_for
        from validator.registry.remote.repository import RemoteRepository
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("validator"):
            raise
        from validator.extras import install_line

        raise UsageError(
            f"a registry needs the module {error.name}, which is not installed", hint=install_line(error.name)
        ) from error
    known = credentials or credentials_for(place.host, environ, repository=place.repository)
    with RemoteRepository(place, credentials=known, effects=effects, writes=writes) as repository:
        yield repository


@contextmanager
def opened_artifact(text: str, environ: Mapping[str, str], *, pinned: bool = False) -> Iterator[Fetched]:
    """The artifact of a reference, in a folder that is there until the block ends.

    A registry's image is kept in this user's cache, by its digest: where it is there already, a reference by digest
    needs no registry. With `pinned` a digest is insisted on.

    Raises
    ------
    UsageError
        If it names no version, or no digest where one is insisted on.
    NotThereError, DamagedError, RegistryError
        If it cannot be had, whole and as it was.
    """
    place = parse(text)
    if pinned and place.digest is None:
        raise _unpinned(place, environ)
    with private_folder() as folder:
        found = _fetch(place, environ, folder)
        yield replace(found, reference=place.at(found.digest))  # wherever it was kept meanwhile


def _fetch(place: Reference, environ: Mapping[str, str], folder: Path) -> Fetched:
    wanted = place.wanted or CHAMPION
    if place.folder is not None:
        return fetch_into(LayoutRepository(place.folder), wanted, folder)
    cache = cache_of(environ)
    kept = cache.fetch(place.digest, folder) if cache is not None and place.digest is not None else None
    if kept is not None:
        return kept
    with opened(place, environ) as repository:
        if cache is None:
            return fetch_into(repository, wanted, folder)
        return cache.fetch_through(repository, wanted, folder)


def _unpinned(place: Reference, environ: Mapping[str, str]) -> UsageError:
    wanted = place.tag or CHAMPION
    try:
        with opened(place, environ) as repository:
            digest = repository.find(wanted)
    except RegistryError:
        digest = None
    shown = place.at(digest) if digest else place.at("sha256:…")
    return UsageError(
        f"{place.at(wanted)} names no digest, and a tag can move",
        hint=f"what is served is pinned: {shown}"
        if digest
        else f"give {shown}, as `registry show` prints it",
    )


def models_in(folder: Path) -> list[LayoutRepository]:
    """The repositories in the folders right below `folder`, by name. Empty where there is no such folder."""
    try:
        below = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [LayoutRepository(one) for one in below if (one / LAYOUT_FILE).is_file()]
