"""Models that MLflow keeps: fetched by their `models:/` or `runs:/` address, and told their verdict by tags.

The address decides what is fetched and where tags go: an alias or stage is resolved to its version first, so that the
tags land on the very version that was judged, whatever the alias names by then.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator import __version__
from validator.artifact.write import safe_name
from validator.errors import PublishError, UsageError
from validator.results import GateResult
from validator.settings.anchoring import is_address
from validator.settings.table import Settings

_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))\Z")
_RUN = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/(?P<path>[^/].*)\Z")
_FORMS = "models:/NAME/VERSION, models:/NAME@ALIAS or runs:/RUN_ID/PATH"
#: Set on the version or the run: what the gate said, of which artifact, by which release, and about which bytes.
TAGS = (
    "preflight.verdict",
    "preflight.version",
    "preflight.tool_version",
    "preflight.sha256",
    "preflight.reason",
)
#: Set where what passed was pushed to a registry: the image, by digest.
IMAGE_TAG = "preflight.image"
_LONGEST_TAG = 500
_HINT = "set MLFLOW_TRACKING_URI (and its credentials) to the server that knows it"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A fetched model: the address that was given, what was judged for it, and how a tag is set there."""

    address: str
    name: str
    tag: Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The settings with paths in place of addresses, and what lies at these paths."""

    settings: Settings
    stored: Mapping[str, Stored]

    def shown(self, path: str) -> str:
        """How a model's path is told of: the address that was given for it."""
        return self.stored[path].address if path in self.stored else path

    def tell(self, path: str, result: GateResult, *, image: str = "") -> None:
        """Tag what was judged, where that is MLflow's. Raises PublishError where it does not take a tag.

        `image` is the reference, by digest, under which what passed was pushed to a registry.
        """
        if path not in self.stored:
            return
        stored = self.stored[path]
        loosened = f"Judged less strictly: {'; '.join(result.loosened)}. " if result.loosened else ""
        reason = f"{loosened}{result.reason}"
        said = (result.verdict, result.version, __version__, result.model.sha256, reason)
        pushed = ((IMAGE_TAG, image),) if image else ()
        for key, value in (*zip(TAGS, said, strict=True), *pushed):
            try:
                stored.tag(key, value[:_LONGEST_TAG])
            except Exception as error:  # MLflow's own errors, and those of whatever its store is kept in
                raise PublishError(
                    f"MLflow does not take the tag {key} of {stored.address}: {error}"[:1_000],
                    hint="may this user change it? The verdict stands all the same",
                ) from error


@contextmanager
def fetched(settings: Settings, environ: Mapping[str, str]) -> Iterator[Fetched]:
    """Fetch what the settings name by address to a folder of this run's own, which is gone at the end.

    Raises UsageError where MLflow is not installed, or does not know or give the model.
    """
    if not any(map(is_address, (*settings.model, *(entry.model for entry in settings.models)))):
        yield Fetched(settings=settings, stored={})
        return
    with tempfile.TemporaryDirectory(prefix="preflight-mlflow-", dir=environ.get("RUNNER_TEMP")) as folder:
        stored: dict[str, Stored] = {}
        places: dict[str, str] = {}

        def place(model: str) -> str:
            if is_address(model) and model not in places:
                path, found = _fetch(model, Path(folder) / str(len(places)))  # two may share a name
                stored[path], places[model] = found, path
            return places.get(model, model)

        entries = tuple(entry.model_copy(update={"model": place(entry.model)}) for entry in settings.models)
        models = tuple(map(place, settings.model))
        changed: dict[str, Any] = {"model": models, "models": entries}
        if settings.baseline is None:
            changed["baseline"] = "none"  # it lies in no Git repository
        if len(models) == 1 and settings.name is None and models[0] in stored:
            changed["name"] = safe_name(stored[models[0]].name)
        yield Fetched(settings=settings.model_copy(update=changed), stored=stored)


def _fetch(address: str, folder: Path) -> tuple[str, Stored]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import artifacts
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        from validator.extras import install_line

        raise UsageError(
            f"{address} needs the module {error.name}, which is not installed", hint=install_line("mlflow")
        ) from error
    try:
        exact, stored = _resolved(address, MlflowClient())
        own = folder / safe_name(stored.name)
        own.mkdir(parents=True)
        path = artifacts.download_artifacts(artifact_uri=exact, dst_path=str(own))
    except (MlflowException, OSError, ValueError) as error:
        raise UsageError(f"MLflow does not give {address}: {error}"[:1_000], hint=_HINT) from error
    return str(Path(path)), stored


def _resolved(address: str, client: Any) -> tuple[str, Stored]:
    """The address of the one version or run that is meant. Raises UsageError for what is no such address."""
    if found := _RUN.match(address):
        run = found["run"]
        name = found["path"].rstrip("/").rsplit("/", maxsplit=1)[-1]
        return address, Stored(
            address=address, name=name, tag=lambda key, value: client.set_tag(run, key, value)
        )
    found = _MODEL.match(address)
    if found is None:
        raise UsageError(f"{address} is no address of a model", hint=f"write {_FORMS}")
    name = found["name"]
    if found["alias"]:
        version = str(client.get_model_version_by_alias(name, found["alias"]).version)
    elif found["version"].isdigit():
        version = found["version"]
    else:
        raise UsageError(f"{address} names no version and no alias", hint=f"write {_FORMS}")
    return f"models:/{name}/{version}", Stored(
        address=f"models:/{name}/{version}",
        name=name,
        tag=lambda key, value: client.set_model_version_tag(name, version, key, value),
    )
