"""What `rollout` shows of where it is, and the exit code that this stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from validator.cli.console import say
from validator.errors import Exit, PreflightError, UsageError

if TYPE_CHECKING:
    from validator.rollout.settings import LoopSettings
    from validator.rollout.state import Rollout
    from validator.rollout.step import Step


def code_of(state: Rollout, *, trouble: bool = False) -> int:
    """The exit code that a state stands for."""
    if state.state == "promoted":
        return Exit.PASSED
    if state.state in ("rolled_back", "aborted"):
        return Exit.FAILED
    return Exit.UNJUDGED if trouble else Exit.INSUFFICIENT


def show(state: Rollout, lines: Sequence[str], *, json_output: bool) -> None:
    """The rollout as `rollout.json`, or these lines."""
    from validator.rollout.state import as_json

    say(as_json(state).rstrip("\n") if json_output else "\n".join(lines))


def show_step(done: Step, *, json_output: bool) -> None:
    """What a step came to; what could not be done is never lost beside a document."""
    from validator.cli.console import complain
    from validator.rollout.report import of_step

    show(done.state, of_step(done), json_output=json_output)
    for error in done.trouble if json_output else ():
        complain(error)


class Teller:
    """Prints what changed: one block a change, not one a step."""

    def __init__(self) -> None:
        self._last: tuple[object, ...] = ()

    def __call__(self, told: Step | PreflightError) -> None:
        from validator.report.escape import clean
        from validator.rollout.report import of_step

        if isinstance(told, PreflightError):
            key: tuple[object, ...] = (told.message,)
            shown = [f"! {clean(told.message, limit=500)}", f"  hint: {clean(told.hint, limit=500)}"]
        else:
            key = (
                told.state.stage,
                told.state.reason,
                told.state.warnings,
                *(error.message for error in told.trouble),
            )
            shown = of_step(told)
        if key != self._last:
            say("\n".join(shown))
            self._last = key


def no_rollout(settings: LoopSettings) -> UsageError:
    return UsageError(
        f"there is no rollout in {settings.directory}", hint="begin one with `model-preflight rollout start`"
    )
