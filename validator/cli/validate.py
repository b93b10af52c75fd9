"""`validate`: the whole gate, on one model or several."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.console import complain, in_colour, in_unicode, notice, screen_width
from validator.cli.gate_push import NOTHING_STORED, StoredImages, check_push, push_passed
from validator.cli.mlflow_store import Fetched, fetched
from validator.errors import Exit, PreflightError, PublishError, SettingsError, UsageError
from validator.permissions import unforeseen
from validator.results import GateResult
from validator.settings.sources import resolve, salvage
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.cli.github_job import GitHubJob
    from validator.cli.run_index import ModelOutcome
    from validator.cli.scope import Scope
    from validator.github.outcome import Outcome

Flags = dict[str, Any]
Environ = Mapping[str, str]


def run(flags: Flags, environ: Environ) -> int:
    """Judge. The worst verdict decides; publishing it cannot change it. Returns an exit code."""
    given = {name: value for name, value in flags.items() if value != []}
    with ExitStack() as stack:
        try:
            settings = resolve(given, environ, Path.cwd(), notice)
            check_push(settings.push)
            models = stack.enter_context(fetched(settings, environ))
        except (SettingsError, UsageError) as error:
            _tell_of_settings(error, given, environ)
            raise
        return _run(models, environ, given)


def _run(models: Fetched, environ: Environ, given: Flags) -> int:
    from validator.cli.github_job import GitHubJob

    settings = models.settings
    log = sys.stderr if settings.json_output else sys.stdout
    job = GitHubJob.of(settings, environ, log, given)
    judging = judge_all(job, given, models)
    found = [one.result for one in judging.outcomes if one.result is not None]
    if found:
        _show(found, settings, several=judging.several)
    outcome = _outcome_of(judging, found)
    if judging.error is not None:
        complain(judging.error)
    elif outcome.unchanged is not None:
        print(outcome.line, file=log)
    report = job.publish(outcome, [one.settings.out for one in judging.outcomes if one.result is not None])
    stored = NOTHING_STORED
    if settings.push is not None and outcome.verdict == "pass" and found:
        stored = push_passed(
            settings.push, found, several=judging.several, target=job.target, environ=environ, log=log
        )
    untold = not tell(models, judging.outcomes, stored)
    code = Exit.PASSED if outcome.verdict == "pass" else Exit.FAILED
    if judging.error is not None and outcome.verdict != "fail":
        code = judging.error.exit_code
    unheard = untold or (report is not None and bool(report.failed))
    unpublished = not stored.is_whole or (unheard and settings.require_publish)
    return Exit.UNPUBLISHED if code == Exit.PASSED and unpublished else code


def tell(models: Fetched, outcomes: Sequence[ModelOutcome], images: StoredImages = NOTHING_STORED) -> bool:
    """Tell MLflow of the verdicts on models that it keeps, best effort; whether it took them all.

    `images` is what was pushed of what passed.
    """
    told = True
    for one in outcomes:
        if one.result is not None:
            try:
                models.tell(one.settings.model[0], one.result, image=images.of(one.result))
            except PublishError as error:
                complain(error)
                told = False
    return told


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What became of each model of the run, and the first error that kept it from judging one of them, or all."""

    outcomes: tuple[ModelOutcome, ...] = ()
    error: PreflightError | None = None

    @property
    def several(self) -> bool:
        return len(self.outcomes) > 1


def judge_all(job: GitHubJob, flags: Flags, fetched: Fetched) -> Judging:
    """Judge what is to be judged, and write the index last. An error before that leaves all models unjudged."""
    from validator.cli.gate_changes import changes, hold_to_policy
    from validator.cli.run_index import ModelOutcome, begun, index_of, red_before
    from validator.cli.targets import targets
    from validator.gate.conclusion import forget_earlier, write_index, write_overview

    settings, scope = job.settings, None
    models: list[Settings] = []
    loosened: dict[str, tuple[str, ...]] = {}
    error: PreflightError | None = None
    before: PreflightError | None = None
    try:
        job.refuse_to_load()
    except PreflightError as refused:
        return Judging(error=refused)
    try:
        job.refuse_links(settings.out)
        before = red_before(settings.out, job.target)
        forget_earlier(settings.out)
        if job.target is not None:
            write_index(settings.out, begun(job.target, before))
        models = targets(settings)
        job.refuse_outside(models)
        models = hold_to_policy(settings, models, job.environ)
        loosened = changes(models, flags, job.environ, Path.cwd())
        scope = job.scope(models)
    except PreflightError as early:
        error = early
    if scope is None:
        outcomes = tuple(ModelOutcome(settings=one, error=error) for one in models)
    else:
        outcomes = _judge(models, scope, job, loosened, fetched)
        error = next((one.error for one in outcomes if one.error is not None), None)
    found = [one.result for one in outcomes if one.result is not None]
    try:
        if len(models) > 1 and found:
            write_overview(settings.out, found)
        first = error or before
        write_index(settings.out, index_of(outcomes, settings, target=job.target, scope=scope, error=first))
    except PreflightError as late:
        error = error or late
    return Judging(outcomes=outcomes, error=error)


