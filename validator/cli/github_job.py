"""The GitHub job that a run is part of, if any: what may be loaded there, what must be judged, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator import __version__
from validator.errors import UsageError
from validator.github.event import Target, load_target
from validator.model.file import refuse_outside
from validator.report.escape import log_line
from validator.settings.checkout import refuse_links, why_outside
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.cli.scope import Scope
    from validator.github.outcome import Outcome
    from validator.github.publication import PublishContext, PublishReport


def _refuse_git(path: str, workspace: Path) -> None:
    """Git's own folder lies in the workspace, and may hold the job's token."""
    inside = Path(path).resolve()
    if inside.is_relative_to(workspace.resolve()) and why_outside(path, workspace):
        raise UsageError(f"{path} {why_outside(path, workspace)}", hint="name a file of the checkout")


@dataclass(frozen=True, kw_only=True)
class GitHubJob:
    """One run. `target` is None outside GitHub Actions: then everything is judged and nobody is told.

    `arguments` are the command line's flags, which tell one job's commands apart.
    """

    settings: Settings
    environ: Mapping[str, str]
    log: TextIO
    target: Target | None
    arguments: str = ""

    @classmethod
    def of(
        cls, settings: Settings, environ: Mapping[str, str], log: TextIO, flags: Mapping[str, object]
    ) -> GitHubJob:
        """Raises UsageError when the environment claims a job but its event cannot be read."""
        shown = repr(sorted((name, value) for name, value in flags.items() if name != "github_token"))
        return cls(settings=settings, environ=environ, log=log, target=load_target(environ), arguments=shown)

    def refuse_to_load(self) -> None:
        """Raises UsageError where the event puts secrets beside a model that somebody else brings."""
        if self.target is not None and (why := self.target.why_not_load):
            raise UsageError(
                why, hint="judge it on pull_request and publish from workflow_run: see docs/github.md"
            )

    def refuse_links(self, out: Path) -> None:
        """Raises UsageError for an output folder that a link in the checkout puts elsewhere."""
        workspace = self.environ.get("GITHUB_WORKSPACE")
        if self.target is not None and workspace:
            refuse_links(out, Path(workspace))

    def refuse_outside(self, models: Sequence[Settings]) -> None:
        """Raises UsageError for a file from outside of the checkout: a link in a pull request must not lead there."""
        workspace = self.environ.get("GITHUB_WORKSPACE")
        if self.target is None or not workspace:
            return
        roots = [root for root in (workspace, self.environ.get("RUNNER_TEMP")) if root]
        for one in models:
            refuse_links(one.out, Path(workspace))
            files = [item for item in one.requirements if Path(item).exists()]
            for path in (one.model[0], one.data, one.reference, one.onnx, *files):
                if path:
                    refuse_outside(path, roots)
                    _refuse_git(path, Path(workspace))

    def scope(self, models: Sequence[Settings]) -> Scope:
        """What is to be judged; all models where nobody can say what changed."""
        from validator.cli.scope import everything, scope_of

        if self.target is None:
            return everything(models)
        found = scope_of(models, self.settings, self.target, self._around([]))
        if found.reason and self.settings.only_changed:
            print(log_line(f"model-preflight: all that is in doubt is judged: {found.reason}"), file=self.log)
        return found

    def publish(self, outcome: Outcome, folders: Sequence[Path]) -> PublishReport | None:
        """Tell GitHub, best effort; None outside GitHub Actions. `folders` hold the results, one a model."""
        if self.target is None:
            return None
        from validator.github.publish import publish

        return publish(outcome, target=self.target, settings=self.settings, around=self._around(folders))

    def publish_folder(self, folder: Path) -> PublishReport:
        """Publish what another run wrote to `folder`. Raises UsageError outside GitHub Actions."""
        if self.target is None:
            raise UsageError(
                "there is nothing to publish to", hint="`publish` runs inside a GitHub Actions job"
            )
        from validator.github.publish import publish_folder

        return publish_folder(
            folder, target=self.target, settings=self.settings, around=self._around([folder])
        )

    def _around(self, folders: Sequence[Path]) -> PublishContext:
        from validator.github.publication import PublishContext

        return PublishContext(
            environ=self.environ,
            log=self.log,
            tool_version=__version__,
            result_path="\n".join(str(folder / "result.json") for folder in folders),
            report_path=str(self.settings.out / "report.md") if folders else "",
            arguments=self.arguments,
        )
