"""From the setting `baseline` to the version to compare with: the one place that knows what it may mean."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from validator.artifact.read import MANIFEST_FILE, PROFILE_FILE, SUMS_FILE, StoredArtifact, read_artifact
from validator.artifact.version import VERSION_PATTERN
from validator.baseline.base import Base, NoBase
from validator.baseline.git_objects import NewFileError, NotInGitError, Snapshot, pull_request_base, read_at
from validator.errors import ArtifactError, ModelError, PreflightError, UsageError
from validator.model.file import identify, read_verified
from validator.paths import is_there
from validator.registry.opening import CHAMPION, opened, opened_artifact
from validator.registry.reference import is_reference, looks_remote, parse
from validator.results import Contract, GateResult

_RESULT_BYTES = 256 * 2**20
_OFF = "none"
RESULT_FILE = "result.json"


def find_base(baseline: str | None, model: str, environ: Mapping[str, str]) -> Base | NoBase:
    """The version to compare `model` (a path) with.

    Without a setting it is the base branch on a pull request, and nothing elsewhere; that nothing is found there
    is no error. Raises UsageError, ArtifactError or RegistryError when a version was asked for by name and cannot be
    read.
    """
    if baseline == _OFF:
        return NoBase(reason="No base version: the comparison is switched off.")
    if baseline is None:
        return _default(model, environ)
    if _is_image(baseline):
        return _of_image(baseline, environ)
    place = Path(baseline)
    if is_there(place):
        return _at_path(place, baseline)
    try:
        return _of_snapshot(read_at(Path(model), baseline), baseline, model)
    except NewFileError:
        return NoBase(name=baseline, reason=f"A new model: there is none at this path in {baseline}.")
    except NotInGitError as error:
        raise UsageError(f"--baseline {baseline}: no file, and {error.message}", hint=error.hint) from error


def _is_image(baseline: str) -> bool:
    """Whether a registry or a layout folder is meant. A Git reference may look like a host's name."""
    return baseline.startswith(("oci:", "oci+http:", "oci+https:")) or (
        is_reference(baseline) and not looks_remote(baseline)
    )


def _of_image(baseline: str, environ: Mapping[str, str]) -> Base | NoBase:
    """The version that a registry's tag, or digest, names. An alias that is not there yet is no error."""
    place = parse(baseline)
    wanted = place.wanted or CHAMPION
    with opened(place, environ) as repository:
        digest = repository.find(wanted)
    if digest is None:
        if place.digest is not None or VERSION_PATTERN.fullmatch(wanted):
            raise UsageError(
                f"--baseline {baseline}: {place.name} has no {wanted}",
                hint="see `model-preflight registry list`",
            )
        reason = f"No base version: {place.name} has no {wanted} yet."
        return NoBase(name=baseline, reason=reason, missing=True)
    with opened_artifact(place.place.at(digest), environ) as found:
        base = _of_artifact(found.read(), baseline)
    named = "" if wanted == digest else f"{wanted} is {digest[:19]}…"
    return Base(**{**vars(base), "origin": ", ".join(part for part in (named, base.origin) if part)})


def _default(model: str, environ: Mapping[str, str]) -> Base | NoBase:
    branch = environ.get("GITHUB_BASE_REF", "")
    if not branch:
        return NoBase(reason="No base version: this is no pull request, and `baseline` names none.")
    reference = pull_request_base(Path(model), branch)
    name = f"origin/{branch}"
    try:
        return _of_snapshot(read_at(Path(model), reference), name, model)
    except NewFileError:
        return NoBase(name=name, reason=f"A new model: there is none at this path in {branch}.")
    except (UsageError, ModelError) as error:
        reason = f"No base version: {error.message}. To compare, {error.hint}."
        return NoBase(name=name, reason=reason, missing=True)


