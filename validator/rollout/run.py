"""The loop that carries a rollout from its first step to its end, and the writing of what people look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from validator.errors import PreflightError
from validator.rollout.metrics import METRICS_FILE, exposition
from validator.rollout.page import LIVE_FILE, PAGE_FILE, page
from validator.rollout.report import LOG_FILE, log
from validator.rollout.settings import LoopSettings
from validator.rollout.stages import stages
from validator.rollout.state import InUseError, Rollout, SlotName, StateError, locked, read_state, write_whole
from validator.rollout.step import Leased, Parts, Step, step


def one_step(settings: LoopSettings, parts: Parts, *, by: str = "rollout") -> Step | None:
    """Read, step, and write log and page; None where there is no rollout.

    Raises
    ------
    StateError
        If the state cannot be read or written, or another process holds it.
    """
    with locked(settings.directory):
        state = read_state(settings.directory)
        if state is None:
            return None
        done = step(settings, parts, state, by=by)
        if state.is_ended:
            return done
        return shown(settings, done)


def shown(settings: LoopSettings, done: Step) -> Step:
    """Write log, page and metrics. That they cannot be written stops no rollout, and is told."""
    names = [stage.name for stage in stages(settings)]
    try:
        write_whole(settings.directory / LOG_FILE, log(done.state, done.verdict).encode())
        for name in (PAGE_FILE, LIVE_FILE):
            text = page(done.state, done.verdict, names, live=name == LIVE_FILE)
            write_whole(settings.directory / name, text.encode())
        write_whole(settings.directory / METRICS_FILE, exposition(done.state, done.verdict).encode())
    except StateError as error:
        return replace(done, trouble=(*done.trouble, error))
    return done


def run(
    settings: LoopSettings,
    parts: Parts,
    *,
    tell: Callable[[Step | PreflightError], None],
    pause: Callable[[float], None],
    until_ended: bool = False,
) -> Rollout | None:
    """Step until somebody stops it; with `until_ended` until the rollout has ended.

    Nothing that goes wrong in a step ends the loop: while it lasts the lease is not renewed, which takes the
    candidate out. Only one loop runs in a folder.

    Raises
    ------
    InUseError
        If another loop runs in this folder.
    """
    with locked(settings.directory, "run"):
        while True:
            done: Step | None = None
            try:
                done = one_step(settings, parts)
                if done is not None:
                    tell(done)
            except InUseError:
                pass  # somebody types `rollout step` or `abort` at this moment: the next round sees what came of it
            except PreflightError as error:
                tell(error)
            if done is not None and done.state.is_ended:
                _keep_ready(parts.slots, done.state, tell)
                if until_ended:
                    return done.state
            pause(settings.interval_s)


def _keep_ready(
    slots: Mapping[SlotName, Leased], state: Rollout, tell: Callable[[PreflightError], None]
) -> None:
    """Whoever serves after the end must not depend on a lease, also after its server was started again."""
    serving = state.candidate if state.state == "promoted" else state.champion
    try:
        slots[serving.slot].drop_lease()
    except PreflightError as error:
        tell(error)
