"""The commit status that branch protection can require, on the commit that was judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from validator.errors import PublishError
from validator.github.board import MAX_DESCRIPTION_CHARS, Shown, show
from validator.github.refusals import READ_PULLS, READ_STATUSES, WRITE_STATUS
from validator.github.replies import CommitStatus, Pull
from validator.github.standing import Entry, link_for, parse_link, state_of
from validator.github.wording import one_line

if TYPE_CHECKING:
    from validator.github.api import GitHubApi

MAX_CONTEXT_CHARS = 255
DEFAULT_KEY = "default"


def context_for(context: str, key: str) -> str:
    """The status's name: stable for branch protection, and another one for each further instance."""
    name = context if key == DEFAULT_KEY else f"{context} ({key})"
    return one_line(name, MAX_CONTEXT_CHARS) or "model-preflight"


def set_status(
    api: GitHubApi,
    *,
    repository: str,
    head_sha: str,
    context: str,
    mine: Entry,
) -> Shown:
    """Show `mine` as the status `context` of `head_sha`, or what must stand there instead.

    Raises RefusedError or UnreachableError; see `show`.
    """
    board = StatusBoard(api, repository=repository, head_sha=head_sha, context=context)
    mine = replace(mine, description=one_line(mine.description, MAX_DESCRIPTION_CHARS))
    return show(board, mine, open_pulls(api, repository))


def open_pulls(api: GitHubApi, repository: str) -> Callable[[int], bool]:
    """Whether a pull request is open. What cannot be asked counts as open: its red stays."""
    known: dict[int, bool] = {}

    def is_open(number: int) -> bool:
        if number not in known:
            try:
                pull = api.get(f"/repos/{repository}/pulls/{number}", Pull, need=READ_PULLS)
                known[number] = pull.state == "open"
            except PublishError:
                known[number] = True
        return known[number]

    return is_open


class StatusBoard:
    """The statuses of one name on one commit; GitHub ignores case in names."""

    def __init__(self, api: GitHubApi, *, repository: str, head_sha: str, context: str) -> None:
        self._api, self._context = api, context
        self._list = f"/repos/{repository}/commits/{head_sha}/statuses"
        self._post = f"/repos/{repository}/statuses/{head_sha}"
        self._seen = 0

    def read(self) -> list[Entry | None]:
        self._api.pace()
        found = self._statuses()
        self._seen = max((one.id for one in found), default=0)
        return [_entry_of(one) for one in found]

    def write(self, entry: Entry) -> Entry:
        wanted = CommitStatus(
            id=0,
            state=entry.shown,
            context=self._context,
            description=entry.description,
            target_url=link_for(entry.url, entry.mark),
        )

        def landed() -> CommitStatus | None:
            same = [one for one in self._statuses() if one.id > self._seen and _value(one) == _value(wanted)]
            return same[-1] if same else None

        body = wanted.model_dump(exclude={"id"})
        made = self._api.create(self._post, body, CommitStatus, need=WRITE_STATUS, landed=landed)
        return replace(entry, id=made.id)

    def pause(self, seconds: float) -> None:
        self._api.pause(seconds)

    def _statuses(self) -> list[CommitStatus]:
        """Oldest first."""
        listed = self._api.pages(self._list, CommitStatus, need=READ_STATUSES)
        return sorted(
            (one for one in listed if one.context.lower() == self._context.lower()), key=lambda one: one.id
        )


def _entry_of(status: CommitStatus) -> Entry | None:
    found = parse_link(status.target_url)
    if found is None:
        return None
    url, mark = found
    shown = state_of(status.state)
    return Entry(id=status.id, mark=mark, shown=shown, description=status.description or "", url=url)


def _value(status: CommitStatus) -> tuple[str, str | None, str | None]:
    return status.state, status.description, status.target_url
