"""Writing the versioned artifact: whole or not at all, and only below the folder it was given."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from validator.artifact.manifest import canonical_json, contract_document, manifest_document
from validator.artifact.read import (
    CONTRACT_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    PROFILE_FILE,
    REPORT_FILE,
    SUMS_FILE,
    render_sums,
)
from validator.artifact.version import version_time
from validator.errors import ArtifactError
from validator.permissions import remedy
from validator.results import Artifact, FileDigest, GateResult

_ATTEMPTS = 5


def safe_name(name: str) -> str:
    """A model's name as one folder name: letters, digits, `.`, `_` and `-`, no leading dot, at most 80 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-")[:80].rstrip(".") or "model"


def write_artifact(
    directory: Path,
    *,
    result: GateResult,
    onnx: bytes | None,
    report_md: str,
    profile: bytes | None = None,
    golden: bytes | None = None,
    owner: tuple[int, int] | None = None,
) -> Artifact:
    """Write `artifact/<model name>/<version>/` below `directory` and return its path and digests.

    The folder appears whole by one rename, and takes the place of an earlier one of the same version. A failed
    result is written too, with what there is of it, and its manifest says so. `owner` is the (uid, gid) that all
    that was created is given to. The files are byte-stable if `report_md` is.

    Raises ArtifactError when a passing result comes without model or contract, when the version does not belong to
    the model, or when a folder on the way is a symbolic link or cannot be written.
    """
    _check_complete(result, onnx)
    files = artifact_files(result, onnx, report_md, profile, golden)
    try:
        made, parent = _make_parents(directory, ("artifact", safe_name(result.model.name)))
        target = parent / result.version
        with _staging_folder(parent) as staging:
            for name, content in files.items():
                _write_file(staging / name, content)
            if owner is not None:
                _give_to(owner, [*made, staging, *(staging / name for name in files)])
            _put_in_place(staging, target)
    except OSError as error:
        raise ArtifactError(
            f"the artifact cannot be written: {error}",
            hint=remedy(error, directory, "give --out a folder that can be written, with room for the model"),
        ) from error
    digests = (
        FileDigest(name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for name, content in sorted(files.items())
    )
    return Artifact(path=str(target), files=tuple(digests))


def _check_complete(result: GateResult, onnx: bytes | None) -> None:
    version_time(result.version)
    if not result.version.endswith(result.model.sha256[:8]):
        raise ArtifactError(
            f"version {result.version} does not belong to a model of SHA-256 {result.model.sha256[:8]}…",
            hint="make the version from the model's own hash",
        )
    if result.verdict == "pass" and (onnx is None or result.contract is None):
        missing = "the ONNX model" if onnx is None else "the contract"
        raise ArtifactError(
            f"a passing result came without {missing}",
            hint="report this as a bug: a run that has no such file must not pass",
        )


def artifact_files(
    result: GateResult,
    onnx: bytes | None,
    report_md: str,
    profile: bytes | None = None,
    golden: bytes | None = None,
) -> dict[str, bytes]:
    """The artifact's files by name, checksums last. Raises ArtifactError when the version is malformed."""
    files = {
        MANIFEST_FILE: canonical_json(manifest_document(result, onnx=onnx)),
        REPORT_FILE: report_md.encode("utf-8"),
    }
    if onnx is not None:
        files[MODEL_FILE] = onnx
    if profile is not None:
        files[PROFILE_FILE] = profile
    if golden is not None:
        files[GOLDEN_FILE] = golden
    if result.contract is not None:
        files[CONTRACT_FILE] = canonical_json(contract_document(result.contract))
    return files | {SUMS_FILE: _sums(files)}


def _sums(files: Mapping[str, bytes]) -> bytes:
    return render_sums({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}).encode()


def _make_parents(directory: Path, names: tuple[str, ...]) -> tuple[list[Path], Path]:
    """Folders one below the other under `directory`: those that were created, and the last of them.

    A checkout may come with links under these names, which would lead the writer out of the folder.
    """
    made: list[Path] = []
    directory.mkdir(parents=True, exist_ok=True)
    folder = directory
    for name in names:
        folder = folder / name
        try:
            folder.mkdir()
            made.append(folder)
        except FileExistsError:
            _refuse_link(folder)
    return made, folder


def _refuse_link(folder: Path) -> None:
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise ArtifactError(
            f"{folder} is in the way: it is a symbolic link or a file, not a folder",
            hint="remove it, or choose another folder with --out",
        )


@contextlib.contextmanager
def _staging_folder(parent: Path) -> Iterator[Path]:
    """A fresh folder beside the target, gone afterwards unless it was renamed."""
    staging = parent / f".writing-{secrets.token_hex(8)}"
    staging.mkdir()
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_file(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _give_to(owner: tuple[int, int], paths: list[Path]) -> None:
    for path in paths:
        os.chown(path, *owner, follow_symlinks=False)


def _put_in_place(staging: Path, target: Path) -> None:
    """Rename, first moving an earlier folder of the same version aside; it comes back if the rename fails."""
    for _ in range(_ATTEMPTS):
        aside = target.with_name(f".replaced-{secrets.token_hex(8)}")
        with contextlib.suppress(FileNotFoundError):
            _refuse_link(target)
            target.rename(aside)
        try:
            staging.rename(target)
        except OSError:
            if not target.exists() and aside.exists():
                aside.rename(target)
                raise
            if not target.exists():
                raise
        else:
            return
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise ArtifactError(
        f"{target} was replaced by another run again and again",
        hint="run one validation of a model at a time in one output folder",
    )
