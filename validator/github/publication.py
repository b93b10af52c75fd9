"""What publishing is given and what it gives back: settings, surroundings, steps, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TextIO

from validator.answers import Effects
from validator.errors import Exit, PublishError
from validator.github.api import DEADLINE_SECONDS, GitHubApi
from validator.github.event import Target
from validator.github.wording import Verdict

StepName = Literal["annotations", "outputs", "summary", "pull request", "status", "comment", "check run"]


class PublishSettings(Protocol):
    """The settings that publishing reads."""

    @property
    def github_token(self) -> str | None: ...
    @property
    def comment(self) -> bool: ...
    @property
    def status(self) -> bool: ...
    @property
    def status_context(self) -> str: ...
    @property
    def check_run(self) -> bool: ...
    @property
    def instance_key(self) -> str: ...
    @property
    def require_publish(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class PublishContext:
    """What publishing needs of the process: its environment, the log, the network, and where the files are.

    `arguments` tell the command lines of one job apart. `result_path` and `report_path` become outputs as they
    are, relative to the workspace.
    """

    environ: Mapping[str, str]
    log: TextIO
    tool_version: str
    result_path: str = ""
    report_path: str = ""
    arguments: str = ""
    effects: Effects = field(default_factory=Effects)
    deadline_seconds: float = DEADLINE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: done, skipped for a reason that is no fault, or failed with what to do about it."""

    name: StepName
    state: Literal["done", "skipped", "failed"]
    detail: str = ""
    hint: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """What became of it. `verdict` is the outcome's, whatever failed here."""

    verdict: Verdict
    steps: tuple[Step, ...]

    @property
    def failed(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.state == "failed")

    @property
    def comment_url(self) -> str:
        return next((step.url for step in self.steps if step.name == "comment"), "")

    def exit_code(self, *, require_publish: bool) -> int:
        """The verdict's; another where it passed but publishing was required and failed."""
        code = {"pass": Exit.PASSED, "fail": Exit.FAILED, "error": Exit.UNJUDGED}[self.verdict]
        return Exit.UNPUBLISHED if code == Exit.PASSED and require_publish and self.failed else code


def open_api(target: Target, settings: PublishSettings, around: PublishContext) -> GitHubApi:
    """A session with the target's API. Raises PublishError where there is no usable token."""
    if not (settings.github_token or "").strip():
        raise PublishError("there is no GitHub token", hint="pass `github-token: ${{ github.token }}`")
    return GitHubApi(
        base_url=target.api_url,
        token=(settings.github_token or "").strip(),
        user_agent=f"model-preflight/{around.tool_version}",
        effects=around.effects,
        deadline_seconds=around.deadline_seconds,
        read_only=target.read_only,
    )
