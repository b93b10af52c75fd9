"""A repository in an OCI registry, held to what it says: every digest, every length, every tag that was written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO

import httpx

from validator.answers import Effects
from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.reference import Reference
from validator.registry.remote.credentials import Credentials
from validator.registry.remote.session import DEADLINE_S, Reply, Session
from validator.registry.store import (
    INDEX_TYPE,
    MANIFEST_BYTES,
    MANIFEST_TYPE,
    Descriptor,
    Image,
    Manifest,
    digest_of,
    is_digest,
    is_tag,
    parse_manifest,
)

_ACCEPT = f"{MANIFEST_TYPE}, {INDEX_TYPE}"
_PAGE = 1000
_MOST_TAGS, _MOST_PAGES = 200_000, 5_000
_LIST_BYTES = 16 * 2**20


class RemoteRepository:
    """The repository of a reference. See `Repository`; close it after use.

    Parameters
    ----------
    place : Reference
        Host and repository; tag and digest do not matter.
    credentials : Credentials, optional
        For that host alone.
    effects : Effects, optional
        Transport, clock and sleep.
    deadline_s : float
        For all that is asked of it together, in seconds.
    writes : bool
        Whether it will be written to: credentials that may not write are found at once then.
    """

    is_atomic = False

    def __init__(
        self,
        place: Reference,
        *,
        credentials: Credentials | None = None,
        effects: Effects | None = None,
        deadline_s: float = DEADLINE_S,
        writes: bool = False,
    ) -> None:
        self._place = place.place
        self._api = f"/v2/{_path_of(place)}"
        self._session = Session(
            place.host,
            is_plain=place.is_plain,
            credentials=credentials,
            effects=effects or Effects(),
            deadline_s=deadline_s,
            repository=_path_of(place),
            writes=writes,
        )

    def __repr__(self) -> str:
        return f"RemoteRepository({self.name!r})"

    def __enter__(self) -> RemoteRepository:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    @property
    def name(self) -> str:
        return self._place.name

    def at(self, reference: str) -> str:
        return self._place.at(reference)

    def tags(self) -> list[str]:
        found: list[str] = []
        seen: set[str] = set()
        path = f"{self._api}/tags/list?n={_PAGE}"
        while path:
            if path in seen:
                raise self._lies("lists its tags in circles")
            seen.add(path)
            reply = self._page(path)
            found += self._tags_in(reply)
            if len(found) > _MOST_TAGS or len(seen) > _MOST_PAGES:
                raise RegistryError(f"{self.name} has more tags than can be read", hint="prune it")
            path = self._next_page(reply)
        return found

    @property
    def now(self) -> datetime | None:
        return self._session.now

    def find(self, reference: str) -> str | None:
        try:
            reply = self._manifest(reference, "HEAD")
        except NotThereError:
            return None
        digest = reply.headers.get("docker-content-digest", "")
        if not is_digest(digest):
            return self.manifest(reference).digest
        self._hold(reference, digest)
        return str(digest)

    def manifest(self, reference: str) -> Manifest:
        reply = self._asked(lambda: self._manifest(reference, "GET"), reference or "image without a tag")
        digest = digest_of(reply.content)
        self._hold(reference, digest)
        stated = reply.headers.get("docker-content-digest", digest)
        if stated != digest:
            raise self._lies(f"says {stated[:80]!r} of a manifest that is {digest}")
        return parse_manifest(reply.content)

    def read(self, blob: Descriptor, into: BinaryIO) -> None:
        sink = _Hashed(into)
        path = f"{self._api}/blobs/{blob.digest}"
        self._asked(lambda: self._session.get(path, limit=blob.size, sink=sink), blob.digest)
        if sink.size != blob.size:
            raise self._lies(f"sent {sink.size:,} bytes of a blob of {blob.size:,}")
        if sink.digest != blob.digest:
            raise self._lies(f"sent other bytes than those of {blob.digest}")

    def add_blobs(self, image: Image) -> None:
        for digest, content in image.blobs.items():
            if not self._has(digest):
                self._add(digest, content)

    def tag(self, manifest: Manifest, tag: str, *, patience_s: float | None = None) -> None:
        path = f"{self._api}/manifests/{tag}"
        self._session.repeat(
            lambda: self._session.send(
                "PUT",
                path,
                headers={"Content-Type": MANIFEST_TYPE},
                content=manifest.raw,
                timeout_s=patience_s,
            ),
            f"tag {tag}",
            patience_s=patience_s,
        )
        found = self.find(tag)
        if found != manifest.digest:
            raise OvertakenError(
                f"{self.name}:{tag} was written, and is now {found or 'not there'}",
                hint="somebody else wrote it at the same time: look at `registry list`, and decide again",
            )

    def delete(self, *digests: str) -> None:
        for digest in digests:
            self._delete(digest)

    def _delete(self, digest: str) -> None:
        path = f"{self._api}/manifests/{digest}"
        try:
            self._session.repeat(lambda: self._session.send("DELETE", path), "a deletion")
        except NotThereError:
            return
        except RegistryError as error:
            if "status 405" in error.message or "UNSUPPORTED" in error.message:
                raise RegistryError(
                    f"{self.name} does not let anything be deleted",
                    hint="switch deletion on there, or use the registry's own retention",
                ) from error
            raise

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nothing: the protocol has no locks. Whoever needs one must do without."""
        yield

    def _manifest(self, reference: str, method: str) -> Reply:
        if not is_digest(reference) and not is_tag(reference):
            raise NotThereError(
                f"{reference[:80]!r} is neither tag nor digest", hint="give a version, an alias, or sha256:…"
            )
        path = f"{self._api}/manifests/{reference}"
        return self._session.get(path, accept=_ACCEPT, limit=MANIFEST_BYTES, method=method)

    def _page(self, path: str) -> Reply:
        return self._asked(lambda: self._session.get(path, limit=_LIST_BYTES), "")

    def _asked(self, ask: Callable[[], Reply], what: str) -> Reply:
        """The reply; where nothing is there, in words of what was asked for."""
        try:
            return ask()
        except NotThereError:
            if what:
                raise NotThereError(
                    f"{self.name} has no {what[:200]}",
                    hint=f"see `model-preflight registry list {self._place.address}`",
                ) from None
            raise NotThereError(
                f"there is no repository {self.name}",
                hint="check the name, and that you may read it; the first push makes it",
            ) from None

    def _add(self, digest: str, content: bytes) -> None:
        self._session.repeat(lambda: self._upload(digest, content), "an upload")
        if not self._has(digest):
            raise self._lies(f"took the blob {digest}, and does not have it")

    def _has(self, digest: str) -> bool:
        try:
            self._session.get(f"{self._api}/blobs/{digest}", method="HEAD")
        except NotThereError:
            return False
        return True

    def _upload(self, digest: str, content: bytes) -> None:
        """In two steps, the whole blob in the second. A session that breaks is forgotten by the registry."""
        begun = self._session.send("POST", f"{self._api}/blobs/uploads/")
        location = self._session.location(begun)
        url = httpx.URL(location).copy_merge_params({"digest": digest})
        self._session.send(
            "PUT", str(url), headers={"Content-Type": "application/octet-stream"}, content=content
        )

    def _hold(self, reference: str, digest: str) -> None:
        if is_digest(reference) and digest != reference:
            raise self._lies(f"gave {digest} for {reference}")

    def _tags_in(self, reply: Reply) -> list[str]:
        try:
            tags = json.loads(reply.content)["tags"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._lies("sent no list of tags") from None
        if tags is None:
            return []
        if not isinstance(tags, list):
            raise self._lies("sent no list of tags")
        return [tag for tag in tags if is_tag(tag)]

    def _next_page(self, reply: Reply) -> str:
        match = re.search(r'<([^>]*)>\s*;\s*rel="?next"?', reply.headers.get("link", ""))
        if match is None:
            return ""
        target = httpx.URL(self._session.joined(reply.url, match[1]))
        return target.raw_path.decode("ascii")

    def _lies(self, what: str) -> DamagedError:
        return DamagedError(
            f"{self.name} {what}", hint="nothing of it was used; ask whoever runs the registry, and try again"
        )


class _Hashed:
    """A file that is written anew with each try, and what its bytes are."""

    def __init__(self, into: BinaryIO) -> None:
        self._into = into
        self.begin()

    def begin(self) -> None:
        self._hash, self.size = hashlib.sha256(), 0
        self._into.seek(0)
        self._into.truncate()

    def take(self, part: bytes) -> None:
        self._hash.update(part)
        self.size += len(part)
        self._into.write(part)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _path_of(place: Reference) -> str:
    """Images of Docker Hub without an owner belong to `library`."""
    is_hub = place.host in ("docker.io", "index.docker.io")
    return f"library/{place.repository}" if is_hub and "/" not in place.repository else place.repository
