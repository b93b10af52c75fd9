"""The commit status that branch protection can require, on the commit that was judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from validator.errors import PublishError
from validator.github.marker import Run
from validator.github.refusals import READ_STATUSES, WRITE_STATUS
from validator.github.replies import CommitStatus
from validator.github.wording import one_line

if TYPE_CHECKING:
    from validator.github.api import GitHubApi

State = Literal["success", "failure", "error", "pending"]

MAX_DESCRIPTION_CHARS = 140
MAX_CONTEXT_CHARS = 255
DEFAULT_KEY = "default"


@dataclass(frozen=True, kw_only=True)
class StatusOutcome:
    """Whether the status was written, where it links to, or why it was not."""

    written: bool
    url: str = ""
    reason: str = ""


def context_for(context: str, key: str) -> str:
    """The status's name: stable for branch protection, and another one for each further instance."""
    name = context if key == DEFAULT_KEY else f"{context} ({key})"
    return one_line(name, MAX_CONTEXT_CHARS) or "model-preflight"


def link_for(run_url: str, subject: str) -> str:
    """The run's page; the fragment, which browsers ignore, remembers which models the status speaks of."""
    return f"{run_url}#preflight-{subject}"


def set_status(
    api: GitHubApi,
    *,
    repository: str,
    run: Run,
    context: str,
    state: State,
    description: str,
    link: str,
) -> StatusOutcome:
    """Set the status on `run.head_sha`, unless a newer run has set it, or green would cover another job's red.

    Raises RefusedError or UnreachableError. A green status is not set where the present one cannot be read; a red one
    is tried all the same, since red is the safe side.
    """
    wanted = CommitStatus(
        id=0,
        state=state,
        context=context,
        description=one_line(description, MAX_DESCRIPTION_CHARS),
        target_url=link,
    )
    api.pace()
    try:
        present = _latest(api, repository, run.head_sha, context)
    except PublishError:
        if state == "success":
            raise
        present = None
    if present is not None and (reason := _why_keep(present, wanted, run)):
        return StatusOutcome(written=False, reason=reason)
    before = present.id if present else 0

    def landed() -> CommitStatus | None:
        found = _latest(api, repository, run.head_sha, context)
        same = found is not None and found.id != before and _value(found) == _value(wanted)
        return found if same else None

    api.create(
        f"/repos/{repository}/statuses/{run.head_sha}",
        wanted.model_dump(exclude={"id"}),
        CommitStatus,
        need=WRITE_STATUS,
        landed=landed,
    )
    return StatusOutcome(written=True, url=link)


def _latest(api: GitHubApi, repository: str, sha: str, context: str) -> CommitStatus | None:
    """The present status of this context: GitHub lists the newest first and ignores case."""

    def same(status: CommitStatus) -> bool:
        return status.context.lower() == context.lower()

    path = f"/repos/{repository}/commits/{sha}/statuses"
    return next(filter(same, api.pages(path, CommitStatus, need=READ_STATUSES, stop=same)), None)


def _value(status: CommitStatus) -> tuple[str, str | None, str | None]:
    return status.state, status.description, status.target_url


def _why_keep(present: CommitStatus, wanted: CommitStatus, run: Run) -> str:
    """Why the present status must stay, or nothing."""
    there, ours = _run_and_subject(present.target_url), _run_and_subject(wanted.target_url)
    if there is None or ours is None:
        return ""
    other = Run(head_sha=run.head_sha, run_id=there[0], run_attempt=there[1])
    if not run.may_replace(other):
        return f"run {other.run_id} is newer and has set {present.context!r} already"
    another_job = other == run and there[2] != ours[2]
    if another_job and wanted.state == "success" and present.state in ("failure", "error"):
        return (
            f"another job of this run judged other models and set {present.context!r} to {present.state}: "
            "give each job its own `instance-key`"
        )
    return ""


def _run_and_subject(url: str | None) -> tuple[int, int, str] | None:
    match = re.search(r"/actions/runs/([0-9]{1,18})/attempts/([0-9]{1,9})#preflight-([0-9a-f]+)$", url or "")
    return (int(match[1]), int(match[2]), match[3]) if match else None
