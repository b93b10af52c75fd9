"""One model under the gate's eyes: its file read once, its workers ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from validator.artifact.write import safe_name
from validator.checks.context import Context
from validator.checks.load.environment import choose_python
from validator.checks.preload import RUNNING, SCANNING, SERVING, TOOLS
from validator.checks.wrapper.find import Wrapper
from validator.errors import UsageError
from validator.gate.result_builder import Stages
from validator.model.file import ModelFile, read_verified
from validator.results import ModelInfo
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.settings.table import Settings

_MIB = 2**20


def limits_of(settings: Settings) -> WorkerLimits:
    """What a worker may use under these settings."""
    return WorkerLimits(memory_bytes=settings.worker_memory_mb * _MIB, timeout_s=settings.worker_timeout_s)


def _refuse_bytes(*texts: str) -> None:
    """Raise UsageError for a path or name with bytes that are no UTF-8, which Python keeps as lone surrogates."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{text!a:.300} holds bytes that are no text",
                hint="rename it: reports and artifacts are UTF-8",
            ) from error


@contextmanager
def open_context(
    settings: Settings,
    path: str,
    file: ModelFile,
    environ: Mapping[str, str],
    stage: Stages,
    *,
    wrapper: Wrapper | None = None,
    shared: WorkerPool | None = None,
) -> Iterator[Context]:
    """Worker processes for one model, with their libraries being imported; all gone at the end.

    `path` is as the user gave it. From a `shared` pool every worker is gone too, but the libraries stay imported for
    the next model. Raises UsageError where there is no environment to load the model in.
    """
    _refuse_bytes(path, settings.name or "")
    opened = shared.lease(limits_of(settings)) if shared else WorkerPool(limits=limits_of(settings))
    with stage("environment") if settings.requirements else nullcontext():
        python = choose_python(settings, file, environ)
    model = ModelInfo(
        path=path,
        name=settings.name or safe_name(Path(path).stem),
        format=file.loadable.format,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )
    with opened as pool:
        pool.zygote(TOOLS).preload(SCANNING)
        pool.zygote(SERVING).preload(RUNNING)
        yield Context(
            settings=settings,
            file=file,
            model=model,
            data=read_verified(file.loadable),
            pool=pool,
            in_ci=environ.get("CI") == "true",
            python=python,
            wrapper=wrapper,
        )
