"""Which verdict stands on a commit, worked out from everything that runs have written there. Pure.

A commit's statuses are a list that only grows, and no lock exists between the runs that write to it. So every
entry carries a mark that says which run judged, for which pull request, and in which job; `standing` reads the
whole list and names the one entry that must be shown. All writers apply the same rule, so they agree whatever
order their writes land in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

State = Literal["success", "failure", "error", "pending"]
#: `verdict`: models were judged, or could not be; `unchanged`: nothing had to be judged; `void`: a publishing
#: run found no result at all; `unaccepted`: a result that claims a pass was found, and is not believed.
Kind = Literal["verdict", "unchanged", "void", "unaccepted"]

_LETTERS: dict[Kind, str] = {"verdict": "v", "unchanged": "u", "void": "n", "unaccepted": "x"}
_KINDS: dict[str, Kind] = {letter: kind for kind, letter in _LETTERS.items()}
_BADNESS: dict[State, int] = {"success": 0, "pending": 1, "error": 2, "failure": 3}
#: Clocks of two machines may differ by this much before one run counts as later than another.
CLOCK_SKEW_SECONDS = 120
_SIGNS: dict[State, str] = {"success": "s", "failure": "f", "error": "e", "pending": "p"}
_STATES: dict[str, State] = {sign: state for state, sign in _SIGNS.items()}
_MARK = re.compile(
    r"#preflight-(?P<kind>[vunx])(?P<state>[sfep])-(?P<run>[0-9]{1,18})-(?P<attempt>[0-9]{1,9})-(?P<pull>[0-9]{1,18})"
    r"-(?P<job>[0-9a-f]{8})-(?P<seat>[0-9a-f]{8})-(?P<time>[0-9]{1,12})-(?P<publisher>[0-9]{1,18})-(?P<again>[0-9]{1,9})"
    r"-(?P<workflow>[0-9a-f]{8})\Z"
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A verdict and where it comes from: `state` is what the run found, whatever is shown on the commit.

    `pull` is the pull request that was judged, 0 for a push and the like. `job` tells the jobs of one run apart and
    is the same when a job is run again; `seat` is the machine. `time` are the seconds since 1970 at which the run
    began or reported, 0 where that is not known. `publisher` is the id and attempt of the run that published
    another's result. `workflow` tells workflows apart that report under one name.
    """

    state: State
    run_id: int
    run_attempt: int
    kind: Kind = "verdict"
    pull: int = 0
    job: str = "0" * 8
    seat: str = "0" * 8
    time: int = 0
    publisher: tuple[int, int] = (0, 0)
    workflow: str = "0" * 8

    @property
    def text(self) -> str:
        publisher, again = self.publisher
        return (
            f"{_LETTERS[self.kind]}{_SIGNS[self.state]}-{self.run_id}-{self.run_attempt}-{self.pull}"
            f"-{self.job}-{self.seat}-{self.time}-{publisher}-{again}-{self.workflow}"
        )

    @property
    def try_of_job(self) -> tuple[int, int, int]:
        """Orders the tries of one job of one run: the run's attempt, then the publishing run and its attempt."""
        return (self.run_attempt, *self.publisher)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One status or check run that carries a mark; `id` grows with time.

    `shown` is the state that it shows: that of another verdict, which stands, where it only records its own. `url` is
    the page of the run whose verdict is shown, without the mark.
    """

    id: int
    mark: Mark
    shown: State
    description: str = ""
    url: str = ""

    @property
    def state(self) -> State:
        return self.mark.state


def state_of(text: str) -> State:
    """A state as GitHub writes it; what is none of them blocks."""
    known: dict[str, State] = {"success": "success", "failure": "failure", "pending": "pending"}
    return known.get(text, "error")


def link_for(url: str, mark: Mark) -> str:
    """A run's page; the fragment, which browsers ignore, is the mark."""
    return f"{url}#preflight-{mark.text}"


