"""Runs that read and write in every order: no sequence leaves a green status on a commit whose newest verdict is red.

Commits, pull requests, statuses and comparisons are a faithful model in memory; what is tested is the code that asks
what changed and that shows a verdict. Each run is a thread that stops before every request, so that each order of
requests can be played: one that a run sends before another's and that lands after it is a delay.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule

from validator.github.changed import WatchedModel, changed_files, touched, why_again
from validator.github.deciding import Names
from validator.github.event import Target
from validator.github.refusals import UnreachableError
from validator.github.replies import ChangedFile, CommitComparison, CommitStatus, Pull
from validator.github.standing import Entry, Mark
from validator.github.status import set_status

CONTEXT = "model-preflight"
WATCHED = WatchedModel(path="m.pkl", names=Names(files=frozenset({"m.pkl"})))


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str
    files: tuple[tuple[str, str], ...]

    @property
    def is_bad(self) -> bool:
        return dict(self.files)["m.pkl"].startswith("bad")


@dataclass
class World:
    """What GitHub holds."""

    commits: dict[str, Commit] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    statuses: dict[str, list[CommitStatus]] = field(default_factory=dict)
    count: int = 0

    def new(self) -> int:
        self.count += 1
        return self.count

    def commit(self, parent: str, **files: str) -> str:
        sha = f"{self.new():040x}"
        before = dict(self.commits[parent].files) if parent else {}
        self.commits[sha] = Commit(sha, parent, tuple(sorted((before | files).items())))
        return sha

    def line(self, sha: str) -> list[str]:
        found = []
        while sha:
            found.append(sha)
            sha = self.commits[sha].parent
        return found

    def shown(self, sha: str) -> str:
        listed = self.statuses.get(sha, [])
        return listed[-1].state if listed else ""

    def compare(self, base: str, head: str) -> CommitComparison:
        ours, theirs = self.line(base), self.line(head)
        common = next(sha for sha in theirs if sha in ours)
        ahead, behind = theirs.index(common), ours.index(common)
        status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
        old, new = dict(self.commits[common].files), dict(self.commits[head].files)
        return CommitComparison.model_validate(
            {
                "status": status,
                "base_commit": {"sha": base},
                "total_commits": ahead,
                "commits": [{"sha": sha} for sha in reversed(theirs[:ahead])],
                "files": [{"filename": name} for name in new if old.get(name) != new[name]],
            }
        )


class Api:
    """As much of `GitHubApi` as is asked for; every request waits for its turn."""

    def __init__(self, world: World, turn: Callable[[], str]) -> None:
        self.world, self.turn = world, turn

    def pause(self, seconds: float) -> None: ...

    def pace(self) -> None: ...

    def get(self, path: str, model: Any, *, need: Any, params: Any = None) -> Any:
        self._ask()
        kind, _, rest = path.removeprefix("/repos/o/r/").partition("/")
        if kind == "compare":
            return self.world.compare(*rest.split("..."))
        assert model is Pull
        number = int(rest)
        state = "closed" if number in self.world.closed else "open"
        side = {"sha": self.world.heads[number]}
        return Pull.model_validate({"number": number, "state": state, "head": side, "base": side})

    def pages(self, path: str, model: Any, *, need: Any) -> Any:
        self._ask()
        if model is ChangedFile:
            raise AssertionError("the list of a pull request's present head")
        return list(reversed(self.world.statuses.get(path.split("/")[5], [])))

    def create(self, path: str, body: Any, model: Any, *, need: Any, landed: Callable[[], Any]) -> Any:
        self._ask("nothing was done")
        made = CommitStatus(id=self.world.new(), **body)
        self.world.statuses.setdefault(path.rsplit("/", maxsplit=1)[-1], []).append(made)
        return made if self.turn() == "answered" else landed() or made

    def _ask(self, why: str = "no answer") -> None:
        how = self.turn()
        if how == "refused":
            raise UnreachableError(why, hint="")
        if how == "cancelled":
            raise CancelledError


class CancelledError(Exception):
    """The runner ended the job."""


@dataclass
class Run:
    """One job of one run: it asks, judges, and shows its verdict."""

    world: World
    target: Target
    job: str
    only_changed: bool
    verdict: bool
    began: int
    workflow: str = "0" * 8
    publisher: tuple[int, int] = (0, 0)
    lost: bool = False
    """another run publishes this one's result, and finds none"""
    kind: str = ""
    done: bool = False
    told: bool = False
    error: BaseException | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _how: str = ""

    def start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()
        assert self._stopped.acquire(timeout=20)

    def step(self, how: str = "answered") -> None:
        self._how = how
        self._go.release()
        assert self._stopped.acquire(timeout=20)
        if self.error is not None:
            raise self.error

    def _turn(self) -> str:
        self._stopped.release()
        assert self._go.acquire(timeout=60)
        return self._how

    def _work(self) -> None:
        try:
            self._publish(Api(self.world, self._turn))
            self.told = True
        except (UnreachableError, CancelledError):
            pass
        except BaseException as error:
            self.error = error
        self.done = True
        self._stopped.release()

    def _publish(self, api: Any) -> None:
        target = self.target
        skip = False
        if self.only_changed:
            try:
                changed = changed_files(api, target)
                skip = not touched([WATCHED], changed) and not why_again(api, target, CONTEXT)
            except UnreachableError:
                skip = False
        self.kind = "void" if self.lost else "unchanged" if skip else "verdict"
        state = "error" if self.lost else "success" if skip or self.verdict else "failure"
        mark = Mark(
            state=state,  # type: ignore[arg-type]
            run_id=target.run_id,
            run_attempt=target.run_attempt,
            kind=self.kind,  # type: ignore[arg-type]
            pull=target.pull_number or 0,
            job=self.job,
            time=self.began,
            publisher=self.publisher,
            workflow=self.workflow,
        )
        entry = Entry(
            id=0, mark=mark, shown=mark.state, description=f"{state} of {target.run_id}", url=target.run_url
        )
        set_status(api, repository="o/r", head_sha=target.head_sha or "", context=CONTEXT, mine=entry)


