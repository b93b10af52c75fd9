"""An artifact folder as an OCI image, and an image as an artifact folder again.

One layer under `/models`, a configuration with labels and a manifest with annotations. Everything in them comes from
the artifact's own bytes, so the same artifact makes the same image, digest by digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from validator.artifact.read import SUMS_FILE, StoredArtifact
from validator.artifact.signing import signature_of
from validator.documents import DocumentError, read_json
from validator.errors import ArtifactError
from validator.registry.errors import DamagedError
from validator.registry.layer import FOLDER, SIGNATURE, pack, unpack
from validator.registry.store import (
    ARTIFACT_TYPE,
    CONFIG_BYTES,
    CONFIG_TYPE,
    LAYER_TYPE,
    Descriptor,
    Image,
    Manifest,
    canonical,
    digest_of,
    is_digest,
    manifest_of,
)

OURS = "io.github.model-preflight"
STANDARD = "org.opencontainers.image"
VERSION, CREATED, REVISION = f"{STANDARD}.version", f"{STANDARD}.created", f"{STANDARD}.revision"
MODEL, VERDICT, SUMS = f"{OURS}.model", f"{OURS}.verdict", f"{OURS}.sums"
PARITY, SIGNED, TOOL = f"{OURS}.parity", f"{OURS}.signed", f"{OURS}.tool-version"
_SIGNATURE_BYTES = 2**20


def image_of(stored: StoredArtifact) -> Image:
    """The image of an artifact that was read, with the signature that lies beside its folder.

    Raises
    ------
    ArtifactError
        If the signature cannot be read, or is absurdly large.
    """
    files = {f"{FOLDER}/{name}": content for name, content in stored.files.items()}
    signature = _signature(stored.path)
    if signature is not None:
        files[SIGNATURE] = signature
    labels = _labels(stored, signed=signature is not None)
    return build(files, labels, kind=ARTIFACT_TYPE, created=labels[CREATED])


def build(files: Mapping[str, bytes], labels: Mapping[str, str], *, kind: str, created: str) -> Image:
    """An image of one layer of files, with `labels` as labels and as annotations."""
    layer = pack(files)
    config = canonical({
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": created, "created_by": "model-preflight"}],
    })  # fmt: skip
    blobs = {digest_of(config): config, digest_of(layer.data): layer.data}
    manifest = manifest_of(
        kind,
        Descriptor(media_type=CONFIG_TYPE, digest=digest_of(config), size=len(config)),
        [Descriptor(media_type=LAYER_TYPE, digest=digest_of(layer.data), size=len(layer.data))],
        labels,
    )
    return Image(manifest=manifest, blobs=blobs)


def _labels(stored: StoredArtifact, *, signed: bool) -> dict[str, str]:
    """What people and registries show. Nothing decides by them: what decides is read from the artifact itself."""
    manifest = stored.manifest
    parity = manifest.get("parity")
    found = {
        f"{STANDARD}.title": str(manifest["model"].get("name", "")),
        VERSION: manifest["version"],
        CREATED: manifest["created_at"],
        REVISION: manifest["git_commit"],
        MODEL: str(manifest["model"].get("name", "")),
        VERDICT: manifest["verdict"],
        PARITY: str(parity.get("level", "")) if isinstance(parity, dict) else "",
        SUMS: digest_of(stored.files[SUMS_FILE]),
        SIGNED: "true" if signed else "false",
        TOOL: manifest["tool_version"],
    }
    return {name: text for name, text in found.items() if text}


def _signature(folder: Path) -> bytes | None:
    place = signature_of(folder)
    try:
        with place.open("rb") as file:
            content = file.read(_SIGNATURE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(
            f"the signature {place} cannot be read: {error.strerror}",
            hint="sign the artifact again, or remove it",
        ) from error
    if len(content) > _SIGNATURE_BYTES:
        raise ArtifactError(f"the signature {place} is absurdly large", hint="sign the artifact again")
    return content


def layer_and_diff_id(manifest: Manifest, config: bytes) -> tuple[Descriptor, str]:
    """The one layer of an artifact's image, and the digest of what is in it. Raises DamagedError."""
    if len(manifest.layers) != 1:
        raise _no_artifact(f"it has {len(manifest.layers)} layers, not one")
    try:
        value = read_json(config, nodes=100_000)
        diff_ids = value["rootfs"]["diff_ids"]
        (diff_id,) = diff_ids
    except (DocumentError, KeyError, TypeError, ValueError):
        raise _no_artifact("its configuration does not say what is in its layer") from None
    if not is_digest(diff_id):
        raise _no_artifact("its configuration names no SHA-256 digest of its layer")
    return manifest.layers[0], str(diff_id)


def check_sizes(manifest: Manifest, *, layer_bytes: int) -> None:
    """Raises DamagedError before anything large is fetched."""
    if manifest.config.size > CONFIG_BYTES:
        raise _no_artifact(f"its configuration is {manifest.config.size:,} bytes")
    if sum(layer.size for layer in manifest.layers) > layer_bytes:
        raise _no_artifact(f"it is larger than {layer_bytes:,} bytes, which no artifact may be")


def write_folder(packed: BinaryIO, into: Path, *, diff_id: str) -> Path:
    """Unpack a layer below `into` and return the artifact's folder in it."""
    unpack(packed, into, diff_id=diff_id)
    return into / FOLDER


def _no_artifact(why: str) -> DamagedError:
    return DamagedError(
        f"the image is none of an artifact: {why}",
        hint="name an image that `registry push` or `validate --push` wrote",
    )
