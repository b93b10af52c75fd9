"""The libraries a model was saved with, against those it was loaded with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from validator.checks.check import (
    CheckFailedError,
    CheckOutcome,
    failed,
    needed,
    passed,
    result,
    seen,
    warned,
)
from validator.checks.context import Context
from validator.checks.load.environment import Installed, distributions, installed
from validator.checks.load.safety import Inspected
from validator.environments import mlflow
from validator.libraries.known import era_of, package_and_version, recorded_as
from validator.model.file import ModelFile
from validator.model.safety import SafetyReport
from validator.results import CheckResult

_ENVIRONMENT = ("numpy", "onnx", "onnxruntime", "skl2onnx")
#: Formats that any later release of their library reads alike; only an older one may not.
_READ_BY_LATER = frozenset({"skops"})


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What is installed for the model, against what it was saved with.

    `packages` are the versions that matter to it, by distribution; `mismatch` says what differs; `check` is
    `load.versions`.
    """

    installed: Installed
    packages: Mapping[str, str]
    mismatch: str
    check: CheckResult

    def importable(self) -> CheckResult:
        """The check. Raises CheckFailedError where the model's libraries cannot be imported: nothing can follow."""
        if self.installed.failed:
            raise CheckFailedError(self.check)
        return self.check


def compare_versions(context: Context, inspected: Inspected) -> Versions:
    """Wait for the imports, and compare. Raises CheckFailedError where an environment breaks while imported."""
    report = inspected.report
    with needed("load.versions"):
        there = installed(context, report, inspected.looking)
        recorded = recorded_versions(context.file, report)
        asked = {name.split(".")[0] for name in report.preload} | set(recorded)
        found = {name: version for name in sorted(asked) if (version := there.version(name))}
        own = {name: version for name in _ENVIRONMENT if (version := _own_version(name))}
        foreign = {"native Python": there.python.release, "numpy": there.version("numpy")}
        apart = mismatch(recorded, there) if context.format != "onnx" else ""
        return Versions(
            installed=there,
            packages={**own, **(foreign if context.python.foreign else {}), **found},
            mismatch=apart,
            check=result("load.versions", "", _judge(context, recorded, found, there, apart)),
        )


def recorded_versions(file: ModelFile, report: SafetyReport) -> dict[str, str]:
    """The versions that the model file or the MLflow folder around it tells, by distribution."""
    beside = mlflow.recorded_versions(file.path) if file.format == "mlflow" else {}
    return {**beside, **dict(report.versions)}


def mismatch(recorded: Mapping[str, str], installed: Installed) -> str:
    """What the model was saved with and what is here, where their releases differ in more than the last number."""
    apart = [
        f"{_told(name, version)} (here {here})"
        for name, version in recorded.items()
        if (here := installed.version(name)) and not _fits(name, version, here)
    ]
    return f"saved with {', '.join(apart)}" if apart else ""


def _fits(name: str, saved: str, here: str) -> bool:
    era = era_of(name, saved)
    if era is not None:
        return era[0] <= _numbers(here) < era[1]
    if name in _READ_BY_LATER:
        return _numbers(saved) <= _numbers(here)
    return saved.split(".")[:2] == here.split(".")[:2]


def _told(name: str, version: str) -> str:
    return " ".join(package_and_version(name, version))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _own_version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _judge(
    context: Context, recorded: Mapping[str, str], found: Mapping[str, str], installed: Installed, apart: str
) -> CheckOutcome:
    if installed.failed and apart:
        name, why = next(iter(installed.failed.items()))
        return failed(f"{apart}, where {name} cannot be imported: {why}", hint=_remedy(context, recorded))
    if installed.failed:
        return _missing(context, installed)
    evidence = [
        seen(_told(name, version), installed.version(name) or "not installed")
        for name, version in recorded.items()
    ]
    if apart:
        return failed(apart, *evidence, hint=_remedy(context, recorded))
    if not recorded:
        return warned(
            "the file does not record the versions it was saved with; it was loaded with "
            + (", ".join(f"{name} {version}" for name, version in found.items()) or "no library"),
            hint="keep a requirements file beside the model",
        )
    return passed(", ".join(_told(name, version) for name, version in recorded.items()), *evidence)


def _missing(context: Context, installed: Installed) -> CheckOutcome:
    name, why = next(iter(installed.failed.items()))
    package = name.split(".")[0]
    if package == "validator":
        return failed(
            f"Model Preflight's own {name} cannot be imported: {why}",
            hint="this is a fault: please report it",
        )
    broken = bool(installed.version(package))
    where = (
        f"under {context.python.path} (Python {context.python.release})" if context.python.foreign else "here"
    )
    if broken:
        return failed(
            f"{package} {installed.version(package)} is installed, but {name} cannot be imported {where}: {why}",
            hint="pin its version, and those of what it is built on, as they were in training",
        )
    if context.settings.requirements:
        hint = f"add {distributions(package)[0]} to `requirements`"
    elif context.python.foreign:
        hint = f"install {distributions(package)[0]} there, or give another --python"
    else:
        hint = (
            f"install {distributions(package)[0]} beside Model Preflight, "
            "or name the model's own environment with `requirements`"
        )
    return failed(f"the model needs {name}, which cannot be imported {where}: {why}", hint=hint)


def _remedy(context: Context, recorded: Mapping[str, str]) -> str:
    """How to have the versions that the model was saved with."""
    if context.file.format == "mlflow" and not context.settings.requirements:
        return 'judge it in its own environment: requirements = "mlflow"'
    pins = [pin for name, version in recorded.items() if (pin := _pinned(name, version))]
    wanted = ", ".join(f'"{pin}"' for pin in pins)
    if not pins:
        return "judge it under the interpreter that trained it (--python), or save it again with the versions here"
    if context.settings.requirements or context.settings.python:
        return f"the environment that was given holds other versions: it needs {wanted}"
    return (
        f"judge it in its own environment: requirements = [{wanted}], with python = the version it was "
        "trained under, or --python; or save the model again with the versions here"
    )


def _pinned(name: str, version: str) -> str:
    distribution, era = distributions(name)[0], era_of(name, version)
    if era is None:
        return f"{distribution}=={version}"
    library = recorded_as(name)
    if library is not None and version in library.pins:
        return f"{distribution}=={library.pins[version]}"
    first, end = era
    if end == (0, 0):
        return ""  # nobody knows which release wrote it
    return f"{distribution}>={first[0]}.{first[1]}" + (f",<{end[0]}.{end[1]}" if end[0] < 90 else "")
