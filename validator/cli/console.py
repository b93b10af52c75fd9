"""What the command shows while it works: a moving line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from validator.errors import PreflightError

if TYPE_CHECKING:
    from validator.gate.result_builder import Progress


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A function that is told the name of each stage as it begins. Everything goes to standard error."""
    if quiet:
        yield _silent
    elif sys.stderr.isatty():
        with _moving() as show:
            yield show
    else:
        yield lambda stage: print(f"model-preflight: {stage} ...", file=sys.stderr, flush=True)


def named(show: Progress, model: str) -> Progress:
    """The same, each stage with the model's name in front."""
    return lambda stage: show(f"{model}: {stage}")


def _silent(_stage: str) -> None:
    """Progress that nobody wants to see."""


@contextmanager
def _moving() -> Iterator[Progress]:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting ...") as status:
        yield lambda stage: status.update(f"{stage} ...")


def notice(text: str) -> None:
    """What whoever runs the command should know, though nothing is wrong, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(text)}", file=sys.stderr)


def complain(error: PreflightError) -> None:
    """What was wrong and what to do, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(error.message)}", file=sys.stderr)
    print(f"  hint: {log_line(error.hint)}", file=sys.stderr)
