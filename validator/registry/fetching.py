"""From a reference to an artifact on this machine, every digest checked on the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from validator.artifact.read import MANIFEST_FILE, StoredArtifact, parse_object, read_artifact
from validator.artifact.version import VERSION_PATTERN
from validator.errors import ArtifactError
from validator.registry.errors import DamagedError, RegistryError
from validator.registry.image import VERSION, check_sizes, layer_and_diff_id, write_folder
from validator.registry.store import LAYER_BYTES, Manifest, Source, is_digest


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """An artifact that came from a repository: its folder, the signature beside it; `digest` is the image's."""

    folder: Path
    digest: str
    manifest: Manifest
    reference: str

    def read(self) -> StoredArtifact:
        """The artifact, verified against its own checksums. Raises what `read_artifact` raises."""
        try:
            return read_artifact(self.folder)
        except ArtifactError as error:
            error.message = error.message.replace(str(self.folder), self.reference)
            raise


@contextmanager
def fetched(repository: Source, wanted: str, *, layer_bytes: int = LAYER_BYTES) -> Iterator[Fetched]:
    """Fetch an image by tag or digest into a folder of its own, which is gone afterwards.

    Raises
    ------
    NotThereError, DamagedError, RegistryError
        If there is none, or it is not what it says, or the repository does not answer.
    """
    with private_folder() as folder:
        yield fetch_into(repository, wanted, folder, layer_bytes=layer_bytes)


def fetch_into(repository: Source, wanted: str, folder: Path, *, layer_bytes: int = LAYER_BYTES) -> Fetched:
    """The same into `folder`, which must be empty: the artifact comes to lie in `folder/models`."""
    manifest = repository.manifest(wanted)
    if is_digest(wanted) and manifest.digest != wanted:
        raise DamagedError(f"{repository.name} gave another image for {wanted}", hint="fetch it again")
    check_sizes(manifest, layer_bytes=layer_bytes)
    config = BytesIO()
    repository.read(manifest.config, config)
    layer, diff_id = layer_and_diff_id(manifest, config.getvalue())
    with _no_room(), tempfile.TemporaryFile(dir=folder) as packed:
        repository.read(layer, packed)
        packed.seek(0)
        artifact = write_folder(packed, folder, diff_id=diff_id)
    found = Fetched(
        folder=artifact, digest=manifest.digest, manifest=manifest, reference=repository.at(manifest.digest)
    )
    _check_name(found, wanted)
    return found


def _check_name(found: Fetched, wanted: str) -> None:
    """A version's tag must lead to that version, and the image's label must name the version that is in it."""
    try:
        manifest = (found.folder / MANIFEST_FILE).read_bytes()
        version = parse_object(manifest, name=MANIFEST_FILE).get("version")
    except (OSError, ArtifactError) as error:
        raise DamagedError(
            f"the image {found.digest} holds no artifact: its {MANIFEST_FILE} cannot be read",
            hint="name an image that `registry push` or `validate --push` wrote",
        ) from error
    stated = found.manifest.annotations.get(VERSION)
    if stated is not None and stated != version:
        raise DamagedError(
            f"the image {found.digest} is labelled {stated[:80]!r} and holds {version!r:.80}",
            hint="push the artifact again",
        )
    if VERSION_PATTERN.fullmatch(wanted) and wanted != version:
        raise DamagedError(
            f"the tag {wanted} leads to {version!r:.80}",
            hint="somebody moved the tag: find the version by its digest, and mend the tag",
        )


def empty(folder: Path) -> None:
    """Remove what a fetch that was given up has left in its folder."""
    for place in folder.iterdir():
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for what is fetched, gone afterwards. Raises RegistryError where none can be made."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="preflight-image-"))
    except OSError as error:
        raise RegistryError(
            f"there is no place for temporary files: {error.strerror}",
            hint="make one, and name it with TMPDIR: of a container's, mount one (--tmpfs /tmp)",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RegistryError(
            f"the image cannot be unpacked: {error.strerror}", hint="is there room, in TMPDIR too?"
        ) from error
