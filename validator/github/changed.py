"""Which models a change touches. Where that cannot be known for certain, all of them: silence is no answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from validator.errors import PublishError
from validator.github.event import Target
from validator.github.refusals import READ_COMPARE, READ_PULLS
from validator.github.replies import ChangedFile, CommitComparison

if TYPE_CHECKING:
    from validator.github.api import GitHubApi

#: GitHub lists no more; a list this long may be cut.
MOST_PULL_FILES = 3_000
MOST_COMPARE_FILES = 300
#: A change of these can change what is judged or how, whatever the model.
GOVERNING_NAMES = frozenset({"preflight.toml", "pyproject.toml"})
GOVERNING_FOLDERS = (".github/",)


@dataclass(frozen=True, kw_only=True)
class ChangedFiles:
    """Paths that a change touches, old names of renamed files among them; `paths` None where that is not known."""

    paths: frozenset[str] | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class WatchedModel:
    """One model and what else decides its verdict: sample, requirements, wrapper. Paths within the repository."""

    path: str
    inputs: tuple[str, ...] = ()


def changed_files(api: GitHubApi, target: Target) -> ChangedFiles:
    """What the pull request, merge group or push changes. Never raises for GitHub's sake: not known is an answer."""
    try:
        if target.pull_number is not None:
            return _of_pull(api, target.repository, target.pull_number)
        if target.kind in ("push", "merge_group") and target.before_sha and target.head_sha:
            return compare(api, target.repository, target.before_sha, target.head_sha)
    except PublishError as error:
        return ChangedFiles(paths=None, reason=error.message)
    return ChangedFiles(paths=None, reason=f"{target.event_name or 'this event'} does not say what changed")


def touched(watched: Sequence[WatchedModel], changed: ChangedFiles) -> tuple[WatchedModel, ...]:
    """The models that must be judged, in their order."""
    if changed.paths is None or any(map(is_governing, changed.paths)):
        return tuple(watched)
    return tuple(model for model in watched if _meets((model.path, *model.inputs), changed.paths))


def is_governing(path: str) -> bool:
    """Whether the file decides what is judged and by which rules: a workflow, an action, our settings."""
    return path.startswith(GOVERNING_FOLDERS) or PurePosixPath(path).name in GOVERNING_NAMES


def compare(api: GitHubApi, repository: str, base_sha: str, head_sha: str) -> ChangedFiles:
    """What `head_sha` changes since it left `base_sha`. Raises as `GitHubApi.get`."""
    path = f"/repos/{repository}/compare/{base_sha}...{head_sha}"
    return _known(api.get(path, CommitComparison, need=READ_COMPARE).files, MOST_COMPARE_FILES)


def _of_pull(api: GitHubApi, repository: str, number: int) -> ChangedFiles:
    files = api.pages(f"/repos/{repository}/pulls/{number}/files", ChangedFile, need=READ_PULLS)
    return _known(files, MOST_PULL_FILES)


def _known(files: Sequence[ChangedFile] | None, most: int) -> ChangedFiles:
    if files is None:
        return ChangedFiles(paths=None, reason="GitHub lists no files of this change")
    if len(files) >= most:
        return ChangedFiles(
            paths=None, reason=f"the change touches {most} files or more, GitHub lists no more"
        )
    names = {name for file in files for name in (file.filename, file.previous_filename) if name}
    return ChangedFiles(paths=frozenset(names))


def _meets(ours: Iterable[str], changed: frozenset[str]) -> bool:
    """Whether a changed file is one of ours, or lies in a folder of ours."""
    paths = [str(PurePosixPath(path)) for path in ours]
    return any(name == path or name.startswith(f"{path}/") for name in changed for path in paths)
