"""Signing an artifact and verifying it with a key: who wrote it, where checksums only say that nothing changed since.

What is signed is `SHA256SUMS`, which accounts for every byte of the folder. The signature lies beside the folder, so
that the artifact itself stays the same byte for byte; it is one of OpenSSF Model Signing's own files, which their
command line verifies too. Works offline. Needs the extra `model-preflight[signing]`.

    python -m validator.artifact.signing sign FOLDER --key private.pem
    python -m validator.artifact.signing verify FOLDER --key public.pem
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from validator.artifact.read import SUMS_FILE, StoredArtifact, TamperedArtifactError, read_artifact
from validator.errors import ArtifactError, PreflightError, UsageError

_SUFFIX = ".sig"
_LARGEST_SIGNATURE = 1 << 20


class SignatureError(TamperedArtifactError):
    """The artifact has no signature by that key."""


def signature_of(folder: str | Path) -> Path:
    """Where the signature of an artifact folder lies: beside it, under its name with `.sig`."""
    whole = Path(folder).resolve()
    return whole.with_name(whole.name + _SUFFIX)


def sign(folder: str | Path, *, key: str | Path, password: str | None = None) -> Path:
    """Sign a passing artifact with an elliptic-curve private key (PEM) and return the signature's path.

    Raises what `read_artifact` raises; ArtifactError for one whose verdict is not a pass; UsageError for a key that
    cannot be used, or without the extra.
    """
    stored = read_artifact(folder)
    if stored.manifest["verdict"] != "pass":
        raise ArtifactError(f"{folder} did not pass: it is not signed", hint="sign what may be deployed")
    signing = _library("signing")
    target = signature_of(folder)
    with tempfile.TemporaryDirectory() as private:
        sums = _sums_in(private, stored)
        try:
            signer = signing.Config().use_elliptic_key_signer(private_key=Path(key), password=password)
            signer.sign(sums, target)
        except (ValueError, TypeError, OSError) as error:
            raise UsageError(f"cannot sign with {key}: {error}"[:500], hint=_KEYS) from error
    return target


def verify(folder: str | Path, *, key: str | Path, signature: str | Path | None = None) -> StoredArtifact:
    """Read an artifact, and hold its checksums to the signature beside it (or `signature`) by that public key (PEM).

    Raises what `read_artifact` raises; SignatureError where there is no signature, or not that key's over these
    files; UsageError for a key that cannot be read, or without the extra.
    """
    stored = read_artifact(folder)
    hold_to_signature(stored, key=key, signature=signature or signature_of(folder))
    return stored


def hold_to_signature(stored: StoredArtifact, *, key: str | Path, signature: str | Path) -> None:
    """As `verify`, for an artifact that was read already: the very bytes that were read are what is verified."""
    verifying = _library("verifying")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=Path(key))
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(f"cannot verify with {key}: {error}"[:500], hint=_KEYS) from error
    _check_readable(Path(signature))
    with tempfile.TemporaryDirectory() as private:
        try:
            verifier.verify(_sums_in(private, stored), Path(signature))
        except Exception as error:  # the library lets through what its parsers raise; nothing of it may pass
            raise SignatureError(
                f"{signature} is no signature by {key} of this {SUMS_FILE}: {type(error).__name__}: {error}"[
                    :500
                ],
                hint="do not deploy it; restore artifact and signature from where they were made",
                file=SUMS_FILE,
            ) from error


_KEYS = "give an elliptic-curve key in PEM: see docs/signing.md"


def _check_readable(signature: Path) -> None:
    if not signature.is_file():
        raise SignatureError(
            f"there is no signature {signature}",
            hint="sign the artifact where it was validated: docs/signing.md",
        )
    if signature.stat().st_size > _LARGEST_SIGNATURE:
        raise SignatureError(f"{signature} is absurdly large", hint="restore it from where it was made")


def _sums_in(folder: str, stored: StoredArtifact) -> Path:
    """The checksums as they were read, alone in a folder that nobody else writes to."""
    sums = Path(folder) / SUMS_FILE
    sums.write_bytes(stored.files[SUMS_FILE])
    return sums


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise UsageError(
            f"signatures need the package model-signing: {error}",
            hint="pip install 'model-preflight[signing]'",
        ) from error


def main(argv: Sequence[str] | None = None) -> int:
    """`sign` or `verify` from the command line; 0 when done, else 1 or 2 with one message."""
    parser = argparse.ArgumentParser(prog="python -m validator.artifact.signing")
    parser.add_argument("action", choices=("sign", "verify"))
    parser.add_argument("folder", help="the artifact folder")
    parser.add_argument(
        "--key", required=True, help="private key to sign with, or public key to verify with (PEM)"
    )
    given = parser.parse_args(argv)
    try:
        if given.action == "sign":
            print(f"signed: {sign(given.folder, key=given.key)}")
        else:
            print(f"verified: {verify(given.folder, key=given.key).manifest['version']}")
    except PreflightError as error:
        print(f"{given.action}: {error}", file=sys.stderr)
        return 1 if isinstance(error, ArtifactError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
