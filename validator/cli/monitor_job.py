"""`monitor maintain` as a step of a GitHub job: the summary, and the model's issue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from validator.cli.job import keep_model_issue, write_job_files
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.github.issue import Wanted
    from validator.monitoring.maintenance import Maintenance


def tell(found: Maintenance, text: str, environ: Mapping[str, str], log: TextIO) -> None:
    """Summary and issue; nothing outside of GitHub."""
    from validator.github.event import load_target

    target = load_target(environ)
    if target is None:
        return
    write_job_files(environ, log, summary=[text])
    wanted: Wanted = (
        "open" if found.status == "due" else "as it is" if found.status == "unknown" else "closed"
    )
    model = log_line(found.seen.model, limit=120)
    keep_model_issue(
        target,
        environ,
        log,
        model=found.seen.model,
        kind="maintenance",
        title=f"{model} is due for training" if wanted == "open" else f"Maintenance of {model}",
        text=text,
        wanted=wanted,
        hint="set GITHUB_TOKEN for the step",
    )