def parse_link(link: str | None) -> tuple[str, Mark] | None:
    """The page and the mark in a link that `link_for` made, or None."""
    found = _MARK.search(link or "")
    if found is None or link is None:
        return None
    mark = Mark(
        state=_STATES[found["state"]],
        run_id=int(found["run"]),
        run_attempt=int(found["attempt"]),
        kind=_KINDS[found["kind"]],
        job=found["job"],
        seat=found["seat"],
        time=int(found["time"]),
        pull=int(found["pull"]),
        publisher=(int(found["publisher"]), int(found["again"])),
        workflow=found["workflow"],
    )
    return link[: found.start()], mark


def job_key(environ: Mapping[str, str], arguments: str = "") -> str:
    """Eight hex digits for a job of a workflow and a step in it, the same when it is run again.

    Jobs of a matrix differ by the input `matrix`, which the action fills in by itself.
    """
    named = ("GITHUB_JOB", "GITHUB_ACTION", "RUNNER_OS", "RUNNER_ARCH")
    given = sorted(
        name for name in environ if name.startswith(("INPUT_", "PREFLIGHT_")) and "TOKEN" not in name.upper()
    )
    return _digits(*(f"{name}={environ.get(name, '')}" for name in (*named, *given)), arguments)


def workflow_key(path: str) -> str:
    """Eight hex digits for a workflow's file; zeros where it is not known."""
    return _digits(path) if path else "0" * 8


def seat_key(environ: Mapping[str, str]) -> str:
    """Eight hex digits for the machine that runs a job."""
    return _digits(environ.get("RUNNER_NAME", ""))


def standing(entries: Iterable[Entry], is_open: Callable[[int], bool]) -> Entry | None:
    """The entry that must be shown on the commit, or None where there is none.

    - For one pull request (or for all that is none) the newest run of each workflow counts, and the worst of these
      stands. Within a run the worst verdict of its jobs stands, each job's newest try counting.
    - Of several pull requests with this head the worst stands, as long as `is_open` says that it is open.
    - A run that belongs to no pull request counts unless each one has a newer verdict of its workflow. It replaces
      a fork's result that was not believed.
    - "No model changed" is no verdict: it never covers an earlier run's red on the same commit.
    """
    found = {number: _of_workflows(group) for number, group in _by_pull(list(entries)).items()}
    apart = found.pop(0, [])
    alone = len(found) + bool(apart) == 1
    of_pulls = [
        one
        for number, several in found.items()
        for one in several
        if alone or one.state == "success" or is_open(number)
    ]
    if not of_pulls and not apart:
        of_pulls = [one for several in found.values() for one in several]
    newer = [one.mark for one in apart if one.mark.kind == "verdict"]
    of_pulls = [
        one
        for one in of_pulls
        if one.mark.kind != "unaccepted" or not any(_is_newer(mark, one.mark) for mark in newer)
    ]
    return _worst([*of_pulls, *(one for one in apart if not _is_replaced(one, of_pulls))])


def _is_replaced(apart: Entry, of_pulls: Sequence[Entry]) -> bool:
    """Whether each pull request has a newer verdict of the same workflow."""
    same = [one for one in of_pulls if one.mark.workflow == apart.mark.workflow]
    return bool(same) and all(_replaces(one.mark, apart.mark) for one in same)


def _of_workflows(entries: Sequence[Entry]) -> list[Entry]:
    """What counts of each workflow's runs: one says nothing of what another judges."""
    ordered = sorted(entries, key=lambda one: one.mark.workflow)
    return [_of_runs(list(group)) for _, group in groupby(ordered, key=lambda one: one.mark.workflow)]


def _by_pull(entries: Sequence[Entry]) -> dict[int, list[Entry]]:
    """Entries by pull request. What a run wrote before it knew its pull request belongs to that one too."""
    known: dict[int, int] = {}
    for one in entries:
        if one.mark.pull:
            known[one.mark.run_id] = max(one.mark.pull, known.get(one.mark.run_id, 0))
    groups: dict[int, list[Entry]] = {}
    for one in entries:
        groups.setdefault(one.mark.pull or known.get(one.mark.run_id, 0), []).append(one)
    return groups


