"""Which models a change touches. Where that cannot be known for certain, all of them: silence is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from validator.errors import PublishError
from validator.github.checkout import Checkout, DoubtError
from validator.github.deciding import Names, is_governing, is_of_checkout
from validator.github.event import Target
from validator.github.refusals import READ_COMPARE, READ_PULLS
from validator.github.replies import ChangedFile, CommitComparison, Pull
from validator.github.standing import standing
from validator.github.status import StatusBoard, open_pulls

if TYPE_CHECKING:
    from validator.github.api import GitHubApi

#: GitHub lists no more; a list this long may be cut.
MOST_PULL_FILES = 3_000
MOST_COMPARE_FILES = 300


@dataclass(frozen=True, kw_only=True)
class ChangedFiles:
    """Paths that a change touches, old names of renamed files among them; `paths` None where that is not known.

    `present` are those that are there after the change.
    """

    paths: frozenset[str] | None
    present: frozenset[str] = frozenset()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class WatchedModel:
    """One model and the names in the repository that decide its verdict."""

    path: str
    names: Names = field(default_factory=Names)


def changed_files(api: GitHubApi, target: Target) -> ChangedFiles:
    """What the judged commit changes. Never raises for GitHub's sake: not known is an answer."""
    if target.base_sha is None or target.head_sha is None:
        return _unknown(
            f"{target.event_name or 'this event'} does not say which commit this one is compared with"
        )
    try:
        found = compare(
            api, target.repository, target.base_sha, target.head_sha, diverged=target.pull_number is not None
        )
        if found.paths is None and target.pull_number is not None and found.reason == TOO_MANY:
            return _of_pull(api, target)
    except PublishError as error:
        return _unknown(error.message)
    return found


def touched(watched: Sequence[WatchedModel], changed: ChangedFiles) -> tuple[WatchedModel, ...]:
    """The models that must be judged, in their order."""
    if changed.paths is None or any(is_governing(name) or is_of_checkout(name) for name in changed.paths):
        return tuple(watched)
    return tuple(model for model in watched if model.names.doubt or model.names.meets(changed.paths))


def as_merged(changed: ChangedFiles, checkout: Checkout) -> ChangedFiles:
    """The same, unless the checked-out merge has a changed file under another name than the change gives it.

    Git follows renames: where the base has renamed a file that the change edits, the merge has the edit under the
    new name, which no list of the change holds.
    """
    if not checkout.merged or changed.paths is None:
        return changed
    try:
        moved = next((name for name in sorted(changed.present) if not checkout.lists(name)), None)
    except DoubtError as error:
        return _unknown(str(error))
    return changed if moved is None else _unknown(f"the merge that is checked out has no {moved}")


TOO_MANY = f"the change touches {MOST_COMPARE_FILES} files or more, GitHub lists no more"


def compare(api: GitHubApi, repository: str, base_sha: str, head_sha: str, *, diverged: bool) -> ChangedFiles:
    """What exactly `head_sha` changes since it left `base_sha`. Raises as `GitHubApi.get`.

    GitHub compares from where the two parted. So the list says nothing of a head that lies behind its base, and
    all of it only where the head descends from the base; `diverged` says that what the base has gained
    meanwhile is of no interest.
    """
    path = f"/repos/{repository}/compare/{base_sha}...{head_sha}"
    found = api.get(path, CommitComparison, need=READ_COMPARE)
    if found.base_commit is None or found.base_commit.sha != base_sha:
        return _unknown("GitHub compared with another commit")
    if len(found.commits) == found.total_commits and (not found.commits or found.commits[-1].sha != head_sha):
        return _unknown("GitHub compared another commit")
    if found.status not in (("ahead", "diverged") if diverged else ("ahead",)):
        return _unknown(
            f"the commit is {found.status or 'not'} as against {base_sha[:10]}, so nothing is listed"
        )
    if found.files is None:
        return _unknown("GitHub lists no files of this change")
    if len(found.files) >= MOST_COMPARE_FILES:
        return _unknown(TOO_MANY)
    return _known(found.files)


def why_again(api: GitHubApi, target: Target, context: str) -> str:
    """Why a commit whose change touches no model must be judged all the same, or nothing.

    A commit that was judged red stays red until it is judged again. And what is compared with a commit that was
    never judged green inherits whatever is wrong there; of a pull request's base that is not the pull request's
    to answer for.
    """
    if target.head_sha is None or target.base_sha is None:
        return "the event does not say which commit is judged"
    if target.pull_number is None and _state(api, target, target.base_sha, context) != "success":
        return f"the commit before, {target.base_sha[:10]}, has no green {context!r}"
    try:
        if _state(api, target, target.head_sha, context) not in ("", "success"):
            return f"this commit has a {context!r} that is not green"
    except PublishError:
        if target.pull_number is None:
            raise
    return ""


def _state(api: GitHubApi, target: Target, sha: str, context: str) -> str:
    """The verdict that stands on a commit, empty where there is none."""
    board = StatusBoard(api, repository=target.repository, head_sha=sha, context=context)
    entries = [one for one in board.read() if one is not None]
    found = standing(entries, open_pulls(api, target.repository))
    return found.state if found is not None else ""


def _of_pull(api: GitHubApi, target: Target) -> ChangedFiles:
    """The pull request's own, longer list. It follows its head, which is looked at before and after."""
    place = f"/repos/{target.repository}/pulls/{target.pull_number}"
    for last in (False, True):
        if api.get(place, Pull, need=READ_PULLS).head.sha != target.head_sha:
            return _unknown("the pull request has moved on to another commit")
        if not last:
            files = api.pages(f"{place}/files", ChangedFile, need=READ_PULLS)
    if len(files) >= MOST_PULL_FILES:
        return _unknown(f"the change touches {MOST_PULL_FILES} files or more, GitHub lists no more")
    return _known(files)


def _known(files: Sequence[ChangedFile]) -> ChangedFiles:
    names = (name for file in files for name in (file.filename, file.previous_filename) if name)
    present = (file.filename for file in files if file.status != "removed")
    return ChangedFiles(paths=frozenset(names), present=frozenset(present))


def _unknown(reason: str) -> ChangedFiles:
    return ChangedFiles(paths=None, reason=reason)
