"""Verifying an artifact folder before anything in it is used.

Every byte is accounted for: `SHA256SUMS` must be canonical, list exactly the files that are there, and match
each; no file may be anything but a plain file, or a link to one that does not leave the folder (volumes of Kubernetes
are made of such links); the manifest must parse and agree with the model and the version it names. What file systems
leave in every folder is passed over. The bytes that were hashed are the bytes that are handed on, so a file exchanged
after the check is not read. Only the standard library is needed.

A checksum tells an accident or a careless change from the original; it is no signature. Whoever can rewrite
the folder can rewrite `SHA256SUMS` with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from validator.errors import ArtifactError

#: Since 2 an artifact may hold a profile and golden requests.
MANIFEST_SCHEMA = 2
_READABLE = (1, MANIFEST_SCHEMA)
CONTRACT_SCHEMA = 1
MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
CONTRACT_FILE = "contract.json"
GOLDEN_FILE = "golden.json"
REPORT_FILE = "report.md"
PROFILE_FILE = "profile.json"
SUMS_FILE = "SHA256SUMS"
KNOWN_FILES = frozenset(
    {MODEL_FILE, MANIFEST_FILE, CONTRACT_FILE, PROFILE_FILE, GOLDEN_FILE, REPORT_FILE, SUMS_FILE}
)
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]{0,99})\n")
_TEXT_LIMIT = 64 * 2**20
_RESTORE = "restore the folder from where it was built, or validate the model again"


#: What file systems, desktops and volumes put into every folder: no part of an artifact. Kubernetes keeps the files
#: of a volume in a folder `..data`, and links to them.
_LITTER = re.compile(r"lost\+found|\.DS_Store|Thumbs\.db|desktop\.ini|\.snapshot|\.nfs\w+|\._.*|\.\..*")


class ArtifactNotFoundError(ArtifactError, FileNotFoundError):
    """There is no artifact folder, or a file that belongs in it is missing."""


class TamperedArtifactError(ArtifactError, ValueError):
    """A file of the artifact is not what it was when the gate wrote it. `file` is its name."""

    def __init__(self, message: str, *, hint: str = _RESTORE, file: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file


class UnjudgedArtifactError(ArtifactError, ValueError):
    """The folder or file holds a model, but no verdict: the gate never wrote it."""


@dataclass(frozen=True, kw_only=True)
class StoredArtifact:
    """What an artifact folder holds, as read once. `files` are bytes by name.

    `manifest` and `contract` are JSON objects; the manifest is empty where a lenient read found none, the
    contract None where a failed run wrote none. `problems` are what a lenient read found wrong, in words.
    """

    path: Path
    files: dict[str, bytes] = field(repr=False)
    manifest: dict[str, Any]
    contract: dict[str, Any] | None
    problems: tuple[str, ...] = ()

    @property
    def onnx(self) -> bytes | None:
        return self.files.get(MODEL_FILE)


def read_artifact(folder: str | Path) -> StoredArtifact:
    """Read and verify an artifact folder, whatever its verdict.

    Raises ArtifactNotFoundError when the folder or a listed file is missing, UnjudgedArtifactError when it has
    neither manifest nor checksums, TamperedArtifactError for everything else that is not as it was written; the
    message names the file.
    """
    path = Path(folder)
    files = _read_files(path)
    if MANIFEST_FILE not in files and SUMS_FILE not in files:
        raise UnjudgedArtifactError(
            f"{path} has neither {MANIFEST_FILE} nor {SUMS_FILE}: no gate ever judged it",
            hint="run `model-preflight validate` on the model and load the artifact that it writes",
        )
    _verify_sums(path, files)
    if MANIFEST_FILE not in files:
        raise _missing(path, MANIFEST_FILE)
    manifest = parse_object(files[MANIFEST_FILE], name=MANIFEST_FILE)
    _verify_manifest(manifest, files)
    return StoredArtifact(path=path, files=files, manifest=manifest, contract=_contract(files))


def read_leniently(folder: str | Path) -> StoredArtifact:
    """Read an artifact that need not verify, for a caller who overrides: `problems` says what is wrong with it.

    Raises ArtifactNotFoundError when there is no such folder, and TamperedArtifactError where what is left
    cannot be understood at all (a link, a contract that does not parse).
    """
    path = Path(folder)
    files = _read_files(path)
    problems: list[str] = []
    manifest: dict[str, Any] = {}
    if MANIFEST_FILE not in files and SUMS_FILE not in files:
        problems.append("never judged: no manifest and no checksums")
    else:
        try:
            return read_artifact(path)
        except ArtifactError as error:
            problems.append(error.message)
    if MANIFEST_FILE in files:
        try:
            manifest = parse_object(files[MANIFEST_FILE], name=MANIFEST_FILE)
        except TamperedArtifactError as error:
            problems.append(error.message)
    return StoredArtifact(
        path=path, files=files, manifest=manifest, contract=_contract(files), problems=tuple(problems)
    )


def parse_object(content: bytes, *, name: str) -> dict[str, Any]:
    """JSON text whose top level is an object, strictly: no repeated key, no NaN. Errors name the file."""
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise TamperedArtifactError(f"{name} is not valid JSON: {error}", file=name) from error
    if not isinstance(value, dict):
        raise TamperedArtifactError(f"{name} holds {type(value).__name__}, not an object", file=name)
    return value


def render_sums(digests: dict[str, str]) -> str:
    """`SHA256SUMS` in the form of `sha256sum`: hexadecimal digest, two spaces, name; sorted by name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def _read_files(path: Path) -> dict[str, bytes]:
    if path.is_file():
        raise UnjudgedArtifactError(
            f"{path} is a file, not an artifact folder",
            hint="give the folder that holds model.onnx, manifest.json and SHA256SUMS; "
            "`model-preflight validate` writes it",
        )
    if not path.is_dir():
        raise ArtifactNotFoundError(f"there is no artifact folder {path}", hint=_where_instead(str(path)))
    entries = [entry for entry in sorted(os.scandir(path), key=_name) if not _LITTER.fullmatch(entry.name)]
    if not any(entry.name in KNOWN_FILES for entry in entries):
        _refuse_parent(path)
    return {entry.name: _read_file(path, entry.name) for entry in entries}


