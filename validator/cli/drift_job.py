"""`drift` as a step of a GitHub job: its inputs, the job's summary, and the model's issue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from validator.cli.job import keep_model_issue, write_job_files
from validator.errors import UsageError
from validator.report.escape import log_line

if TYPE_CHECKING:
    from validator.drift.document import DriftReport
    from validator.github.issue import Wanted

#: Inputs of the action that `drift` alone reads; `data`, `target`, `group`, `out` and the token it shares.
INPUTS = {
    "artifact": "with command drift: the artifact of the model that the data is for",
    "against": "with command drift: compare with this data instead of the artifact's own profile",
    "window": "with command drift: judge parts too, such as 1000 rows, or 7d together with `time`",
    "time": "with command drift: the column that holds the time of a row",
    "independent": "with command drift: true if you vouch that rows are independent",
    "labels": "with command drift: data with true answers that came later, joined by `id`",
    "id": "with command drift: the column that joins rows with their labels",
    "insufficient": "with command drift: warn or fail where the data cannot tell (default: warn)",
    "override": "with command drift: the reason to judge for an artifact that failed the gate",
    "issue": "with command drift: keep one issue a model open while its data drifts (default: true)",
}
_SHARED = ("data", "target", "group", "out")
_TITLES = {"fail": "Drift in the data of {}", "insufficient": "The data of {} cannot be judged"}


def from_inputs(flags: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The flags with the action's inputs where a flag was not given; unchanged outside GitHub Actions.

    Raises UsageError where the action names no data.
    """
    if environ.get("GITHUB_ACTIONS") != "true" or flags.get("sources") or flags.get("prometheus"):
        return flags
    given = {name: environ.get(f"INPUT_{name.upper()}", "").strip() for name in (*INPUTS, *_SHARED)}
    data = given.pop("data").split()
    if not data:
        raise UsageError("no data was given", hint="name it with the input `data`")
    found: dict[str, Any] = {name: value for name, value in given.items() if value}
    found["independent"] = found.get("independent", "").lower() == "true" or None
    found.setdefault("insufficient", "warn")
    if found["insufficient"] not in ("warn", "fail"):
        raise UsageError(f"insufficient is {found['insufficient']!r}", hint="give warn or fail")
    merged = found | {name: value for name, value in flags.items() if value not in (None, [])}
    return {**{name: value for name, value in merged.items() if value is not None}, "sources": data}


def tell(
    report: DriftReport, flags: Mapping[str, Any], out: Path, environ: Mapping[str, str], log: TextIO
) -> None:
    """Outputs, summary and issue; nothing outside of GitHub."""
    from validator.github.event import load_target

    target = load_target(environ)
    if target is None:
        return
    text = (out / "drift.md").read_text("utf-8")
    outputs = {
        "verdict": {"fail": "fail", "insufficient": "error"}.get(report.status, "pass"),
        "version": report.version,
        "report-path": str(out / "drift.md"),
        "result-path": str(out / "drift.json"),
    }
    write_job_files(environ, log, outputs=outputs, summary=[text])
    if str(flags.get("issue", "true")).lower() == "false":
        return
    wanted: Wanted = {"fail": "open", "insufficient": "as it is"}.get(report.status, "closed")  # type: ignore[assignment]
    keep_model_issue(
        target,
        environ,
        log,
        model=report.model,
        kind="drift",
        title=_TITLES.get(report.status, "No drift in the data of {}").format(
            log_line(report.model, limit=120)
        ),
        text=text,
        wanted=wanted,
        hint="pass `github-token: ${{ github.token }}`",
    )
