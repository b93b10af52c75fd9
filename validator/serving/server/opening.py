"""From a reference to a model that may be served, and everything that its artifact says about it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from validator.artifact.read import GOLDEN_FILE, SUMS_FILE, StoredArtifact
from validator.profile import PROFILE_FILE, Profile, parse_profile
from validator.registry.opening import opened_artifact
from validator.registry.reference import is_reference, parse
from validator.serving.deployment import Deployment
from validator.serving.errors import FailedArtifactError
from validator.serving.identity import hold_to_key, open_artifact
from validator.serving.metrics.server import Served
from validator.serving.server.example import example_row

DEFAULT_SLO_MS = 50.0


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model that may be served. `example` is a row that its contract allows."""

    deployment: Deployment
    served: Served
    identity: Mapping[str, Any]
    profile: Profile | None
    golden: bytes | None
    example: Mapping[str, Any]

    @property
    def slo_ms(self) -> float:
        """The limit that the gate held the model to."""
        stated = self.profile.slo_ms if self.profile else None
        return stated or DEFAULT_SLO_MS


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where an artifact lies here; of an image until the block ends. `digest` and `name` are the image's."""

    folder: Path
    digest: str | None = None
    name: str | None = None


@contextmanager
def locate(reference: str, environ: Mapping[str, str] = os.environ) -> Iterator[Located]:
    """The folder of a reference: a path, or an image by digest, fetched where it is not in this user's cache.

    Raises
    ------
    UsageError
        For an image without a digest (what is served is pinned), and for an address of another kind.
    RegistryError
        If it cannot be had, whole and as it was.
    """
    if not is_reference(reference) and not Path(reference).exists() and "://" in reference:
        parse(reference)
    if not is_reference(reference):
        yield Located(folder=Path(reference))
        return
    with opened_artifact(reference, environ, pinned=True) as found:
        yield Located(folder=found.folder, digest=found.digest, name=found.reference.rpartition("://")[2])


def open_model(reference: str, *, override: str | None = None, verify_key: Path | None = None) -> Opened:
    """Read, verify and load. Everything comes from the bytes that were verified.

    Raises what `Deployment.load` raises, what `locate` raises, and UsageError for a reference that is none.
    """
    with locate(reference) as located:
        stored, overridden = open_artifact(located.folder, override)
        if verify_key is not None:
            hold_to_key(stored, verify_key)
    if located.digest is not None:
        stored = replace(stored, path=Path(located.name or reference))
    deployment = Deployment.from_stored(stored, overridden)
    identity = deployment.metadata()
    contract = identity["contract"]
    profile = stored.files.get(PROFILE_FILE)
    return Opened(
        deployment=deployment,
        served=_served(identity, located, stored),
        identity=identity,
        profile=None if profile is None else _fitting(parse_profile(profile), contract),
        golden=stored.files.get(GOLDEN_FILE),
        example=example_row(contract),
    )


def _served(identity: Mapping[str, Any], located: Located, stored: StoredArtifact) -> Served:
    """Labels from the manifest. An artifact that nobody judged has no name: it is called `unjudged`."""
    model = identity.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    override = identity["serving"]["override"]
    sums = stored.files.get(SUMS_FILE, b"")
    return Served(
        model=path_name(name if isinstance(name, str) else "unjudged"),
        version=str(identity["version"])[:80],
        digest=located.digest or f"sha256:{hashlib.sha256(sums).hexdigest()}",
        verdict=str(identity["verdict"] or "none"),
        override="" if override is None else str(override["reason"])[:200],
        created_s=_created(identity.get("created_at")),
    )


def path_name(name: str) -> str:
    """A model's name as part of a path and as a label: letters, digits, `.`, `_`, `-`, as its folder is named."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-")[:80].rstrip(".") or "model"


def _created(text: Any) -> float:
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _fitting(profile: Profile, contract: Mapping[str, Any]) -> Profile:
    """Raises FailedArtifactError for a profile of other features than the contract's."""
    known = {feature["name"] for feature in contract["features"]}
    strange = [column.name for column in profile.features if column.name not in known]
    if strange:
        raise FailedArtifactError(
            f"{PROFILE_FILE} tells of {strange[0][:100]!r}, which the contract does not know",
            hint="validate the model again; the artifact's files do not belong together",
        )
    return profile
