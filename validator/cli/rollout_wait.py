"""`rollout wait` and `rollout start --wait`: until the end, or for so long, telling whoever wants to know."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.rollout_view import code_of, no_rollout, show
from validator.durations import seconds_of
from validator.errors import UsageError

if TYPE_CHECKING:
    from validator.rollout.settings import LoopSettings
    from validator.rollout.state import Rollout


def told(
    settings: LoopSettings, flags: Mapping[str, Any], environ: Mapping[str, str]
) -> Callable[[Rollout], None]:
    """Whom whoever waits tells of each look: GitHub, where that is wanted, and the job's summary of the end."""
    from validator.cli.rollout_job import Deploying, job_of, summarize
    from validator.rollout.report import LOG_FILE

    environment, summary = flags.get("environment"), environ.get("GITHUB_STEP_SUMMARY")
    deploying = None if environment is None else Deploying(job_of(str(environment), environ), sys.stderr)

    def tell(state: Rollout) -> None:
        if deploying is not None:
            deploying.tell(state)
        if state.is_ended and summary:
            summarize(Path(summary), settings.directory / LOG_FILE, sys.stderr)

    return tell


def wait_for(
    settings: LoopSettings, span: float | None, tell: Callable[[Rollout], None], *, json_output: bool
) -> int:
    """Until the end, or for so long. What happens to whoever waits changes nothing."""
    from validator.rollout.report import lines
    from validator.rollout.state import read_state
    from validator.rollout.view import last_verdict

    until = None if span is None else time.monotonic() + span
    shown = ""
    while True:
        state = read_state(settings.directory)
        if state is None:
            raise no_rollout(settings)
        if state.stage != shown and not json_output:
            show(state, lines(state, last_verdict(settings, state)), json_output=False)
            shown = state.stage
        tell(state)
        if state.is_ended or (until is not None and time.monotonic() >= until):
            if json_output:
                show(state, (), json_output=True)
            return code_of(state)
        time.sleep(min(settings.interval_s, 5.0))


def seconds_to_wait(text: str | None) -> float | None:
    """The seconds of `--wait`, None without it. Raises UsageError."""
    seconds = None if text is None else seconds_of(text)
    if text is not None and seconds is None:
        raise UsageError(
            f"{text!r} is no time to wait", hint="give a number and s, m, h or d, such as 90m or 6h"
        )
    return seconds
