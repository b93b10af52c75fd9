"""One issue a model, of each kind, that says what is wrong: opened, kept up to date and closed again."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from validator.github.api import GitHubApi
from validator.github.refusals import Need

READ_ISSUES = Need(action="read the repository's issues", permission="issues: read")
WRITE_ISSUE = Need(action="write the model's issue", permission="issues: write")
#: GitHub's limit is 65,536 characters.
MOST_BODY = 60_000
_CUT = "\n\nThe report is longer than an issue may be: the rest is in the job's summary."

Wanted = Literal["open", "closed", "as it is"]
Became = Literal["opened", "updated", "closed", "none"]


class _Author(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str = ""


class Issue(BaseModel):
    """What is read of an issue."""

    model_config = ConfigDict(extra="ignore")

    number: int
    state: str
    html_url: str = ""
    body: str | None = None
    user: _Author | None = None
    pull_request: dict[str, object] | None = None


def keep_issue(
    api: GitHubApi, repository: str, *, model: str, title: str, body: str, wanted: Wanted, kind: str = "drift"
) -> tuple[Became, str]:
    """Bring the model's issue to the state that is wanted; what became of it, and its address.

    `open` opens one or writes the open one anew, `closed` closes the open one, `as it is` writes it anew where one is
    open. The issue is known by a hidden first line, and is only ever ours: one that a person wrote is left alone,
    whatever its first line says, unless the token is a person's too.

    Raises PublishError where GitHub refuses or cannot be reached.
    """
    path = f"/repos/{repository}/issues"
    marked = marker(model, kind)
    text = _fitted(f"{marked}\n{body}")
    found = _find(api, path, marked)
    if found is None:
        if wanted != "open":
            return "none", ""
        made = api.create(
            path,
            {"title": title[:250], "body": text},
            Issue,
            need=WRITE_ISSUE,
            landed=lambda: _find(api, path, marked),
        )
        return "opened", made.html_url
    change: dict[str, object] = {"title": title[:250], "body": text}
    if wanted == "closed":
        change |= {"state": "closed", "state_reason": "completed"}
    written = api.update(f"{path}/{found.number}", change, Issue, need=WRITE_ISSUE)
    return "closed" if wanted == "closed" else "updated", written.html_url


def marker(model: str, kind: str = "drift") -> str:
    """The hidden first line. Percent-encoding keeps `-->` and line ends out of it whatever the name holds."""
    return f"<!-- model-preflight {kind} model={quote(model[:200], safe='')} -->"


def _find(api: GitHubApi, path: str, marked: str) -> Issue | None:
    """Our open issue of that model; the oldest, should there be several."""

    def ours(issue: Issue) -> bool:
        first = re.split(r"\r?\n", issue.body or "", maxsplit=1)[0]
        written = api.is_personal or (issue.user is not None and issue.user.type == "Bot")
        return issue.pull_request is None and first == marked and written and issue.state == "open"

    params = {"state": "open", "sort": "created", "direction": "asc"}
    issues = api.pages(path, Issue, need=READ_ISSUES, params=params, stop=ours)
    return next((issue for issue in issues if ours(issue)), None)


def _fitted(body: str) -> str:
    return body if len(body) <= MOST_BODY else body[: MOST_BODY - len(_CUT)].rsplit("\n", 1)[0] + _CUT
