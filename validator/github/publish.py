"""Publishing a finished outcome, best effort: every step is tried, none can change the verdict, each failure is told.

The order is: ask where an uploaded result came from; annotations, outputs and summary, which need no network; the
status, which blocks; the comment; the check run; then what failed is added to the summary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from validator.errors import Exit, PublishError
from validator.github import commands, trust
from validator.github.api import GitHubApi
from validator.github.check_run import MAX_SUMMARY_BYTES, CheckReport, publish_check_run
from validator.github.comment import MAX_COMMENT_CHARS, StickyComment
from validator.github.event import Target
from validator.github.hostile import check_run, read_run
from validator.github.marker import marker_for
from validator.github.outcome import Outcome
from validator.github.publication import (
    PublishContext,
    PublishReport,
    PublishSettings,
    Step,
    StepName,
    open_api,
)
from validator.github.pulls import find_pulls
from validator.github.standing import Entry, Mark, job_key, seat_key, workflow_key
from validator.github.status import context_for, set_status
from validator.github.wording import Annotation, annotations_of, lines_of, one_line, outputs
from validator.report.escape import log_line, markdown_prose

#: Kept free at the end of the job summary for what could not be published.
SUMMARY_RESERVE_BYTES = 16 * 1024


def publish(
    outcome: Outcome, *, target: Target | None, settings: PublishSettings, around: PublishContext
) -> PublishReport:
    """Publish an outcome where the event says it belongs. `target` None (not in GitHub Actions) publishes nothing.

    Raises nothing that GitHub, the network or the runner's files can cause: see the report's `failed`.
    """
    if target is None:
        return PublishReport(verdict=outcome.verdict, steps=())
    try:
        api = open_api(target, settings, around)
    except PublishError as error:
        return _Publishing(None, error, target, settings, around).run(outcome)
    with api:
        return _Publishing(api, None, target, settings, around).run(outcome)


def publish_folder(
    folder: Path, *, target: Target | None, settings: PublishSettings, around: PublishContext
) -> PublishReport:
    """Publish the results in a folder that another run has made and that nobody vouches for.

    A folder that is refused is published as "could not judge", so that a required status says why it blocks.
    """
    try:
        run = read_run(folder)
        if target is not None:
            check_run(run.index, target, context_for(settings.status_context, settings.instance_key))
        outcome = Outcome.of_run(run)
    except PublishError as error:
        outcome = Outcome.could_not_judge(error)
    return publish(outcome, target=target, settings=settings, around=around)


class _Publishing:
    """One run of all steps. `api` is None where `no_api` says why."""

    def __init__(
        self,
        api: GitHubApi | None,
        no_api: PublishError | None,
        target: Target,
        settings: PublishSettings,
        around: PublishContext,
    ) -> None:
        self._api, self._no_api = api, no_api
        self._target, self._settings, self._around = target, settings, around
        self._context = context_for(settings.status_context, settings.instance_key)
        self._steps: list[Step] = []
        self._unsure = ""
        self._began = int(around.effects.now().timestamp())

    def run(self, outcome: Outcome) -> PublishReport:
        claimed = outcome.run.index.pull if outcome.run is not None else 0
        self._step("pull request", lambda: self._find_pull(claimed))
        if outcome.uploaded:
            outcome = outcome.from_origin(self._origin(outcome))
        self._step("annotations", lambda: self._annotate(outcome))
        self._step("outputs", lambda: self._output(outcome))
        self._step("summary", lambda: self._summarise(outcome))
        self._step("status", lambda: self._status(outcome))
        self._step("comment", lambda: self._comment(outcome))
        self._step("check run", lambda: self._check(outcome))
        report = PublishReport(verdict=outcome.verdict, steps=tuple(self._steps))
        self._tell(report)
        return report

    def _step(self, name: StepName, action: Callable[[], Step]) -> None:
        try:
            step = replace(action(), name=name)
        except PublishError as error:
            step = Step(name=name, state="failed", detail=error.message, hint=error.hint)
        except OSError as error:
            step = Step(
                name=name,
                state="failed",
                detail=f"a file of the runner cannot be written: {error}",
                hint="let the container write there: run it as root, as GitHub does",
            )
        self._steps.append(step)

    def _reach(self) -> GitHubApi:
        if self._api is None:
            raise self._no_api or PublishError("there is no session with GitHub", hint="pass `github-token`")
        return self._api

    def _origin(self, outcome: Outcome) -> trust.Origin:
        if not self._target.fork:
            return trust.origin_of_own(self._target) if outcome.claimed == "pass" else trust.OWN
        if self._api is None:
            return trust.origin_of_fork(self._target, "GitHub could not be asked about it")
        if self._unsure:
            return trust.origin_of_fork(self._target, self._unsure)
        return trust.assess(self._api, self._target, outcome.run.index if outcome.run else None)

    def _find_pull(self, claimed: int) -> Step:
        if not self._target.wants_comment:
            return _skip(f"{self._target.event_name or 'the event'} concerns no pull request")
        if self._target.pull_number is None:
            numbers = find_pulls(self._reach(), self._target)
            if not numbers:
                return _skip("no open pull request has this commit as its head any more")
            if claimed not in numbers and len(numbers) > 1:
                listed = ", ".join(f"#{number}" for number in numbers)
                self._unsure = (
                    f"{listed} have this commit as their head, and the run does not say which it judged"
                )
            number = claimed if claimed in numbers else numbers[0]
            self._target = replace(self._target, pull_number=number)
        return _done(f"#{self._target.pull_number}")

    def _annotate(self, outcome: Outcome) -> Step:
        found = annotations_of(outcome.results)
        if outcome.verdict == "error" or outcome.error is not None:
            hint = f"\n{outcome.error.hint}" if outcome.error else ""
            said = outcome.line
            if outcome.error is not None and outcome.verdict != "error":  # other models failed
                said = f"could not judge: {outcome.error.message}"
            text = lines_of(said + hint, 2_000)
            found.insert(0, Annotation(level="error", title="Model Preflight", message=text))
        commands.emit(self._around.log, found)
        return _done(f"{len(found)}")

    def _output(self, outcome: Outcome) -> Step:
        path = self._around.environ.get("GITHUB_OUTPUT")
        if not path:
            return _skip("the runner gives no output file")
        values = outputs(
            outcome.results,
            verdict=outcome.verdict,
            result_path=self._around.result_path if outcome.results else "",
            report_path=self._around.report_path if outcome.results else "",
        )
        commands.set_outputs(Path(path), values)
        return _done()

    def _summarise(self, outcome: Outcome) -> Step:
        path = self._around.environ.get("GITHUB_STEP_SUMMARY")
        if not path:
            return _skip("the runner gives no summary file")
        room = commands.summary_room(Path(path)) - SUMMARY_RESERVE_BYTES
        body = self._body(outcome, limit_bytes=room) if room > SUMMARY_RESERVE_BYTES else ""
        if not body or not commands.append_summary(Path(path), body):
            raise PublishError("the job summary is full", hint="write less to it in this step")
        return _done()

    def _status(self, outcome: Outcome) -> Step:
        target = self._target
        if not self._settings.status:
            return _skip("switched off")
        if target.head_sha is None:
            return _skip(f"{target.event_name or 'the event'} does not say which commit was judged")
        found = set_status(
            self._reach(),
            repository=target.repository,
            head_sha=target.head_sha,
            context=self._context,
            mine=self._entry(outcome),
        )
        return _done(outcome.state, found.entry.url) if found.ours else _skip(found.reason)

    def _entry(self, outcome: Outcome) -> Entry:
        """The verdict as the commit is to show it."""
        target, environ = self._target, self._around.environ
        mark = Mark(
            state=outcome.state,
            run_id=target.run_id,
            run_attempt=target.run_attempt,
            kind=outcome.kind,
            pull=target.pull_number or 0,
            job=job_key(environ, self._around.arguments),
            seat=seat_key(environ),
            time=target.started or self._began,
            publisher=target.publisher,
            workflow=workflow_key(target.workflow),
        )
        return Entry(id=0, mark=mark, shown=outcome.state, description=outcome.line, url=target.run_url)

    def _comment(self, outcome: Outcome) -> Step:
        target = self._target
        if not self._settings.comment:
            return _skip("switched off")
        if target.pull_number is None:
            return _skip("there is no pull request to comment on")
        marker = marker_for(target, self._settings.instance_key)
        sticky = StickyComment(
            self._reach(),
            repository=target.repository,
            number=target.pull_number,
            marker=marker,
            create=outcome.unchanged is None,
        )
        room = MAX_COMMENT_CHARS - len(marker.line()) - 1
        found = sticky.publish(self._body(outcome, limit_chars=room))
        return _done(url=found.url) if found.written else replace(_skip(found.reason), url=found.url)

    def _check(self, outcome: Outcome) -> Step:
        target = self._target
        if not self._settings.check_run:
            return _skip("not asked for")
        if target.head_sha is None:
            return _skip(f"{target.event_name or 'the event'} does not say which commit was judged")
        found = publish_check_run(
            self._reach(),
            repository=target.repository,
            head_sha=target.head_sha,
            name=self._context,
            mine=self._entry(outcome),
            report=CheckReport(
                summary=self._body(outcome, limit_bytes=MAX_SUMMARY_BYTES),
                annotations=annotations_of(outcome.results),
            ),
        )
        return _done(url=found.entry.url) if found.ours else _skip(found.reason)

    def _body(
        self, outcome: Outcome, *, limit_chars: int | None = None, limit_bytes: int | None = None
    ) -> str:
        return outcome.body(
            tool_version=self._around.tool_version,
            url=self._target.run_url,
            limit_chars=limit_chars,
            limit_bytes=limit_bytes,
        )

    def _tell(self, report: PublishReport) -> None:
        """The comment's address as an output; each failure as a warning and in the summary; a line of log a step."""
        environ, log = self._around.environ, self._around.log
        for step in report.steps:
            print(log_line(f"publish: {step.name}: {step.state} {step.detail}".rstrip()), file=log)
        if report.failed:
            required = report.exit_code(require_publish=self._settings.require_publish) == Exit.UNPUBLISHED
            commands.emit(log, [_unpublished(report, required=required)])
        try:
            if report.comment_url and environ.get("GITHUB_OUTPUT"):
                commands.set_outputs(Path(environ["GITHUB_OUTPUT"]), {"comment-url": report.comment_url})
            if report.failed and environ.get("GITHUB_STEP_SUMMARY"):
                commands.append_summary(Path(environ["GITHUB_STEP_SUMMARY"]), _failures(report))
        except OSError as error:
            print(log_line(f"publish: a file of the runner cannot be written: {error}"), file=log)


def _done(detail: str = "", url: str = "") -> Step:
    return Step(name="summary", state="done", detail=detail, url=url)


def _skip(reason: str) -> Step:
    return Step(name="summary", state="skipped", detail=reason)


def _unpublished(report: PublishReport, *, required: bool) -> Annotation:
    """All that could not be published, in one annotation: an error where the run fails for nothing else."""
    names = ", ".join(step.name for step in report.failed)
    told = [step.detail for step in report.failed]
    hints = dict.fromkeys(step.hint for step in report.failed)
    why = ["The model passed, but `require-publish` is set: exit code 3."] if required else []
    return Annotation(
        level="error" if required else "warning",
        title=f"Not published: {names}",
        message=lines_of("\n".join([*why, *told, *hints]), 2_000),
    )


def _failures(report: PublishReport) -> str:
    lines = ["### Not published", "", "The verdict stands. What could not be told elsewhere, and why:", ""]
    for step in report.failed:
        detail, hint = (markdown_prose(one_line(text, 600), limit=600) for text in (step.detail, step.hint))
        lines.append(f"- **{step.name}**: {detail}. {hint}")
    return "\n".join(lines)
