"""`serve` with one fault, for tests that must find it.

python broken_server.py FAULT REFERENCE FLAGS...
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from validator.cli.main import main
from validator.serving.metrics.server import ServerMetrics
from validator.serving.server import serve as serving
from validator.serving.server.predictor import Predictor, Reply
from validator.serving.server.service import Service
from validator.serving.server.views import Views


def another_version() -> None:
    """It serves one version and names another in what it says of itself."""
    begin = Views.__init__

    def lying(self: Any, *given: Any) -> None:
        begin(self, *given)
        self._about["version"] = "v_20200101T000000Z_00000000"

    Views.__init__ = lying  # type: ignore[method-assign]


def another_answer() -> None:
    """The label is turned round after the golden requests were answered right."""
    compute = Predictor.compute

    def wrong(self: Any, *given: Any) -> Reply:
        reply = compute(self, *given)
        reply.body = reply.body.replace(b'"label":1', b'"label":0')
        return reply

    Predictor.compute = wrong  # type: ignore[method-assign]


def uncounted_refusals() -> None:
    """Refusals are answered and not counted."""
    count = ServerMetrics.answered

    def silent(self: Any, outcome: str, seconds: float, rows: int) -> None:
        if outcome != "refused":
            count(self, outcome, seconds, rows)  # type: ignore[arg-type]

    ServerMetrics.answered = silent  # type: ignore[method-assign, assignment]


def takes_anything() -> None:
    """What breaks the contract is answered."""
    compute = Predictor.compute

    def kind(self: Any, *given: Any) -> Reply:
        reply = compute(self, *given)
        return reply if reply.status == 200 else Reply(200, b'{"predictions":[]}', "ok")

    Predictor.compute = kind  # type: ignore[method-assign]


def mixed_up_callers() -> None:
    """A caller now and then gets the answer before his."""
    compute = Predictor.compute
    kept: list[Reply] = []

    def late(self: Any, *given: Any) -> Reply:
        kept.append(compute(self, *given))
        return kept[-2] if len(kept) % 11 == 0 and kept[-1].status == kept[-2].status == 200 else kept[-1]

    Predictor.compute = late  # type: ignore[method-assign]


def dies_at_once() -> None:
    """On SIGTERM the process ends in the middle of its answers."""
    run = Service._predict

    async def predict(self: Any, *given: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        await run(self, *given)

    Service._predict = predict  # type: ignore[method-assign]


def never_ready() -> None:
    """It ends before it is ready."""
    serving.assemble = lambda *_: sys.exit("no memory")  # type: ignore[assignment]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    sys.exit(main(["serve", *sys.argv[2:]]))
