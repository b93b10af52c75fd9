"""`rollout start --wait` and `rollout wait` as a step of a GitHub job: a deployment, its statuses, the job's summary.

The rollout itself holds no token and asks GitHub nothing. Whatever fails here is said, and changes nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator import __version__
from validator.errors import PublishError, UsageError
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.answers import Effects
    from validator.github.deployments import State
    from validator.rollout.state import Rollout

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ENVIRONMENT = re.compile(r"[^\x00-\x1f'\"`,;\\]{1,255}")
#: After a failure GitHub is left alone for so long; the rollout goes on meanwhile.
_PAUSE_S = 60.0
#: All calls of one status together.
_DEADLINE_S = 30.0
_STATES: dict[str, State] = {
    "planned": "queued",
    "held": "pending",
    "promoted": "success",
    "rolled_back": "failure",
    "aborted": "error",
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """Where a job tells of the rollout.

    Parameters
    ----------
    environment : str
        The deployment's.
    """

    environment: str
    repository: str
    sha: str
    api_url: str
    run_url: str
    token: str = field(repr=False)


def job_of(environment: str, environ: Mapping[str, str]) -> Job:
    """The job that this process is a step of.

    Raises
    ------
    UsageError
        If it is none, or has no token.
    """
    hint = (
        "give --environment in a workflow's step only, with `GITHUB_TOKEN: ${{ github.token }}` in its `env`"
    )
    if not _ENVIRONMENT.fullmatch(environment):
        raise UsageError(f"{environment!r} is no name of an environment", hint="such as production")
    repository, sha = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_SHA", "")
    if not _REPOSITORY.fullmatch(repository) or not _COMMIT.fullmatch(sha):
        raise UsageError("this is no step of a workflow: repository and commit are not known", hint=hint)
    token = environ.get("GITHUB_TOKEN", "").strip()
    if not token:
        raise UsageError("there is no GitHub token for the deployment", hint=hint)
    server = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    run_id = environ.get("GITHUB_RUN_ID", "")
    return Job(
        environment=environment,
        repository=repository,
        sha=sha,
        api_url=environ.get("GITHUB_API_URL", "https://api.github.com"),
        run_url=f"{server}/{repository}/actions/runs/{run_id}" if run_id.isdigit() else "",
        token=token,
    )


class Deploying:
    """Tells GitHub where the rollout is. `tell` may be called as often as one likes."""

    def __init__(
        self,
        job: Job,
        log: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        effects: Effects | None = None,
    ) -> None:
        self._job, self._log, self._clock, self._effects = job, log, clock, effects
        self._told = ""
        self._quiet_until = float("-inf")

    def tell(self, state: Rollout) -> None:
        """A status for the stage, unless it is told already; after a failure later, then of what is so by then."""
        if state.stage == self._told or (self._clock() < self._quiet_until and not state.is_ended):
            return
        try:
            self._post(state)
        except PublishError as error:
            self._quiet_until = self._clock() + _PAUSE_S
            told = f"{log_line(error.message)}\n  hint: {log_line(error.hint)}"
            print(f"model-preflight: the rollout goes on, but {told}", file=self._log, flush=True)
        else:
            self._told = state.stage

    def _post(self, state: Rollout) -> None:
        from validator.github.api import GitHubApi
        from validator.github.deployments import open_deployment, set_deployment_status

        job = self._job
        with GitHubApi(
            base_url=job.api_url,
            token=job.token,
            user_agent=f"model-preflight/{__version__}",
            deadline_seconds=_DEADLINE_S,
            effects=self._effects,
        ) as api:
            deployment = open_deployment(
                api,
                job.repository,
                sha=job.sha,
                environment=job.environment,
                task="rollout",
                key=state.id,
                description=f"{state.model} {state.candidate.version}",
            )
            share = f"{state.share} % of the traffic" if not state.is_ended else state.reason
            set_deployment_status(
                api,
                job.repository,
                deployment,
                state=_STATES.get(state.state, "in_progress"),
                description=f"{state.stage.replace('_', ' ')}: {share}",
                log_url=job.run_url,
            )


def summarize(path: Path, markdown: Path, log: TextIO) -> None:
    """Add the rollout's log to the job's summary. That it cannot be written is said."""
    from validator.github.commands import append_summary

    try:
        append_summary(path, markdown.read_text("utf-8"))
    except OSError as error:
        print(f"model-preflight: the job's summary cannot be written: {error.strerror}", file=log)
