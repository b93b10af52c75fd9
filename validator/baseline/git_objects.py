"""Reads a model as it was at a commit, straight from Git's objects: nothing is checked out, no `git` is needed.

A branch stands for the point where the work in hand left it (the merge base with HEAD), since what came later is
no part of this change. A tag, a commit or `HEAD~1` stands for exactly that commit.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.errors import UsageError
from validator.model.formats import HEAD_BYTES, is_lfs_pointer

if TYPE_CHECKING:
    from dulwich.objects import Commit, Tree
    from dulwich.repo import Repo

_MOST_FILES = 10_000
_STEPS = re.compile(r"(?P<start>.+?)(?P<steps>(?:~[0-9]*|\^[0-9]*)+)")
_POINTER = re.compile(rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n")
_BRANCHES = ("refs/remotes/", "refs/heads/")
_FETCH = "give actions/checkout `fetch-depth: 0` (two commits, `fetch-depth: 2`, do on a pull request)"


class NotInGitError(UsageError):
    """The reference, its history or what it points to cannot be read here."""


class NewFileError(NotInGitError):
    """The commit is there, and has nothing at the path."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What lies at the model's path in a commit: bytes by path within it ("" where it is a file)."""

    commit: str
    time: int
    how: str
    files: dict[str, bytes]


def read_at(model: Path, reference: str) -> Snapshot:
    """The model's file or folder at the reference.

    Raises NotInGitError where there is no repository, no such reference, no common history or an object is lacking
    (the hint tells a shallow clone or Git LFS from a mistake), and NewFileError where the commit has no such path.
    """
    repository, inside = _discover(model)
    with repository:
        commit, how = _meant(repository, reference)
        return Snapshot(
            commit=commit.id.decode("ascii"),
            time=int(commit.commit_time),
            how=how,
            files=_files(repository, commit, inside),
        )


def pull_request_base(model: Path, branch: str) -> str:
    """The reference to compare a pull request with: the base branch, or HEAD's first parent where only that is here.

    GitHub checks a pull request out as its merge into the base branch, whose first parent is that branch.
    """
    try:
        repository, _ = _discover(model)
    except NotInGitError:
        return f"origin/{branch}"
    with repository:
        if f"refs/remotes/origin/{branch}" in _references(repository):
            return f"origin/{branch}"
        head = _head(repository)
        merged = head is not None and len(head.parents) == 2 and head.parents[0] in repository.object_store
    return "HEAD^1" if merged else f"origin/{branch}"


def _discover(model: Path) -> tuple[Repo, str]:
    """The repository that holds the model, and the model's path within it."""
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    place = Path(os.path.abspath(model))  # noqa: PTH100 - a link to the model is followed to its folder only
    place = place.parent.resolve() / place.name
    try:
        repository = Repo.discover(str(place.parent))
        inside = place.relative_to(Path(repository.path).resolve())
    except (NotGitRepository, ValueError) as error:
        raise NotInGitError(
            f"{model} lies in no Git repository",
            hint="give --baseline a file or an artifact folder, or `none`",
        ) from error
    return repository, inside.as_posix()


def _meant(repository: Repo, reference: str) -> tuple[Commit, str]:
    """The commit that a reference stands for, and in words which one that is."""
    from dulwich.graph import find_merge_base

    found = _commit(repository, reference)
    if not _is_branch(repository, reference):
        return found, f"commit {_short(found.id)}"
    head = _head(repository)
    if head is None:
        return found, f"commit {_short(found.id)}"
    try:
        common = find_merge_base(repository, [head.id, found.id])
    except KeyError as error:
        raise _lacking(repository, f"a commit between HEAD and {reference}") from error
    if not common:
        raise NotInGitError(
            f"HEAD and {reference} have no common ancestor"
            + (" in this shallow clone" if _is_shallow(repository) else ""),
            hint=_FETCH if _is_shallow(repository) else "name a commit or a tag instead of a branch",
        )
    base = _as_commit(repository, common[0], reference)
    return base, f"merge base {_short(base.id)} of HEAD and {reference}"


def _commit(repository: Repo, reference: str) -> Commit:
    from dulwich.objectspec import parse_commit
    from dulwich.refs import check_ref_format

    match = _STEPS.fullmatch(reference)
    start, steps = (match["start"], match["steps"]) if match else (reference, "")
    if not check_ref_format(f"refs/{start}".encode()):  # type: ignore[arg-type]
        raise NotInGitError(f"{reference!r} can be no branch, tag or commit", hint="check --baseline")
    try:
        found = parse_commit(repository, start)
    except (KeyError, ValueError, AssertionError) as error:
        shallow = _is_shallow(repository)
        raise NotInGitError(
            f"{reference} is no branch, tag or commit here" + (": the clone is shallow" if shallow else ""),
            hint=_FETCH if shallow else "check the name, or fetch it: git fetch origin <branch>",
        ) from error
    for sign, number in re.findall(r"([~^])([0-9]*)", steps):
        found = _stepped(repository, found, sign, int(number or 1), reference)
    return found


