"""From a reference to the repository behind it, and from there to an artifact that stays on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from validator.errors import UsageError
from validator.registry.errors import RegistryError
from validator.registry.fetching import Fetched, fetched
from validator.registry.image import check_sizes
from validator.registry.layout import LAYOUT_FILE, LayoutRepository
from validator.registry.reference import Reference, parse
from validator.registry.store import LAYER_BYTES, Repository

if TYPE_CHECKING:
    from validator.registry.remote.credentials import Credentials
    from validator.registry.remote.session import Effects

CHAMPION = "champion"


@contextmanager
def opened(
    place: Reference,
    environ: Mapping[str, str],
    *,
    credentials: Credentials | None = None,
    effects: Effects | None = None,
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
    known = credentials or credentials_for(place.host, environ)
    with RemoteRepository(place, credentials=known, effects=effects) as repository:
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
    wanted = place.wanted or CHAMPION
    if place.folder is not None:
        with fetched(LayoutRepository(place.folder), wanted) as found:
            yield found
        return
    cache = _cache(environ)
    if cache is not None and place.digest is not None and cache.find(place.digest):
        with fetched(cache, place.digest) as found:
            yield _under(found, place)
        return
    with opened(place, environ) as repository:
        if cache is None:
            with fetched(repository, wanted) as found:
                yield found
            return
        digest = _keep(repository, wanted, cache)
    with fetched(cache, digest) as found:
        yield _under(found, place)


def _under(found: Fetched, place: Reference) -> Fetched:
    """The artifact under the registry's name, wherever it was kept meanwhile."""
    return Fetched(
        folder=found.folder, digest=found.digest, manifest=found.manifest, reference=place.at(found.digest)
    )


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


def _cache(environ: Mapping[str, str]) -> LayoutRepository | None:
    """This user's folder of images that came from registries; None where nothing can be kept."""
    home = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else "")
    if not home:
        return None
    folder = Path(home) / "model-preflight" / "images"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    usable = os.access(folder, os.W_OK | os.X_OK) or (folder / LAYOUT_FILE).is_file()
    return LayoutRepository(folder) if usable else None


def _keep(repository: Repository, wanted: str, cache: LayoutRepository) -> str:
    """Copy an image into the cache, checked, and return its digest."""
    manifest = repository.manifest(wanted)
    if not cache.find(manifest.digest):
        check_sizes(manifest, layer_bytes=LAYER_BYTES)
        cache.keep(manifest, repository, manifest.digest.replace(":", "-"))
    return manifest.digest


def models_in(folder: Path) -> list[LayoutRepository]:
    """The repositories in the folders right below `folder`, by name. Empty where there is no such folder."""
    try:
        below = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [LayoutRepository(one) for one in below if (one / LAYOUT_FILE).is_file()]
