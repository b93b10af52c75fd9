"""`validate`: the whole gate, on one model or several."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.console import complain, notice
from validator.errors import Exit, InternalError, PreflightError, SettingsError, UsageError
from validator.results import GateResult
from validator.settings.sources import resolve, salvage
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.cli.github_job import GitHubJob
    from validator.github.outcome import Outcome

Flags = dict[str, Any]
Environ = Mapping[str, str]


def run(flags: Flags, environ: Environ) -> int:
    """Judge. The worst verdict decides; publishing it cannot change it. Returns an exit code."""
    from validator.cli.github_job import GitHubJob
    from validator.cli.targets import settings_name, targets
    from validator.gate.conclusion import RESULT_NAME, forget_earlier, write_overview, write_unchanged
    from validator.github.outcome import Outcome

    given = {name: value for name, value in flags.items() if value != []}
    try:
        settings = resolve(given, environ, Path.cwd(), notice)
    except SettingsError as error:
        rest = salvage(given, environ, Path.cwd())
        with suppress(UsageError):  # the settings are what is wrong first
            forget_earlier(rest.out)
        _tell(GitHubJob.of(rest, environ, sys.stderr), Outcome.could_not_judge(error), [])
        raise
    log = sys.stderr if settings.json_output else sys.stdout
    job = GitHubJob.of(settings, environ, log)
    found: list[GateResult] = []
    models: list[Settings] = []
    trouble: PreflightError | None = None
    try:
        job.refuse_to_load()
        forget_earlier(settings.out)
        models = targets(settings)
        job.refuse_outside(models)
        chosen = job.to_judge(models)
    except PreflightError as error:
        trouble, chosen = error, []
    if trouble is None:
        found, trouble = _judge(chosen, environ, quiet=settings.quiet or settings.json_output)
    untouched = () if chosen or trouble else tuple(settings_name(one) for one in models)
    try:
        if untouched:
            write_unchanged(settings.out, untouched)
        if len(models) > 1 and found:
            write_overview(settings.out, found)
    except PreflightError as error:
        trouble = trouble or error
    if found:
        _show(found, settings, several=len(models) > 1)
    outcome = Outcome.judged(found)
    if trouble is not None:
        complain(trouble)
        outcome = Outcome.could_not_judge(trouble, found)
    elif untouched:
        outcome = Outcome.no_model_changed(untouched)
        print(outcome.line, file=log)
    written = [one.out for one in chosen if (one.out / RESULT_NAME).is_file()]
    unpublished = _tell(job, outcome, written)
    code = Exit.PASSED if outcome.verdict == "pass" else Exit.FAILED
    if trouble is not None and outcome.verdict != "fail":
        code = trouble.exit_code
    return Exit.UNPUBLISHED if code == Exit.PASSED and unpublished and settings.require_publish else code


def _judge(
    models: list[Settings], environ: Environ, *, quiet: bool
) -> tuple[list[GateResult], PreflightError | None]:
    """Every model's result, and the first error that left one without. Libraries are imported once for all."""
    from validator.cli.console import named, progress
    from validator.cli.targets import settings_name
    from validator.gate.session import limits_of
    from validator.gate.validate import RunContext
    from validator.gate.validate import validate as judge
    from validator.sandbox.worker_pool import WorkerPool, interruptible

    found: list[GateResult] = []
    trouble: PreflightError | None = None
    if not models:
        return found, trouble
    with interruptible(), progress(quiet=quiet) as show, WorkerPool(limits=limits_of(models[0])) as pool:
        for one in models:
            told = named(show, settings_name(one)) if len(models) > 1 else show
            world = RunContext(environ=environ, now=lambda: datetime.now(UTC), progress=told, pool=pool)
            try:
                found.append(judge(one, one.model[0], world))
            except PreflightError as error:
                trouble = trouble or error
            except Exception as error:
                trouble = trouble or InternalError.of(error)
    return found, trouble


def _tell(job: GitHubJob, outcome: Outcome, folders: list[Path]) -> bool:
    """Publish, if this is a job on GitHub; whether something of it failed."""
    report = job.publish(outcome, folders)
    return report is not None and bool(report.failed)


def _show(found: list[GateResult], settings: Settings, *, several: bool) -> None:
    from validator.gate.conclusion import summary_json
    from validator.report.terminal import TerminalStyle, render_terminal

    if settings.json_output:
        print(summary_json(found, several=several))
        return
    look = TerminalStyle(
        width=max(60, min(shutil.get_terminal_size((80, 24)).columns, 120)),
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        unicode="utf" in (sys.stdout.encoding or "").lower(),
    )
    print(
        render_terminal(found, look=look, quiet=settings.quiet, reports=[str(settings.out / "report.md")]),
        end="",
        flush=True,
    )
