"""The checked-out commit as Git knows it: names from the top of the repository, and whether files are what it holds.

Read straight from Git's objects, like the base version: no `git` is needed.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from validator.github.event import Target

if TYPE_CHECKING:
    from dulwich.repo import Repo

_POINTER = re.compile(rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n")
_POINTER_BYTES = 1_024
_BLOCK = 1 << 20
_GITLINK = 0o160000


class DoubtError(Exception):
    """It is not known which names in the repository decide, for the reason that it says."""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """One repository, checked out at `top`. `here` is the working directory; links above both are resolved.

    `merged` says that what is checked out is the judged commit merged into another; `into` is that one's tree, None
    where this clone does not hold it.
    """

    top: Path
    here: Path
    repository: Repo
    tree: bytes
    merged: bool = False
    into: bytes | None = None

    def holds(self, place: Path) -> bool:
        return place == self.top or place.is_relative_to(self.top)

    def name_of(self, place: Path) -> str:
        """The name of a place, links resolved but for the last. Raises DoubtError outside of the repository."""
        if place == self.top:
            return "."
        if not place.is_relative_to(self.top):
            raise DoubtError(f"{place} lies outside of the repository in {self.top}")
        name = place.relative_to(self.top).as_posix()
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DoubtError(f"{name!r} is no name that GitHub can tell") from error
        return name

    def has(self, name: str) -> bool:
        """Whether the commit has something under the name."""
        return self._find(name) is not None

    def lists(self, name: str) -> bool:
        """Whether the commit has the name, of submodules their own alone. Raises DoubtError as `check`."""
        return _entry_of(self.repository, self.tree, PurePosixPath(name).parts) is not None

    def merged_in(self, names: Iterable[str]) -> str:
        """The first of the names that the merge changes in what it was merged into, as far as is known."""
        if self.into is None:
            return ""
        for name in sorted(names):
            parts = PurePosixPath(name).parts
            try:
                was = _entry_of(self.repository, self.into, parts)
            except DoubtError:
                return ""
            if was != _entry_of(self.repository, self.tree, parts):
                return name
        return ""

    def check(self, name: str) -> None:
        """Raise DoubtError where what lies under the name is not what the commit holds there."""
        found = self._find(name)
        if found is None:
            raise DoubtError(f"{name} is no part of the commit")
        mode, sha, repository = found
        place = self.top / name
        if stat.S_ISLNK(mode) or place.is_symlink():
            same = (
                stat.S_ISLNK(mode) and place.is_symlink() and _hash_of(os.fsencode(place.readlink())) == sha
            )
        else:
            same = stat.S_ISREG(mode) and _is_content(place, sha, repository)
        if not same:
            raise DoubtError(f"{name} is not what the commit holds under that name")

    def _find(self, name: str) -> tuple[int, bytes, Repo] | None:
        """Mode and hash of what the commit has under a name, and the repository, a submodule's perhaps."""
        return _find_in(self.repository, self.tree, self.top, PurePosixPath(name).parts)


@contextmanager
def open_checkout(target: Target, environ: Mapping[str, str]) -> Iterator[Checkout]:
    """The checkout that the run works in. Raises DoubtError where it is none of the judged commit."""
    from dulwich.errors import NotGitRepository
    from dulwich.objects import Commit
    from dulwich.repo import Repo

    here = Path.cwd().resolve()
    workspace = Path(environ.get("GITHUB_WORKSPACE") or here).resolve()
    top = _top(here, workspace)
    try:
        repository = Repo(str(top))
    except (NotGitRepository, OSError, ValueError) as error:
        raise DoubtError(f"{top} is no Git repository that can be read") from error
    with repository:
        try:
            head = repository[repository.head()]
            parents = list(head.parents) if isinstance(head, Commit) else []
            tree = head.tree if isinstance(head, Commit) else b""
        except Exception as error:  # a damaged object store raises whatever its parser meets
            raise DoubtError(f"HEAD of {top} cannot be read: {error!r}") from error
        wanted = (target.head_sha or "").encode()
        if not tree or wanted not in (head.id, *parents[1:]):
            raise DoubtError(f"{top} is not a checkout of the commit {(target.head_sha or 'unknown')[:10]}")
        merged = wanted != head.id
        first = (
            repository.object_store[parents[0]] if merged and parents[0] in repository.object_store else None
        )
        into = first.tree if isinstance(first, Commit) else None
        yield Checkout(top=top, here=here, repository=repository, tree=tree, merged=merged, into=into)


