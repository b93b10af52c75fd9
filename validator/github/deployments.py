"""GitHub's deployments: one for each thing that goes live, found again by a key of its own, with its statuses."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from validator.github.api import GitHubApi
from validator.github.refusals import Need
from validator.github.wording import one_line

READ_DEPLOYMENTS = Need(action="read the repository's deployments", permission="deployments: read")
WRITE_DEPLOYMENT = Need(action="write the deployment", permission="deployments: write")
State = Literal["error", "failure", "inactive", "in_progress", "queued", "pending", "success"]
#: GitHub's limit of a status' description.
MOST_DESCRIPTION = 140
#: The payload's field that tells one deployment of ours from another.
_KEY = "model-preflight"


class Deployment(BaseModel):
    """What is read of a deployment."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    payload: Any = None

    @property
    def key(self) -> str:
        """Ours, empty for everybody else's."""
        payload = self.payload
        if isinstance(payload, str):
            try:
                payload = json.loads(payload)
            except ValueError:
                return ""
        return str(payload.get(_KEY, "")) if isinstance(payload, dict) else ""


class DeploymentStatus(BaseModel):
    """What is read of a status."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    state: str
    description: str | None = None


def open_deployment(
    api: GitHubApi, repository: str, *, sha: str, environment: str, task: str, key: str, description: str
) -> Deployment:
    """The deployment with that key, made where there is none yet. It waits for no check: what may go live is decided.

    Raises PublishError where GitHub refuses or cannot be reached.
    """
    path = f"/repos/{repository}/deployments"

    def find() -> Deployment | None:
        params = {"environment": environment, "task": task}
        # Newest first: whoever comes again does so within a page.
        listed = api.pages(
            path, Deployment, need=READ_DEPLOYMENTS, params=params, stop=lambda one: one.key == key
        )
        return next((one for one in listed if one.key == key), None)

    body: dict[str, Any] = {
        "ref": sha,
        "task": task,
        "environment": environment,
        "description": one_line(description, MOST_DESCRIPTION),
        "payload": {_KEY: key},
        "auto_merge": False,
        "required_contexts": [],
    }
    return find() or api.create(path, body, Deployment, need=WRITE_DEPLOYMENT, landed=find)


def set_deployment_status(
    api: GitHubApi,
    repository: str,
    deployment: Deployment,
    *,
    state: State,
    description: str,
    log_url: str = "",
) -> None:
    """Add a status, unless the newest one says the same already. Raises as `open_deployment`."""
    path = f"/repos/{repository}/deployments/{quote(str(deployment.id))}/statuses"
    text = one_line(description, MOST_DESCRIPTION)

    def there() -> DeploymentStatus | None:
        newest = api.pages(path, DeploymentStatus, need=READ_DEPLOYMENTS, stop=lambda _: True)
        same = newest and (newest[0].state, newest[0].description or "") == (state, text)
        return newest[0] if same else None

    if there() is None:
        body = {"state": state, "description": text, "log_url": log_url}
        api.create(path, body, DeploymentStatus, need=WRITE_DEPLOYMENT, landed=there)
