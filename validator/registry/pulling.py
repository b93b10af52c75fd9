"""A version out of a repository into a folder that stays."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from validator.artifact.read import SUMS_FILE
from validator.artifact.signing import signature_of
from validator.errors import UsageError
from validator.registry.errors import RegistryError
from validator.registry.fetching import Fetched, fetch_into
from validator.registry.pushing import check
from validator.registry.store import Repository

_STAGED = ".pulling-"
_LONG_AGO_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """An artifact on this machine. `is_new` is false where it was there already."""

    folder: Path
    version: str
    digest: str
    reference: str
    is_signed: bool
    is_new: bool


def pull(
    repository: Repository, wanted: str, target: Path | None = None, *, verify_key: Path | None = None
) -> Pulled:
    """Write a version's artifact, and its signature beside it.

    Parameters
    ----------
    repository : Repository
        Where it is.
    wanted : str
        Tag or digest.
    target : Path, optional
        The artifact's folder to make; by default one named by the version, in the current folder.
    verify_key : Path, optional
        Public key (PEM) that must have signed it.

    Raises
    ------
    UsageError
        If something else is in the way.
    RefusedVersionError
        If it did not pass, or is not signed by that key.
    NotThereError, DamagedError, RegistryError
        If it cannot be had whole. Then nothing is written.
    """
    target = _named_target(target)
    parent = (target.parent if target is not None else Path()).resolve()
    staging = _staging(parent)
    try:
        found = fetch_into(repository, wanted, staging)
        stored = found.read()
        check(stored, verify_key=verify_key)
        version = str(stored.manifest["version"])
        place = parent / (target.name if target is not None else version)
        is_signed = signature_of(found.folder).is_file()
        is_new = _put(found, place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Pulled(
        folder=target if target is not None else Path(version),
        version=version,
        digest=found.digest,
        reference=found.reference,
        is_signed=is_signed,
        is_new=is_new,
    )


def _staging(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob(f"{_STAGED}*"):  # by a pull that was killed
            if left.stat().st_mtime < time.time() - _LONG_AGO_S:
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_STAGED, dir=parent))
    except OSError as error:
        raise RegistryError(
            f"{parent} cannot be written: {error.strerror}", hint="give another folder with -o"
        ) from error


def _named_target(target: Path | None) -> Path | None:
    """The folder that is meant; None for the version's name in the current folder."""
    if target is None or target.name not in ("", ".."):
        return target
    raise UsageError(
        f"{target} is a folder that is there, not one to make", hint="name it: -o DIR/NAME, or leave -o out"
    )


def _put(found: Fetched, place: Path) -> bool:
    """Move the folder to its place, the signature first. False where the same is there."""
    signature, beside = signature_of(found.folder), signature_of(place)
    is_there = place.exists() or place.is_symlink()
    if is_there and not _same(found.folder, place):
        raise _in_the_way(place)
    if beside.exists() or beside.is_symlink():
        same = _equal(signature, beside) if signature.is_file() else is_there
        if not same:
            raise _in_the_way(beside)
    try:
        if signature.is_file():
            signature.replace(beside)
        if not is_there:
            found.folder.rename(place)
    except OSError as error:
        raise RegistryError(
            f"{place} cannot be written: {error.strerror}", hint="give another folder with -o"
        ) from error
    return not is_there


def _in_the_way(place: Path) -> UsageError:
    return UsageError(
        f"{place} is in the way, and is not this version's", hint="remove it, or give another folder with -o"
    )


def _same(one: Path, other: Path) -> bool:
    from validator.artifact.read import read_artifact
    from validator.errors import ArtifactError

    try:
        return read_artifact(other).files[SUMS_FILE] == (one / SUMS_FILE).read_bytes()
    except ArtifactError:
        return False


def _equal(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()
