"""How much an uploaded result may claim. Pure but for `assess`, which asks GitHub.

The result comes from a run that holds no secrets. In a pull request from a fork, its author decides what that run
does: the pull request's own version of the workflow runs there. So the result is a claim:

- `fail` is believed. Nobody gains by it.
- `pass` from this repository's own branches, Dependabot's among them, is believed where the run ended in success:
  whoever can push there can set any status anyway. A run that did not may have uploaded the results
  of some models alone, or a folder that was committed.
- `pass` from a fork becomes green only when GitHub itself confirms that the run ended in success, and that the
  judged commit changes neither a workflow nor the configuration in force nor, where the run says that no model
  changed, anything that decides a model's verdict; and it says that it is the fork's run speaking. Otherwise
  the status is `error`, which blocks as red does, and says what a maintainer can do.

What this cannot exclude: steps of the workflow that execute the pull request's code before the gate (`make`,
`pip install -e .`) run beside it and could forge its result. docs/github.md says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from validator.errors import PublishError
from validator.github.changed import ChangedFiles, compare
from validator.github.deciding import Names, is_governing
from validator.github.event import Target
from validator.github.refusals import READ_PULLS
from validator.github.replies import Pull
from validator.github.wording import one_line
from validator.report.escape import markdown_code, markdown_prose
from validator.results import RunIndex

if TYPE_CHECKING:
    from validator.github.api import GitHubApi

_AGAIN = "mend what stopped that run, or run it again"
REMEDY = "a maintainer can judge it: push this commit to a branch of this repository"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a result comes from. `accepts_pass` false turns a claimed pass into "not judged", for `reason`, and
    `remedy` says what to do.

    `label` ends the status line, `notice` leads the report as Markdown; both are empty for our own branches'
    good runs.
    """

    accepts_pass: bool
    reason: str = ""
    label: str = ""
    notice: str = ""
    remedy: str = REMEDY


OWN = Origin(accepts_pass=True)


def assess(api: GitHubApi, target: Target, index: RunIndex | None) -> Origin:
    """The origin of a result that was uploaded by the run that `target` names. Never raises for GitHub's sake."""
    if not target.fork:
        return origin_of_own(target)
    doubt = _doubt_of_run(target)
    if doubt is None:
        try:
            doubt = _doubt_of_commit(api, target, index)
        except PublishError as error:
            doubt = error.message
    return origin_of_fork(target, doubt)


def origin_of_own(target: Target) -> Origin:
    """What is said of the result of this repository's own run. Within that run itself nothing has ended yet."""
    if target.kind != "workflow_run" or target.conclusion == "success":
        return OWN
    doubt = f"run {target.run_id} ended as {target.conclusion or 'unknown'}"
    notice = f"> [!WARNING]\n> A pass is not accepted: {markdown_prose(doubt)}. To have one, {_AGAIN}.\n"
    return Origin(accepts_pass=False, reason=doubt, notice=notice, remedy=_AGAIN)


def origin_of_fork(target: Target, doubt: str | None) -> Origin:
    """What is said of a fork's result; `doubt` is why its pass cannot be accepted."""
    fork = target.head_repository or "a deleted fork"
    told = f"in the fork's own run [{target.run_id}]({target.run_url}) of {markdown_code(fork)}"
    if doubt is None:
        notice = (
            f"> [!NOTE]\n> This was judged {told}, which holds no secrets. The run ended in success, and the pull "
            "request changes no workflow and no settings.\n"
        )
    else:
        notice = (
            f"> [!WARNING]\n> This was judged {told}, and a pass is not accepted from there: "
            f"{markdown_prose(doubt)}. To have it judged, {REMEDY.removeprefix('a maintainer can judge it: ')}.\n"
        )
    return Origin(
        accepts_pass=doubt is None,
        reason=doubt or "",
        label=f"fork {one_line(fork, 40)}, run {target.run_id}",
        notice=notice,
    )


def _doubt_of_run(target: Target) -> str | None:
    if target.kind != "workflow_run":
        return f"{target.event_name} does not tell how the fork's run ended"
    if target.conclusion != "success":
        return f"the run ended as {target.conclusion or 'unknown'}"
    if target.pull_number is None:
        return "no open pull request has this commit as its head"
    return None


def _doubt_of_changes(changed: ChangedFiles, index: RunIndex | None) -> str | None:
    if changed.paths is None:
        return f"it is not known what the pull request changes ({changed.reason})"
    governing = min(filter(is_governing, changed.paths), default="")
    if governing:
        return f"the pull request changes `{one_line(governing, 80)}`"
    if index is None or index.doubt:
        return f"it is not known which configuration was in force ({index.doubt if index else 'no index'})"
    if ruling := Names(files=frozenset(index.rules)).meets(changed.paths):
        return f"the pull request changes `{one_line(ruling, 80)}`"
    for model in index.models:
        names = Names(files=frozenset(model.files), modules=frozenset(model.modules))
        if model.status == "unchanged" and (
            name := names.meets(changed.paths) or ("" if model.files else model.path)
        ):
            return f"the pull request changes `{one_line(name, 80)}`, and {one_line(model.name, 40)} was not judged"
    return None


def _doubt_of_commit(api: GitHubApi, target: Target, index: RunIndex | None) -> str | None:
    """Compared by hash, the judged commit cannot be swapped, as it can in the pull request's own list."""
    path = f"/repos/{target.repository}/pulls/{target.pull_number}"
    pull = api.get(path, Pull, need=READ_PULLS)
    if pull.head.sha != target.head_sha:
        return "the pull request has moved on to another commit"
    changed = compare(api, target.repository, pull.base.sha, pull.head.sha, diverged=True)
    return _doubt_of_changes(changed, index)
