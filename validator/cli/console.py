"""What the command shows while it works: a moving line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from validator.errors import PreflightError

if TYPE_CHECKING:
    from validator.gate.result_builder import Progress


#: Seconds between two lines about one stage where lines are not overwritten.
_BETWEEN_S = 10.0


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A function that is told the name of each stage as it begins. Everything goes to standard error."""
    if quiet:
        yield _silent
    elif sys.stderr.isatty():
        with _moving() as show:
            yield show
    else:
        yield _plain()


def named(show: Progress, model: str) -> Progress:
    """The same, each stage with the model's name in front."""
    return lambda stage, detail="": show(f"{model}: {stage}", detail)


def _plain(clock: Callable[[], float] = time.monotonic) -> Progress:
    """A line a stage, and one now and then for how far a long one is."""
    told = clock()

    def show(stage: str, detail: str = "", /) -> None:
        nonlocal told
        if detail and clock() - told < _BETWEEN_S:
            return
        told = clock()
        print(f"model-preflight: {stage} ... {detail}".rstrip(), file=sys.stderr, flush=True)

    return show


def _silent(_stage: str, _detail: str = "", /) -> None:
    """Progress that nobody wants to see."""


@contextmanager
def _moving() -> Iterator[Progress]:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting ...") as status:
        yield lambda stage, detail="": status.update(f"{stage} ... {detail}".rstrip())


def notice(text: str) -> None:
    """What whoever runs the command should know, though nothing is wrong, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(text)}", file=sys.stderr)


def complain(error: PreflightError) -> None:
    """What was wrong and what to do, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(error.message)}", file=sys.stderr)
    print(f"  hint: {log_line(error.hint)}", file=sys.stderr)
