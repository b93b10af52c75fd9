"""`test` as a step of a GitHub job: its input, the step's outputs and the job's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from validator.cli.job import write_job_files
from validator.errors import UsageError

if TYPE_CHECKING:
    from validator.integration.run import TestReport

#: Inputs of the action that `test` alone reads; `out` and the token it shares.
INPUTS = {
    "image": "with command test: what was published, such as the output `image` of the step that pushed; "
    "one line for each model",
}


def from_inputs(flags: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The flags with the action's inputs where no reference was given; unchanged outside GitHub Actions.

    Raises UsageError where nothing is named.
    """
    if flags.get("references"):
        return flags
    in_a_job = environ.get("GITHUB_ACTIONS") == "true"
    named = environ.get("INPUT_IMAGE", "").split() if in_a_job else []
    if not named:
        raise UsageError(
            "nothing was named to be tried",
            hint="give the input `image`: ${{ steps.ID.outputs.image }} of the step that pushed"
            if in_a_job
            else "model-preflight test oci://HOST/REPOSITORY@sha256:...",
        )
    out = environ.get("INPUT_OUT", "").strip()
    return {**flags, "references": named, **({"out": out} if out and not flags.get("out") else {})}


def tell(tried: Sequence[tuple[TestReport, Path]], environ: Mapping[str, str], log: TextIO) -> None:
    """Outputs and summary."""
    outputs = {
        "verdict": "pass" if all(report.verdict == "pass" for report, _ in tried) else "fail",
        "version": "\n".join(report.version for report, _ in tried),
        "report-path": "\n".join(str(folder / "test.md") for _, folder in tried),
        "result-path": "\n".join(str(folder / "test.json") for _, folder in tried),
    }
    summary = ((folder / "test.md").read_text("utf-8") for _, folder in tried)
    write_job_files(environ, log, outputs=outputs, summary=summary)
