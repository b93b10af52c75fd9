"""One model under the gate's eyes: its file read once, its result begun, its workers ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from validator.artifact.write import safe_name
from validator.checks.context import Context
from validator.checks.load.environment import choose_python
from validator.checks.preload import RUNNING, SCANNING, SERVING, TOOLS
from validator.checks.result_builder import Blocked, Progress, ResultBuilder
from validator.errors import ModelError
from validator.model.file import ModelFile, identify, read_verified
from validator.results import ModelInfo
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.settings.table import Settings

_MIB = 2**20


def begin(settings: Settings, path: str, progress: Progress) -> tuple[ModelFile, ResultBuilder]:
    """Identify the file. Raises UsageError or ModelError where there is no model to judge."""
    file = identify(path)
    model = ModelInfo(
        path=path,
        name=settings.name or safe_name(Path(path).stem),
        format=file.loadable.format,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )
    return file, ResultBuilder(model=model, progress=progress)


def limits_of(settings: Settings) -> WorkerLimits:
    """What a worker may use under these settings."""
    return WorkerLimits(memory_bytes=settings.worker_memory_mb * _MIB, timeout_s=settings.worker_timeout_s)


@contextmanager
def workers(
    settings: Settings,
    file: ModelFile,
    builder: ResultBuilder,
    environ: Mapping[str, str],
    shared: WorkerPool | None = None,
) -> Iterator[Context]:
    """Worker processes for that file, with their libraries being imported; all gone at the end.

    From a `shared` pool every worker is gone too, but the libraries stay imported for the next model.
    """
    opened = shared.lease(limits_of(settings)) if shared else WorkerPool(limits=limits_of(settings))
    python = choose_python(settings, file, builder, environ)
    with opened as pool:
        pool.zygote(TOOLS).preload(SCANNING)
        pool.zygote(SERVING).preload(RUNNING)
        yield Context(
            settings=settings,
            file=file,
            data=read_verified(file.loadable),
            pool=pool,
            builder=builder,
            in_ci=environ.get("CI") == "true",
            python=python,
        )


@contextmanager
def open_session(
    settings: Settings, path: str, environ: Mapping[str, str], progress: Progress
) -> Iterator[Context]:
    """For commands that only need the first stages: what blocks the gate is an error here.

    Raises ModelError with the first failed check's message and hint.
    """
    file, builder = begin(settings, path, progress)
    with workers(settings, file, builder, environ) as context:
        try:
            yield context
        except Blocked:
            failed = builder.checks[-1]
            raise ModelError(f"{failed.title}: {failed.message}", hint=failed.hint) from None