def _stepped(repository: Repo, commit: Commit, sign: str, number: int, reference: str) -> Commit:
    """`~3`: the third ancestor along first parents. `^2`: the second parent."""
    for which in [0] * number if sign == "~" else [number - 1] * (number > 0):
        if which >= len(commit.parents):
            raise NotInGitError(
                f"{reference} goes back beyond the first commit", hint="name a commit that exists"
            )
        commit = _as_commit(repository, commit.parents[which], reference)
    return commit


def _as_commit(repository: Repo, sha: Any, reference: str) -> Commit:
    from dulwich.objects import Commit

    try:
        found = repository.object_store[sha]
    except KeyError as error:
        raise _lacking(repository, f"{reference} ({_short(sha)})") from error
    if not isinstance(found, Commit):
        raise NotInGitError(f"{reference} is no commit", hint="name a branch, a tag or a commit")
    return found


def _head(repository: Repo) -> Commit | None:
    try:
        return _as_commit(repository, repository.head(), "HEAD")
    except KeyError:
        return None


def _is_branch(repository: Repo, reference: str) -> bool:
    """Whether the name is a branch's, here or remote. A tag of the same name comes first, as for Git."""
    known = _references(repository)
    if f"refs/tags/{reference}" in known:
        return False
    names = (reference, f"refs/{reference}", *(f"{prefix}{reference}" for prefix in _BRANCHES))
    return any(name.startswith(_BRANCHES) and name in known for name in names)


def _references(repository: Repo) -> set[str]:
    return {bytes(name).decode("utf-8", "replace") for name in repository.refs.allkeys()}


def _files(repository: Repo, commit: Commit, inside: str) -> dict[str, bytes]:
    from dulwich.objects import Tree

    store, entry = repository.object_store, (stat.S_IFDIR, commit.tree)
    try:
        for part in inside.split("/"):
            tree = store[entry[1]]
            if not isinstance(tree, Tree) or part.encode() not in tree:
                raise NewFileError(
                    f"{inside} is not there at {_short(commit.id)}", hint="nothing to do for a new model"
                )
            entry = tree[part.encode()]
        if stat.S_ISDIR(entry[0]):
            return dict(_walk(repository, entry[1], ""))
        return {"": _blob(repository, *entry, inside)}
    except KeyError as error:
        raise _lacking(repository, inside) from error


def _walk(repository: Repo, folder: Any, above: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    tree: Tree = repository.object_store[folder]  # type: ignore[assignment]
    for name, mode, sha in tree.items():
        text = name.decode("utf-8", "surrogateescape")
        if text in (".", "..", ".git") or "/" in text or not text:
            raise NotInGitError(
                f"the folder at the base holds {text!r}, which is no file name", hint="mend the commit"
            )
        path = f"{above}{text}"
        if stat.S_ISDIR(mode):
            found += _walk(repository, sha, f"{path}/")
        else:
            found.append((path, _blob(repository, mode, sha, path)))
        if len(found) > _MOST_FILES:
            raise NotInGitError(
                f"the base's folder holds more than {_MOST_FILES:,} files", hint="give one model file"
            )
    return found


def _blob(repository: Repo, mode: int, sha: Any, path: str) -> bytes:
    """The file's bytes, those behind a Git-LFS pointer where they are in this clone."""
    if not stat.S_ISREG(mode):
        raise NotInGitError(
            f"{path} is a link or submodule at the base version, no file",
            hint="name the file itself with --baseline, or switch the comparison off with `none`",
        )
    data = bytes(repository.object_store[sha].as_raw_string())
    return _lfs_object(repository, data, path) if is_lfs_pointer(data[:HEAD_BYTES]) else data


def _lfs_object(repository: Repo, pointer: bytes, path: str) -> bytes:
    match = _POINTER.search(pointer)
    if match is None:
        raise NotInGitError(
            f"{path} is a malformed Git-LFS pointer at the base version", hint="commit it again"
        )
    digest = match[1].decode("ascii")
    place = Path(repository.commondir()) / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    try:
        content = place.read_bytes()
    except OSError as error:
        raise NotInGitError(
            f"{path} is in Git LFS at the base version, and its content ({digest[:12]}…) is not in this clone",
            hint="run `git lfs fetch origin <base branch>` before the gate, or compare with an artifact folder",
        ) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise NotInGitError(
            f"the Git-LFS object {digest[:12]}… of {path} is damaged", hint="fetch it again: git lfs fetch"
        )
    return content


def _lacking(repository: Repo, what: str) -> NotInGitError:
    shallow = _is_shallow(repository)
    return NotInGitError(
        f"{what} is not in this clone" + (", which is shallow" if shallow else ""),
        hint=_FETCH if shallow else "fetch it: git fetch origin",
    )


def _is_shallow(repository: Repo) -> bool:
    return bool(repository.get_shallow())


def _short(sha: Any) -> str:
    return bytes(sha).decode("ascii", "replace")[:10]
