"""Which artifact is served, whether it may be, and what is told of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validator.artifact.read import StoredArtifact, read_artifact, read_leniently
from validator.serving.errors import FailedArtifactError, OptionError


def open_artifact(artifact: str | Path, override: str | None) -> tuple[StoredArtifact, dict[str, Any] | None]:
    """The verified artifact, and the override that was needed or given.

    Raises the errors of `read_artifact`, OptionError for what is no path, and FailedArtifactError when its verdict is
    `fail` or an override gives no reason.
    """
    if not isinstance(artifact, (str, os.PathLike)):
        raise OptionError(
            f"artifact is {artifact!r:.80}, no path", hint="give the folder of one version as a str or Path"
        )
    if override is None:
        stored = read_artifact(artifact)
        if stored.manifest["verdict"] != "pass":
            raise FailedArtifactError(
                f"{stored.path} failed validation: {stored.manifest['reason'][:500]}",
                hint="mend the model and validate it again; to serve it all the same, give override='the reason'",
            )
        return stored, None
    if not override.strip():
        raise FailedArtifactError(
            "the override gives no reason", hint="say why, in words: metadata() shows it"
        )
    stored = read_leniently(artifact)
    refused_for = list(stored.problems)
    if stored.manifest.get("verdict") == "fail":
        refused_for.append(f"failed validation: {str(stored.manifest.get('reason'))[:500]}")
    return stored, {"reason": override, "refused_for": refused_for}


def hold_to_key(stored: StoredArtifact, key: str | Path) -> None:
    """Raises SignatureError unless the signature beside the folder is by that public key, over what was read."""
    from validator.artifact.signing import SignatureError, hold_to_signature, signature_of

    if stored.problems:
        raise SignatureError(
            f"{stored.path} cannot be held to a signature: {stored.problems[0]}",
            hint="restore the folder from where it was built; an override does not help here",
        )
    hold_to_signature(stored, key=key, signature=signature_of(stored.path))


def describe(
    stored: StoredArtifact, override: Mapping[str, Any] | None, session: Any, *, threads: int | None
) -> dict[str, Any]:
    """What `Deployment.metadata()` shows: the manifest, the contract, and how it is served."""
    import hashlib

    import onnxruntime

    manifest = {"version": "unjudged", "verdict": None} | stored.manifest
    return manifest | {
        "contract": stored.contract,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(stored.files.items())},
        "serving": {
            "path": str(stored.path),
            "override": None if override is None else dict(override),
            "onnxruntime": onnxruntime.__version__,
            "providers": session.get_providers(),
            "threads": threads,
        },
    }
