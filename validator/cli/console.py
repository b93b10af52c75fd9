"""What the command shows while it works: a moving line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from validator.errors import PreflightError

if TYPE_CHECKING:
    from validator.gate.result_builder import Progress


#: What lines begin with, by what it means.
_WORDS = {
    "pass": "PASS|pass|OK|ok|PROMOTED",
    "fail": "FAIL|DRIFT|✗|ROLLED_BACK|ABORTED",
    "warn": r"WARNING|WARN|INSUFFICIENT|!|\?|HELD|open",
}
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


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGTERM, and a terminal that closes, into the same orderly end as Ctrl-C.

    Where that is ours to decide: in the main thread, and where nobody has said that it goes on (nohup).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {one: signal.getsignal(one) for one in signals}
    ours = [one for one in signals if before[one] != signal.SIG_IGN]
    for one in ours:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one in ours:
            signal.signal(one, before[one])


def in_colour() -> bool:
    """Whether standard output is a terminal that shows colours, and nobody has asked for none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def in_unicode() -> bool:
    """Whether standard output takes characters beyond ASCII."""
    return "utf" in (sys.stdout.encoding or "").lower()


def screen_width() -> int:
    """Columns that a view may take: the terminal's, from 40 to 120."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 120))


def say(text: str) -> None:
    """Lines on standard output. On a terminal the word that a line begins with has the colour of what it means."""
    from validator.report.terminal import COLOURS, in_ascii

    if in_colour():
        for kind, words in _WORDS.items():
            painted = f"\\1\x1b[{COLOURS[kind]}m\\2\x1b[0m"
            text = re.sub(rf"(?m)^( *)({words})(?= |:|$)", painted, text)
    print(text if in_unicode() else in_ascii(text), flush=True)


def notice(text: str) -> None:
    """What whoever runs the command should know, though nothing is wrong, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(text)}", file=sys.stderr)


def complain(error: PreflightError) -> None:
    """What was wrong and what to do, on standard error."""
    from validator.report.escape import log_line

    print(f"model-preflight: {log_line(error.message)}", file=sys.stderr)
    print(f"  hint: {log_line(error.hint)}", file=sys.stderr)
