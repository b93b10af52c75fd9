"""Storing a version: only one that passed, once, and whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from validator.artifact.read import StoredArtifact, read_artifact
from validator.artifact.signing import signature_of
from validator.artifact.version import VERSION_PATTERN
from validator.errors import ArtifactError
from validator.registry.errors import NotThereError, RefusedVersionError
from validator.registry.image import MODEL, image_of, layer_and_diff_id
from validator.registry.store import Image, Manifest, Repository


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """A version that is in a repository. `is_new` is false where it was there already."""

    model: str
    version: str
    digest: str
    reference: str
    is_signed: bool
    is_new: bool


def push(repository: Repository, folder: Path, *, verify_key: Path | None = None) -> Pushed:
    """Store the artifact of a folder under its version.

    Parameters
    ----------
    repository : Repository
        Where to; it is made by its first version.
    folder : Path
        What a run of the gate wrote, with the signature beside it where there is one.
    verify_key : Path, optional
        Public key (PEM) that must have signed it.

    Returns
    -------
    Pushed
        Its digest, which is its identity from now on.

    Raises
    ------
    RefusedVersionError
        If it did not pass, is not signed by that key, is another model's than those that are there, or if the
        version is there with another content.
    ArtifactError
        If the folder is no artifact, or was changed.
    RegistryError
        If the repository does not take it. Then nothing of it can be seen there.
    """
    stored = read_artifact(folder)
    check(stored, verify_key=verify_key)
    image = image_of(stored)
    version, model = str(stored.manifest["version"]), str(stored.manifest["model"].get("name", ""))
    there = _existing(repository, version, image)
    if there is None:
        with repository.exclusive():
            there = _existing(repository, version, image)
            if there is None:
                check_name(repository, model, other_than=version)
                repository.add_blobs(image)
                repository.tag(image.manifest, version)
    digest = there.digest if there is not None else image.manifest.digest
    return Pushed(
        model=model,
        version=version,
        digest=digest,
        reference=repository.at(digest),
        is_signed=signature_of(stored.path).is_file(),
        is_new=there is None,
    )


def check(stored: StoredArtifact, *, verify_key: Path | None) -> None:
    """Raises RefusedVersionError for an artifact that did not pass, or that the key has not signed."""
    if stored.manifest["verdict"] != "pass":
        raise RefusedVersionError(
            f"{stored.manifest['version']} did not pass: {stored.manifest['reason'][:300]}",
            hint="mend the model and validate it again; a registry keeps what may ship",
        )
    if verify_key is not None:
        from validator.artifact.signing import hold_to_signature

        try:
            hold_to_signature(stored, key=verify_key, signature=signature_of(stored.path))
        except ArtifactError as error:
            raise RefusedVersionError(
                f"{stored.manifest['version']} is not signed by {verify_key}: {error.message[:300]}",
                hint="sign the artifact where it was validated, then push it: docs/signing.md",
            ) from error


def _existing(repository: Repository, version: str, image: Image) -> Manifest | None:
    """The version as it is there already, with the same content however that was compressed; None where it is not."""
    digest = repository.find(version)
    if digest is None:
        return None
    manifest = repository.manifest(digest)
    if manifest.digest == image.manifest.digest:
        return manifest
    theirs, ours = BytesIO(), image.blobs[image.manifest.config.digest]
    repository.read(manifest.config, theirs)
    if layer_and_diff_id(manifest, theirs.getvalue())[1] == layer_and_diff_id(image.manifest, ours)[1]:
        return manifest
    raise RefusedVersionError(
        f"{repository.name} has a {version} of other content: {digest}",
        hint="a version never changes: validate the model anew for another one; sign before the first push",
    )


def check_name(repository: Repository, model: str, *, other_than: str = "") -> None:
    """Raises RefusedVersionError where the repository keeps another model's versions."""
    try:
        versions = [tag for tag in repository.tags() if VERSION_PATTERN.fullmatch(tag) and tag != other_than]
    except NotThereError:
        return
    if not versions:
        return
    kept = repository.manifest(max(versions)).annotations.get(MODEL, "")
    if kept != model:
        raise RefusedVersionError(
            f"{repository.name} keeps the versions of {kept[:100]!r}, and this is one of {model[:100]!r}",
            hint="a repository keeps one model: give this one a repository of its own",
        )
