"""Images that came from registries, kept in a folder of this user's by their digests.

So a server starts again without its registry. What is kept decides nothing: every byte is checked when it is used,
and what is damaged, or cannot be kept, is fetched from the registry again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.fetching import Fetched, empty, fetch_into
from validator.registry.layout import LAYOUT_FILE, LayoutRepository
from validator.registry.store import Descriptor, Manifest, Source

#: So many images are kept, those used last, and no more than so many bytes of them; the last one always.
MOST_IMAGES, MOST_BYTES = 20, 8 * 2**30


def cache_of(environ: Mapping[str, str]) -> Cache | None:
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
    return Cache(LayoutRepository(folder)) if usable else None


class Cache:
    """Images by digest in a layout folder. Nothing that goes wrong with it is the caller's concern."""

    def __init__(self, images: LayoutRepository) -> None:
        self._images = images

    def fetch(self, digest: str, folder: Path) -> Fetched | None:
        """An image out of it into an empty folder, as `fetch_into` does; None where it is not there and whole."""
        try:
            found = fetch_into(self._images, digest, folder)
        except NotThereError:
            return None
        except DamagedError:
            empty(folder)
            with suppress(RegistryError, OvertakenError):
                self._images.delete(digest)
            return None
        self._images.touch(digest)
        return found

    def fetch_through(self, repository: Source, wanted: str, folder: Path) -> Fetched:
        """An image from a registry into an empty folder, and kept here. Raises what `fetch_into` raises."""
        manifest = repository.manifest(wanted)
        if (found := self.fetch(manifest.digest, folder)) is not None:
            return found
        self._mend()
        keeping = _Keeping(repository, self._images)
        found = fetch_into(keeping, wanted, folder)
        with suppress(RegistryError, OvertakenError):
            if keeping.is_whole:
                self._images.tag(found.manifest, found.digest.replace(":", "-"))
            self._prune(found.digest)
        return found

    def _mend(self) -> None:
        """Begin anew where the list of images is broken."""
        with suppress(RegistryError, OvertakenError):
            try:
                self._images.digests()
            except DamagedError:
                self._images.forget_all()

    def _prune(self, newest: str) -> None:
        others = (one for one in self._images.digests() if one != newest)
        old = sorted(others, key=self._images.last_use, reverse=True)
        remove: list[str] = []
        size, kept = self._size(newest) or 0, 1
        for digest in old:
            more = self._size(digest)
            if more is None or kept >= MOST_IMAGES or size + more > MOST_BYTES:
                remove.append(digest)
            else:
                size, kept = size + more, kept + 1
        if remove:
            self._images.delete(*remove)

    def _size(self, digest: str) -> int | None:
        try:
            return sum(blob.size for blob in self._images.manifest(digest).blobs)
        except RegistryError:
            return None


class _Keeping:
    """A registry whose blobs are stored in the cache too as they are read, as long as it takes them."""

    def __init__(self, source: Source, images: LayoutRepository) -> None:
        self._source, self._images = source, images
        self.is_whole = True

    def manifest(self, reference: str) -> Manifest:
        return self._source.manifest(reference)

    def at(self, reference: str) -> str:
        return self._source.at(reference)

    @property
    def name(self) -> str:
        return self._source.name

    def read(self, blob: Descriptor, into: BinaryIO) -> None:
        self._source.read(blob, into)
        into.seek(0)
        try:
            self._images.add_blob(blob, into)
        except (RegistryError, OvertakenError):
            self.is_whole = False
