"""A model of known slowness, unpickled in the worker that is measured."""

from __future__ import annotations

import time
from typing import Any


class SlowAtTimes:
    """Answers zeros. Every `every`-th call takes `milliseconds`: of sleep, or of the processor's time."""

    def __init__(self, milliseconds: float, every: int, *, asleep: bool) -> None:
        self.seconds, self.every, self.asleep, self.calls = milliseconds / 1000, every, asleep, 0

    def predict(self, rows: Any) -> Any:
        self.calls += 1
        if self.calls % self.every == 0:
            self._dawdle()
        return rows[:, 0] * 0.0

    def _dawdle(self) -> None:
        if self.asleep:
            time.sleep(self.seconds)
            return
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
