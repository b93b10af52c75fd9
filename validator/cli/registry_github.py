"""A promotion told to GitHub, best effort: what fails of it is said, and changes nothing of the promotion."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from validator import __version__
from validator.cli.console import notice
from validator.errors import PublishError

if TYPE_CHECKING:
    from validator.registry.promoting import Promoted

_TOKENS = ("INPUT_GITHUB-TOKEN", "PREFLIGHT_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")
_TASK = "deploy:model"
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")


def tell_of_promotion(done: Promoted, flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Make a deployment where a token and a repository are there, and say what became of it on standard error."""
    repository = environ.get("GITHUB_REPOSITORY", "")
    token = next((environ[name].strip() for name in _TOKENS if environ.get(name, "").strip()), "")
    if not done.is_new or flags.get("no_deployment") or not token or not _REPOSITORY.fullmatch(repository):
        return
    record = done.record
    environment = flags.get("environment") or ("production" if record.alias == "champion" else record.alias)
    try:
        commit = _deployed(done, repository, token, str(environment), environ)
    except ModuleNotFoundError as error:
        notice(f"no GitHub deployment was made: the module {error.name} is not installed")
    except PublishError as error:
        notice(f"no GitHub deployment was made: {error.message}")
        notice(f"the promotion stands; {error.hint}")
    else:
        print(f"model-preflight: deployment to {environment} at {commit[:12]}", file=sys.stderr)


def _deployed(
    done: Promoted, repository: str, token: str, environment: str, environ: Mapping[str, str]
) -> str:
    """Make it at the commit that was judged, or at the job's where the repository does not know that one."""
    from validator.github.api import GitHubApi
    from validator.github.deployments import open_deployment, set_deployment_status
    from validator.github.refusals import RefusedError

    record = done.record
    known = (record.commit, environ.get("GITHUB_SHA", ""))
    commits = list(dict.fromkeys(ref for ref in known if re.fullmatch(r"[0-9a-f]{40,64}", ref)))
    if not commits:
        raise PublishError("no commit is known", hint="set GITHUB_SHA to make one")
    text = f"{done.model} {'back to' if record.action == 'rollback' else 'now'} {record.version}"
    api_url = environ.get("GITHUB_API_URL", "") or "https://api.github.com"
    with GitHubApi(base_url=api_url, token=token, user_agent=f"model-preflight/{__version__}") as api:
        for commit in commits:
            try:
                made = open_deployment(
                    api,
                    repository,
                    sha=commit,
                    environment=environment,
                    task=_TASK,
                    key=record.tag,
                    description=text,
                )
            except RefusedError as error:
                if error.status != 422 or commit == commits[-1]:
                    raise
            else:
                break
        set_deployment_status(api, repository, made, state="success", description=text, log_url=record.url)
    return commit
