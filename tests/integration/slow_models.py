"""Models slowed on purpose. A module of its own, as a user's package is: its path goes to the worker."""

from __future__ import annotations

import time

import numpy as np


class Model:
    """Answers zeros at once; the children spoil calls, each `every`-th of them."""

    def __init__(self, milliseconds=0.0, every=1):
        self.milliseconds, self.every, self.calls = milliseconds, every, 0

    def predict(self, X):
        self.calls += 1
        if self.calls % self.every == 0:
            self.dawdle(self.milliseconds / 1000)
        return np.zeros(len(X))

    def dawdle(self, seconds):
        pass


class Sleeps(Model):
    """Waits, as for a lock or for the network, and uses no processor."""

    def dawdle(self, seconds):
        time.sleep(seconds)


class Spins(Model):
    """Works that long, by the processor's time."""

    def dawdle(self, seconds):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass


class Lies(Sleeps):
    """Sleeps, and sets back the clock that its worker times it by."""

    def dawdle(self, seconds):
        from validator.worker import timing

        super().dawdle(seconds)
        timing.time = _Stopped()


class _Stopped:
    """A `time` module whose clocks creep."""

    def __init__(self):
        self.now = 0

    def perf_counter_ns(self):
        self.now += 1_000
        return self.now


class BlamesOthers(Sleeps):
    """Sleeps, and makes its worker believe that other processes had the processor."""

    def dawdle(self, seconds):
        from validator.worker import timing

        super().dawdle(seconds)
        counts = iter(range(1 << 60))
        timing._usage = lambda: timing._Usage(0, 0, next(counts))


class Works(Model):
    """Does the same real work some times over: 5 and 6 times are a true slow-down of 20 %."""

    def __init__(self, times, size=96):
        super().__init__()
        self.times = times
        self.matrix = np.random.default_rng(0).normal(size=(size, size))

    def predict(self, X):
        for _ in range(self.times):
            self.matrix @ self.matrix
        return np.zeros(len(X))
