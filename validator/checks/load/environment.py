"""The native model's environment: which interpreter its workers run under, and what is installed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from validator.checks.context import Context
from validator.checks.preload import NATIVE, for_the_model
from validator.environments import build, requirements
from validator.environments.installer import find_installer
from validator.environments.interpreter import Interpreter, base, choose, own
from validator.errors import WorkerError
from validator.libraries.known import format_named, library_named, recorded_as
from validator.model.file import ModelFile
from validator.model.safety import SafetyReport
from validator.sandbox.worker_pool import Worker
from validator.settings.table import Settings

_MOST = 200


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What is there for the native model. `versions` are by distribution, `failed` by module: why it is not there."""

    python: Interpreter
    versions: Mapping[str, str]
    failed: Mapping[str, str]

    def version(self, library: str) -> str:
        """The version of a library by its import name or its distribution's, empty where it is not installed."""
        return next((self.versions[name] for name in distributions(library) if name in self.versions), "")


def distributions(module: str) -> tuple[str, ...]:
    """The packages that may install a module, or what a file tells the version of."""
    library = library_named(module.partition(".")[0]) or recorded_as(module)
    return library.distributions if library else (module,)


def choose_python(settings: Settings, file: ModelFile, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter for the native model, its environment built first where `requirements` are given.

    Raises UsageError where there is no such interpreter, or the environment cannot be built.
    """
    if not settings.requirements:
        return choose(settings.python, environ) if settings.python else own()
    wanted = requirements.read(settings.requirements, file.path if file.format == "mlflow" else None)
    named = settings.python or wanted.python
    place = build.cache_folder(settings.environment_cache, environ)
    under = choose(named, environ) if named else base()
    return build.ensure(wanted, under, place, find_installer(environ), environ).python


def anticipate(context: Context) -> None:
    """A booster's file names no library but its own, which can be imported while the file is looked at."""
    known = format_named(context.format)
    if known is not None and not context.python.foreign:
        modules = for_the_model([known[0].name], context.settings.allow)
        context.pool.zygote(NATIVE, context.python).preload(modules)


def begin_imports(context: Context, report: SafetyReport) -> Worker | None:
    """Begin to import what the model needs: once for all workers, or in a foreign environment behind the lockdown.

    Returns the worker that tries a foreign environment.
    """
    modules = for_the_model(report.preload, context.settings.allow)
    if not context.python.foreign:
        context.pool.zygote(NATIVE, context.python).preload(modules)
        return None
    ours = [name for name in modules if not name.startswith("validator.")]
    looking = context.start("environment")
    looking.post("look", modules=["numpy", *ours], distributions=_distributions(report))
    return looking


def installed(context: Context, report: SafetyReport, looking: Worker | None) -> Installed:
    """Wait for the imports; then what is there. Raises WorkerError when an environment breaks while imported."""
    if looking is None:
        failed = context.pool.zygote(NATIVE, context.python).settle()
        versions = {name: version for name in _distributions(report) if (version := _own_version(name))}
        return Installed(python=context.python, versions=versions, failed=failed)
    try:
        told = looking.answer().result
    except WorkerError as error:
        raise WorkerError(
            f"importing the model's libraries under {context.python.path} failed: {error.message}",
            hint="try it there by hand; the environment may lack a system library, or be built for another machine",
        ) from error
    finally:
        looking.close()
    told = told if isinstance(told, dict) else {}
    return Installed(
        python=context.python, versions=_texts(told.get("versions")), failed=_texts(told.get("failed"))
    )


def _distributions(report: SafetyReport) -> list[str]:
    """All distributions whose versions matter to a model: of what it imports and of what it records."""
    names = {name.partition(".")[0] for name in report.preload} | {name for name, _ in report.versions}
    return sorted({one for name in names | {"numpy", "skl2onnx"} for one in distributions(name)})


def _own_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _texts(told: Any) -> dict[str, str]:
    """A mapping of texts from a worker, bounded."""
    if not isinstance(told, dict):
        return {}
    return {str(name)[:_MOST]: str(value)[:500] for name, value in list(told.items())[:_MOST]}
