"""What a place that keeps images can do: a folder and a registry alike."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from validator.documents import DocumentError, read_json
from validator.registry.errors import DamagedError, SeveralImagesError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ARTIFACT_TYPE = "application/vnd.model-preflight.artifact.v1"
PROMOTION_TYPE = "application/vnd.model-preflight.promotion.v1"
#: Of a manifest; the specification's own limit.
MANIFEST_BYTES = 4 * 2**20
CONFIG_BYTES = 2**20
#: Of an artifact, compressed or not.
LAYER_BYTES = 4 * 2**30
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST_TEXT = 4096


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no blanks, ASCII alone. Raises ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def digest_of(content: bytes) -> str:
    """`sha256:…` of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: object) -> bool:
    """Whether a text is a digest of the one kind that is taken."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_tag(text: object) -> bool:
    """Whether a text may be a tag."""
    return isinstance(text, str) and _TAG.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a blob is, by the word of whoever names it: media type, digest (``sha256:…``), size in bytes."""

    media_type: str
    digest: str
    size: int

    def document(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"digest": self.digest, "mediaType": self.media_type, "size": self.size}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """An image's manifest: its very bytes, and what was read from them."""

    raw: bytes = field(repr=False)
    digest: str
    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return (self.config, *self.layers)


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is about to be stored: its manifest, and its blobs by digest."""

    manifest: Manifest
    blobs: Mapping[str, bytes] = field(repr=False)


class Source(Protocol):
    """Where images are read.

    Every read is checked before it is handed out: bytes against their digest, and lengths against what was stated.
    Methods raise NotThereError, DamagedError, or RegistryError for all else that keeps a place from answering.
    """

    @property
    def name(self) -> str:
        """As a person writes it, without tag."""

    def manifest(self, reference: str) -> Manifest:
        """The manifest of a tag or digest."""

    def read(self, blob: Descriptor, into: BinaryIO) -> None:
        """Write the blob's bytes into an empty file."""

    def at(self, reference: str) -> str:
        """A reference that this tool takes, to a tag or digest of this place."""


class Repository(Source, Protocol):
    """The images of one model, under tags."""

    @property
    def is_atomic(self) -> bool:
        """Whether `exclusive` keeps every other writer out. A registry's own protocol has no such thing."""

    @property
    def now(self) -> datetime | None:
        """The place's own time of day; None where it has no clock but ours, or has told nothing yet."""

    def tags(self) -> list[str]:
        """All tags, in no order. NotThereError where there is no such repository."""

    def find(self, reference: str) -> str | None:
        """The digest of a tag or digest; None where there is none."""

    def add_blobs(self, image: Image) -> None:
        """Store what a manifest will name. Nobody sees it until `tag`."""

    def tag(self, manifest: Manifest, tag: str, *, patience_s: float | None = None) -> None:
        """Store a manifest under a tag, and read it back. Nothing is tried any more after `patience_s` seconds."""

    def delete(self, *digests: str) -> None:
        """Remove manifests with all their tags; that one is gone already is as good. A folder is tidied up too."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other writers out as far as the place can. OvertakenError where one stays in."""


def manifest_of(
    artifact_type: str, config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]
) -> Manifest:
    """A manifest in the one canonical form."""
    raw = canonical({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": artifact_type,
        "config": config.document(),
        "layers": [layer.document() for layer in layers],
        "annotations": dict(annotations),
    })  # fmt: skip
    return parse_manifest(raw)


def parse_manifest(raw: bytes) -> Manifest:
    """Read a stranger's manifest. Raises DamagedError where it is none of an image."""
    if len(raw) > MANIFEST_BYTES:
        raise _no_manifest(f"it is larger than {MANIFEST_BYTES:,} bytes")
    try:
        value = read_json(raw, nodes=100_000)
    except DocumentError as error:
        raise _no_manifest(str(error)) from None
    if not isinstance(value, dict):
        raise _no_manifest("it is no object")
    if "manifests" in value:
        raise SeveralImagesError(_digests_in(value["manifests"]))
    layers = value.get("layers")
    if not isinstance(layers, list) or not layers:
        raise _no_manifest("it names no layer")
    annotations = value.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise _no_manifest("its annotations are no object")
    kind = value.get("artifactType")
    return Manifest(
        raw=raw,
        digest=digest_of(raw),
        artifact_type=kind if isinstance(kind, str) else "",
        config=_descriptor(value.get("config")),
        layers=tuple(_descriptor(layer) for layer in layers),
        annotations={
            name: text[:_LONGEST_TEXT] for name, text in annotations.items() if isinstance(text, str)
        },
    )


def _digests_in(entries: object) -> frozenset[str]:
    if not isinstance(entries, list):
        return frozenset()
    named = (entry.get("digest") for entry in entries if isinstance(entry, dict))
    return frozenset(str(digest) for digest in named if is_digest(digest))


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise _no_manifest("a part of it is not described")
    kind, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(kind, str) or not is_digest(digest) or type(size) is not int or size < 0:
        raise _no_manifest("a part of it is not described by media type, SHA-256 digest and size")
    return Descriptor(media_type=kind[:200], digest=str(digest), size=size)


def _no_manifest(why: str) -> DamagedError:
    return DamagedError(
        f"what is there is no image of an artifact: {why}",
        hint="name an image that `registry push` or `validate --push` wrote",
    )
