"""What is monitored: a model by its artifact, with the bins that its servers count in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from validator.artifact.read import PROFILE_FILE, read_artifact, read_leniently
from validator.errors import ArtifactError
from validator.profile import Column, Profile, parse_profile
from validator.serving.metrics.bins import MOST_FEATURES, MOST_OUTPUTS, shown_name
from validator.serving.server.opening import path_name


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model. `model` and `version` are its labels in the metrics; its columns those that are counted."""

    model: str
    version: str
    profile: Profile

    @property
    def features(self) -> tuple[Column, ...]:
        return self.profile.features[:MOST_FEATURES]

    @property
    def outputs(self) -> tuple[Column, ...]:
        return self.profile.outputs[:MOST_OUTPUTS]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """As the label `feature` shows them."""
        return tuple(shown_name(column.name) for column in self.features)

    @property
    def output_names(self) -> tuple[str, ...]:
        """As the label `output` shows them."""
        return tuple(shown_name(column.name) for column in self.outputs)


def read_subject(artifact: str, *, override: str | None = None) -> Subject:
    """Read and verify an artifact.

    Raises
    ------
    ArtifactError
        If it cannot be read, or holds no profile: nothing could be compared with.
    """
    stored = (read_leniently if override else read_artifact)(artifact)
    if PROFILE_FILE not in stored.files:
        raise ArtifactError(
            f"the artifact {artifact} holds no {PROFILE_FILE}: there is nothing to compare live data with",
            hint="validate the model again with this release, which writes it",
        )
    identity = stored.manifest.get("model")
    name = identity.get("name") if isinstance(identity, dict) else None
    return Subject(
        model=path_name(name if isinstance(name, str) else Path(artifact).resolve().parent.name),
        version=str(stored.manifest.get("version", "")),
        profile=parse_profile(stored.files[PROFILE_FILE]),
    )
