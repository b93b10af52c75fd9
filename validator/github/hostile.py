"""Reading a result folder that somebody else has made: sizes, links, paths and the schema are checked, in this order.

`index.json` says what the run was to judge and what it did; only the `result.json` files that it names, with
the hashes that it names, are read. Anything else in the folder that the run would not have written is refused
by name. The reports are never read: what is published is rendered anew from our own templates.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from validator.errors import PublishError
from validator.github.event import Target
from validator.github.wording import is_inside, one_line
from validator.results import GateResult, IndexedModel, RunIndex, Value

INDEX_NAME = "index.json"
RESULT_NAME = "result.json"
REPORT_NAMES = frozenset({"report.md", "report.html", "junit.xml"})
ARTIFACT_NAME = "artifact"
MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_MODELS = 100
MAX_ENTRIES = 1_000
#: What a JSON document of ours never exceeds: objects and lists in all, and keys in one object.
MAX_CONTAINERS = 400_000
MAX_KEYS = 20_000
#: Objects and lists of all results together: each takes memory many times its length.
MAX_TOTAL_CONTAINERS = 1_000_000

_HINT = (
    "upload the folder that `validate` wrote, unchanged, and use one version of the action in both workflows"
)
_RELEASE_HINT = "publish with the release that judged, or a newer one"
_OWN_FOLDER = "let the run write to a folder of its own (`out`), and upload that folder alone"


class HostileResultError(PublishError):
    """The folder is not one that this version of the command wrote, or it is too large to be believed."""


class NoResultError(HostileResultError):
    """There is no result in it."""


@dataclass(frozen=True, kw_only=True)
class UploadedRun:
    """What a run was to judge, by its own account, and the results that it names, in the same order."""

    index: RunIndex
    results: tuple[GateResult, ...]

    @property
    def unjudged(self) -> tuple[IndexedModel, ...]:
        return tuple(one for one in self.index.models if one.status == "unjudged")

    @property
    def unchanged(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.index.models if one.status == "unchanged")


def read_run(folder: Path) -> UploadedRun:
    """What the folder holds, by its index. Follows no link, opens no path from inside.

    Raises NoResultError where there is no folder or no index, HostileResultError where something breaks a
    limit, the schema or the index's word.
    """
    root = _opened(folder)
    try:
        raw = _read(root, INDEX_NAME)
        if raw is None:
            raise NoResultError(
                f"the result folder is refused: there is no {INDEX_NAME} in it, so the run that should have "
                "judged did not come to its end",
                hint=_HINT,
            )
        index = _valid(RunIndex, raw, INDEX_NAME)
        _check_models(index)
        _check_entries(root, "", _allowed(index))
        for one in index.models:
            if one.folder != ".":
                _check_entries(root, one.folder, _allowed_of(one))
        return UploadedRun(index=index, results=tuple(_read_all(root, index)))
    finally:
        os.close(root)


def read_index(folder: Path) -> RunIndex | None:
    """What the folder's index says, None where there is none. Raises HostileResultError as `read_run` does."""
    try:
        root = _opened(folder)
    except NoResultError:
        return None
    try:
        raw = _read(root, INDEX_NAME)
        return None if raw is None else _valid(RunIndex, raw, INDEX_NAME)
    finally:
        os.close(root)


def check_run(index: RunIndex, target: Target, context: str) -> None:
    """Raise HostileResultError where the index is that of another run than the one GitHub names.

    Also where "no model changed" was found by looking at another status than the one, `context`, that is to say so.
    """
    said = f"the result folder is refused: its {INDEX_NAME}"
    if index.run_id != target.run_id or index.run_attempt > target.run_attempt:
        run = f"run {index.run_id}, attempt {index.run_attempt}" if index.run_id else "no run on GitHub"
        raise HostileResultError(
            f"{said} is of {run}, not of run {target.run_id}, attempt {target.run_attempt}", hint=_HINT
        )
    if index.repository.lower() != target.repository.lower():
        raise HostileResultError(f"{said} is of a run in another repository", hint=_HINT)
    if target.head_sha is not None and index.head_sha != target.head_sha:
        raise HostileResultError(f"{said} is of another commit than {target.head_sha[:10]}", hint=_HINT)

    unchanged = any(one.status == "unchanged" for one in index.models)
    if unchanged and index.context.lower() != context.lower():
        raise HostileResultError(
            f"no change since {_shown(index.context or 'no status')} says nothing about {_shown(context)}",
            hint="give `status-context` and `instance-key` alike to the step that judges and the one that publishes",
        )


