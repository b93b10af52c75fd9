"""The suites on every runtime: smoke, errors, the wrapper's promises, latency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from validator.artifact.write import artifact_files
from validator.catalog import GUARDED, SPECS
from validator.checks import latency
from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.change.cost import TimedVersions, as_shipped, begin_timing, with_costs
from validator.checks.check import Subject, needed, result
from validator.checks.context import Context
from validator.checks.errors import suite as errors
from validator.checks.errors.broken_files import load_broken
from validator.checks.load.model import native_runtime, onnx_runtime
from validator.checks.load.sample import Data
from validator.checks.smoke import forms
from validator.checks.smoke import suite as smoke
from validator.checks.smoke.consistency import NO_ANSWER
from validator.checks.wrapper import service
from validator.checks.wrapper.load import Wrapped, load_wrapper
from validator.gate.conclusion import provisional
from validator.gate.result_builder import ResultBuilder
from validator.results import CheckResult, Latency, RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.table import Table

_MIB = 2**20
#: Seconds after which a wrong input counts as hung.
_HANG_S = 120.0
#: What all later checks build on: rows are answered at all, and alike when they are asked again.
_ANSWERING = ("smoke.single", "smoke.batch", "smoke.repeatable")
#: What comes after smoke.
_LATER = ("errors", "latency", "wrapper", "version")

Runtimes = dict[RuntimeName, WorkerRuntime]


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """What of a model ships: the runtimes with it, and the artifact's files by name. Empty where it cannot ship."""

    runtimes: Runtimes = field(default_factory=dict)
    artifact: Mapping[str, bytes] = field(default_factory=dict)


def deploy(context: Context, run: ResultBuilder, runtime: WorkerRuntime, onnx: bytes, rows: Table) -> Shipped:
    """ONNX Runtime, and the shipped Deployment, loaded from the artifact as it would be written now.

    Raises CheckFailedError (`smoke.single`) when the Deployment does not load.
    """
    from validator.gate.golden import golden_requests

    files = artifact_files(provisional(run, context.settings), onnx, "")
    with run.stage("load deployment"), needed("smoke.single", "deployment"):
        deployment = _deployment_runtime(context, files)
    deployment.first_call(rows)
    if run.contract is not None:
        with run.stage("golden requests"):
            run.golden = golden_requests(deployment, rows, run.contract)
    return Shipped(runtimes={"onnx": runtime, "deployment": deployment}, artifact=files)


def put_to_trial(
    context: Context,
    run: ResultBuilder,
    runtimes: Runtimes,
    artifact: Mapping[str, bytes],
    subject: Subject,
    data: Data,
    base: BaseVersion | NoVersion,
) -> None:
    """Everything that loads, the user's wrapper too, through the suites: smoke, errors, promises, latency."""
    subject = replace(subject, input_dtype=run.conversion.input_dtype or subject.input_dtype)
    wrapped = _wrap(context, run, runtimes, subject)
    trial = Trial(context=context, subject=subject, runtimes=runtimes, artifact=artifact, wrapped=wrapped)
    costed: TimedVersions | str
    if isinstance(base, NoVersion):
        costed = base.reason
    else:
        with run.stage("base version"):
            costed = as_shipped(base, data, artifact.get("model.onnx"))
    with run.stage("smoke"):
        smoked: list[CheckResult] = []
        for found in trial.smoke():
            run.add(*found)
            smoked += found
        if "deployment" in runtimes:
            run.add(forms.run(partial(_deployment_runtime, context, artifact, "forms"), data, smoked))
        run.add(*trial.silenced(smoked))
    with run.stage("errors"):
        run.add(*trial.errors())
    if "wrapper" in runtimes:
        with run.stage("service"):
            run.add(*trial.promises())
    with run.stage("latency"):
        checks, run.latency = trial.latency(begin_timing(context, costed))
        run.add(*checks)
        if isinstance(costed, TimedVersions) and run.change is not None:
            run.change = with_costs(context, costed, run.change, run.latency)


def _wrap(context: Context, run: ResultBuilder, runtimes: Runtimes, subject: Subject) -> Wrapped | None:
    """The user's own wrapper among the runtimes, where there is one and it loads."""
    if context.wrapper is None:
        return None
    wrapped = Wrapped(
        context=context,
        wrapper=context.wrapper,
        task=run.model.task,
        classes=subject.contract.classes,
        rows=subject.rows,
    )
    with run.recording(), run.stage("load wrapper"):
        runtimes["wrapper"], check = load_wrapper(wrapped)
        run.add(check)
    return wrapped


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The runtimes that load, what they are asked, and what a fresh one of each is loaded from.

    `artifact` is what the deployment loads, by file name. A runtime that crashed is replaced in `runtimes`.
    """

    context: Context
    subject: Subject
    runtimes: Runtimes
    artifact: Mapping[str, bytes]
    wrapped: Wrapped | None

    def smoke(self) -> Iterator[Sequence[CheckResult]]:
        """The checks of one runtime after the other."""
        limit_ms = self.context.settings.max_latency_ms
        for runtime in self.runtimes.values():
            yield smoke.run(runtime, self.subject, max_latency_ms=limit_ms)

    def silenced(self, smoked: Sequence[CheckResult]) -> list[CheckResult]:
        """A deployment or wrapper that does not answer the sample's own rows, and alike, is tried no further: all
        other checks would tell of the same cause by another name. Returns the checks that it misses.
        """
        missed = []
        for name in GUARDED:
            cause = next((one.id for one in smoked if one.runtime == name and _keeps_from_answers(one)), None)
            if cause is not None and self.runtimes.pop(name, None) is not None:
                missed += [
                    result(spec.id, name, smoke.untold(cause))
                    for spec in SPECS
                    if name in spec.runtimes and spec.category in _LATER
                ]
        return missed

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
        checks = errors.run(candidates, self.subject, serves=self.context.settings.serves)
        for name, candidate in candidates.items():
            candidate.runtime.worker.limits = self.context.pool.limits
            self.runtimes[name] = candidate.runtime
        return checks

    def promises(self) -> list[CheckResult]:
        """What the user's wrapper owes, its model's own answers first."""
        from validator.checks.wrapper import answers

        hashes = (self.context.file.sha256, self.context.file.loadable.sha256)
        wrapper = self.runtimes["wrapper"]
        reference = self.runtimes.get("native") or self.runtimes.get("deployment")
        differs = self.context.settings.wrapper_differs
        return [
            *answers.run(wrapper, reference, self.subject, differs=differs),
            *service.run(wrapper, self.subject, hashes=hashes),
        ]

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
            serves=settings.serves,
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
        return _deployment_runtime(self.context, self.artifact)


def _keeps_from_answers(check: CheckResult) -> bool:
    raises = check.id == "smoke.methods" and any(one.name == NO_ANSWER for one in check.evidence)
    return (check.id in _ANSWERING or raises) and check.status in ("fail", "error")


def _limited(runtime: WorkerRuntime, seconds: float) -> WorkerRuntime:
    limits = runtime.worker.limits
    runtime.worker.limits = replace(limits, timeout_s=min(limits.timeout_s, seconds))
    return runtime


def _deployment_runtime(
    context: Context, artifact: Mapping[str, bytes], job: str = "deployment"
) -> WorkerRuntime:
    """A fresh worker with the shipped Deployment around the artifact's files."""
    worker = context.start(job)
    return WorkerRuntime.load("deployment", worker, list(artifact.values()), names=list(artifact))
