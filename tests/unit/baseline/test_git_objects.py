"""A model as it was at a commit, from Git's objects: the right commit, or the reason why it cannot be had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.baseline.repositories import Repository
from validator.baseline.git_objects import NewFileError, NotInGitError, pull_request_base, read_at

NAME = "models/m.bin"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """main: one, two, later; work: left main at two, and went on to mine."""
    made = Repository(tmp_path / "repo")
    made.first = made.commit({NAME: b"one"})
    made.second = made.commit({NAME: b"two"})
    made.branch("work")
    made.mine = made.commit({NAME: b"mine"})
    made.switch("main")
    made.later = made.commit({NAME: b"later"})
    made.switch("work")
    yield made
    made.close()


def content(repository: Repository, reference: str) -> bytes:
    return read_at(repository.folder / NAME, reference).files[""]


def test_a_branch_stands_for_the_point_where_the_work_left_it(repository):
    found = read_at(repository.folder / NAME, "main")
    assert found.files == {"": b"two"}
    assert found.commit == repository.second
    assert "merge base" in found.how


def test_a_remote_branch_does_too(repository):
    repository.repo.refs[b"refs/remotes/origin/main"] = repository.later.encode()
    assert content(repository, "origin/main") == b"two"


def test_a_branch_that_is_part_of_the_work_stands_for_its_tip(repository):
    repository.switch("main")
    assert content(repository, "main") == b"later"


@pytest.mark.parametrize("reference", ["tip", "commit", "short"])
def test_tags_and_commits_are_meant_exactly(repository, reference):
    repository.tag("v1", repository.later)
    name = {"tip": "v1", "commit": repository.later, "short": repository.later[:10]}[reference]
    assert content(repository, name) == b"later"


def test_a_tag_comes_before_a_branch_of_the_same_name(repository):
    repository.tag("main", repository.first)
    assert content(repository, "main") == b"one"


def test_steps_back_from_head(repository):
    assert content(repository, "HEAD") == b"mine"
    assert content(repository, "HEAD~1") == content(repository, "HEAD^") == b"two"
    assert content(repository, "HEAD~2") == b"one"
    with pytest.raises(NotInGitError, match="beyond the first commit"):
        content(repository, "HEAD~3")


def test_changes_that_are_not_committed_do_not_matter(repository):
    repository.write({NAME: b"in hand"})
    assert content(repository, "HEAD") == b"mine"


def test_a_folder_is_read_with_all_that_is_in_it(repository):
    repository.commit({"models/sub/deep.txt": b"deep"})
    assert read_at(repository.folder / "models", "HEAD").files == {"m.bin": b"mine", "sub/deep.txt": b"deep"}


def test_a_new_path_is_told_from_a_reference_that_is_not_there(repository):
    repository.write({"models/new.bin": b"new"})
    with pytest.raises(NewFileError):
        read_at(repository.folder / "models/new.bin", "main")
    with pytest.raises(NotInGitError, match="nosuch is no branch, tag or commit"):
        content(repository, "nosuch")


def test_outside_of_a_repository(tmp_path):
    (tmp_path / "m.bin").write_bytes(b"x")
    with pytest.raises(NotInGitError, match="no Git repository"):
        read_at(tmp_path / "m.bin", "main")


def test_links_are_refused(repository):
    (repository.folder / "link.bin").symlink_to("models/m.bin")
    repository.commit({})
    from dulwich import porcelain

    porcelain.add(str(repository.folder), [str(repository.folder / "link.bin")])
    repository.commit({})
    with pytest.raises(NotInGitError, match="link"):
        read_at(repository.folder / "link.bin", "HEAD")


def test_histories_without_a_common_ancestor(repository):
    other = Repository(repository.folder.parent / "other")
    sha = other.commit({NAME: b"other"})
    repository.repo.object_store.add_objects(
        [(other.repo.object_store[object_id], None) for object_id in other.repo.object_store]
    )
    repository.repo.refs[b"refs/heads/other"] = sha.encode()
    with pytest.raises(NotInGitError, match="no common ancestor"):
        content(repository, "other")
    assert content(repository, sha) == b"other"
    other.close()


class TestShallow:
    """What actions/checkout fetches unless told otherwise: one commit."""

    @pytest.fixture
    def clone(self, repository: Repository) -> Path:
        return repository.shallow_clone(repository.folder.parent / "clone", "work")

    def test_the_tip_is_there(self, clone):
        assert read_at(clone / NAME, "HEAD").files == {"": b"mine"}

    @pytest.mark.parametrize("reference", ["HEAD~1", "v9", "HEAD^"])
    def test_what_is_not_there_is_explained_with_the_remedy(self, clone, reference):
        with pytest.raises(NotInGitError, match="shallow") as caught:
            read_at(clone / NAME, reference)
        assert "fetch-depth" in caught.value.hint

    def test_the_base_branch_beyond_the_edge(self, clone, repository):
        from dulwich.repo import Repo

        with Repo(str(clone)) as shallow:
            shallow.object_store.add_objects(
                [
                    (repository.repo.object_store[object_id], None)
                    for object_id in repository.repo.object_store
                    if object_id != repository.second.encode()
                ]
            )
            shallow.refs[b"refs/remotes/origin/main"] = repository.later.encode()
        with pytest.raises(NotInGitError) as caught:
            read_at(clone / NAME, "origin/main")
        assert "fetch-depth" in caught.value.hint


class TestPullRequest:
    def test_the_base_branch_where_it_was_fetched(self, repository):
        repository.repo.refs[b"refs/remotes/origin/main"] = repository.later.encode()
        assert pull_request_base(repository.folder / NAME, "main") == "origin/main"

    def test_the_first_parent_of_githubs_merge_where_it_was_not(self, repository):
        repository.switch("main")
        repository.commit({NAME: b"mine"}, parents=[repository.mine.encode()])
        reference = pull_request_base(repository.folder / NAME, "main")
        assert content(repository, reference) == b"later"

    def test_the_name_of_what_is_lacking_otherwise(self, repository):
        assert pull_request_base(repository.folder / NAME, "main") == "origin/main"


class TestLfs:
    CONTENT = b"the model itself"

    @pytest.fixture
    def pointed(self, repository: Repository) -> Repository:
        digest = hashlib.sha256(self.CONTENT).hexdigest()
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(self.CONTENT)}\n"
        )
        repository.commit({NAME: pointer.encode()})
        repository.object = repository.folder / ".git/lfs/objects" / digest[:2] / digest[2:4] / digest
        return repository

    def test_the_content_where_it_was_fetched(self, pointed):
        pointed.object.parent.mkdir(parents=True)
        pointed.object.write_bytes(self.CONTENT)
        assert content(pointed, "HEAD") == self.CONTENT

    def test_the_remedy_where_it_was_not(self, pointed):
        with pytest.raises(NotInGitError, match="Git LFS") as caught:
            content(pointed, "HEAD")
        assert "git lfs fetch" in caught.value.hint

    def test_damage(self, pointed):
        pointed.object.parent.mkdir(parents=True)
        pointed.object.write_bytes(b"something else")
        with pytest.raises(NotInGitError, match="damaged"):
            content(pointed, "HEAD")
