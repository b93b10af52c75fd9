"""Checking a skops file: a zip archive with a schema of nodes, each naming the class that it would make."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from ast import literal_eval
from collections.abc import Iterable
from typing import Any

from validator.documents import DocumentError, read_json
from validator.model.safety import values
from validator.model.safety.demands import RefusedError
from validator.model.safety.embedded import check_embedded
from validator.model.safety.findings import Log
from validator.model.safety.policy import Policy
from validator.model.safety.report import DEFAULT_LIMITS, SAFE, UNSAFE, Limits, SafetyReport
from validator.model.safety.skops_nodes import Nodes
from validator.model.safety.stand_ins import memory_label

_HINT = "Write the file again with skops.io.dump; if this stays, find out who made it."
_SCHEMA = "schema.json"
_SCHEMA_BYTES = 256 << 20
_MOST_MEMBERS = 100_000
_MEMBER = re.compile(r"[\w.\-]{1,100}\Z")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ESCAPED = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")
_NPY_MAGIC = b"\x93NUMPY"


class ArchiveError(Exception):
    """The archive is refused: what is wrong with it."""


def scan_skops(data: bytes, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS) -> SafetyReport:
    """Check the archive's members and the names that its schema asks for, without loading any.

    The report's imports are the types that a loader may be told to trust.
    """
    log = Log(Policy(allow), limits)
    facts: dict[str, str] = {}
    top = ""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _check_members(archive, len(data), limits)
            schema = read_json(_read(archive, _SCHEMA, _SCHEMA_BYTES), nodes=limits.nodes)
            _check_arrays(archive, members, limits)
            top = _check_nodes(archive, members, schema, log, limits)
            _check_labels(archive, members, log)
        facts = {"members": str(len(members)), "protocol": str(schema.get("protocol", ""))[:20]}
        version = schema.get("_skops_version")
        if isinstance(version, str):
            log.versions["skops"] = version[:50]
    except RefusedError as error:
        log.add("skops archive", "format", 0, error.reason[:500], error.hint)
    except (ArchiveError, DocumentError) as error:
        log.add("skops archive", "format", 0, str(error)[:500], _HINT)
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, TypeError, AttributeError,
            RuntimeError, RecursionError, NotImplementedError) as error:  # fmt: skip
        log.add("skops archive", "format", 0, f"cannot be read: {error!r}"[:500], _HINT)
    check_embedded(log, limits)
    values.check(log)
    log.finish()
    return SafetyReport(
        "skops",
        UNSAFE if log.findings else SAFE,
        tuple(log.findings),
        imports=log.imports(),
        versions=tuple(sorted(log.versions.items())),
        model_class=top,
        preload=log.preload(),
        facts=tuple(sorted(facts.items())),
    )


def rewritten(data: bytes) -> bytes:
    """The archive made anew from what the scan reads of a file that it passed: its members, each once and stored, and
    the schema as it was understood. Whoever opens it reads what was scanned, and nothing that else was in the file.

    Raises ArchiveError, DocumentError or BadZipFile where the file cannot be read.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "w") as copy:
        members = _check_members(archive, len(data), DEFAULT_LIMITS)
        for member in sorted(members, key=lambda one: one.filename):
            content = _read(archive, member.filename, member.file_size)
            if member.filename == _SCHEMA:
                schema = read_json(content, nodes=DEFAULT_LIMITS.nodes)
                content = json.dumps(schema).encode("ascii")
            copy.writestr(zipfile.ZipInfo(member.filename), content)
    return made.getvalue()


def _check_members(archive: zipfile.ZipFile, size: int, limits: Limits) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise ArchiveError(f"it has more than {_MOST_MEMBERS:,} members")
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise ArchiveError("it has two members of one name")
    total = 0
    for member in members:
        if not _MEMBER.match(member.filename) or member.filename.startswith("."):
            raise ArchiveError(f"its member {member.filename[:100]!r} is no plain file name")
        if member.flag_bits & 1 or member.compress_type not in _METHODS:
            raise ArchiveError(f"its member {member.filename!r} is encrypted or compressed in an unknown way")
        total += member.file_size
    if total > limits.decompressed_bytes or (total > 64 << 20 and total > limits.ratio * size):
        raise ArchiveError(f"its {size:,} bytes inflate to {total:,}")
    return members


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member's content, inflated no further than `most` whatever its header claims."""
    with archive.open(name) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ArchiveError(f"its member {name!r} is longer than {most:,} bytes")
    return content


