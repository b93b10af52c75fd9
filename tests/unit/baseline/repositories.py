"""Git repositories made for a test, without a `git` program."""

from __future__ import annotations

from pathlib import Path

from dulwich import porcelain
from dulwich.repo import Repo

_WHO = b"A <a@example.org>"


class Repository:
    """A work tree whose files are committed one state after the other, each an hour later."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.repo = Repo.init(str(folder), default_branch=b"main")
        self.time = 1_700_000_000

    def write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def commit(self, files: dict[str, bytes], *, parents: list[bytes] | None = None) -> str:
        """Commit these files on top of the others; returns the commit's hash."""
        self.write(files)
        porcelain.add(str(self.folder), [str(self.folder / name) for name in files])
        self.time += 3_600
        sha = self.repo.get_worktree().commit(
            message=b"state",
            author=_WHO,
            committer=_WHO,
            author_timestamp=self.time,
            author_timezone=0,
            commit_timestamp=self.time,
            commit_timezone=0,
            merge_heads=parents,
        )
        return sha.decode()

    def branch(self, name: str, at: str = "") -> None:
        """Make a branch and stand on it."""
        porcelain.branch_create(str(self.folder), name, objectish=at or None)
        self.switch(name)

    def switch(self, name: str) -> None:
        porcelain.checkout(str(self.folder), name, force=True)

    def tag(self, name: str, at: str) -> None:
        self.repo.refs[f"refs/tags/{name}".encode()] = at.encode()

    def shallow_clone(self, folder: Path, branch: str) -> Path:
        porcelain.clone(str(self.folder), str(folder), depth=1, branch=branch.encode(), checkout=True).close()
        return folder

    def close(self) -> None:
        self.repo.close()
