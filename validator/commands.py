"""The commands: each takes the flags that were given and the environment, and returns an exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.configuration import resolve, salvage
from validator.console import complain
from validator.errors import Exit, InternalError, PreflightError, SettingsError, UsageError
from validator.results import GateResult
from validator.settings import CONFIG_NAME, Settings

if TYPE_CHECKING:
    from validator.github.outcome import Outcome
    from validator.job import Job

Flags = dict[str, Any]
Environ = Mapping[str, str]


def validate(flags: Flags, environ: Environ) -> int:
    """The whole gate, on one model or several. The worst verdict decides; publishing it cannot change it."""
    from validator.github.outcome import Outcome
    from validator.job import Job
    from validator.stages.conclusion import RESULT_NAME, forget_earlier, write_overview, write_unchanged
    from validator.targets import settings_name, targets

    given = {name: value for name, value in flags.items() if value != []}
    try:
        settings = resolve(given, environ, Path.cwd())
    except SettingsError as error:
        rest = salvage(given, environ, Path.cwd())
        with suppress(UsageError):  # the settings are what is wrong first
            forget_earlier(rest.out)
        _tell(Job.of(rest, environ, sys.stderr), Outcome.could_not_judge(error), [])
        raise
    log = sys.stderr if settings.json_output else sys.stdout
    job = Job.of(settings, environ, log)
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
    from validator.console import named, progress
    from validator.gate import Surroundings
    from validator.gate import validate as judge
    from validator.runtimes.process import Workshop, interruptible
    from validator.session import limits_of
    from validator.targets import settings_name

    found: list[GateResult] = []
    trouble: PreflightError | None = None
    if not models:
        return found, trouble
    with interruptible(), progress(quiet=quiet) as show, Workshop(limits=limits_of(models[0])) as workshop:
        for one in models:
            told = named(show, settings_name(one)) if len(models) > 1 else show
            world = Surroundings(
                environ=environ, now=lambda: datetime.now(UTC), progress=told, workshop=workshop
            )
            try:
                found.append(judge(one, one.model[0], world))
            except PreflightError as error:
                trouble = trouble or error
            except Exception as error:
                trouble = trouble or InternalError.of(error)
    return found, trouble


def _tell(job: Job, outcome: Outcome, folders: list[Path]) -> bool:
    """Publish, if this is a job on GitHub; whether something of it failed."""
    report = job.publish(outcome, folders)
    return report is not None and bool(report.failed)


def _show(found: list[GateResult], settings: Settings, *, several: bool) -> None:
    from validator.report.terminal import Look, render_terminal
    from validator.stages.conclusion import summary_json

    if settings.json_output:
        print(summary_json(found, several=several))
        return
    look = Look(
        width=max(60, min(shutil.get_terminal_size((80, 24)).columns, 120)),
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        unicode="utf" in (sys.stdout.encoding or "").lower(),
    )
    print(
        render_terminal(found, look=look, quiet=settings.quiet, reports=[str(settings.out / "report.md")]),
        end="",
        flush=True,
    )


def inspect(flags: Flags, environ: Environ) -> int:
    """What the file is and asks for. Exit code 1 when loading it would be refused."""
    from validator.inspecting import inspect_file, render

    settings = resolve(flags, environ, Path.cwd())
    found = inspect_file(settings.model[0], settings)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else render(found), end="\n")
    return Exit.PASSED if found.ok else Exit.FAILED


def convert(flags: Flags, environ: Environ) -> int:
    """Exact conversion and the proof alone."""
    from validator.console import progress
    from validator.converting import convert_file
    from validator.runtimes.process import interruptible

    output = Path(flags.pop("output"))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), progress(quiet=settings.quiet or settings.json_output) as show:
        found = convert_file(settings, output, environ, show)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else found.text())
    return Exit.PASSED if found.ok else Exit.FAILED


def init(flags: Flags, environ: Environ) -> int:
    """Write a first configuration."""
    from validator.console import progress
    from validator.initializing import write_initial
    from validator.runtimes.process import interruptible

    output, force = flags.pop("output", None), bool(flags.pop("force", False))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), progress(quiet=False) as show:
        path = write_initial(settings, Path(output or CONFIG_NAME), environ, show, force=force)
    print(f"wrote {path}")
    return Exit.PASSED


def publish(flags: Flags, environ: Environ) -> int:
    """Post what an earlier run wrote, as hostile data, to the pull request it belongs to."""
    from validator.job import Job

    folder = flags.pop("result_dir", None)
    settings = resolve(flags, environ, Path.cwd())
    report = Job.of(settings, environ, sys.stdout).publish_folder(Path(folder or settings.out))
    return report.exit_code(require_publish=settings.require_publish)
