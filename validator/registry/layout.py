"""A repository in a folder: an OCI image layout, which skopeo, Podman and ORAS read too. No server is needed.

Blobs and the index are written beside their place, flushed, and renamed; the index comes last. Writers keep each
other out by a lock on a file in the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from validator.documents import DocumentError, read_json
from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.layout_files import (
    CHUNK,
    RESTORE,
    STAGED,
    damaged,
    file_state,
    parts_of,
    whole,
)
from validator.registry.reference import Reference
from validator.registry.store import (
    INDEX_TYPE,
    MANIFEST_BYTES,
    MANIFEST_TYPE,
    Descriptor,
    Image,
    Manifest,
    digest_of,
    is_digest,
    parse_manifest,
)
from validator.whole_file import lasting_file

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
_REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_BYTES = 64 * 2**20
_LOCK = ".lock"
#: Seconds for which another writer is waited for.
PATIENCE_S = 60.0


class LayoutRepository:
    """The repository in a folder, made by the first image that is stored. See `Repository`."""

    is_atomic = True
    now = None  # it has no clock but ours

    def __init__(self, folder: Path, *, patience_s: float = PATIENCE_S) -> None:
        self._folder = folder
        self._patience_s = patience_s
        self._held = False
        self._read_before: tuple[tuple[int, int, int], list[dict[str, Any]]] | None = None

    @property
    def name(self) -> str:
        return str(self._folder)

    def at(self, reference: str) -> str:
        return Reference(folder=self._folder).at(reference)

    def tags(self) -> list[str]:
        return sorted({tag for entry in self._entries() if (tag := _tag_of(entry)) is not None})

    def find(self, reference: str) -> str | None:
        try:
            entries = self._entries()
        except NotThereError:
            return None
        for entry in entries:
            if reference in (entry.get("digest"), _tag_of(entry)):
                return str(entry["digest"])
        return None

    def manifest(self, reference: str) -> Manifest:
        self._entries()
        digest = self.find(reference)
        if digest is None:
            raise NotThereError(
                f"{self.name} has no {reference}", hint=f"see `model-preflight registry list {self.name}`"
            )
        place = self._blob(digest)
        content = whole(place, MANIFEST_BYTES)
        if digest_of(content) != digest:
            raise damaged(place)
        return parse_manifest(content)

    def read(self, blob: Descriptor, into: BinaryIO) -> None:
        place = self._blob(blob.digest)
        found, left = hashlib.sha256(), blob.size
        for part in parts_of(place):
            left -= len(part)
            if left < 0:
                raise damaged(place)
            found.update(part)
            into.write(part)
        if left or f"sha256:{found.hexdigest()}" != blob.digest:
            raise damaged(place)

    def add_blobs(self, image: Image) -> None:
        with self._writing():
            for digest, content in image.blobs.items():
                self._store(digest, content)

    def add_blob(self, blob: Descriptor, content: IO[bytes]) -> None:
        """Store one blob from a file that was checked against its digest, from where the file stands."""
        with self._writing(), lasting_file(self._blob(blob.digest), prefix=STAGED) as file:
            shutil.copyfileobj(content, file, CHUNK)

    def last_use(self, digest: str) -> float:
        """When an image was stored or `touch`ed, in seconds since 1970; 0 where that cannot be told."""
        try:
            return self._blob(digest).stat().st_mtime
        except OSError:
            return 0.0

    def touch(self, digest: str) -> None:
        """Note that an image was used. Where nothing can be written, nothing is noted."""
        with suppress(OSError):
            os.utime(self._blob(digest))

    def digests(self) -> list[str]:
        """Of all images, under whatever tag."""
        return sorted({str(entry["digest"]) for entry in self._entries()})

    def forget_all(self) -> None:
        """Begin anew, whatever the index says."""
        with self._writing():
            self._write_index([])
            self._collect([])

    def tag(self, manifest: Manifest, tag: str, *, patience_s: float | None = None) -> None:
        del patience_s  # a folder answers or fails
        with self._writing():
            for blob in manifest.blobs:
                if not self._blob(blob.digest).is_file():
                    raise DamagedError(f"{self.name} lacks the blob {blob.digest}", hint=RESTORE)
            self._store(manifest.digest, manifest.raw)
            entries = [entry for entry in self._entries() if _tag_of(entry) != tag]
            described = Descriptor(
                media_type=MANIFEST_TYPE, digest=manifest.digest, size=len(manifest.raw)
            ).document()
            self._write_index([*entries, described | {"annotations": {_REF_NAME: tag}}])
        if self.find(tag) != manifest.digest:
            raise OvertakenError(
                f"{tag} was moved while it was written", hint="look at `registry list`, and decide again"
            )

    def delete(self, *digests: str) -> None:
        gone = set(digests)
        with self._writing():
            entries = self._entries()
            kept = [entry for entry in entries if entry.get("digest") not in gone]
            if len(kept) != len(entries):
                self._write_index(kept)
            self._collect(kept)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._writing():
            self._held = True
            try:
                yield
            finally:
                self._held = False

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; the repository is made where there is none."""
        if self._held:
            with self._told():
                yield
            return
        with self._told():
            self._refuse_other_things()
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / _LOCK).open("ab") as file:
                self._wait_for(file)
                self._make()
                yield

    def _wait_for(self, file: IO[bytes]) -> None:
        import fcntl

        ends = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= ends:
                    raise OvertakenError(
                        f"somebody else is writing to {self.name}", hint="wait for its end, and repeat"
                    ) from None
                time.sleep(0.05)
            else:
                return

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RegistryError(
                f"{self.name} cannot be written: {error.strerror}",
                hint="is there room, and may this user write there?",
            ) from error

    def _refuse_other_things(self) -> None:
        """A folder that holds anything else is not made a registry."""
        if (self._folder / LAYOUT_FILE).is_file():
            return
        ours = (_LOCK, "blobs", INDEX_FILE)
        with suppress(FileNotFoundError):
            found = sorted(entry.name for entry in self._folder.iterdir())
            others = [name for name in found if name not in ours and not name.startswith(STAGED)]
            if others:
                raise RegistryError(
                    f"{self.name} is no OCI layout: it holds {others[0][:80]!r}",
                    hint="give a folder of its own for each model, such as registry/NAME",
                )

    def _make(self) -> None:
        """An empty layout where there is none, and without what a writer that was killed left. Under the lock."""
        blobs = self._folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, blobs):
            for left in folder.glob(f"{STAGED}*"):
                left.unlink(missing_ok=True)
        if not (self._folder / INDEX_FILE).exists():
            self._write_index([])
        if not (self._folder / LAYOUT_FILE).is_file():
            _replace(self._folder / LAYOUT_FILE, b'{"imageLayoutVersion":"1.0.0"}\n')

    def _entries(self) -> list[dict[str, Any]]:
        if not (self._folder / LAYOUT_FILE).is_file():
            raise NotThereError(
                f"there is no registry in the folder {self.name}",
                hint="give another one by --registry, or push a version first",
            )
        place = self._folder / INDEX_FILE
        state = file_state(place)
        if self._read_before is not None and self._read_before[0] == state:
            return self._read_before[1]
        try:
            value = read_json(whole(place, _INDEX_BYTES))
            entries = value["manifests"]
        except (DocumentError, KeyError, TypeError) as error:
            raise DamagedError(f"{place} is no index: {error!s:.200}", hint=RESTORE) from None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and is_digest(entry.get("digest")) for entry in entries
        ):
            raise DamagedError(f"{place} is no index of manifests", hint=RESTORE)
        self._read_before = (state, entries)
        return entries

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
        _replace(self._folder / INDEX_FILE, (json.dumps(document, indent=1) + "\n").encode("ascii"))

    def _store(self, digest: str, content: bytes) -> None:
        place = self._blob(digest)
        with suppress(OSError):
            if place.stat().st_size == len(content) and digest_of(place.read_bytes()) == digest:
                return
        _replace(place, content)

    def _blob(self, digest: str) -> Path:
        return self._folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _collect(self, entries: list[dict[str, Any]]) -> None:
        """Remove blobs that nothing names. Where somebody else's images lie too, all are left."""
        named: set[str] = set()
        for entry in entries:
            if entry.get("mediaType") != MANIFEST_TYPE:
                return
            manifest = self.manifest(str(entry["digest"]))
            named |= {manifest.digest, *(blob.digest for blob in manifest.blobs)}
        for place in (self._folder / "blobs" / "sha256").iterdir():
            if f"sha256:{place.name}" not in named:
                place.unlink(missing_ok=True)


def _replace(place: Path, content: bytes) -> None:
    with lasting_file(place, prefix=STAGED) as file:
        file.write(content)


def _tag_of(entry: dict[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    tag = annotations.get(_REF_NAME) if isinstance(annotations, dict) else None
    return tag if isinstance(tag, str) else None
