"""Showing a verdict on a commit: read, write, and look again until what is shown is what must stand.

Between reading and writing another run may have written. So each run looks again after its own write, as it
does with comments, and mends what is shown, whoever wrote it: the last writer always sees what the others
wrote. A verdict that must not be shown is recorded all the same, in the mark of an entry that shows the one
that stands: it may count later, and green is not shown for a moment where red stands.
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
    """Record `mine`, and see to it that the verdict that must stand is the one shown last.

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
        known = [one for one in present if one is not None]
        recorded = any(one.mark == mine.mark for one in known)
        last = present[-1] if present else None
        wanted = _wanted(known if recorded else [*known, _newest(mine, known)], mine, is_open)
        if recorded and last is not None and _shows(last, wanted):
            ours = wanted.mark == mine.mark
            return Shown(entry=last, ours=ours, reason="" if ours else _why(wanted, mine))
        written.append(board.write(wanted if recorded else replace(wanted, mark=mine.mark)))
        board.pause(SETTLE_SECONDS)
    raise UnreachableError(
        "could not settle what the commit shows: other runs kept changing it",
        hint="run the job again; set `instance-key` where several jobs report on one commit",
    )


def _newest(mine: Entry, known: list[Entry]) -> Entry:
    return replace(mine, id=max((one.id for one in known), default=0) + 1)


def _wanted(known: list[Entry], mine: Entry, is_open: Callable[[int], bool]) -> Entry:
    """The entry to show; its pull request is named where several have this head commit."""
    found = standing(known, is_open) or mine
    told = [one for one in known if one.mark == found.mark and one.shown == one.state and _is_own(one)]
    description, url = (
        (told[0].description, told[0].url) if told else (_in_short(found), _page_of(found, mine))
    )
    if len({one.mark.pull for one in known} - {0}) > 1 and found.mark.pull:
        description = one_line(
            f"{_named(found)}{description.removeprefix(_named(found))}", MAX_DESCRIPTION_CHARS
        )
    return replace(found, shown=found.state, description=description, url=url)


def _shows(last: Entry, wanted: Entry) -> bool:
    """Whether the newest entry shows it: state, page of the run, and the pull request where that is named."""
    named = wanted.description.startswith(_named(wanted))
    return (
        last.shown == wanted.state
        and last.url == wanted.url
        and (not named or last.description.startswith(_named(wanted)))
    )


def _named(entry: Entry) -> str:
    return f"#{entry.mark.pull}: "


def _run_of(entry: Entry) -> str:
    return f"/actions/runs/{entry.mark.run_id}/attempts/{entry.mark.run_attempt}"


def _is_own(entry: Entry) -> bool:
    """Whether the entry shows its own verdict rather than one that stood in its place."""
    return entry.url.endswith(_run_of(entry))


def _in_short(found: Entry) -> str:
    """What is left to say of a verdict that was recorded and never shown."""
    words = {"success": "pass", "failure": "fail", "error": "could not judge", "pending": "not judged yet"}
    return f"{words[found.state]}: see run {found.mark.run_id}"


def _page_of(found: Entry, mine: Entry) -> str:
    return mine.url.removesuffix(_run_of(mine)) + _run_of(found)


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
    if stands.mark.workflow != mine.mark.workflow:
        return (
            f"{run} of another workflow has set {stands.state}, and the worst of them stands: "
            "give each workflow its own `instance-key`"
        )
    if mine.mark.kind == "unchanged":
        return (
            f"{run} judged this commit and found {stands.state}: only a later verdict on it can replace that"
        )
    return f"{run} is newer and has set {stands.state} already"
