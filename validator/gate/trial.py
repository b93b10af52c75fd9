"""The suites on every runtime: smoke, errors, latency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from validator.artifact.write import artifact_files
from validator.checks import latency
from validator.checks.change.cost import TimedVersions, begin_timing, tell_costs
from validator.checks.check import Subject
from validator.checks.context import Context
from validator.checks.errors import suite as errors
from validator.checks.errors.broken_files import load_broken
from validator.checks.load.model import native_runtime, onnx_runtime
from validator.checks.smoke import suite as smoke
from validator.checks.wrapper import service
from validator.checks.wrapper.load import wrapper_runtime
from validator.gate.conclusion import provisional
from validator.results import RuntimeName
from validator.runtimes.runtime import WorkerRuntime

_MIB = 2**20
#: Seconds after which a wrong input counts as hung.
_HANG_S = 120.0


def deploy(
    context: Context, runtimes: Mapping[RuntimeName, WorkerRuntime], onnx: bytes
) -> tuple[dict[RuntimeName, WorkerRuntime], dict[str, bytes]]:
    """The runtimes under trial with the shipped Deployment among them, and the files that the Deployment loaded."""
    builder = context.builder
    files = artifact_files(provisional(builder, context.settings), onnx, "")
    with builder.stage("load deployment"), builder.guarding("smoke.single", "deployment"):
        deployment = deployment_runtime(context, files)
    return {**runtimes, "deployment": deployment}, files


def run_suites(
    context: Context,
    runtimes: dict[RuntimeName, WorkerRuntime],
    subject: Subject,
    artifact: dict[str, bytes],
    costed: TimedVersions | str,
) -> None:
    """Smoke, error and latency checks on all runtimes.

    `artifact` is what the deployment loads, by file name; `costed` the base version to time beside them, or why not.
    """
    builder, settings = context.builder, context.settings
    subject = replace(subject, input_dtype=builder.conversion.input_dtype or subject.input_dtype)
    with builder.stage("smoke"):
        for runtime in runtimes.values():
            builder.add(*smoke.run(runtime, subject, max_latency_ms=settings.max_latency_ms))
    with builder.stage("errors"):
        candidates = {
            name: errors.Candidate(
                runtime=_hurried(runtime),
                revive=partial(_revived, context, name, artifact),
                broken=partial(load_broken, context, name, artifact, subject),
            )
            for name, runtime in runtimes.items()
        }
        builder.add(*errors.run(candidates, subject))
        runtimes |= {name: _unhurried(context, candidate.runtime) for name, candidate in candidates.items()}
    if "wrapper" in runtimes:
        with builder.stage("service"):
            hashes = (builder.model.sha256, context.file.loadable.sha256)
            builder.add(*service.run(runtimes["wrapper"], subject, hashes=hashes))
    with builder.stage("latency"):
        checks, builder.latency = latency.run(
            runtimes,
            subject,
            latency.Limits(
                single_ms=settings.max_latency_ms,
                load_ms=settings.max_load_ms,
                memory_bytes=settings.max_memory_mb * _MIB,
                budget_s=settings.latency_budget_s,
                batch_sizes=settings.batch_sizes,
                max_slowdown=settings.max_slowdown,
                confidence=settings.latency_confidence,
                inconclusive=settings.inconclusive,
            ),
            begin_timing(context, costed),
        )
        builder.add(*checks)
        tell_costs(context, costed)


def _hurried(runtime: WorkerRuntime) -> WorkerRuntime:
    """A wrong input has less time than a whole step: many are tried, and each may hang."""
    limits = runtime.worker.limits
    runtime.worker.limits = replace(limits, timeout_s=min(limits.timeout_s, _HANG_S))
    return runtime


def _unhurried(context: Context, runtime: WorkerRuntime) -> WorkerRuntime:
    runtime.worker.limits = context.pool.limits
    return runtime


def _revived(context: Context, name: RuntimeName, artifact: dict[str, bytes]) -> WorkerRuntime:
    return _hurried(revive(context, name, artifact))


def revive(context: Context, name: RuntimeName, artifact: dict[str, bytes]) -> WorkerRuntime:
    """A fresh worker of that runtime, after a crash."""
    if name == "native":
        return native_runtime(context)
    if name == "onnx":
        return onnx_runtime(context, artifact["model.onnx"])
    if name == "wrapper":
        return wrapper_runtime(context)
    return deployment_runtime(context, artifact)


def deployment_runtime(context: Context, artifact: dict[str, bytes]) -> WorkerRuntime:
    """A fresh worker with the shipped Deployment around the artifact's files."""
    worker = context.start("deployment")
    return WorkerRuntime.load("deployment", worker, list(artifact.values()), names=list(artifact))