def _judge(
    models: Sequence[Settings],
    scope: Scope,
    job: GitHubJob,
    loosened: Mapping[str, tuple[str, ...]],
    fetched: Fetched,
) -> tuple[ModelOutcome, ...]:
    """Every model's outcome. Libraries are imported once for all."""
    from validator.cli.console import interruptible, named, progress
    from validator.cli.run_index import ModelOutcome
    from validator.cli.targets import settings_name
    from validator.gate.session import limits_of
    from validator.gate.validate import RunContext, deadline_of
    from validator.gate.validate import validate as judge
    from validator.sandbox.worker_pool import WorkerPool

    untouched = tuple(ModelOutcome(settings=one) for one in models)
    if not scope.judged:
        return untouched
    quiet = job.settings.quiet or job.settings.json_output
    outcomes = []
    deadline = deadline_of(job.settings)
    with interruptible(), progress(quiet=quiet) as show, WorkerPool(limits=limits_of(models[0])) as pool:
        for none in untouched:
            one = none.settings
            if all(one is not other for other in scope.judged):
                outcomes.append(none)
                continue
            told = named(show, settings_name(one)) if len(models) > 1 else show
            world = RunContext(
                environ=job.environ,
                now=lambda: datetime.now(UTC),
                progress=told,
                pool=pool,
                loosened=loosened.get(one.model[0], ()),
                shown=fetched.shown(one.model[0]),
                deadline=deadline,
            )
            try:
                outcomes.append(replace(none, result=judge(one, one.model[0], world)))
            except PreflightError as error:
                outcomes.append(replace(none, error=error))
            except Exception as error:
                outcomes.append(replace(none, error=unforeseen(error)))
    return tuple(outcomes)


def _outcome_of(judging: Judging, found: Sequence[GateResult]) -> Outcome:
    """What is told to GitHub and decides the exit code."""
    from validator.cli.targets import settings_name
    from validator.github.outcome import Outcome

    if judging.error is not None:
        return Outcome.could_not_judge(judging.error, found)
    if found:
        return Outcome.judged(found)
    return Outcome.no_model_changed([settings_name(one.settings) for one in judging.outcomes])


def _tell_of_settings(error: PreflightError, given: Flags, environ: Environ) -> None:
    """Tell of settings that cannot be read, or a model that cannot be fetched, as far as can be."""
    from validator.cli.github_job import GitHubJob
    from validator.cli.run_index import index_of
    from validator.gate.conclusion import forget_earlier, write_index
    from validator.github.outcome import Outcome

    rest = salvage(given, environ, Path.cwd())
    job = GitHubJob.of(rest, environ, sys.stderr, given)
    with suppress(UsageError):  # the settings are what is wrong first
        forget_earlier(rest.out)
        if job.target is not None and job.target.why_not_load is None:
            write_index(rest.out, index_of([], rest, target=job.target, error=error))
    job.publish(Outcome.could_not_judge(error), [])


def _show(found: list[GateResult], settings: Settings, *, several: bool) -> None:
    from validator.gate.conclusion import summary_json
    from validator.report.terminal import TerminalStyle, render_terminal

    if settings.json_output:
        print(summary_json(found, several=several))
        return
    look = TerminalStyle(
        width=screen_width(),
        colour=in_colour(),
        unicode=in_unicode(),
    )
    print(
        render_terminal(found, look=look, quiet=settings.quiet, reports=[str(settings.out / "report.md")]),
        end="",
        flush=True,
    )
