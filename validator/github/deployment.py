"""A promotion as a GitHub deployment: what went to which environment, at which commit, with the run's page."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from validator.github.api import GitHubApi
from validator.github.refusals import Need, RefusedError
from validator.github.wording import one_line

READ_DEPLOYMENTS = Need(action="read the repository's deployments", permission="deployments: read")
WRITE_DEPLOYMENT = Need(action="make the deployment", permission="deployments: write")
_TASK = "deploy:model"
_MOST_DESCRIPTION = 140


class Deployment(BaseModel):
    """What is read of a deployment."""

    model_config = ConfigDict(extra="ignore")

    id: int
    sha: str = ""
    payload: Any = None


class DeploymentStatus(BaseModel):
    """What is read of one of its statuses."""

    model_config = ConfigDict(extra="ignore")

    id: int
    state: str = ""


def make_deployment(
    api: GitHubApi,
    repository: str,
    *,
    refs: tuple[str, ...],
    environment: str,
    description: str,
    payload: dict[str, str],
    log_url: str,
) -> str:
    """Make a deployment that has succeeded, and return the commit that it is of.

    `refs` are commits: the first that the repository knows is taken. `payload` tells this deployment from every
    other. Raises PublishError where GitHub refuses or cannot be reached.
    """
    path = f"/repos/{repository}/deployments"
    made = _first_known(api, path, refs, environment, one_line(description, _MOST_DESCRIPTION), payload)
    statuses = f"{path}/{made.id}/statuses"
    body: dict[str, Any] = {
        "state": "success",
        "environment": environment,
        "description": one_line(description, _MOST_DESCRIPTION),
    }
    if log_url:
        body["log_url"] = log_url

    def landed() -> DeploymentStatus | None:
        found = api.pages(statuses, DeploymentStatus, need=READ_DEPLOYMENTS)
        return next((one for one in found if one.state == "success"), None)

    api.create(statuses, body, DeploymentStatus, need=WRITE_DEPLOYMENT, landed=landed)
    return made.sha


def _first_known(
    api: GitHubApi,
    path: str,
    refs: tuple[str, ...],
    environment: str,
    description: str,
    payload: dict[str, str],
) -> Deployment:
    """Required checks of the commit are not asked for: what is deployed was judged, and the alias has moved."""

    def landed() -> Deployment | None:
        params = {"environment": environment, "task": _TASK}
        found = api.pages(path, Deployment, need=READ_DEPLOYMENTS, params=params, max_pages=1)
        return next((one for one in found if _value(one.payload) == payload), None)

    for place, ref in enumerate(refs):
        body = {
            "ref": ref,
            "task": _TASK,
            "auto_merge": False,
            "required_contexts": [],
            "payload": payload,
            "environment": environment,
            "description": description,
        }
        try:
            return api.create(path, body, Deployment, need=WRITE_DEPLOYMENT, landed=landed)
        except RefusedError as error:
            if error.status != 422 or place + 1 == len(refs):
                raise
    raise RefusedError("there is no commit to make a deployment of", hint="set GITHUB_SHA", status=422)


def _value(payload: Any) -> Any:
    """GitHub gives back an object, or its text."""
    if not isinstance(payload, str):
        return payload
    try:
        return json.loads(payload)
    except ValueError:
        return payload
