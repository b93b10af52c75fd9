"""A repository in a folder: an OCI image layout, which skopeo, Podman and ORAS read too. No server is needed.

Blobs and the index are written beside their place, flushed, and renamed; the index comes last. Writers keep each
other out by a lock on a file in the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from validator.documents import DocumentError, read_json
from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.reference import Reference
from validator.registry.store import (
    INDEX_TYPE,
    MANIFEST_BYTES,
    MANIFEST_TYPE,
    Descriptor,
    Image,
    Manifest,
    Repository,
    digest_of,
    is_digest,
    parse_manifest,
)

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
_REF_NAME = "org.opencontainers.image.ref.name"
_INDEX_BYTES = 64 * 2**20
_CHUNK = 2**20
_RESTORE = "restore the folder from a copy; what `registry push` wrote can be pushed again"


class LayoutRepository:
    """The repository in a folder, made by the first image that is stored. See `Repository`."""

    is_atomic = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = False

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
        content = _read(place, MANIFEST_BYTES)
        if digest_of(content) != digest:
            raise _damaged(place)
        return parse_manifest(content)

    def read(self, blob: Descriptor, into: BinaryIO) -> None:
        place = self._blob(blob.digest)
        found, left = hashlib.sha256(), blob.size
        try:
            with place.open("rb") as file:
                while part := file.read(_CHUNK):
                    left -= len(part)
                    if left < 0:
                        raise _damaged(place)
                    found.update(part)
                    into.write(part)
        except OSError as error:
            raise _unreadable(place, error) from error
        if left or f"sha256:{found.hexdigest()}" != blob.digest:
            raise _damaged(place)

    def add_blobs(self, image: Image) -> None:
        with self._writing():
            for digest, content in image.blobs.items():
                self._store(digest, content)

    def keep(self, manifest: Manifest, source: Repository, tag: str) -> None:
        """Copy an image from another place, blob by blob, each checked before it has its name. Raises as both do."""
        with self._writing():
            for blob in manifest.blobs:
                self._copy(blob, source)
        self.tag(manifest, tag)

    def _copy(self, blob: Descriptor, source: Repository) -> None:
        place = self._blob(blob.digest)
        with _staged(place) as staged, staged.open("xb") as file:
            source.read(blob, file)
            file.flush()
            os.fsync(file.fileno())
            staged.replace(place)

    def tag(self, manifest: Manifest, tag: str, *, patience_s: float | None = None) -> None:
        del patience_s  # a folder answers or fails
        with self._writing():
            for blob in manifest.blobs:
                if not self._blob(blob.digest).is_file():
                    raise DamagedError(f"{self.name} lacks the blob {blob.digest}", hint=_RESTORE)
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

    def delete(self, digest: str) -> None:
        with self._writing():
            entries = self._entries()
            kept = [entry for entry in entries if entry.get("digest") != digest]
            if len(kept) != len(entries):
                self._write_index(kept)
            self._collect(kept)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        import fcntl

        self._make()
        with self._told(), (self._folder / ".lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OvertakenError(
                    f"somebody else is writing to {self.name}", hint="wait for its end, and repeat"
                ) from None
            self._held = True
            try:
                yield
            finally:
                self._held = False

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A single write: waits for its turn, unless the caller holds the lock."""
        import fcntl

        self._make()
        if self._held:
            with self._told():
                yield
            return
        with self._told(), (self._folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RegistryError(
                f"{self.name} cannot be written: {error.strerror}",
                hint="is there room, and may this user write there?",
            ) from error

    def _make(self) -> None:
        """An empty layout where there is none. Refuses a folder that holds anything else."""
        with self._told():
            if (self._folder / LAYOUT_FILE).is_file():
                return
            with suppress(FileNotFoundError):
                known = (".lock", "blobs", INDEX_FILE)
                others = sorted(entry.name for entry in self._folder.iterdir() if entry.name not in known)
                if others:
                    raise RegistryError(
                        f"{self.name} is no OCI layout: it holds {others[0][:80]!r}",
                        hint="give a folder of its own for each model, such as registry/NAME",
                    )
            (self._folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            if not (self._folder / INDEX_FILE).exists():
                self._write_index([])
            _replace(self._folder / LAYOUT_FILE, b'{"imageLayoutVersion":"1.0.0"}\n')

    def _entries(self) -> list[dict[str, Any]]:
        if not (self._folder / LAYOUT_FILE).is_file():
            raise NotThereError(
                f"there is no registry in the folder {self.name}",
                hint="give another one by --registry, or push a version first",
            )
        place = self._folder / INDEX_FILE
        try:
            value = read_json(_read(place, _INDEX_BYTES))
            entries = value["manifests"]
        except (DocumentError, KeyError, TypeError) as error:
            raise DamagedError(f"{place} is no index: {error!s:.200}", hint=_RESTORE) from None
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and is_digest(entry.get("digest")) for entry in entries
        ):
            raise DamagedError(f"{place} is no index of manifests", hint=_RESTORE)
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


def _tag_of(entry: dict[str, Any]) -> str | None:
    annotations = entry.get("annotations")
    tag = annotations.get(_REF_NAME) if isinstance(annotations, dict) else None
    return tag if isinstance(tag, str) else None


def _read(place: Path, limit: int) -> bytes:
    try:
        with place.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise _unreadable(place, error) from error
    if len(content) > limit:
        raise DamagedError(f"{place} is absurdly large", hint=_RESTORE)
    return content


def _replace(place: Path, content: bytes) -> None:
    """A whole file or none, on the disk before it has its name."""
    with _staged(place) as staged:
        with staged.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(place)


@contextmanager
def _staged(place: Path) -> Iterator[Path]:
    """A name beside the place, where nothing is left in the end."""
    staged = place.with_name(f".writing-{secrets.token_hex(8)}")
    try:
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _unreadable(place: Path, error: OSError) -> DamagedError:
    return DamagedError(f"{place} cannot be read: {error.strerror}", hint=_RESTORE)


def _damaged(place: Path) -> DamagedError:
    return DamagedError(f"{place} was changed: its content is not what its name says", hint=_RESTORE)
