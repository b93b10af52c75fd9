"""`rollout.json`: what the rollout believes, written before anything is moved."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from validator.errors import PreflightError
from validator.whole_file import lasting_file

SCHEMA_VERSION = 1
STATE_FILE = "rollout.json"
SlotName = Literal["blue", "green"]
StateName = Literal[
    "planned",
    "shadow",
    "guard",
    "confirm",
    "full",
    "promoted",
    "rolling_back",
    "rolled_back",
    "aborted",
    "held",
]
#: States in which nothing is left to be done.
ENDED: frozenset[StateName] = frozenset({"promoted", "rolled_back", "aborted"})
_LARGEST = 16 * 2**20
Share = Annotated[int, Field(ge=0, le=100)]
Requests = Annotated[int, Field(ge=1)]
#: It is part of the evidence's file names.
Identifier = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]
Seconds = Annotated[float, Field(ge=0)]


class StateError(PreflightError):
    """`rollout.json` cannot be read or written, or is in use."""


class InUseError(StateError):
    """Another process works on this rollout at this moment."""


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One arm: the slot it is served from, and what is served there."""

    slot: SlotName
    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the history. `at` in seconds since 1970; `warnings` are those of the stage that ended with it."""

    at: float
    before: str
    after: str
    why: str
    by: str
    evidence: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A move that was decided and is not confirmed yet."""

    state: StateName
    share: Share
    why: str
    planned_requests: Requests = 1
    evidence: str = ""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The file's content.

    Parameters
    ----------
    share : int
        The candidate's percent of the traffic.
    stage_started : float or None
        When the stage's counts begin, by Prometheus' clock; None until Prometheus could be asked.
    planned_requests : int
        Of the stage, fixed when it begins: to plan anew in its middle would spend the error rate twice.
    strikes : int
        Checks in a row at which the candidate was not ready; below zero while it may still become ready.
    spent_s : float
        Time used, on a clock that nobody sets.
    seq : int
        Raised by one with each writing.
    scrape_s : float or None
        Seconds between scrapes as the rollout began, by which it is judged to its end; None in files of before.
    counted : tuple of float, or None
        End of the newest window in which both arms were scraped, and the time used when it was first seen.
    warnings : tuple of str
        What was noticed in this stage that does not decide anything.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: int
    id: Identifier
    model: str
    champion: ServedVersion
    candidate: ServedVersion
    state: StateName
    share: Share
    stage_started: float | None
    planned_requests: Requests
    deadline_s: Seconds
    spent_s: Seconds
    seen: tuple[str, float]
    strikes: int
    seq: int
    held_for: Literal["", "champion", "deadline", "engine"]
    resume: StateName | None
    intent: Intent | None
    last_step: float
    reason: str
    history: tuple[Event, ...]
    scrape_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    counted: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def stage(self) -> str:
        """State and share as one word: guard-5, full."""
        return f"{self.state}-{self.share}" if self.state in ("guard", "confirm") else self.state

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


_FORMAT: TypeAdapter[Rollout] = TypeAdapter(Rollout)


def read_state(directory: Path) -> Rollout | None:
    """The rollout in this folder, or None.

    Raises
    ------
    StateError
        If the file is there but cannot be read or understood: nothing is moved on a guess.
    """
    path = directory / STATE_FILE
    hint = "restore the file, or, with the champion serving, move it away and start anew"
    try:
        if path.stat().st_size > _LARGEST:
            raise StateError(f"{path} is too large to be a rollout's state", hint=hint)
        state = _FORMAT.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StateError(f"{path} is damaged: {where}: {first['msg']}", hint=hint) from error
    if state.schema_version != SCHEMA_VERSION:
        raise StateError(
            f"{path} has schema {state.schema_version}; this release reads {SCHEMA_VERSION}",
            hint="use the release of Model Preflight that wrote it",
        )
    if state.candidate.slot == state.champion.slot:
        raise StateError(f"{path} is damaged: candidate and champion are in one slot", hint=hint)
    return state


def write_state(directory: Path, state: Rollout) -> Rollout:
    """Write it whole or not at all, and on the disk before this returns; gives back what was written."""
    after = replace(state, seq=state.seq + 1)
    write_whole(directory / STATE_FILE, as_json(after).encode())
    return after


def as_json(state: Rollout) -> str:
    """`rollout.json`."""
    return _FORMAT.dump_json(state, indent=1).decode() + "\n"


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file by a complete new one: a reader sees the old or the new, also after a crash.

    Raises
    ------
    StateError
        If it could not be written: the old one is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lasting_file(path) as file:
            file.write(content)
    except OSError as error:
        raise StateError(
            f"cannot write {path}: {error.strerror}; nothing was moved",
            hint="free the disk, or correct the folder's owner; the rollout goes on from where it was",
        ) from error


@contextmanager
def locked(directory: Path, name: str = "step") -> Iterator[None]:
    """Hold the folder's lock of that name. The kernel lets go of it when the process dies.

    Raises
    ------
    InUseError
        If another process holds it.
    """
    path = directory / f".{name}.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(
            f"cannot open {path}: {error.strerror}", hint="correct the folder's owner, or free the disk"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(
                f"another process holds {path}",
                hint="one `rollout run` at a time: see `rollout status` for what it does",
            ) from error
        yield
    finally:
        os.close(handle)
