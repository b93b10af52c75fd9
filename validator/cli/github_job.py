"""The GitHub job that a run is part of, if any: what may be loaded there, what must be judged, and who is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from validator import __version__
from validator.checks.context import own_packages
from validator.checks.wrapper.find import watched_paths
from validator.errors import PublishError, UsageError
from validator.github.event import Target, load_target
from validator.model.file import refuse_outside
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.github.outcome import Outcome
    from validator.github.publication import PublishContext, PublishReport


@dataclass(frozen=True, kw_only=True)
class GitHubJob:
    """One run. `target` is None outside GitHub Actions: then everything is judged and nobody is told."""

    settings: Settings
    environ: Mapping[str, str]
    log: TextIO
    target: Target | None

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str], log: TextIO) -> GitHubJob:
        """Raises UsageError when the environment claims a job but its event cannot be read."""
        return cls(settings=settings, environ=environ, log=log, target=load_target(environ))

    def refuse_to_load(self) -> None:
        """Raises UsageError where the event puts secrets beside a model that somebody else brings."""
        if self.target is not None and (why := self.target.why_not_load):
            raise UsageError(
                why, hint="judge it on pull_request and publish from workflow_run: see docs/github.md"
            )

    def refuse_outside(self, models: Sequence[Settings]) -> None:
        """Raises UsageError for a file from outside of the checkout: a link in a pull request must not lead there."""
        workspace = self.environ.get("GITHUB_WORKSPACE")
        if self.target is None or not workspace:
            return
        roots = [root for root in (workspace, self.environ.get("RUNNER_TEMP")) if root]
        for one in models:
            for path in (one.model[0], one.data, one.onnx):
                if path:
                    refuse_outside(path, roots)

    def to_judge(self, models: Sequence[Settings]) -> list[Settings]:
        """The models to judge: all, or with `only_changed` those that the change touches; all where in doubt."""
        if not self.settings.only_changed or self.target is None:
            return list(models)
        from validator.github.changed import WatchedModel, changed_files, touched
        from validator.github.publication import open_api

        try:
            with open_api(self.target, self.settings, self._around([])) as api:
                changed = changed_files(api, self.target)
        except PublishError as error:
            print(f"model-preflight: all models are judged: {error.message}", file=self.log)
            return list(models)
        watched = [
            (WatchedModel(path=self._in_repository(one.model[0]), inputs=self._inputs(one)), one)
            for one in models
        ]
        chosen = touched([model for model, _ in watched], changed)
        return [one for model, one in watched if model in chosen]

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
        )

    def _inputs(self, one: Settings) -> tuple[str, ...]:
        """The files besides the model that decide its verdict."""
        paths = [
            one.data,
            one.onnx,
            one.config,
            *one.requirements,
            *own_packages(one.allow).values(),
            *(watched_paths(one.wrapper) if one.wrapper else ()),
        ]
        return tuple(self._in_repository(path) for path in paths if path and Path(path).exists())

    def _in_repository(self, path: str) -> str:
        """As GitHub names it: relative to the checkout, with forward slashes."""
        root = Path(self.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
        whole = Path(path).resolve()
        return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else path
