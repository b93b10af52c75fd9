"""What a job on GitHub is told beside the verdict: outputs, summary, and one issue a model.

All of it is best effort: what fails of it is said, and changes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator import __version__
from validator.errors import PublishError
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.github.api import GitHubApi
    from validator.github.event import Target
    from validator.github.issue import Wanted


def write_job_files(
    environ: Mapping[str, str],
    log: TextIO,
    *,
    outputs: Mapping[str, str] | None = None,
    summary: Iterable[str] = (),
) -> None:
    """The step's outputs and the job's summary, where the runner names files for them."""
    from validator.github.commands import append_summary, set_outputs

    try:
        if outputs and (file := environ.get("GITHUB_OUTPUT")):
            set_outputs(Path(file), outputs)
        if file := environ.get("GITHUB_STEP_SUMMARY"):
            for text in summary:
                append_summary(Path(file), text)
    except OSError as error:
        print(f"model-preflight: the job's files cannot be written: {error.strerror}", file=log)


def keep_model_issue(
    target: Target,
    environ: Mapping[str, str],
    log: TextIO,
    *,
    model: str,
    kind: str,
    title: str,
    text: str,
    wanted: Wanted,
    hint: str,
) -> None:
    """The issue of this kind, as `keep_issue` keeps it. `hint` says where its token is to come from."""
    from validator.github.issue import keep_issue

    body = f"{text}\n[The run that says so]({target.run_url})\n"
    try:
        with _api(target, environ, hint) as api:
            became, url = keep_issue(
                api, target.repository, model=model, kind=kind, title=title, body=body, wanted=wanted
            )
    except PublishError as error:
        print(f"model-preflight: {log_line(error.message)}\n  hint: {log_line(error.hint)}", file=log)
        return
    told = {"none": "no issue is open"}.get(became, f"issue {became}: {url}")
    print(f"model-preflight: {told}", file=log)


def _api(target: Target, environ: Mapping[str, str], hint: str) -> GitHubApi:
    from validator.github.api import GitHubApi

    names = ("INPUT_GITHUB-TOKEN", "GITHUB_TOKEN")
    token = next((environ[name].strip() for name in names if environ.get(name)), "")
    if not token:
        raise PublishError("there is no GitHub token for the issue", hint=hint)
    return GitHubApi(base_url=target.api_url, token=token, user_agent=f"model-preflight/{__version__}")
