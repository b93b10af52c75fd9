"""The suites on every runtime: smoke, errors, latency."""

from __future__ import annotations

from functools import partial

from validator.artifact.write import artifact_files
from validator.results import RuntimeName
from validator.runtimes.runtime import WorkerRuntime
from validator.stages.conclusion import provisional
from validator.stages.context import Context
from validator.stages.conversion import Converted
from validator.stages.loading import native_runtime, onnx_runtime
from validator.suites import errors, latency, smoke
from validator.suites.common import Subject

_MIB = 2**20
_SHORTEST = 16


def deploy(
    context: Context, native: WorkerRuntime, converted: Converted
) -> tuple[dict[RuntimeName, WorkerRuntime], dict[str, bytes]]:
    """The runtimes under trial, the shipped Deployment among them, and the files that the Deployment loaded."""
    draft = context.draft
    files = artifact_files(provisional(draft, context.settings), converted.onnx, "")
    with draft.stage("load deployment"), draft.guarding("smoke.single", "deployment"):
        deployment = deployment_runtime(context, files)
    return {"native": native, "onnx": converted.runtime, "deployment": deployment}, files


def run_suites(
    context: Context, runtimes: dict[RuntimeName, WorkerRuntime], subject: Subject, artifact: dict[str, bytes]
) -> None:
    """Smoke, error and latency checks on all runtimes. `artifact` is what the deployment loads, by file name."""
    draft, settings = context.draft, context.settings
    with draft.stage("smoke"):
        for runtime in runtimes.values():
            draft.add(*smoke.run(runtime, subject, max_latency_ms=settings.max_latency_ms))
    with draft.stage("errors"):
        candidates = {
            name: errors.Candidate(
                runtime=runtime,
                revive=partial(revive, context, name, artifact),
                broken=partial(load_broken, context, name, artifact),
            )
            for name, runtime in runtimes.items()
        }
        draft.add(*errors.run(candidates, subject))
        runtimes |= {name: candidate.runtime for name, candidate in candidates.items()}
    with draft.stage("latency"):
        checks, draft.latency = latency.run(
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
        )
        draft.add(*checks)


def revive(context: Context, name: RuntimeName, artifact: dict[str, bytes]) -> WorkerRuntime:
    """A fresh worker of that runtime, after a crash."""
    if name == "native":
        return native_runtime(context)
    if name == "onnx":
        return onnx_runtime(context, artifact["model.onnx"])
    return deployment_runtime(context, artifact)


def deployment_runtime(context: Context, artifact: dict[str, bytes]) -> WorkerRuntime:
    """A fresh worker with the shipped Deployment around the artifact's files."""
    worker = context.start("deployment")
    return WorkerRuntime.load("deployment", worker, list(artifact.values()), names=list(artifact))


def load_broken(context: Context, name: RuntimeName, artifact: dict[str, bytes], how: str) -> None:
    """Load a missing or truncated copy of the model, in a worker of its own. Raises what the runtime raises."""
    options = context.load_options() if name == "native" else None
    worker = context.start(name, options=options)
    try:
        if how == "missing":
            worker.call("load_missing")
        elif name == "deployment":
            files = {**artifact, "model.onnx": _cut(artifact["model.onnx"])}
            worker.call("load_folder", list(files.values()), names=list(files))
        else:
            whole = context.data if name == "native" else artifact["model.onnx"]
            worker.call("load", [_cut(whole)])
    finally:
        worker.close()


def _cut(data: bytes) -> bytes:
    return data[: max(_SHORTEST, len(data) // 2)]
