"""The check run, where it is asked for: a conclusion, the report, and annotations fifty a request."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from validator.github.api import GitHubApi
from validator.github.board import MAX_DESCRIPTION_CHARS, Shown, show
from validator.github.refusals import READ_CHECK, WRITE_CHECK, UnreachableError
from validator.github.replies import CheckRun, CheckRuns
from validator.github.standing import Entry, State, link_for, parse_link, state_of
from validator.github.status import open_pulls
from validator.github.wording import Annotation, one_line

ANNOTATIONS_A_REQUEST = 50
MAX_ANNOTATIONS = 500
MAX_SUMMARY_BYTES = 65_535
PAGE_SIZE = 100
MAX_PAGES = 20

_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}
_CONCLUSIONS: dict[State, str] = {
    "success": "success",
    "failure": "failure",
    "error": "action_required",
    "pending": "action_required",
}


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check run says besides its conclusion: Markdown of at most 65,535 bytes, and annotations."""

    summary: str
    annotations: Sequence[Annotation] = ()


def publish_check_run(
    api: GitHubApi, *, repository: str, head_sha: str, name: str, mine: Entry, report: CheckReport
) -> Shown:
    """Make a finished check run, whose conclusion is that of the verdict that must stand.

    The result's `entry.url` is the check run's page. Raises RefusedError or UnreachableError.
    """
    board = CheckBoard(api, repository=repository, head_sha=head_sha, name=name, mine=mine, report=report)
    title = one_line(mine.description, MAX_DESCRIPTION_CHARS) or "Model Preflight"
    shown = show(board, replace(mine, description=title), open_pulls(api, repository))
    return replace(shown, entry=replace(shown.entry, url=board.page))


class CheckBoard:
    """The check runs of one name on one commit. The newest one is what GitHub shows."""

    def __init__(
        self, api: GitHubApi, *, repository: str, head_sha: str, name: str, mine: Entry, report: CheckReport
    ) -> None:
        self._api, self._head_sha, self._name = api, head_sha, name
        self._runs = f"/repos/{repository}/check-runs"
        self._list = f"/repos/{repository}/commits/{head_sha}/check-runs"
        self._mine, self._report = mine, report
        self.page = ""

    def read(self) -> list[Entry | None]:
        self._api.pace()
        return [_entry_of(run) for run in self._present()]

    def write(self, entry: Entry) -> Entry:
        ours = entry.mark == self._mine.mark
        stands = (
            "" if entry.url == self._mine.url else f"The verdict of [another run]({entry.url}) stands.\n\n"
        )
        listed = [_shown(a) for a in self._report.annotations if a.path][:MAX_ANNOTATIONS] if ours else []
        room = MAX_SUMMARY_BYTES - len(stands.encode())
        report = self._report.summary if ours and len(self._report.summary.encode()) <= room else ""
        output = {
            "title": entry.description or "Model Preflight",
            "summary": stands + report or "See the run.",
        }
        run = self._create(entry, {**output, "annotations": listed[:ANNOTATIONS_A_REQUEST]})
        for start in range(ANNOTATIONS_A_REQUEST, len(listed), ANNOTATIONS_A_REQUEST):
            chunk = listed[start : start + ANNOTATIONS_A_REQUEST]
            self._add(f"{self._runs}/{run.id}", {**output, "annotations": chunk}, start + len(chunk))
        self.page = run.html_url or ""
        return replace(entry, id=run.id)

    def pause(self, seconds: float) -> None:
        self._api.pause(seconds)

    def _create(self, entry: Entry, output: dict[str, Any]) -> CheckRun:
        external_id = f"preflight-{secrets.token_hex(8)}"

        def landed() -> CheckRun | None:
            return next((run for run in self._present() if run.external_id == external_id), None)

        body = {
            "name": self._name,
            "head_sha": self._head_sha,
            "external_id": external_id,
            "details_url": link_for(entry.url, entry.mark),
            "status": "completed",
            "conclusion": _CONCLUSIONS[entry.shown],
            "output": output,
        }
        return self._api.create(self._runs, body, CheckRun, need=WRITE_CHECK, landed=landed)

    def _add(self, path: str, output: dict[str, Any], total: int) -> None:
        """Add annotations. GitHub appends them, so after a lost reply their number tells whether they arrived."""

        def landed() -> CheckRun | None:
            run = self._api.get(path, CheckRun, need=READ_CHECK)
            return run if run.output is not None and run.output.annotations_count >= total else None

        self._api.update(path, {"output": output}, CheckRun, need=WRITE_CHECK, landed=landed)

    def _present(self) -> list[CheckRun]:
        """All check runs of the name, oldest first."""
        found: dict[int, CheckRun] = {}
        for page in range(1, MAX_PAGES + 1):
            query = {"check_name": self._name, "filter": "all", "per_page": str(PAGE_SIZE), "page": str(page)}
            runs = self._api.get(self._list, CheckRuns, need=READ_CHECK, params=query).check_runs
            found |= {run.id: run for run in runs}
            if len(runs) < PAGE_SIZE:
                return [found[key] for key in sorted(found)]
        raise UnreachableError(
            f"could not {READ_CHECK.action}: more than {MAX_PAGES * PAGE_SIZE} of one name",
            hint="use another `status-context`",
        )


def _entry_of(run: CheckRun) -> Entry | None:
    found = parse_link(run.details_url)
    if found is None:
        return None
    url, mark = found
    title = run.output.title if run.output is not None else ""
    shown = state_of(run.conclusion or "")
    return Entry(id=run.id, mark=mark, shown=shown, description=title or "", url=url)


def _shown(annotation: Annotation) -> dict[str, Any]:
    return {
        "path": annotation.path,
        "start_line": 1,
        "end_line": 1,
        "annotation_level": _LEVELS[annotation.level],
        "title": annotation.title,
        "message": annotation.message,
    }
