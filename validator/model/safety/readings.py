"""The other ways in which a file's bytes can be opened: by `pickle.load`, by any `joblib.load`, as a zip archive.

A file that is harmless in its own format may be a program to whoever opens it in another way: joblib's arrays lie
between a pickle's instructions, the magic of a CatBoost file is itself an instruction. So each reading is followed as
the interpreter would follow it, up to the place where the interpreter must give up; what it would run until then is
held to the same allowlist.
"""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from validator.model.safety import values
from validator.model.safety.findings import Log
from validator.model.safety.machine import Machine
from validator.model.safety.opcodes import BrokenError, MalformedError
from validator.model.safety.policy import Policy
from validator.model.safety.report import Finding, Limits


class Reader(NamedTuple):
    """Who opens the file: whether it takes joblib's arrays out of the stream, and their padding before them."""

    name: str
    inline: bool = False
    padded: bool = True


PICKLE = Reader("pickle.load")
JOBLIB = Reader("joblib.load", inline=True)
OLD_JOBLIB = Reader("joblib.load of joblib before 1.2", inline=True, padded=False)
_HINT = "Honest files have one reading. Find out who made this one; do not open it elsewhere."


def other_readings(
    data: bytes, stream: bytes, policy: Policy, limits: Limits, *, inline_arrays: int
) -> list[Finding]:
    """What a clean pickle (`stream`, inflated from `data`) does where it is opened in another way than joblib's."""
    found: list[Finding] = []
    if inline_arrays:
        found += follow(stream, policy, limits, PICKLE) + follow(stream, policy, limits, OLD_JOBLIB)
    if stream is not data:
        found += follow(data, policy, limits, PICKLE)
    return found or _zip(data)


def foreign_readings(data: bytes, policy: Policy, limits: Limits, *, is_zip: bool = False) -> list[Finding]:
    """What a file of another format does where it is opened as a pickle, or as an archive."""
    found: list[Finding] = []
    for reader in (PICKLE, JOBLIB, OLD_JOBLIB):
        found = found or follow(data, policy, limits, reader)
    return found if found or is_zip else _zip(data)


def follow(data: bytes, policy: Policy, limits: Limits, reader: Reader) -> list[Finding]:
    """What the reader would do that is not permitted."""
    name = reader.name
    log = Log(policy, limits)
    machine = Machine(data, 0, policy, log, limits, lenient=True, inline=reader.inline, padded=reader.padded)
    try:
        with suppress(BrokenError):  # here the interpreter raises: nothing behind it is reached
            machine.run()
    except (MalformedError, RecursionError, MemoryError) as error:
        reason = error.reason if isinstance(error, MalformedError) else f"it ended in {error!r}"
        log.add("second reading", "format", machine.offset, reason, _HINT, machine.opcode)
    values.check(log)
    log.finish()
    return [
        replace(
            finding, reason=f"{finding.reason}, when the file is opened with {name}"[:1000], hint=_HINT,
            place=f"read by {name}",
        )
        for finding in log.findings
    ]  # fmt: skip


def _zip(data: bytes) -> list[Finding]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        RuntimeError,
        NotImplementedError,
    ):
        return []
    if not names:
        return []
    reason = f"is a zip archive of {len(names):,} members as well"
    return [Finding("second reading", "format", 0, reason, _HINT, "", "read as a zip archive")]
