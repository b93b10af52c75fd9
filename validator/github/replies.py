"""The parts of GitHub's replies that are read, as frozen values; everything else in them is ignored."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class User(Reply):
    login: str
    type: str = "User"


class Comment(Reply):
    """`minimized` is an object where somebody has hidden the comment; servers before 2026 do not send it."""

    id: int
    html_url: str
    body: str | None = None
    user: User | None = None
    minimized: dict[str, Any] | None = None


class CommitStatus(Reply):
    id: int
    state: str
    context: str
    description: str | None = None
    target_url: str | None = None


class RepositoryName(Reply):
    full_name: str


class PullSide(Reply):
    sha: str
    repo: RepositoryName | None = None


class Pull(Reply):
    number: int
    state: str
    head: PullSide
    base: PullSide


class ChangedFile(Reply):
    filename: str
    status: str = ""
    previous_filename: str | None = None


class Commit(Reply):
    sha: str


class CommitComparison(Reply):
    """`commits` may be fewer than `total_commits`; `status` is that of the head as against the base."""

    status: str = ""
    base_commit: Commit | None = None
    total_commits: int = 0
    commits: tuple[Commit, ...] = ()
    files: tuple[ChangedFile, ...] | None = None


class CheckOutput(Reply):
    annotations_count: int = 0
    title: str | None = None


class CheckRun(Reply):
    id: int
    name: str = ""
    external_id: str | None = None
    details_url: str | None = None
    html_url: str | None = None
    conclusion: str | None = None
    output: CheckOutput | None = None


class CheckRuns(Reply):
    check_runs: tuple[CheckRun, ...]
