from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from validator.artifact.version import (
    Commit,
    Moment,
    choose_moment,
    head_commit,
    make_version,
    version_time,
)
from validator.errors import ArtifactError, SettingsError

COMMIT = Commit(sha="ab" * 20, committer_time=1_700_000_000)


def clock() -> datetime:
    return datetime(2025, 11, 5, 10, 30, 0, 123, tzinfo=timezone(timedelta(hours=1)))


def test_the_version_is_time_and_hash() -> None:
    moment = choose_moment(source_date_epoch=None, commit=None, now=clock)
    assert moment.source == "clock"
    assert (
        make_version(moment=moment, model_sha256="0123456789" * 6 + "abcd") == "v_20251105T093000Z_01234567"
    )


def test_source_date_epoch_wins_over_the_commit() -> None:
    moment = choose_moment(source_date_epoch="1762335000", commit=COMMIT, now=clock)
    assert (moment.iso, moment.source) == ("2025-11-05T09:30:00Z", "source_date_epoch")


@pytest.mark.parametrize("unset", [None, ""])
def test_the_commit_wins_over_the_clock(unset: str | None) -> None:
    moment = choose_moment(source_date_epoch=unset, commit=COMMIT, now=clock)
    assert (moment.iso, moment.source) == ("2023-11-14T22:13:20Z", "commit")


@pytest.mark.parametrize("text", ["yesterday", "-1", "1.5", "999999999999", "1_000", "\u0661"])
def test_a_bad_source_date_epoch_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SOURCE_DATE_EPOCH"):
        choose_moment(source_date_epoch=text, commit=COMMIT, now=clock)


def test_the_time_comes_back_out_of_a_version() -> None:
    moment = Moment(time=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), source="commit")
    assert version_time(make_version(moment=moment, model_sha256="f" * 64)) == moment.iso


@pytest.mark.parametrize(
    "text",
    ["", "v_20251105T093000Z_0123456", "v_20251305T093000Z_01234567", "../v_20251105T093000Z_01234567"],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="not a version"):
        version_time(text)


def commit_once(folder: Path) -> bytes:
    from dulwich.repo import Repo

    with Repo.init(str(folder)) as repository:
        (folder / "tracked").write_text("x")
        repository.get_worktree().stage(["tracked"])
        return repository.get_worktree().commit(
            message=b"one",
            committer=b"A <a@example.org>",
            author=b"A <a@example.org>",
            commit_timestamp=1_700_000_000,
            author_timestamp=1_600_000_000,
            commit_timezone=7200,
        )


def test_head_is_read_from_the_repository_above_the_model(tmp_path: Path) -> None:
    sha = commit_once(tmp_path)
    (tmp_path / "models").mkdir()
    commit = head_commit(tmp_path / "models" / "untracked.pkl")
    assert commit == Commit(sha=sha.decode(), committer_time=1_700_000_000)


def test_no_repository_and_no_commit_are_no_commit(tmp_path: Path) -> None:
    from dulwich.repo import Repo

    assert head_commit(tmp_path / "model.pkl") is None
    Repo.init(str(tmp_path)).close()
    assert head_commit(tmp_path / "model.pkl") is None


def test_a_damaged_repository_is_an_error_not_another_version(tmp_path: Path) -> None:
    sha = commit_once(tmp_path).decode()
    loose = tmp_path / ".git" / "objects" / sha[:2] / sha[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"garbage")
    with pytest.raises(ArtifactError, match=r"model\.pkl: HEAD .* cannot be read"):
        head_commit(tmp_path / "model.pkl")
