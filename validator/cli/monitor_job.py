"""`monitor maintain` as a step of a GitHub job: the summary, and the model's issue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator import __version__
from validator.errors import PublishError
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.github.event import Target
    from validator.github.issue import Wanted
    from validator.monitoring.maintenance import Maintenance


def tell(found: Maintenance, text: str, environ: Mapping[str, str], log: TextIO) -> None:
    """Summary and issue, best effort: what fails of it is said, and changes no verdict. Nothing outside of GitHub."""
    from validator.github.commands import append_summary
    from validator.github.event import load_target

    target = load_target(environ)
    if target is None:
        return
    try:
        if environ.get("GITHUB_STEP_SUMMARY"):
            append_summary(Path(environ["GITHUB_STEP_SUMMARY"]), text)
    except OSError as error:
        print(f"model-preflight: the job's files cannot be written: {error.strerror}", file=log)
    try:
        print(f"model-preflight: {_keep(found, text, target, environ)}", file=log)
    except PublishError as error:
        print(f"model-preflight: {log_line(error.message)}\n  hint: {log_line(error.hint)}", file=log)


def _keep(found: Maintenance, text: str, target: Target, environ: Mapping[str, str]) -> str:
    from validator.github.api import GitHubApi
    from validator.github.issue import keep_issue

    names = ("INPUT_GITHUB-TOKEN", "GITHUB_TOKEN")
    token = next((environ[name].strip() for name in names if environ.get(name)), "")
    if not token:
        raise PublishError("there is no GitHub token for the issue", hint="set GITHUB_TOKEN for the step")
    wanted: Wanted = (
        "open" if found.status == "due" else "as it is" if found.status == "unknown" else "closed"
    )
    model = log_line(found.seen.model, limit=120)
    with GitHubApi(base_url=target.api_url, token=token, user_agent=f"model-preflight/{__version__}") as api:
        became, url = keep_issue(
            api,
            target.repository,
            model=found.seen.model,
            kind="maintenance",
            title=f"{model} is due for training" if wanted == "open" else f"Maintenance of {model}",
            body=f"{text}\n[The run that says so]({target.run_url})\n",
            wanted=wanted,
        )
    return {"none": "no issue is open"}.get(became, f"issue {became}: {url}")
