"""The hidden first line of our comment: whose it is and which run wrote it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from validator.github.event import Target

_LINE = re.compile(
    r"<!-- model-preflight key=(?P<key>[A-Za-z0-9_.~%-]{1,1200}) sha=(?P<sha>[0-9a-f]{40,64})"
    r" run=(?P<run>[0-9]{1,18}) attempt=(?P<attempt>[0-9]{1,9}) -->"
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Which run reported on which commit."""

    head_sha: str
    run_id: int
    run_attempt: int

    def may_replace(self, other: Run) -> bool:
        """Whether this run's report may take the place of the other's.

        GitHub numbers runs as they are created and a re-run keeps its number, so a lower number is an older run and
        stays away. Only a re-run on the very commit that the later run judged is a fresh look at it.
        """
        if self.run_id != other.run_id:
            rerun = self.head_sha == other.head_sha and self.run_attempt > 1
            return self.run_id > other.run_id or rerun
        return self.run_attempt >= other.run_attempt


@dataclass(frozen=True, kw_only=True)
class Marker:
    """`key` tells several comments on one pull request apart."""

    key: str
    run: Run

    def line(self) -> str:
        """The HTML comment. Percent-encoding keeps `-->` and line ends out of it whatever the key holds."""
        return (
            f"<!-- model-preflight key={quote(self.key, safe='')} sha={self.run.head_sha}"
            f" run={self.run.run_id} attempt={self.run.run_attempt} -->"
        )


def parse(body: str | None) -> Marker | None:
    """The marker that a comment's body begins with, or None. Anywhere else it is a quotation."""
    match = _LINE.match(body or "")
    if match is None:
        return None
    return Marker(
        key=unquote(match["key"]),
        run=Run(head_sha=match["sha"], run_id=int(match["run"]), run_attempt=int(match["attempt"])),
    )


def marker_for(target: Target, key: str) -> Marker:
    """The marker of this run's report; a target without a head commit has none, so it takes zeros."""
    sha = target.head_sha or "0" * 40
    return Marker(key=key, run=Run(head_sha=sha, run_id=target.run_id, run_attempt=target.run_attempt))