def _check_models(index: RunIndex) -> None:
    if len(index.models) > MAX_MODELS:
        _refuse(f"{INDEX_NAME} names more than {MAX_MODELS} models")
    if not index.models and not index.error:
        _refuse(f"{INDEX_NAME} names no model and no error")
    folders = [one.folder for one in index.models]
    if len(set(folders)) != len(folders):
        _refuse(f"{INDEX_NAME} names one folder twice")
    for one in index.models:
        plain = (
            is_inside(one.folder) and "/" not in one.folder and one.folder not in (ARTIFACT_NAME, INDEX_NAME)
        )
        if not plain or (one.folder == "." and len(index.models) > 1):
            _refuse(f"{INDEX_NAME} names a folder that no run writes: {_shown(one.folder)}")
        if (one.status == "judged") != (one.sha256 is not None):
            _refuse(f"{INDEX_NAME} names no result of {_shown(one.name)}, or one that it did not judge")


def _allowed(index: RunIndex) -> frozenset[str]:
    folders = {one.folder for one in index.models}
    own = (
        {RESULT_NAME} if any(one.folder == "." and one.status == "judged" for one in index.models) else set()
    )
    return frozenset({INDEX_NAME, ARTIFACT_NAME, *REPORT_NAMES, *(folders - {"."}), *own})


def _allowed_of(model: IndexedModel) -> frozenset[str]:
    return frozenset({ARTIFACT_NAME, *REPORT_NAMES, *([RESULT_NAME] if model.status == "judged" else [])})


def _check_entries(root: int, folder: str, allowed: frozenset[str]) -> None:
    """Raise for an entry that is not among the allowed names, naming it. A folder need not be there."""
    try:
        opened = os.open(
            folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root
        )
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refused(f"{_shown(folder)} cannot be opened as a folder: {error.strerror}") from error
    try:
        with os.scandir(opened) as entries:
            for count, entry in enumerate(entries):
                if count >= MAX_ENTRIES:
                    _refuse(f"more than {MAX_ENTRIES} entries")
                if entry.name not in allowed:
                    name = _shown(f"{folder}/{entry.name}" if folder else entry.name)
                    raise HostileResultError(
                        f"the result folder is refused: {name} is not among what the run's {INDEX_NAME} names",
                        hint=_OWN_FOLDER,
                    )
    finally:
        os.close(opened)


def _opened(folder: Path) -> int:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NoResultError(
            f"the result folder is refused: there is no {folder}; the run that should have judged uploaded nothing",
            hint=_HINT,
        ) from error
    except OSError as error:
        raise _refused(f"{folder} cannot be opened as a folder: {error.strerror}") from error


def _read_all(root: int, index: RunIndex) -> list[GateResult]:
    """The results that the index names, each the very file that it names."""
    found: list[GateResult] = []
    total = parts = 0
    for one in index.models:
        if one.status != "judged":
            continue
        name = RESULT_NAME if one.folder == "." else f"{one.folder}/{RESULT_NAME}"
        raw = _read(root, name)
        if raw is None:
            raise _refused(f"{_shown(name)}, which {INDEX_NAME} names, is not there")
        total += len(raw)
        if total > MAX_TOTAL_BYTES:
            raise _refused(f"more than {MAX_TOTAL_BYTES} bytes of results")
        parts += _containers(raw)
        if parts > MAX_TOTAL_CONTAINERS:
            raise _refused(f"more than {MAX_TOTAL_CONTAINERS} lists and objects in all results")
        if hashlib.sha256(raw).hexdigest() != one.sha256:
            raise _refused(f"{_shown(name)} is not the file that {INDEX_NAME} names")
        result = _parsed(raw, name)
        if result.model.path != one.path:
            raise _refused(f"{_shown(name)} speaks of another model than {INDEX_NAME}")
        found.append(result)
    return found


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
    """The value. The first fault is enough: a file of faults is not answered with a list of all of them."""
    try:
        return kind.model_validate(_plain(raw, name))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = one_line(".".join(map(str, first["loc"])), 100)
        what = one_line(f"{where}: {first['msg']}" if where else first["msg"], 300)
        hint = _RELEASE_HINT if first["type"] == "schema_version" else _HINT
        raise _refused(f"{_shown(name)} does not follow the schema: {what}", hint) from None


def _plain(raw: bytes, name: str) -> Any:
    """The document as plain values, of no more parts than any of ours: that bounds memory and faults."""
    against = f"{_shown(name)} does not follow the schema"
    if _containers(raw) > MAX_CONTAINERS:
        _refuse(f"{against}: more than {MAX_CONTAINERS} lists and objects")

    def keyed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs) if len(pairs) <= MAX_KEYS else {}
        if len(found) != len(pairs):
            _refuse(f"{against}: an object has more than {MAX_KEYS} keys, or one of them twice")
        return found

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=keyed)
    except (ValueError, RecursionError) as error:
        raise _refused(f"{against}: {one_line(str(error), 200)}") from None


def _containers(raw: bytes) -> int:
    """No fewer than the objects and lists of a document."""
    return raw.count(b"{") + raw.count(b"[")


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


def _refuse(why: str) -> NoReturn:
    raise _refused(why)


def _refused(why: str, hint: str = _HINT) -> HostileResultError:
    return HostileResultError(f"the result folder is refused: {why}", hint=hint)
