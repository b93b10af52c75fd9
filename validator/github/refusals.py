"""GitHub's refusals in words that say what to change: pure."""

from __future__ import annotations

from dataclasses import dataclass

from validator.errors import PublishError

FORK_REMEDY = (
    "tokens of forks' and Dependabot's pull requests are read-only whatever `permissions:` says; "
    "publish from a second workflow on `workflow_run` (see docs/github.md)"
)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What an operation does, in words, and the workflow permission that it takes."""

    action: str
    permission: str


READ_COMMENTS = Need(action="read the pull request's comments", permission="pull-requests: read")
WRITE_COMMENT = Need(action="write the pull request's comment", permission="pull-requests: write")
READ_PULLS = Need(action="look up the pull request", permission="pull-requests: read")
READ_STATUSES = Need(action="read the commit's statuses", permission="statuses: read")
WRITE_STATUS = Need(action="set the commit status", permission="statuses: write")
WRITE_CHECK = Need(action="write the check run", permission="checks: write")
READ_CHECK = Need(action="read the check run", permission="checks: read")
READ_COMPARE = Need(action="compare the pushed commits", permission="contents: read")


#: What a job takes that checks out, comments and sets the status.
_USUAL = {"contents": "read", "pull-requests": "write", "statuses": "write"}


def whole_block(need: Need) -> str:
    """The job's `permissions:` in full: naming one of them takes away all that are not named."""
    name, _, level = need.permission.partition(": ")
    usual = {"contents": "read"} if name == "issues" else _USUAL
    wanted = {
        **usual,
        **({} if name == "metadata" else {name: "write" if _USUAL.get(name) == "write" else level}),
    }
    return f"`permissions: {{ {', '.join(f'{key}: {value}' for key, value in wanted.items())} }}`"


class RefusedError(PublishError):
    """GitHub answered and said no: `status` is the HTTP status. Asking again will not help."""

    def __init__(self, message: str, *, hint: str, status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class UnreachableError(PublishError):
    """GitHub did not answer sensibly in the time allowed."""


def refusal(status: int, said: str, need: Need, *, read_only: bool) -> RefusedError:
    """The error for a final HTTP refusal. `said` is GitHub's own message, already without secrets.

    `read_only` says that this event's token cannot write whatever the workflow grants.
    """
    writes = need.permission.endswith(": write")
    message = f"could not {need.action}: GitHub said {status} {said}".rstrip()
    grant = f"give the job {whole_block(need)}, and what else it has there"
    if status == 401:
        hint = "the token is invalid or has expired: pass `github-token: ${{ github.token }}`"
    elif status == 403 and "locked" in said.lower():
        hint = "the conversation is locked: unlock it, or set `comment: false`"
    elif status == 403 and need is WRITE_CHECK and "github app" in said.lower():
        hint = "check runs refuse personal tokens: use `${{ github.token }}`, or set `check-run: false`"
    elif status == 403 and writes and read_only:
        hint = f"the permission `{need.permission}` is missing; {FORK_REMEDY}"
    elif status == 403:
        hint = f"the permission `{need.permission}` is missing: {grant}"
    elif status == 404:
        hint = (
            f"GitHub also says 404 where a token may not look: {grant}, "
            "and check that the pull request or commit still exists"
        )
    elif status == 410:
        hint = "it was deleted; nothing is left to write to"
    elif status == 422:
        hint = (
            f"GitHub did not accept the request: check that the commit is in this repository and that the job "
            f"has `{need.permission}`"
        )
    else:
        hint = f"unexpected for this request; check GitHub's status page and `{need.permission}`"
    return RefusedError(message, hint=hint, status=status)