def _at_path(place: Path, name: str) -> Base:
    if (place / RESULT_FILE).is_file():
        return _of_result(place / RESULT_FILE, name)
    if place.is_dir() and not (place / "MLmodel").is_file():
        return _of_artifact(read_artifact(place), name)
    if place.is_dir() or not _is_result(place):
        return _of_file(place, name)
    return _of_result(place, name)


def _is_result(place: Path) -> bool:
    """Whether a JSON file is a result of ours rather than a model."""
    if place.suffix != ".json":
        return False
    with place.open("rb") as file:
        head = file.read(4096)
    return b'"schema_version"' in head and b'"tool_version"' in head


def _of_file(place: Path, name: str, *, shown: str = "") -> Base:
    try:
        file = identify(place)
        data = read_verified(file.loadable)
    except PreflightError as error:
        raise UsageError(
            f"the base version {name}: {error.message.replace(str(place), shown or str(place))}",
            hint=error.hint,
        ) from error
    return Base(
        name=name,
        format=file.loadable.format,
        data=data,
        sha256=file.loadable.sha256,
        size_bytes=file.size_bytes,
        version=f"sha256 {file.sha256[:12]}",
    )


def _of_snapshot(found: Snapshot, name: str, model: str) -> Base:
    """A model from Git's objects, recognised as any file is: under the name that it has there."""
    with tempfile.TemporaryDirectory(prefix="preflight-base-") as folder:
        place = Path(folder) / Path(model).name
        for inside, content in found.files.items():
            path = place / inside if inside else place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        base = _of_file(place, name, shown=model)
    return Base(**{**vars(base), "origin": found.how, "version": f"{found.commit[:10]}, {base.version}"})


def _of_artifact(stored: StoredArtifact, name: str) -> Base:
    manifest = stored.manifest
    if stored.onnx is None or stored.contract is None:
        raise ArtifactError(
            f"the base version {name} holds no {'ONNX file' if stored.onnx is None else 'contract'}",
            hint="give the artifact of a run that converted its model",
        )
    model = manifest["model"]
    try:
        contract = Contract.model_validate_json(_without_schema(stored.contract))
        sha256, size_bytes = str(model["sha256"]), int(model["size_bytes"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"the base version {name} cannot be understood: {error!r:.200}",
            hint="was it written by another release?",
        ) from error
    return Base(
        name=name,
        format="onnx",
        data=stored.onnx,
        sha256=sha256,
        size_bytes=size_bytes,
        origin="" if manifest["verdict"] == "pass" else "which did not pass the gate itself",
        version=str(manifest["version"]),
        contract=contract,
        profile=stored.files.get(PROFILE_FILE),
    )


def _without_schema(contract: dict[str, object]) -> str:
    import json

    return json.dumps({key: value for key, value in contract.items() if key != "schema_version"})


def _of_result(place: Path, name: str) -> Base:
    """The artifact that the run of a `result.json` wrote: beside that file, or where it says."""
    if place.stat().st_size > _RESULT_BYTES:
        raise UsageError(f"the base version {name} is too large for a result", hint="check --baseline")
    try:
        found = GateResult.model_validate_json(place.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise UsageError(
            f"the base version {name} is no result that this release reads: {where}{first['msg']}",
            hint="give a result.json of this release or an earlier one, or its artifact folder",
        ) from error
    if found.artifact is None:
        raise UsageError(
            f"the run of {name} wrote no artifact to compare with", hint="validate the base version again"
        )
    written = Path(found.artifact.path)
    places = (place.parent / "artifact" / written.parent.name / written.name, written)
    folder = next(
        (folder for folder in places if any((folder / one).is_file() for one in (MANIFEST_FILE, SUMS_FILE))),
        None,
    )
    if folder is None:
        raise UsageError(
            f"the artifact that {name} names is not there: {places[0]}",
            hint="keep the artifact folder beside result.json, or give --baseline that folder",
        )
    return _of_artifact(read_artifact(folder), name)