def _where_instead(path: str) -> str:
    if re.match(r"\w+:/", path):
        return "it is an address: download the artifact, and give the folder"
    if path.startswith("~"):
        return "`~` is not replaced here: give the whole path, or use Path(...).expanduser()"
    return "check the path; `model-preflight validate` prints it"


def _refuse_parent(path: Path) -> None:
    """Raises ArtifactNotFoundError for a folder around artifacts, naming the newest: versions sort by time."""
    found = [
        place.parent
        for depth in ("*", "*/*", "artifact/*/*")
        for place in path.glob(f"{depth}/{MANIFEST_FILE}")
    ]
    if found:
        newest = max(found, key=lambda folder: folder.name)
        raise ArtifactNotFoundError(
            f"{path} is no artifact: it holds {len(found)} of them",
            hint=f"give the version's folder; the newest is {newest}",
        )


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _read_file(folder: Path, name: str) -> bytes:
    """The content of a plain file, refused unless it is one that an artifact may hold."""
    if name not in KNOWN_FILES:
        raise TamperedArtifactError(
            f"{folder} holds {name!r}, which no artifact has",
            hint="remove it, or restore the folder from where it was built",
            file=name,
        )
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    place = _place_of(folder, name)
    descriptor = os.open(place, flags | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise TamperedArtifactError(f"{name} is not a plain file", file=name)
        if name != MODEL_FILE and status.st_size > _TEXT_LIMIT:
            raise TamperedArtifactError(f"{name} is {status.st_size:,} bytes, absurdly large", file=name)
        return file.read()


def _place_of(folder: Path, name: str) -> Path:
    """Where a file really lies. Raises TamperedArtifactError for a link that leaves the folder."""
    place = folder / name
    if not stat.S_ISLNK(os.lstat(place).st_mode):
        return place
    target, here = place.resolve(), folder.resolve()
    beside = target.relative_to(here.parent).parts[0] if target.is_relative_to(here.parent) else ""
    if target.is_relative_to(here) or beside.startswith(".."):
        return target
    raise TamperedArtifactError(
        f"{name} is a symbolic link that leaves the folder, not a file",
        hint="copy the artifact with the files that its links lead to (cp -L)",
        file=name,
    )


def _verify_sums(path: Path, files: dict[str, bytes]) -> None:
    if SUMS_FILE not in files:
        raise _missing(path, SUMS_FILE)
    expected = _parse_sums(files[SUMS_FILE])
    for name in sorted(expected):
        if name not in files:
            raise _missing(path, name)
    for name in sorted(files.keys() - expected.keys() - {SUMS_FILE}):
        raise TamperedArtifactError(f"{name} is not listed in {SUMS_FILE}", file=name)
    for name, digest in expected.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise TamperedArtifactError(
                f"{name} was changed: its SHA-256 is not the one in {SUMS_FILE}", file=name
            )


def _parse_sums(content: bytes) -> dict[str, str]:
    """Digest by name. The text must be exactly what `render_sums` makes of them."""
    text = content.decode("latin-1")
    digests = {match[2]: match[1] for match in _SUM_LINE.finditer(text)}
    if not digests or not digests.keys() < KNOWN_FILES or render_sums(digests) != text:
        raise TamperedArtifactError(
            f"{SUMS_FILE} was changed: it is not the sorted list of digests and file names", file=SUMS_FILE
        )
    return digests


def _verify_manifest(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """The manifest has the form we know, and is about the model beside it."""
    schema = manifest.get("schema_version")
    if type(schema) is not int or schema not in _READABLE:
        raise TamperedArtifactError(
            f"{MANIFEST_FILE} has schema_version {schema!r}; this release reads {MANIFEST_SCHEMA} and earlier ones",
            hint="use the release of model-preflight that wrote it, or a later one",
            file=MANIFEST_FILE,
        )
    if manifest.get("verdict") not in ("pass", "fail"):
        raise TamperedArtifactError(f"{MANIFEST_FILE} holds no verdict", file=MANIFEST_FILE)
    texts = ("version", "created_at", "reason", "tool_version", "git_commit")
    for key in (key for key in texts if not isinstance(manifest.get(key), str)):
        raise TamperedArtifactError(f"{MANIFEST_FILE} holds no {key}", file=MANIFEST_FILE)
    if not isinstance(manifest.get("model"), dict):
        raise TamperedArtifactError(f"{MANIFEST_FILE} holds no facts of the model", file=MANIFEST_FILE)
    onnx = manifest.get("onnx")
    stated = onnx.get("sha256") if isinstance(onnx, dict) else None
    actual = hashlib.sha256(files[MODEL_FILE]).hexdigest() if MODEL_FILE in files else None
    if stated != actual:
        raise TamperedArtifactError(
            f"{MODEL_FILE} is not the model that {MANIFEST_FILE} describes", file=MODEL_FILE
        )


def _contract(files: dict[str, bytes]) -> dict[str, Any] | None:
    content = files.get(CONTRACT_FILE)
    if content is None:
        return None
    contract = parse_object(content, name=CONTRACT_FILE)
    if contract.get("schema_version") != CONTRACT_SCHEMA:
        raise TamperedArtifactError(
            f"{CONTRACT_FILE} has schema_version {contract.get('schema_version')!r}; "
            f"this release reads {CONTRACT_SCHEMA}",
            file=CONTRACT_FILE,
        )
    return contract


def _missing(path: Path, name: str) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(f"{path} lacks {name}", hint=_RESTORE)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")
