"""The artifact's version: a moment and the model's hash, the same for the same commit and model.

The moment is `SOURCE_DATE_EPOCH` where it is set (https://reproducible-builds.org/specs/source-date-epoch/),
else the committer time of HEAD in the repository that holds the model, else now. A model that is changed or
untracked there still takes the commit's time: its own hash, the other half of the version, tells it apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from validator.errors import ArtifactError, SettingsError

VERSION_PATTERN = re.compile(r"v_([0-9]{8}T[0-9]{6}Z)_[0-9a-f]{8}")
TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


@dataclass(frozen=True, kw_only=True)
class Commit:
    """HEAD of a repository: its hash (hexadecimal) and its committer time in seconds since 1970, UTC."""

    sha: str
    committer_time: int


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The time that goes into the version, and where it came from."""

    time: datetime
    source: Literal["source_date_epoch", "commit", "clock"]

    @property
    def iso(self) -> str:
        """`2025-11-05T09:30:00Z`, whole seconds."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")


def choose_moment(
    *, source_date_epoch: str | None, commit: Commit | None, now: Callable[[], datetime]
) -> Moment:
    """The version's moment, by the order that the module describes.

    `source_date_epoch` is the variable's text, None or empty where it is not set. `now` must give a time with a
    time zone. Raises SettingsError when the variable is no number of seconds in the years 1970 to 9999.
    """
    if source_date_epoch:
        if not re.fullmatch(r"[0-9]{1,12}", source_date_epoch) or int(source_date_epoch) > _LAST_SECOND:
            raise SettingsError(
                f"SOURCE_DATE_EPOCH is {source_date_epoch[:40]!r}, not a number of seconds since 1970",
                hint="set it to the output of `git log -1 --format=%ct`, or unset it",
            )
        return Moment(time=_utc(int(source_date_epoch)), source="source_date_epoch")
    if commit is not None:
        return Moment(time=_utc(commit.committer_time), source="commit")
    return Moment(time=now().astimezone(UTC).replace(microsecond=0), source="clock")


def make_version(*, moment: Moment, model_sha256: str) -> str:
    """`v_<UTC time>_<first 8 hexadecimal digits of the model's SHA-256>`."""
    return f"v_{moment.time.strftime(TIME_FORMAT)}_{model_sha256[:8]}"


def version_time(version: str) -> str:
    """The moment within a version, as `2025-11-05T09:30:00Z`. Raises ArtifactError when it is no version."""
    match = VERSION_PATTERN.fullmatch(version)
    try:
        moment = datetime.strptime(match[1] if match else version, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise ArtifactError(
            f"{version[:80]!r} is not a version of the form v_20251105T093000Z_1a2b3c4d",
            hint="use the version that the gate gave the model",
        ) from error
    return Moment(time=moment, source="clock").iso


def head_commit(model: Path) -> Commit | None:
    """HEAD of the repository that holds `model`; None outside a repository and before its first commit.

    Raises ArtifactError when there is a repository whose HEAD cannot be read: two runs of one commit would
    otherwise get two versions.
    """
    from dulwich.errors import NotGitRepository
    from dulwich.objects import Commit as GitCommit
    from dulwich.repo import Repo

    try:
        repository = Repo.discover(str(model.resolve().parent))
    except NotGitRepository:
        return None
    with repository:
        try:
            sha = repository.head()
        except KeyError:
            return None
        try:
            found = repository[sha]
        except Exception as error:  # a damaged object store raises whatever its parser meets
            raise _unreadable(model, f"HEAD {sha.decode()} cannot be read ({error!r})") from error
    if not isinstance(found, GitCommit) or not 0 <= found.commit_time <= _LAST_SECOND:
        raise _unreadable(model, f"HEAD {sha.decode()} is no commit with a time between 1970 and 9999")
    return Commit(sha=sha.decode("ascii"), committer_time=found.commit_time)


def _unreadable(model: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"the Git repository of {model.name}: {what}",
        hint="check out the repository again, or set SOURCE_DATE_EPOCH to the commit's time",
    )


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
