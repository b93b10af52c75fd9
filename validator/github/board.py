"""Showing a verdict on a commit: read, write, and look again until what is shown is what must stand.

Between reading and writing another run may have written. So each run looks again after its own write, as it does with
comments, and mends what is shown, whoever wrote it: the last writer always sees what the others wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from validator.errors import PublishError
from validator.github.refusals import UnreachableError
from validator.github.standing import Entry, standing
from validator.github.wording import one_line

#: Another run's write may be under way while we look; afterwards it shows.
SETTLE_SECONDS = 1.0
MAX_ROUNDS = 8
MAX_DESCRIPTION_CHARS = 140


class Board(Protocol):
    """A commit's statuses of one name, or its check runs of one name."""

    def read(self) -> list[Entry | None]:
        """What is there, oldest first; None for what carries no mark of ours."""

    def write(self, entry: Entry) -> Entry:
        """Add an entry, and return it as it lies there."""

    def pause(self, seconds: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the commit shows now. `ours` is false where another verdict stands, for the `reason`."""

    entry: Entry
    ours: bool
    reason: str = ""


def show(board: Board, mine: Entry, is_open: Callable[[int], bool]) -> Shown:
    """Add `mine` where it must be shown, and see to it that what must stand is what is shown last.

    Raises RefusedError or UnreachableError. A green verdict is not written where the present ones cannot be read; a
    red one is tried all the same, since red is the safe side.
    """
    written: list[Entry] = []
    for _ in range(MAX_ROUNDS):
        try:
            present = board.read()
        except PublishError:
            if mine.state == "success":
                raise
            if not written:
                written.append(board.write(mine))
            return Shown(entry=written[-1], ours=True)
        present += [one for one in written if all(other is None or other.id != one.id for other in present)]
        present.sort(key=lambda one: one.id if one is not None else -1)
        wanted = _wanted(present, mine, is_open)
        if _is_shown(present, wanted):
            ours = wanted.mark == mine.mark
            return Shown(entry=wanted, ours=ours, reason="" if ours else _why(wanted, mine))
        written.append(board.write(wanted))
        board.pause(SETTLE_SECONDS)
    raise UnreachableError(
        "could not settle what the commit shows: other runs kept changing it",
        hint="run the job again; set `instance-key` where several jobs report on one commit",
    )


def _wanted(present: list[Entry | None], mine: Entry, is_open: Callable[[int], bool]) -> Entry:
    """What must stand, ours counted in; its pull request is named where several have this head commit."""
    known = [one for one in present if one is not None]
    own = max((one.id for one in known), default=0) + 1
    if all(one.mark != mine.mark or one.state != mine.state for one in known):
        known.append(replace(mine, id=own))
    found = standing(known, is_open) or mine
    pulls = {one.mark.pull for one in known} - {0}
    name = f"#{found.mark.pull}: "
    if len(pulls) < 2 or not found.mark.pull or found.description.startswith(name):
        return found
    return replace(found, description=one_line(name + found.description, MAX_DESCRIPTION_CHARS))


def _is_shown(present: list[Entry | None], wanted: Entry) -> bool:
    """Whether the newest entry says it. Of two equal verdicts on one pull request either will do."""
    last = present[-1] if present else None
    if last is None or last.state != wanted.state:
        return False
    if last.mark == wanted.mark:
        return last.description == wanted.description
    was_shown = any(one is not None and one.mark == wanted.mark for one in present)
    return last.mark.pull == wanted.mark.pull and was_shown


def _why(stands: Entry, mine: Entry) -> str:
    run = f"run {stands.mark.run_id}"
    if stands.mark.pull and stands.mark.pull != mine.mark.pull:
        return (
            f"pull request #{stands.mark.pull} has the same head commit, and its {stands.state} from {run} stands: "
            "a commit has one status for all of its pull requests"
        )
    if stands.mark.run_id == mine.mark.run_id:
        return (
            f"another job or try of this run has set {stands.state}, and the worst verdict of a run stands: "
            "give each job its own `instance-key`, or run the jobs again"
        )
    if mine.mark.kind == "unchanged":
        return (
            f"{run} judged this commit and found {stands.state}: only a later verdict on it can replace that"
        )
    return f"{run} is newer and has set {stands.state} already"
