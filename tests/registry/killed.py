"""Each command of `registry`, ended by SIGKILL before each step in turn: what there is then, and whether it goes on.

Run as a program of its own, which forks: `python -m tests.registry.killed PLACE ARTIFACTS…`. A step is a request to a
registry, or a write, a rename or a removal in a folder. Prints the number of steps of each command as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from validator.answers import Effects
from validator.artifact.read import read_artifact
from validator.registry import claiming
from validator.registry.errors import NotThereError
from validator.registry.history import record_tags, records, told
from validator.registry.listing import listing
from validator.registry.opening import opened
from validator.registry.promoting import Why, promote, rollback
from validator.registry.pruning import plan, remove
from validator.registry.pulling import pull
from validator.registry.pushing import push
from validator.registry.reference import parse
from validator.registry.store import Repository

Act = Callable[[Repository], object]
_STEPS = 500


class Killing:
    """Ends this process before its n-th step."""

    def __init__(self, at: int) -> None:
        self._left = at

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, holder: Any, name: str) -> None:
        original = getattr(holder, name)

        def first(*arguments: Any, **options: Any) -> Any:
            self.step()
            return original(*arguments, **options)

        setattr(holder, name, first)


class Wire(httpx.HTTPTransport):
    def __init__(self, killing: Killing) -> None:
        super().__init__()
        self._killing = killing

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._killing.step()
        return super().handle_request(request)


def is_killed(place: str, act: Act, at: int) -> bool:
    """Whether a child that does it was ended before its step `at`; False where it came to its end."""
    child = os.fork()
    if child == 0:
        killing = Killing(at)
        for name in ("fsync", "mkdir", "open"):
            killing.around(os, name)
        for name in ("replace", "rename", "unlink"):
            killing.around(Path, name)
        with opened(parse(place), {}, effects=Effects(transport=Wire(killing)), writes=True) as repository:
            act(repository)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert status == 0, f"step {at}: {status}"
    return False


def look(place: str) -> tuple[str | None, int]:
    """What the champion is and how many versions there are, everything that can be read having been read."""
    with opened(parse(place), {}) as repository:
        try:
            found = listing(repository)
        except NotThereError:
            return None, 0
        for one in found.versions:
            manifest = repository.manifest(one.version)
            for blob in manifest.blobs:
                with Path(os.devnull).open("wb") as sink:
                    repository.read(blob, _NoSeek(sink))  # type: ignore[arg-type]
        tags = record_tags(repository.tags(), "champion")
        current = found.aliases.get("champion")
        entries = told(records(repository, tags), current)
        assert len(entries) == len(tags)
        if current is not None:
            assert [one for one in entries if one.outcome == "now"], "no move is without a record"
        assert not found.unknown
        return current, found.total


class _NoSeek:
    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def seek(self, _to: int) -> None:
        """Nowhere."""

    def truncate(self) -> None:
        """Nothing."""

    def write(self, part: bytes) -> int:
        return int(self._sink.write(part))


def forget_the_broken_off(place: str) -> None:
    """Remove the records of what never came to be, so that each try has as many steps."""
    with opened(parse(place), {}, writes=True) as repository:
        try:
            tags = record_tags(repository.tags(), "champion")
        except NotThereError:
            return
        for entry in told(records(repository, tags), repository.find("champion")):
            digest = repository.find(entry.record.tag)
            if entry.outcome == "never" and digest is not None:
                repository.delete(digest)


def through(place: str, act: Act, allowed: Callable[[tuple[str | None, int]], bool]) -> int:
    """Kill it before each of its steps, then let it end; the number of steps."""
    for at in range(1, _STEPS):
        ended = not is_killed(place, act, at)
        seen = look(place)
        assert allowed(seen), f"killed before step {at}: {seen}"
        if ended:
            return at - 1
        forget_the_broken_off(place)
    raise AssertionError("it never ends")


def main(place: str, *artifacts: str) -> None:
    claiming.CLAIM_S, claiming.RESPECT_S = 0.0001, 0.0  # nobody else is there
    why = Why(by="anna")
    folders = [Path(one) for one in artifacts]
    names = [str(read_artifact(one).manifest["version"]) for one in folders]
    steps: dict[str, int] = {}
    for number, folder in enumerate(folders):
        steps["push"] = through(
            place, partial(_push, folder), partial(lambda count, seen: seen[1] - count in (0, 1), number)
        )
    with opened(parse(place), {}) as repository:
        digests = {name: repository.find(name) for name in names}
    steps["first promote"] = through(
        place, lambda one: promote(one, names[0], why), lambda seen: seen[0] in (None, digests[names[0]])
    )
    steps["promote"] = through(
        place,
        lambda one: promote(one, names[1], why),
        lambda seen: seen[0] in (digests[names[0]], digests[names[1]]),
    )
    steps["rollback"] = through(
        place,
        lambda one: rollback(one, why) if one.find("champion") == digests[names[1]] else None,
        lambda seen: seen[0] in (digests[names[0]], digests[names[1]]),
    )
    target = Path(artifacts[0]).parent / "pulled"
    steps["pull"] = through(place, lambda one: pull(one, names[0], target), lambda _seen: _whole(target))
    steps["prune"] = through(
        place,
        lambda one: remove(one, plan(one, keep=0, keep_promoted=0)),
        lambda seen: seen[0] == digests[names[0]] and 1 <= seen[1] <= len(names),
    )
    assert look(place)[1] == 1
    print(json.dumps(steps))


def _push(folder: Path, repository: Repository) -> object:
    return push(repository, folder)


def _whole(target: Path) -> bool:
    """A pulled folder is whole, or not there."""
    return not target.exists() or bool(read_artifact(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