def _of_runs(entries: Sequence[Entry]) -> Entry:
    """What counts of one pull request's runs. A run that judged nothing says nothing about a red one."""
    ordered = sorted(entries, key=lambda one: one.mark.run_id)
    runs = [_of_run(list(group)) for _, group in groupby(ordered, key=lambda one: one.mark.run_id)]
    verdict = _newest([one for one in runs if one.mark.kind != "unchanged"])
    if verdict is None or (verdict.state == "success" and runs[-1].mark.kind == "unchanged"):
        return runs[-1]
    return verdict


def _newest(runs: Sequence[Entry]) -> Entry | None:
    """The newest run's; that of a later re-run of an older one, and the worst of both where it may be either."""
    if not runs:
        return None
    newest = runs[-1]
    again = [one for one in runs[:-1] if not _is_newer(newest.mark, one.mark)]
    later = [one for one in again if _is_newer(one.mark, newest.mark)]
    return _worst(later or [newest, *again])


def _of_run(entries: Sequence[Entry]) -> Entry:
    """The worst of the run's jobs."""
    ordered = sorted(entries, key=lambda one: one.mark.job)
    jobs = [_of_job(list(group)) for _, group in groupby(ordered, key=lambda one: one.mark.job)]
    return _worst(jobs) or entries[0]


def _of_job(entries: Sequence[Entry]) -> Entry:
    """The job's newest try, unless that judged nothing after a red one.

    Where one try reported from several machines, these are jobs that nothing tells apart. Then a later try of
    fewer of them may be that of another job than the red one, and the worst since all of them were last run counts.
    """
    verdicts = [one for one in entries if one.mark.kind != "unchanged"]
    counting = _since_all_ran(verdicts)
    verdict = _worst([found for one in counting if (found := _last_try(one)) is not None])
    if verdict is not None and verdict.state != "success":
        return verdict
    return _last_try(entries) or entries[0]


def _since_all_ran(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries of each try, from the last one that as many machines reported as ever did."""
    ordered = sorted(entries, key=lambda one: one.mark.try_of_job)
    tries = [list(group) for _, group in groupby(ordered, key=lambda one: one.mark.try_of_job)]
    widths = [len({one.mark.seat for one in group}) for group in tries]
    whole = max((number for number, width in enumerate(widths) if width == max(widths)), default=0)
    return tries[whole:] if max(widths, default=0) > 1 else tries[-1:]


def _last_try(entries: Sequence[Entry]) -> Entry | None:
    """The newest try; the worst of it, where the same try reported twice."""
    last = max((one.mark.try_of_job for one in entries), default=None)
    tries = [one for one in entries if one.mark.try_of_job == last]
    said = [one for one in tries if not (one.mark.kind == "void" and _is_made_good(one, tries))]
    return _worst(said or tries)


def _is_made_good(void: Entry, tries: Sequence[Entry]) -> bool:
    """Whether the result that was not there has been published since by the same job on the same machine."""
    return any(
        one.mark.kind != "void" and one.id > void.id and one.mark.seat == void.mark.seat for one in tries
    )


def _worst(entries: Sequence[Entry]) -> Entry | None:
    """The worst state; of equals that of the newest run, a verdict before what judged nothing."""
    return max(
        entries,
        key=lambda one: (
            _BADNESS[one.state],
            one.mark.kind == "verdict",
            one.mark.run_id,
            one.mark.run_attempt,
            one.id,
        ),
        default=None,
    )


def _replaces(mark: Mark, other: Mark) -> bool:
    """Whether a verdict covers another pull-less one: it must be newer, and a verdict."""
    return mark.kind == "verdict" and _is_newer(mark, other)


def _is_newer(mark: Mark, other: Mark) -> bool:
    """Whether the run is newer for certain. GitHub numbers runs as they are created; a re-run keeps its number."""
    if mark.run_id == other.run_id:
        return mark.run_attempt > other.run_attempt
    first, second = (mark, other) if mark.run_id < other.run_id else (other, mark)
    if first.run_attempt > 1:
        return _is_later(mark, other)
    return mark is second


def _is_later(mark: Mark, other: Mark) -> bool:
    return bool(mark.time and other.time) and mark.time > other.time + CLOCK_SKEW_SECONDS


def _digits(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:8]
