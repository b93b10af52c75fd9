"""Scanning pickles and joblib files: every stream in the file, without running any."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from validator.model.formats import HEAD_BYTES, compression_of, is_pickle
from validator.model.safety import values
from validator.model.safety.compression import CompressionError, inflate
from validator.model.safety.embedded import check_embedded
from validator.model.safety.findings import Log
from validator.model.safety.machine import Machine
from validator.model.safety.opcodes import MalformedError
from validator.model.safety.policy import Policy, versions_of
from validator.model.safety.program import Program, uncollected
from validator.model.safety.readings import PICKLE, follow, other_readings
from validator.model.safety.report import DEFAULT_LIMITS, SAFE, UNSAFE, Limits, SafetyReport, refused
from validator.model.safety.runs import ReadAgainError
from validator.model.safety.stand_ins import memory_label
from validator.model.safety.symbols import class_of

_MOST_STREAMS = 20
_BROKEN_HINT = "The file is damaged or was made to mislead: save the model again with pickle or joblib."


@dataclass(frozen=True)
class Reading:
    """What a pickle says: the report, and the program by which it is loaded if the report is clean."""

    report: SafetyReport
    program: Program


def scan_pickle(
    data: bytes, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS, format_name: str = "pickle"
) -> SafetyReport:
    """What loading these bytes (a pickle or joblib file, compressed or not) would import, call and build.

    Bounded by `limits` in instructions, nesting and inflated size. Raises SettingsError for an unusable `allow`.
    """
    return read_pickle(data, allow=allow, limits=limits, format_name=format_name).report


def read_pickle(
    data: bytes, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS, format_name: str = "pickle",
    by_shape: bool = True,
) -> Reading:  # fmt: skip
    """As `scan_pickle`, with what the loader needs. `by_shape`: see `runs.py`; the same is found without it."""
    policy = Policy(allow)
    compression = compression_of(data[:HEAD_BYTES])
    try:
        stream = inflate(data, compression, limits)
    except CompressionError as error:
        return Reading(
            refused(format_name, error.name, error.reason, error.hint, compression=compression), Program()
        )
    except MemoryError:
        reason = "inflating it takes more memory than there is"
        return Reading(
            refused(format_name, "memory", reason, "Save it uncompressed.", compression=compression),
            Program(),
        )
    log = Log(policy, limits)
    with uncollected():
        try:
            result = _scan_streams(stream, policy, log, limits, by_shape=by_shape)
        except ReadAgainError:
            log = Log(policy, limits)
            result = _scan_streams(stream, policy, log, limits, by_shape=False)
        log.program.result = result
        check_embedded(log, limits)
        values.check(log)
    if log.names_root("pandas") and memory_label(stream):
        reason = "holds a label by which NumPy would ask it for an address in memory"
        log.add("pandas", "value", 0, reason, _BROKEN_HINT)
    log.finish()
    if not log.findings:
        log.findings += other_readings(data, stream, policy, limits, inline_arrays=log.inline_arrays)
    elif all(finding.use == "format" for finding in log.findings):
        # Where the scan gave up, the interpreter may go on: name what it would run.
        log.findings += follow(stream, policy, limits, PICKLE)
    _note_versions(log)
    report = SafetyReport(
        format=format_name,
        verdict=UNSAFE if log.findings else SAFE,
        findings=tuple(log.findings),
        imports=log.imports(),
        versions=tuple(sorted(log.versions.items())),
        model_class="" if result is None else class_of(result),
        preload=log.preload(),
        compression=compression,
        notes=tuple(log.notes),
        facts=(("instructions", str(log.opcodes)),),
    )
    return Reading(report, log.program)


def _scan_streams(data: bytes, policy: Policy, log: Log, limits: Limits, *, by_shape: bool) -> Any:
    """The model in the first stream; whatever follows it is refused, and looked at for the report's sake."""
    result, position = None, 0
    for number in range(_MOST_STREAMS):
        machine = Machine(data, position, policy, log, limits, by_shape=by_shape)
        try:
            made = machine.run()
        except MalformedError as error:
            log.add(error.name, "format", machine.offset, error.reason, _BROKEN_HINT, machine.opcode)
            return result
        except (RecursionError, MemoryError) as error:
            log.add("exhausted", "format", machine.offset, f"following it ended in {error!r}", _BROKEN_HINT)
            return result
        if number == 0:
            result = made
        position = machine.position
        if position == len(data):
            return result
        log.place = f"after the end of the model, at byte {position:,}"
        log.add(
            "trailing data", "format", position,
            f"{len(data) - position:,} bytes follow the end of the model",
            "Save the model alone: one object in one file.",
        )  # fmt: skip
        if not is_pickle(data[position : position + HEAD_BYTES]):
            return result
    return result


def _note_versions(log: Log) -> None:
    """Say which names do not exist in the version that the file claims to come from."""
    for entry in log.imports():
        module, _, name = entry.name.rpartition(".")
        library, first, last = versions_of(module, name)
        recorded = _numbers(log.versions.get(library, ""))
        if not recorded or not entry.allowed:
            continue
        if (first and recorded < _numbers(first)) or (last and recorded > _numbers(last)):
            log.notes.append(
                f"{entry.name} exists in {library} {first or 'any'} to {last or 'now'}, "
                f"but the file says it comes from {log.versions[library]}"
            )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
