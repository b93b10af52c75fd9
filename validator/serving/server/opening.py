"""From a reference to a model that may be served, and everything that its artifact says about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from validator.artifact.read import GOLDEN_FILE, SUMS_FILE, StoredArtifact
from validator.errors import UsageError
from validator.profile import PROFILE_FILE, Profile, parse_profile
from validator.serving.deployment import Deployment
from validator.serving.errors import FailedArtifactError
from validator.serving.identity import hold_to_key, open_artifact
from validator.serving.metrics.server import Served
from validator.serving.server.example import example_row

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
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
    """Where an artifact lies on this machine. `digest` is the registry's, None for a plain folder."""

    folder: Path
    digest: str | None = None


def locate(reference: str) -> Located:
    """The folder of a reference. Raises UsageError for one that only a registry can resolve."""
    if _SCHEME.match(reference):
        raise UsageError(
            f"{reference[:200]} is not on this machine, and this release fetches nothing",
            hint="pull the artifact, and give the folder that holds its manifest.json",
        )
    folder = Path(reference)
    if (folder / "oci-layout").exists():
        raise UsageError(
            f"{folder} is an OCI layout, which this release does not read",
            hint="give the folder that holds the artifact's manifest.json",
        )
    return Located(folder=folder)


def open_model(reference: str, *, override: str | None = None, verify_key: Path | None = None) -> Opened:
    """Read, verify and load. Everything comes from the bytes that were verified.

    Raises what `Deployment.load` raises, and UsageError for a reference that is none.
    """
    located = locate(reference)
    stored, overridden = open_artifact(located.folder, override)
    if verify_key is not None:
        hold_to_key(stored, verify_key)
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
