"""Reading a result folder that somebody else has made: sizes, links, paths and the schema are checked, in this order.

Only `result.json` is read, in the folder itself or in folders directly below it (several models), and where there is
none `unchanged.json`, of a run that had nothing to judge. The reports beside it are ignored: what is published is
rendered anew from our own templates.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from validator.errors import PublishError
from validator.github.wording import is_inside, one_line
from validator.results import GateResult, Untouched, Value

RESULT_NAME = "result.json"
UNCHANGED_NAME = "unchanged.json"
MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_MODELS = 100
MAX_ENTRIES = 1_000

_HINT = "upload the folder that `validate` wrote, unchanged"
_RELEASE_HINT = "publish with the release that judged, or a newer one"


class HostileResultError(PublishError):
    """The folder is not one that this version of the command wrote, or it is too large to be believed."""


class NoResultError(HostileResultError):
    """There is no result in it."""


def read_results(folder: Path) -> tuple[GateResult, ...]:
    """All results in the folder, in the order of their folders' names. Follows no link, opens no path from inside.

    Raises HostileResultError when there is none, or one that breaks a limit or the schema.
    """
    root = _opened(folder)
    try:
        names = [RESULT_NAME, *(f"{name}/{RESULT_NAME}" for name in _folders(root))]
        return _read_all(root, names)
    finally:
        os.close(root)


def read_unchanged(folder: Path) -> tuple[str, ...] | None:
    """The models that a run has found untouched; None where it does not say so. Raises as `read_results`."""
    root = _opened(folder)
    try:
        raw = _read(root, UNCHANGED_NAME)
        return None if raw is None else _valid(Untouched, raw, UNCHANGED_NAME).unchanged
    finally:
        os.close(root)


def _opened(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(f"{folder} cannot be opened as a folder: {error.strerror}") from error


def _read_all(root: int, names: list[str]) -> tuple[GateResult, ...]:
    found: list[GateResult] = []
    total = 0
    for name in names:
        raw = _read(root, name)
        if raw is None:
            continue
        total += len(raw)
        if total > MAX_TOTAL_BYTES or len(found) == MAX_MODELS:
            raise _refused(f"more than {MAX_MODELS} results or {MAX_TOTAL_BYTES} bytes of them")
        found.append(_parsed(raw, name))
    if not found:
        raise NoResultError(f"the result folder is refused: there is no {RESULT_NAME} in it", hint=_HINT)
    return tuple(found)


def _folders(root: int) -> list[str]:
    """Names of the real folders directly in the open folder."""
    found = []
    with os.scandir(root) as entries:
        for count, entry in enumerate(entries):
            if count >= MAX_ENTRIES:
                raise _refused(f"more than {MAX_ENTRIES} entries")
            if entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
    return sorted(found)


def _read(root: int, name: str) -> bytes | None:
    """The bytes of a regular file below the open folder; None where there is none. Never waits for a pipe."""
    *folders, last = name.split("/")
    opened = [root]
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        for part in folders:
            opened.append(os.open(part, flags | os.O_DIRECTORY, dir_fd=opened[-1]))
        opened.append(os.open(last, flags, dir_fd=opened[-1]))
        return _content(opened[-1], name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(f"{_shown(name)} cannot be read: {error.strerror}") from error
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _content(descriptor: int, name: str) -> bytes:
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        raise _refused(f"{_shown(name)} is no regular file")
    if about.st_nlink != 1:
        raise _refused(f"{_shown(name)} has another name elsewhere (a hard link)")
    with os.fdopen(os.dup(descriptor), "rb") as file:
        raw = file.read(MAX_RESULT_BYTES + 1)
    if len(raw) > MAX_RESULT_BYTES:
        raise _refused(f"{_shown(name)} is larger than {MAX_RESULT_BYTES} bytes")
    return raw


def _parsed(raw: bytes, name: str) -> GateResult:
    result = _valid(GateResult, raw, name)
    if _has_absurd_number(result.model_dump()):
        raise _refused(f"{_shown(name)} holds a whole number of more than 64 bits")
    return _without_foreign_paths(result, name)


_T = TypeVar("_T", bound=Value)


def _valid(kind: type[_T], raw: bytes, name: str) -> _T:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = one_line(".".join(map(str, first["loc"])), 100)
        what = one_line(f"{where}: {first['msg']}" if where else first["msg"], 300)
        hint = _RELEASE_HINT if first["type"] == "schema_version" else _HINT
        raise _refused(f"{_shown(name)} does not follow the schema: {what}", hint) from None


def _without_foreign_paths(result: GateResult, name: str) -> GateResult:
    """The result, its artifact forgotten where it lay outside the workspace of the run that made it (`--out /tmp/x`).

    Paths are only shown, never opened, yet one that climbs is no accident.
    """
    if result.artifact is None:
        return result
    for path in (result.artifact.path.removeprefix("/"), *(file.name for file in result.artifact.files)):
        if not is_inside(path):
            raise _refused(f"{_shown(name)} names a path outside its folder: {one_line(path, 100)}")
    return result.model_copy(update={"artifact": None}) if result.artifact.path.startswith("/") else result


def _has_absurd_number(value: object) -> bool:
    """Whether a whole number hides in it that no count, size or class label is; the schema bounds the depth."""
    if isinstance(value, dict):
        return any(map(_has_absurd_number, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_absurd_number, value))
    return isinstance(value, int) and value.bit_length() > 64


def _shown(name: str) -> str:
    return one_line(name, 120)


def _refused(why: str, hint: str = _HINT) -> HostileResultError:
    return HostileResultError(f"the result folder is refused: {why}", hint=hint)