class Repository(RuleBasedStateMachine):
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.main = self.world.commit("", **{"m.pkl": "good", "README": "1"})
        self.history: dict[int, list[str]] = {1: [self.main], 2: [self.main]}
        self.world.heads = {1: self.main, 2: self.main}
        self.all: list[Run] = []
        self.clock = 1_000
        self.push(1, "bad")
        self.same_head()

    @precondition(lambda self: len(self.world.commits) < 4)
    @rule(number=st.sampled_from([1, 2]), what=st.sampled_from(["bad", "good", "README"]))
    def push(self, number: int, what: str) -> None:
        version = f"{what}{self.world.count}"
        files = {"README": version} if what == "README" else {"m.pkl": version}
        self._move(number, self.world.commit(self.world.heads[number], **files))

    @rule(number=st.sampled_from([1, 2]), data=st.data())
    def rewind(self, number: int, data: Any) -> None:
        """Force-push to a commit that the branch had before."""
        self._move(number, data.draw(st.sampled_from(self.history[number])))

    @rule()
    def same_head(self) -> None:
        """Both pull requests offer one commit."""
        self._move(2, self.world.heads[1])

    @rule(target=runs, number=st.sampled_from([1, 2]))
    def close_or_open(self, number: int) -> Any:
        """What is opened again is judged again: `reopened` starts a run."""
        self.world.closed ^= {number}
        if number in self.world.closed:
            return multiple()
        base = {"pull_number": number, "base_sha": self.main}
        return self._start(self.world.heads[number], base, False, 1, "pull_request")

    @rule(
        target=runs,
        number=st.sampled_from([1, 1, 2]),
        only=st.booleans(),
        jobs=st.integers(1, 2),
        lenient=st.booleans(),
        workflow=st.sampled_from(["0" * 8, "0" * 8, "1" * 8]),
        cancels=st.booleans(),
    )
    def start(self, number: int, only: bool, jobs: int, lenient: bool, workflow: str, cancels: bool) -> Any:
        """A run of a pull request; a second job judges another model, which is good.

        With `cancels` the workflow has `cancel-in-progress`: its earlier runs of this pull request end at once.

        What the base has gained meanwhile may make the verdict lenient: one commit is red, then green.
        """
        base = {"pull_number": number, "base_sha": self.main}
        for run in self.all if cancels else []:
            while not run.done and (run.target.pull_number, run.workflow) == (number, workflow):
                run.step("cancelled")
        return self._start(self.world.heads[number], base, only, jobs, "pull_request", lenient, workflow)

    @rule(target=runs, number=st.sampled_from([1, 2]), lost=st.booleans())
    def start_published(self, number: int, lost: bool) -> Any:
        """A run whose result another one publishes, which may find none at first."""
        base = {"pull_number": number, "base_sha": self.main}
        target = self._target(self.world.heads[number], base, "pull_request")
        good = not self.world.commits[self.world.heads[number]].is_bad
        publisher = (self.world.new(), 1)
        return self._add(
            Run(self.world, target, "a" * 8, False, good, self._tick(), publisher=publisher, lost=lost)
        )

    @rule(target=runs, run=runs)
    def publish_again(self, run: Run) -> Any:
        """The publishing run is run again, and finds the result."""
        same = [one for one in self.all if one.target == run.target]
        if run.publisher == (0, 0) or not all(one.done for one in same):
            return multiple()
        again = (run.publisher[0], max(one.publisher[1] for one in same) + 1)
        return self._add(Run(self.world, run.target, run.job, False, run.verdict, run.began, publisher=again))

    @rule(target=runs, number=st.sampled_from([1, 2]), only=st.booleans())
    def start_on_push(self, number: int, only: bool) -> Any:
        moves = self.history[number]
        before = {"base_sha": moves[-2] if len(moves) > 1 else None}
        return self._start(self.world.heads[number], before, only, 1, "push")

    @rule(target=runs, run=runs)
    def again(self, run: Run) -> Any:
        """The next attempt of one job, when its last one is done."""
        same = [one for one in self.all if one.target.run_id == run.target.run_id and one.job == run.job]
        if not same[-1].done or run.publisher != (0, 0):
            return multiple()
        attempt = (
            max(one.target.run_attempt for one in self.all if one.target.run_id == run.target.run_id) + 1
        )
        fields = {**vars(run.target), "run_attempt": attempt}
        return self._add(
            Run(
                self.world,
                Target(**fields),
                run.job,
                run.only_changed,
                run.verdict,
                self._tick(),
                run.workflow,
            )
        )

    @rule(
        order=st.lists(st.integers(0, 3), min_size=4, max_size=16),
        how=st.sampled_from(["answered"] * 8 + ["lost", "refused"]),
    )
    def play(self, order: list[int], how: str) -> None:
        """Requests of the runs under way, the newest first among equals, in the order that is drawn."""
        for number, which in enumerate(order):
            waiting = [run for run in reversed(self.all) if not run.done]
            if waiting:
                waiting[which % len(waiting)].step(how if number == 0 else "answered")

    @rule(
        number=st.sampled_from([1, 2]),
        lenient=st.lists(st.booleans(), min_size=2, max_size=3),
        order=st.lists(st.integers(0, 2), min_size=6, max_size=16),
    )
    def race(self, number: int, lenient: list[bool], order: list[int]) -> None:
        """Runs on one commit at the same time."""
        base = {"pull_number": number, "base_sha": self.main}
        for mild in lenient:
            self._start(self.world.heads[number], base, False, 1, "pull_request", mild)
        self.play(order, "answered")

    @invariant()
    def red_is_not_covered(self) -> None:
        if all(run.done for run in self.all):
            for sha in self.world.commits:
                self._check(sha)

    def teardown(self) -> None:
        for run in self.all:
            while not run.done:
                run.step()
        for sha in self.world.commits:
            self._check(sha)

    def _check(self, sha: str) -> None:
        told = [run for run in self.all if run.target.head_sha == sha and run.told]
        groups = {run.target.pull_number for run in told}
        red = {
            number for number in groups if _is_red([run for run in told if run.target.pull_number == number])
        }
        open_ones = groups - self.world.closed - {None}
        if red & open_ones:
            assert self.world.shown(sha) != "success", f"green on {sha}, red for {red & open_ones}"
        newest = [run for run in told if run.kind == "verdict"]
        last = max((run.began for run in newest), default=0)
        if any(run.began == last and not run.verdict and run.target.pull_number is None for run in newest):
            assert self.world.shown(sha) != "success", f"green on {sha}, red for the newest push"
        if told and all(
            (run.verdict and not run.lost) or run.kind == "unchanged"
            for run in self.all
            if run.target.head_sha == sha
        ):
            assert self.world.shown(sha) == "success", f"nothing was ever wrong with {sha}"

    def _move(self, number: int, sha: str) -> None:
        self.world.heads[number] = sha
        self.history[number].append(sha)

    def _tick(self) -> int:
        self.clock += 1_000
        return self.clock

    def _start(
        self,
        sha: str,
        more: dict[str, Any],
        only: bool,
        jobs: int,
        kind: str,
        lenient: bool = False,
        workflow: str = "0" * 8,
    ) -> Any:
        target, began = self._target(sha, more, kind), self._tick()
        good = lenient or not self.world.commits[sha].is_bad
        made = [self._add(Run(self.world, target, "a" * 8, only, good, began, workflow))]
        if jobs == 2:
            made.append(self._add(Run(self.world, target, "b" * 8, False, True, began, workflow)))
        return multiple(*made)

    def _target(self, sha: str, more: dict[str, Any], kind: str) -> Target:
        return Target(
            kind=kind,  # type: ignore[arg-type]
            event_name=kind,
            repository="o/r",
            api_url="https://api.github.com",
            server_url="https://github.com",
            run_id=self.world.new(),
            run_attempt=1,
            head_sha=sha,
            **more,
        )

    def _add(self, run: Run) -> Run:
        self.all.append(run)
        run.start()
        return run


def _is_red(told: list[Run]) -> bool:
    """Whether a workflow's newest run that judged found a job red, each job's last try counting."""
    latest: dict[tuple[int, str], Run] = {}
    for run in sorted(told, key=lambda one: (one.target.run_attempt, one.publisher)):
        if run.kind != "unchanged":
            latest[run.target.run_id, run.job] = run
    newest = {
        max(
            (run for run in latest.values() if run.workflow == workflow), key=lambda one: one.began
        ).target.run_id
        for workflow in {run.workflow for run in latest.values()}
    }
    return any(run.lost or not run.verdict for (number, _), run in latest.items() if number in newest)


TestRepository = Repository.TestCase
TestRepository.settings = settings(
    max_examples=150, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
