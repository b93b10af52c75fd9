"""`validate --push`: what passed, into a registry. Only after a pass, and only where the job may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator.cli.console import complain
from validator.cli.job import write_job_files
from validator.errors import PreflightError, SettingsError, UsageError
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.github.event import Target
    from validator.registry.pushing import Pushed
    from validator.results import GateResult

#: Outputs of the action that a push sets; one line for each model.
OUTPUTS = ("digest", "image")
#: Events that judge what is not merged, or what somebody else wrote. Comments are how jobs are started for those.
_UNMERGED = frozenset({
    "pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment", "issue_comment",
    "workflow_run", "merge_group",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """What a push came to: whether all is there that was to be stored, and by artifact's path what it is there."""

    is_whole: bool
    by_artifact: Mapping[str, str] = field(default_factory=dict)

    def of(self, result: GateResult) -> str:
        """The reference, by digest, of what a result's artifact is there; empty where nothing was stored of it."""
        return self.by_artifact.get(_place_of(result), "")


#: There was nothing to store.
NOTHING_STORED = StoredImages(is_whole=True)


def _place_of(result: GateResult) -> str:
    return "" if result.artifact is None else result.artifact.path


def check_push(reference: str | None) -> None:
    """Raises SettingsError for what is no repository, before anything is judged."""
    from validator.registry.reference import parse

    if reference is None:
        return
    try:
        place = parse(reference)
    except UsageError as error:
        raise SettingsError(f"push: {error.message}", hint=error.hint) from None
    if place.wanted is not None:
        raise SettingsError(
            f"push is {reference[:200]!r}, which names one version",
            hint=f"give {place.address}: the tag is the version",
        )


def push_passed(
    reference: str,
    results: Sequence[GateResult],
    *,
    several: bool,
    target: Target | None,
    environ: Mapping[str, str],
    log: TextIO,
) -> StoredImages:
    """Store each result's artifact. What failed is told."""
    if target is not None and (_UNMERGED & {target.kind, target.event_name} or target.fork):
        print(f"model-preflight: not pushed: nothing is, on {target.event_name}", file=log)
        return NOTHING_STORED
    found: list[Pushed] = []
    try:
        for result in results:
            found.append(_push(reference, result, several=several, environ=environ))
            done = "pushed" if found[-1].is_new else "was there already:"
            print(log_line(f"model-preflight: {done} {found[-1].reference}"), file=log)
    except PreflightError as error:
        complain(error)
    _set_outputs(found, environ, log)
    names = {_place_of(result): one.reference for result, one in zip(results, found, strict=False)}
    return StoredImages(is_whole=len(found) == len(results), by_artifact=names)


def _push(reference: str, result: GateResult, *, several: bool, environ: Mapping[str, str]) -> Pushed:
    from validator.artifact.write import safe_name
    from validator.registry.opening import opened
    from validator.registry.pushing import push
    from validator.registry.reference import parse

    if result.artifact is None:
        raise UsageError(
            f"the run of {result.model.name} wrote no artifact to push", hint="look at its report"
        )
    name = safe_name(result.model.name)
    place = parse(reference)
    if several:
        below = name if place.folder is not None else name.lower()
        place = parse(f"{place.address}/{below}")
    with opened(place, environ, writes=True) as repository:
        return push(repository, Path(result.artifact.path))


def _set_outputs(found: Sequence[Pushed], environ: Mapping[str, str], log: TextIO) -> None:
    if environ.get("GITHUB_ACTIONS") != "true" or not found:
        return
    outputs = {
        "digest": "\n".join(one.digest for one in found),
        "image": "\n".join(one.reference.rpartition("://")[2] for one in found),
    }
    write_job_files(environ, log, outputs=outputs)
