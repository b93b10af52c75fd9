"""What the supervisor, which holds the token, does for its own protection before the first worker starts."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from validator.sandbox.lockdown import kernel
from validator.sandbox.lockdown.policy import APPLIED, UNAVAILABLE, LockdownLayer, LockdownReport


def protect_supervisor(secrets: Iterable[str] = ()) -> LockdownReport:
    """Make this process opaque to those it starts. Call it once, from the main thread, before any worker.

    Not dumpable: no process of the same user reads its memory or environment, or traces it. Subreaper: what a dead
    worker leaves behind becomes its child instead of escaping. SIGIO and SIGURG, which a descriptor's owner can be
    made to receive, are ignored. The values of the variables named in `secrets` are overwritten where the kernel put
    them at start, so that /proc/PID/environ no longer holds them; `os.environ` keeps them.
    """
    for number in ("SIGIO", "SIGURG"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    if not kernel.machine():
        return LockdownReport((LockdownLayer("not_dumpable", UNAVAILABLE, "Linux only"),))
    wiped = [name for name in secrets if kernel.wipe_variable(name)]
    layers = [LockdownLayer("secrets", APPLIED, f"wiped from /proc: {', '.join(wiped) or 'none was set'}")]
    for name, option, value in (
        ("not_dumpable", kernel.PR_SET_DUMPABLE, 0),
        ("subreaper", kernel.PR_SET_CHILD_SUBREAPER, 1),
    ):
        try:
            kernel.prctl(option, value)
            layers.append(LockdownLayer(name, APPLIED))
        except OSError as error:
            layers.append(LockdownLayer(name, UNAVAILABLE, str(error)))
    return LockdownReport(tuple(layers))
