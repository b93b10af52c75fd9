"""From the environment and the event's payload to where a result belongs.

Pure but for reading the event's file, and the only place that branches on events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from validator.errors import UsageError

Kind = Literal[
    "pull_request",
    "pull_request_target",
    "workflow_run",
    "push",
    "merge_group",
    "workflow_dispatch",
    "other",
]

PULL_KINDS: frozenset[Kind] = frozenset({"pull_request", "pull_request_target"})
#: Events whose GITHUB_SHA is the commit that was checked out and asked about.
SHA_IS_SUBJECT = frozenset({"workflow_dispatch", "schedule"})
MAX_EVENT_BYTES = 25 * 1024 * 1024

_REPOSITORY = re.compile(r"(?!\.+/)[A-Za-z0-9_.-]+/(?!\.+$)[A-Za-z0-9_.-]+")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class HeadBranch:
    """Enough to look up a pull request that the payload does not number: who owns the branch, and its name."""

    owner: str
    branch: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a result belongs.

    `head_sha` is the commit that the status goes to: never the merge commit. It is None where the event does
    not say which commit was judged. `base_sha` is the commit that it is compared with: the pull request's base,
    or the one before. `run_id` and `run_attempt` name the run that made the result, which in `workflow_run` is
    not the run that publishes it; `run_url` links to it; `publisher` is then that other run's id and attempt,
    `workflow` is the judging workflow's file, and `started` the second at which that run began, if that is known.
    `fork` says whether the head lies in another repository.
    """

    kind: Kind
    event_name: str
    repository: str
    api_url: str
    server_url: str
    run_id: int
    run_attempt: int
    head_sha: str | None = None
    pull_number: int | None = None
    head_branch: HeadBranch | None = None
    head_repository: str | None = None
    base_sha: str | None = None
    fork: bool = False
    read_only: bool = False
    conclusion: str | None = None
    publisher: tuple[int, int] = (0, 0)
    started: int = 0
    workflow: str = ""

    @property
    def run_url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}/attempts/{self.run_attempt}"

    @property
    def why_not_load(self) -> str | None:
        """Why no model may be loaded here, or None. Such runs hold secrets while the model comes from anybody."""
        if self.kind == "pull_request_target":
            return (
                "pull_request_target runs with the base repository's secrets and a token that can write; "
                "loading a model that a pull request brings would hand them to its author"
            )
        if self.kind == "workflow_run" and self.fork:
            return (
                "workflow_run runs with this repository's secrets, and the model comes from the fork "
                f"{self.head_repository or '(deleted)'}"
            )
        return None

    @property
    def wants_comment(self) -> bool:
        return self.pull_number is not None or self.head_branch is not None


def load_target(environ: Mapping[str, str]) -> Target | None:
    """The target of this process's environment; None outside GitHub Actions.

    Raises UsageError when the environment names an event file that cannot be read.
    """
    if environ.get("GITHUB_ACTIONS") != "true" or not environ.get("GITHUB_REPOSITORY"):
        return None
    return target_of(environ, _read_event(environ.get("GITHUB_EVENT_PATH", "")))


def _read_event(path: str) -> dict[str, Any]:
    if not path:
        return {}
    hint = "GitHub's runner sets GITHUB_EVENT_PATH; do not override it"
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_EVENT_BYTES + 1)
        if len(raw) > MAX_EVENT_BYTES:
            raise UsageError(f"the event file {path} is larger than {MAX_EVENT_BYTES} bytes", hint=hint)
        payload = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the event file {path} cannot be read: {error}", hint=hint) from error
    if not isinstance(payload, dict):
        raise UsageError(f"the event file {path} holds no JSON object", hint=hint)
    return payload