def _check_arrays(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    for member in members:
        if member.filename.endswith(".npy"):
            with archive.open(member) as stream:
                _check_npy(member.filename, stream.read(65_536 + 16), member.file_size)
        elif member.filename.endswith(".npz"):
            inner = _read(archive, member.filename, min(member.file_size, limits.decompressed_bytes))
            with zipfile.ZipFile(io.BytesIO(inner)) as nested:
                for part in _check_members(nested, max(len(inner), 1), limits):
                    with nested.open(part) as stream:
                        _check_npy(part.filename, stream.read(65_536 + 16), part.file_size)
        elif member.filename != _SCHEMA and not member.filename.endswith((".bin", ".json", ".cbm", ".txt")):
            raise ArchiveError(f"its member {member.filename!r} is no array")


def _check_npy(name: str, head: bytes, size: int) -> None:
    """An array file: its header's shape and dtype must give its size, and its dtype hold no Python objects."""
    if not head.startswith(_NPY_MAGIC) or head[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise ArchiveError(f"its member {name!r} is no NumPy array")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    if length > 65_536:
        raise ArchiveError(f"its array {name!r} has a header of {length:,} bytes")
    header = literal_eval(head[8 + width : 8 + width + length].decode("utf-8"))
    descr, shape = header["descr"], header["shape"]
    itemsize = _itemsize(descr)
    if itemsize is None:
        raise ArchiveError(f"its array {name!r} holds {str(descr)[:60]!r}, which is no plain number or text")
    expected = 8 + width + length + _count(shape) * itemsize
    if expected != size:
        raise ArchiveError(f"its array {name!r} has {size:,} bytes instead of {expected:,}")


def _check_labels(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], log: Log) -> None:
    """Refuse such a label among what pandas holds, however JSON spells it, within JSON too."""
    if not log.names_root("pandas"):
        return
    contents = (
        _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), archive.read(one)) for one in members
    )
    if any(map(memory_label, contents)):
        raise ArchiveError("it holds a label by which NumPy would ask pandas for an address in memory")


def _count(shape: Any) -> int:
    if not isinstance(shape, tuple) or not all(isinstance(part, int) and part >= 0 for part in shape):
        raise ArchiveError("an array has a shape that is no tuple of sizes")
    return math.prod(shape)


def _itemsize(descr: Any) -> int | None:
    """The bytes of one element: a type, or a record of fields one after the other; None for anything else."""
    if isinstance(descr, str) and re.match(r"[<>|=][biufcmMSUV]\d{1,9}(\[\w+\])?\Z", descr):
        return int(re.findall(r"\d+", descr)[0]) * (4 if descr[1] == "U" else 1)
    if not isinstance(descr, list) or not 0 < len(descr) < 1_000:
        return None
    total = 0
    for field in descr:
        if not isinstance(field, tuple) or not 2 <= len(field) <= 3 or not isinstance(field[1], str):
            return None
        size = _itemsize(field[1])
        if size is None:
            return None
        total += size * (_count(field[2]) if len(field) == 3 else 1)
    return total


def _check_nodes(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], schema: Any, log: Log, limits: Limits
) -> str:
    if not isinstance(schema, dict):
        raise ArchiveError("its schema is no object")
    protocol = schema.get("protocol")
    if protocol is not None and type(protocol) is not int:
        raise ArchiveError("its protocol is no number")
    sizes = {member.filename: member.file_size for member in members}

    def read(name: str) -> bytes:
        if name not in sizes:
            raise ArchiveError(f"its member {name[:100]!r} is missing")
        return _read(archive, name, sizes[name])

    Nodes(log, limits, protocol or 0, read).symbol(schema)
    return f"{schema.get('__module__', '')}.{schema.get('__class__', '')}"
