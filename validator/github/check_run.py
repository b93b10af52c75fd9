"""The check run, where it is asked for: a conclusion, the report, and annotations fifty a request."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from validator.github.api import GitHubApi
from validator.github.refusals import READ_CHECK, WRITE_CHECK
from validator.github.replies import CheckRun, CheckRuns
from validator.github.status import State
from validator.github.wording import Annotation, one_line

ANNOTATIONS_A_REQUEST = 50
MAX_ANNOTATIONS = 500
MAX_SUMMARY_BYTES = 65_535
MAX_TITLE_CHARS = 140

_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}
_CONCLUSIONS: dict[State, str] = {
    "success": "success",
    "failure": "failure",
    "error": "action_required",
    "pending": "action_required",
}


def publish_check_run(
    api: GitHubApi,
    *,
    repository: str,
    head_sha: str,
    name: str,
    state: State,
    title: str,
    summary: str,
    found: Sequence[Annotation],
    details_url: str,
) -> str:
    """Make a finished check run and return its page's address; the conclusion stands whatever follows it.

    `summary` must fit 65,535 bytes. Raises RefusedError or UnreachableError.
    """
    external_id = f"preflight-{secrets.token_hex(8)}"
    listed = [_shown(a) for a in found if a.path][:MAX_ANNOTATIONS]
    output = {"title": one_line(title, MAX_TITLE_CHARS) or "Model Preflight", "summary": summary}
    runs = f"/repos/{repository}/check-runs"

    def landed() -> CheckRun | None:
        path = f"/repos/{repository}/commits/{head_sha}/check-runs"
        query = {"check_name": name, "filter": "all", "per_page": "100"}
        present = api.get(path, CheckRuns, need=READ_CHECK, params=query).check_runs
        return next((run for run in present if run.external_id == external_id), None)

    body = {
        "name": name,
        "head_sha": head_sha,
        "external_id": external_id,
        "details_url": details_url,
        "status": "completed",
        "conclusion": _CONCLUSIONS[state],
        "output": {**output, "annotations": listed[:ANNOTATIONS_A_REQUEST]},
    }
    run = api.create(runs, body, CheckRun, need=WRITE_CHECK, landed=landed)
    for start in range(ANNOTATIONS_A_REQUEST, len(listed), ANNOTATIONS_A_REQUEST):
        chunk = listed[start : start + ANNOTATIONS_A_REQUEST]
        _add(api, f"{runs}/{run.id}", {**output, "annotations": chunk}, start + len(chunk))
    return run.html_url or ""


def _add(api: GitHubApi, path: str, output: dict[str, Any], total: int) -> None:
    """Add annotations. GitHub appends them, so after a lost reply their number tells whether they arrived."""

    def landed() -> CheckRun | None:
        run = api.get(path, CheckRun, need=READ_CHECK)
        return run if run.output is not None and run.output.annotations_count >= total else None

    api.update(path, {"output": output}, CheckRun, need=WRITE_CHECK, landed=landed)


def _shown(annotation: Annotation) -> dict[str, Any]:
    return {
        "path": annotation.path,
        "start_line": 1,
        "end_line": 1,
        "annotation_level": _LEVELS[annotation.level],
        "title": annotation.title,
        "message": annotation.message,
    }
