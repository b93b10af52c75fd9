"""The suites on every runtime: smoke, errors, the wrapper's promises, latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from validator.checks import latency
from validator.checks.check import Subject
from validator.checks.context import Context
from validator.checks.errors import suite as errors
from validator.checks.errors.broken_files import load_broken
from validator.checks.load.model import native_runtime, onnx_runtime
from validator.checks.smoke import suite as smoke
from validator.checks.wrapper import service
from validator.checks.wrapper.load import Wrapped
from validator.results import CheckResult, Latency, RuntimeName
from validator.runtimes.runtime import WorkerRuntime

_MIB = 2**20
#: Seconds after which a wrong input counts as hung.
_HANG_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The runtimes that load, what they are asked, and what a fresh one of each is loaded from.

    `artifact` is what the deployment loads, by file name. A runtime that crashed is replaced in `runtimes`.
    """

    context: Context
    subject: Subject
    runtimes: dict[RuntimeName, WorkerRuntime]
    artifact: Mapping[str, bytes]
    wrapped: Wrapped | None

    def smoke(self) -> list[CheckResult]:
        limit_ms = self.context.settings.max_latency_ms
        found = [
            smoke.run(runtime, self.subject, max_latency_ms=limit_ms) for runtime in self.runtimes.values()
        ]
        return [check for checks in found for check in checks]

    def errors(self) -> list[CheckResult]:
        """A wrong input has less time than a whole step: many are tried, and each may hang."""
        candidates = {
            name: errors.Candidate(
                runtime=_limited(runtime, _HANG_S),
                revive=partial(self._revived, name),
                broken=partial(load_broken, self.context, name, self.artifact, self.wrapped, self.subject),
            )
            for name, runtime in self.runtimes.items()
        }
        checks = errors.run(candidates, self.subject)
        for name, candidate in candidates.items():
            candidate.runtime.worker.limits = self.context.pool.limits
            self.runtimes[name] = candidate.runtime
        return checks

    def promises(self) -> list[CheckResult]:
        """What the user's wrapper owes beyond answers."""
        hashes = (self.context.file.sha256, self.context.file.loadable.sha256)
        return service.run(self.runtimes["wrapper"], self.subject, hashes=hashes)

    def latency(self, base: latency.Base | str) -> tuple[list[CheckResult], Latency]:
        """All runtimes side by side, and the base version among them, or why it is not."""
        settings = self.context.settings
        limits = latency.Limits(
            single_ms=settings.max_latency_ms,
            load_ms=settings.max_load_ms,
            memory_bytes=settings.max_memory_mb * _MIB,
            budget_s=settings.latency_budget_s,
            batch_sizes=settings.batch_sizes,
            max_slowdown=settings.max_slowdown,
            confidence=settings.latency_confidence,
            inconclusive=settings.inconclusive,
        )
        return latency.run(self.runtimes, self.subject, limits, base)

    def _revived(self, name: RuntimeName) -> WorkerRuntime:
        return _limited(self._fresh(name), _HANG_S)

    def _fresh(self, name: RuntimeName) -> WorkerRuntime:
        """A new worker of that runtime, after a crash."""
        if name == "native":
            return native_runtime(self.context)
        if name == "onnx":
            return onnx_runtime(self.context, self.artifact["model.onnx"])
        if name == "wrapper" and self.wrapped is not None:
            return self.wrapped.load()
        return deployment_runtime(self.context, self.artifact)


def _limited(runtime: WorkerRuntime, seconds: float) -> WorkerRuntime:
    limits = runtime.worker.limits
    runtime.worker.limits = replace(limits, timeout_s=min(limits.timeout_s, seconds))
    return runtime


def deployment_runtime(context: Context, artifact: Mapping[str, bytes]) -> WorkerRuntime:
    """A fresh worker with the shipped Deployment around the artifact's files."""
    worker = context.start("deployment")
    return WorkerRuntime.load("deployment", worker, list(artifact.values()), names=list(artifact))
