"""The sticky comment: one on the pull request, ours, holding the newest run's report.

No lock exists between runs, so each drives the list of comments towards the same end and looks again: the oldest
of our comments stays, it holds the report that nothing may replace, and the others go. The oldest is never deleted
by anybody who sees it, so ten runs at once still leave exactly one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from validator.github.api import GitHubApi
from validator.github.marker import Marker, parse
from validator.github.refusals import (
    READ_COMMENTS,
    WRITE_COMMENT,
    Need,
    RefusedError,
    UnreachableError,
)
from validator.github.replies import Comment, User

MAX_COMMENT_CHARS = 65_536
#: Another run's write may be under way while we look; afterwards it shows.
SETTLE_SECONDS = 1.0
MAX_ROUNDS = 12
WHO_AM_I = Need(action="read whose token this is", permission="metadata: read")


@dataclass(frozen=True, kw_only=True)
class CommentOutcome:
    """`written` is false where a newer run had reported already, or nothing was there to bring up to date."""

    written: bool
    url: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class _Own:
    comment: Comment
    marker: Marker


class StickyComment:
    """The comment with `marker`'s key on pull request `number`.

    `create` false means: bring an existing comment up to date, but start none.
    """

    def __init__(
        self,
        api: GitHubApi,
        *,
        repository: str,
        number: int,
        marker: Marker,
        create: bool = True,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._api, self._marker, self._create = api, marker, create
        self._comments = f"/repos/{repository}/issues/comments"
        self._thread = f"/repos/{repository}/issues/{number}/comments"
        self._settle_seconds = settle_seconds
        self._posted: Comment | None = None
        self._is_ours = _author_test(api)

    def publish(self, content: str) -> CommentOutcome:
        """Make the comment hold `content` under the marker. Raises RefusedError or UnreachableError.

        `content` and the marker together must fit GitHub's 65,536 characters.
        """
        body = f"{self._marker.line()}\n{content}"
        wrote = False
        for _ in range(MAX_ROUNDS):
            own = self._own()
            if not own:
                if not self._create:
                    return CommentOutcome(written=False, reason="there is no comment to bring up to date")
                self._posted = self._post(body)
                wrote = True
                self._api.pause(self._settle_seconds)
                continue
            keep = own[0]
            if self._is_superseded(keep, wrote=wrote):
                self._delete_replaceable(own[1:])
                reason = "" if wrote else f"run {keep.marker.run.run_id} is newer and has reported already"
                return CommentOutcome(written=wrote, url=keep.comment.html_url, reason=reason)
            if self._overwrite(keep, body):
                wrote = True
                self._api.pause(self._settle_seconds)
        raise UnreachableError(
            "could not write the pull request's comment: other runs kept changing it",
            hint="run the job again; set `instance-key` where several jobs report on one pull request",
        )

    def _is_superseded(self, keep: _Own, *, wrote: bool) -> bool:
        """Whether the surviving comment is as it should be: ours and written, or one we must not replace."""
        if wrote:
            return keep.marker.run.may_replace(self._marker.run)
        return not self._marker.run.may_replace(keep.marker.run)

    def _own(self) -> list[_Own]:
        """Our visible comments with our key, oldest first, on all pages, with the one just posted.

        GitHub's list may lag behind a write, so what was posted counts as present until it is replaced.
        """
        listed = self._api.pages(self._thread, Comment, need=READ_COMMENTS)
        if self._posted is not None and all(c.id != self._posted.id for c in listed):
            listed.append(self._posted)
        found = []
        for comment in listed:
            marker = parse(comment.body)
            if marker is not None and marker.key == self._marker.key and self._is_visible_and_ours(comment):
                found.append(_Own(comment=comment, marker=marker))
        return sorted(found, key=lambda own: own.comment.id)

    def _is_visible_and_ours(self, comment: Comment) -> bool:
        return comment.minimized is None and self._is_ours(comment.user)

    def _post(self, body: str) -> Comment:
        def landed() -> Comment | None:
            mine = [o.comment for o in self._own() if o.marker.run == self._marker.run]
            return mine[0] if mine else None

        return self._api.create(self._thread, {"body": body}, Comment, need=WRITE_COMMENT, landed=landed)

    def _overwrite(self, keep: _Own, body: str) -> bool:
        """Write our body, having looked once more just before: false if something changed meanwhile."""
        path = f"{self._comments}/{keep.comment.id}"
        self._api.pace()
        try:
            marker = parse(self._api.get(path, Comment, need=READ_COMMENTS).body)
            if marker is None or not self._marker.run.may_replace(marker.run):
                return False
            updated = self._api.update(path, {"body": body}, Comment, need=WRITE_COMMENT)
        except RefusedError as error:
            if error.status in (404, 410):
                self._forget(keep.comment)
                return False
            raise
        if self._posted is not None and self._posted.id == updated.id:
            self._posted = updated
        return True

    def _forget(self, gone: Comment) -> None:
        if self._posted is not None and self._posted.id == gone.id:
            self._posted = None

    def _delete_replaceable(self, others: list[_Own]) -> None:
        """Delete our duplicates; one that a newer run has just posted is that run's to move and delete."""
        for other in others:
            mine = self._posted is not None and other.comment.id == self._posted.id
            if mine or self._marker.run.may_replace(other.marker.run):
                self._api.delete(f"{self._comments}/{other.comment.id}", need=WRITE_COMMENT)


def _author_test(api: GitHubApi) -> Callable[[User | None], bool]:
    """What tells our own comments from a stranger's that carries our marker.

    GitHub tells a person's token whose it is. An app's token cannot ask; it writes as a bot, which nobody becomes
    without being installed by the repository's owner.
    """
    if not api.is_personal:
        return lambda user: user is not None and user.type == "Bot" and user.login.endswith("[bot]")
    login = api.get("/user", User, need=WHO_AM_I).login
    return lambda user: user is not None and user.login == login