def target_of(environ: Mapping[str, str], payload: Mapping[str, Any]) -> Target:
    """The target that an event describes. Raises UsageError where GITHUB_REPOSITORY is no repository's name."""
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(
            f"GITHUB_REPOSITORY is {repository!r}, which is no owner/name",
            hint="run inside GitHub Actions, or unset GITHUB_ACTIONS",
        )
    event_name = environ.get("GITHUB_EVENT_NAME", "")
    base: dict[str, Any] = {
        "event_name": event_name,
        "repository": repository,
        "api_url": _address(environ.get("GITHUB_API_URL"), "https://api.github.com"),
        "server_url": _address(environ.get("GITHUB_SERVER_URL"), "https://github.com"),
        "run_id": _count(environ.get("GITHUB_RUN_ID")) or 0,
        "run_attempt": _count(environ.get("GITHUB_RUN_ATTEMPT")) or 1,
        "read_only": environ.get("GITHUB_ACTOR", "") == "dependabot[bot]",
        "workflow": _workflow(environ.get("GITHUB_WORKFLOW_REF", "").removeprefix(f"{repository}/")),
    }
    sha = _sha(environ.get("GITHUB_SHA"))
    if event_name in ("pull_request", "pull_request_target"):
        return Target(**{**base, "kind": event_name, **_of_pull(payload, repository, event_name)})
    if event_name == "workflow_run":
        return Target(**{**base, "kind": "workflow_run", **_of_run(payload, base)})
    if event_name == "merge_group":
        head = _sha(_dig(payload, "merge_group", "head_sha")) or sha
        before = _sha(_dig(payload, "merge_group", "base_sha"))
        return Target(**base, kind="merge_group", head_sha=head, base_sha=before)
    if event_name == "push":
        head = _sha(_dig(payload, "after")) or sha
        return Target(**base, kind="push", head_sha=head, base_sha=_sha(_dig(payload, "before")))
    if event_name in SHA_IS_SUBJECT:
        return Target(**base, kind="workflow_dispatch", head_sha=sha)
    return Target(**base, kind="other")


def _of_pull(payload: Mapping[str, Any], repository: str, event_name: str) -> dict[str, Any]:
    head_repository = _name(_dig(payload, "pull_request", "head", "repo", "full_name"))
    number = _count(_dig(payload, "pull_request", "number")) or _count(_dig(payload, "number"))
    fork = head_repository is None or head_repository.lower() != repository.lower()
    found: dict[str, Any] = {
        "head_sha": _sha(_dig(payload, "pull_request", "head", "sha")),
        "base_sha": _sha(_dig(payload, "pull_request", "base", "sha")),
        "pull_number": number,
        "head_repository": head_repository,
        "fork": fork,
    }
    if fork and event_name == "pull_request":
        found["read_only"] = True
    return found


def _of_run(payload: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What `workflow_run` says of the run that made the result: GitHub wrote it, so it can be believed."""
    head_repository = _name(_dig(payload, "workflow_run", "head_repository", "full_name"))
    found: dict[str, Any] = {
        "head_sha": _sha(_dig(payload, "workflow_run", "head_sha")),
        "head_repository": head_repository,
        "fork": head_repository is None or head_repository.lower() != base["repository"].lower(),
        "started": _seconds(_dig(payload, "workflow_run", "run_started_at")),
        "conclusion": _text(_dig(payload, "workflow_run", "conclusion")),
        "read_only": False,
        "workflow": _workflow(_text(_dig(payload, "workflow_run", "path")) or ""),
    }
    if run_id := _count(_dig(payload, "workflow_run", "id")):
        found["run_id"] = run_id
        found["run_attempt"] = _count(_dig(payload, "workflow_run", "run_attempt")) or 1
        found["publisher"] = (base["run_id"], base["run_attempt"])
    branch = _text(_dig(payload, "workflow_run", "head_branch"))
    if _text(_dig(payload, "workflow_run", "event")) in PULL_KINDS and branch and head_repository:
        found["head_branch"] = HeadBranch(owner=head_repository.partition("/")[0], branch=branch)
    return found


def _dig(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _workflow(path: str) -> str:
    return path.partition("@")[0]


def _sha(value: Any) -> str | None:
    found = isinstance(value, str) and _SHA.fullmatch(value) and value.strip("0")
    return value if found else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and _REPOSITORY.fullmatch(value) else None


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _seconds(value: Any) -> int:
    """Seconds since 1970 of a time as GitHub writes it, 0 for anything else."""
    try:
        return int(datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except (TypeError, ValueError):
        return 0


def _address(value: str | None, default: str) -> str:
    return value.rstrip("/") if value and re.match(r"https?://[^\s/]", value) else default
