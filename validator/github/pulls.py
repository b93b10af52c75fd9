"""Which pull request a `workflow_run` belongs to, asked of GitHub and never of the uploaded result."""

from __future__ import annotations

from validator.github.api import GitHubApi
from validator.github.event import Target
from validator.github.refusals import READ_PULLS, RefusedError
from validator.github.replies import Pull


def find_pulls(api: GitHubApi, target: Target) -> list[int]:
    """The numbers of the open pull requests whose head is the judged commit. One branch may be offered to
    several bases.

    `workflow_run.pull_requests` is empty for forks, so the head's owner and branch are looked up. A pull request
    that has moved on to another commit does not count. Raises RefusedError or UnreachableError.
    """
    if target.pull_number is not None:
        return [target.pull_number]
    if target.head_branch is None or target.head_sha is None:
        return []
    head = f"{target.head_branch.owner}:{target.head_branch.branch}"
    by_branch = api.pages(
        f"/repos/{target.repository}/pulls", Pull, need=READ_PULLS, params={"state": "open", "head": head}
    )
    return sorted(_matching(by_branch, target) or _matching(_by_commit(api, target), target))


def _by_commit(api: GitHubApi, target: Target) -> list[Pull]:
    try:
        return api.pages(f"/repos/{target.repository}/commits/{target.head_sha}/pulls", Pull, need=READ_PULLS)
    except RefusedError as error:
        if error.status in (404, 422):  # a fork's commit need not be known to the base repository
            return []
        raise


def _matching(pulls: list[Pull], target: Target) -> list[int]:
    """Numbers of the open ones whose head is our commit in our head repository."""
    wanted = (target.head_repository or "").lower()
    return [
        pull.number
        for pull in pulls
        if pull.state == "open"
        and pull.head.sha == target.head_sha
        and pull.head.repo is not None
        and pull.head.repo.full_name.lower() == wanted
    ]