def _top(here: Path, workspace: Path) -> Path:
    """The outermost repository between the workspace and the working directory, or the only one just below it."""
    if here.is_relative_to(workspace):
        between = [
            workspace,
            *reversed([one for one in (here, *here.parents) if one.is_relative_to(workspace)]),
        ]
        for folder in between:
            if (folder / ".git").exists():
                return folder
        below = [
            one for one in sorted(workspace.iterdir()) if (one / ".git").exists() and not one.is_symlink()
        ]
        if len(below) == 1 and here == workspace:
            return below[0]
    raise DoubtError(f"no Git repository is checked out in {workspace}, or several are")


def _find_in(
    repository: Repo, tree: bytes, top: Path, parts: tuple[str, ...]
) -> tuple[int, bytes, Repo] | None:
    found = _entry_of(repository, tree, parts)
    if found is None:
        return None
    mode, sha, inside = found
    if mode == _GITLINK:
        return _in_submodule(sha, top.joinpath(*parts[: len(parts) - len(inside)]), inside)
    return mode, sha, repository


def _entry_of(
    repository: Repo, tree: bytes, parts: tuple[str, ...]
) -> tuple[int, bytes, tuple[str, ...]] | None:
    """Mode and hash of the last entry on the way to a name, and what of the name is left behind a submodule."""
    from dulwich.objects import Tree

    mode, sha = stat.S_IFDIR, tree
    for count, part in enumerate(parts):
        try:
            found: Any = repository.object_store[sha]  # type: ignore[index]
        except KeyError as error:
            raise DoubtError(f"Git's objects of {'/'.join(parts[:count])} are not in this clone") from error
        if not isinstance(found, Tree) or os.fsencode(part) not in found:
            return None
        mode, sha = found[os.fsencode(part)]
        if mode == _GITLINK:
            return mode, sha, parts[count + 1 :]
        if not stat.S_ISDIR(mode) and count + 1 < len(parts):
            return None
    return mode, sha, ()


def _in_submodule(sha: bytes, place: Path, parts: tuple[str, ...]) -> tuple[int, bytes, Repo] | None:
    """What a submodule has, if it is checked out at the very commit that its superproject names."""
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        with Repo(str(place)) as repository:
            if repository.head() != sha:
                raise DoubtError(f"the submodule in {place} is not at the commit that the repository names")
            tree: Any = repository[sha]
            return _find_in(repository, tree.tree, place, parts)
    except (NotGitRepository, KeyError, OSError, ValueError) as error:
        raise DoubtError(f"the submodule in {place} cannot be read") from error


def _is_content(place: Path, sha: bytes, repository: Repo) -> bool:
    """Whether the file's bytes are the blob's, or those that the blob's Git-LFS pointer names."""
    size = place.stat().st_size
    plain, large = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), hashlib.sha256()
    with place.open("rb") as file:
        while block := file.read(_BLOCK):
            plain.update(block)
            large.update(block)
    if plain.hexdigest().encode() == sha:
        return True
    try:
        held: Any = repository.object_store[sha]  # type: ignore[index]
    except KeyError:
        return False
    if held.raw_length() > _POINTER_BYTES:
        return False
    pointer = _POINTER.search(held.as_raw_string())
    return pointer is not None and pointer[1] == large.hexdigest().encode() and int(pointer[2]) == size


def _hash_of(content: bytes) -> bytes:
    digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return digest.hexdigest().encode()
