"""The libraries a model was saved with, against those it was loaded with."""

from __future__ import annotations

from importlib import metadata

from validator.model.safety import SafetyReport
from validator.stages.context import Context
from validator.suites.common import Finding, failed, passed, result, seen, warned

#: The distribution that installs a library, where its name differs from the import name.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "scikit-learn": ("scikit-learn",),
    "xgboost": ("xgboost", "xgboost-cpu"),
}
_ENVIRONMENT = ("numpy", "onnx", "onnxruntime", "skl2onnx")


def judge_versions(context: Context, report: SafetyReport, failed_imports: dict[str, str]) -> dict[str, str]:
    """Check `load.versions`; returns the versions of the libraries that matter to this model."""
    asked = {name.split(".")[0] for name in report.preload} | {name for name, _ in report.versions}
    found = {name: version for name in sorted(asked) if (version := installed(name))}
    context.draft.add(result("load.versions", "", _judge(report, found, failed_imports)))
    own = {name: version for name in _ENVIRONMENT if (version := installed(name))}
    return {**own, **found}


def installed(library: str) -> str:
    """The version of a library in this interpreter, empty when it is not there."""
    for name in _DISTRIBUTIONS.get(library, (library,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _judge(report: SafetyReport, found: dict[str, str], failed_imports: dict[str, str]) -> Finding:
    if failed_imports:
        name, why = next(iter(failed_imports.items()))
        package = name.split(".")[0]
        return failed(
            f"the model needs {name}, which cannot be imported: {why}",
            hint=f"install {package} beside Model Preflight, or name the model's own environment with `requirements`",
        )
    recorded = dict(report.versions)
    evidence = [seen(name, found.get(name, "not installed"), version) for name, version in recorded.items()]
    apart = [
        f"{name} {version} (here {found.get(name) or 'not installed'})"
        for name, version in recorded.items()
        if found.get(name) and _minor(found[name]) != _minor(version)
    ]
    if apart:
        return failed(
            f"saved with {', '.join(apart)}",
            *evidence,
            hint="name the versions it was trained with under `requirements`, or save the model with those here",
        )
    if not recorded:
        return warned(
            "the file does not record the versions it was saved with; it was loaded with "
            + (", ".join(f"{name} {version}" for name, version in found.items()) or "no library"),
            hint="keep a requirements file beside the model",
        )
    return passed(
        ", ".join(f"{name} {found.get(name, version)}" for name, version in recorded.items()), *evidence
    )


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])
